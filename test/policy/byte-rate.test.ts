import { expect, test } from "bun:test"
import { parseByteRate } from "../../src/policy/byte-rate.ts"
import { readBandwidth } from "../../src/policy/limit-options.ts"

test.each([
  [65_536, 65_536],
  [1.5, 1.5],
  ["1", 1],
  ["512 KiB", 524_288],
  ["512KiB/s", 524_288],
  ["1 MB", 1_000_000],
  ["1 kB", 1000],
  ["1 KB/s", 1000],
  ["10 MiB/s", 10_485_760],
  ["10 MiB / s", 10_485_760],
  ["1.5 GiB", 1_610_612_736],
  ["1 TB", 1e12],
  ["10k", 10_000],
  ["10 Ki", 10_240],
  ["10 M/s", 10_000_000],
  ["100 B/s", 100],
  ["100 bytes", 100],
  ["1 byte/s", 1],
  [" 8 KiB ", 8192],
])("%j is %d bytes per second", (text, rate) => {
  expect(parseByteRate(text, "up")).toBe(rate)
})

test.each([
  ["10 Mbit/s", "; a small b is for bits, of which a byte has 8"],
  ["10 Mbps", "; a small b is for bits"],
  ["10 Mb", "; a small b is for bits"],
  ["10 kbit", "; a small b is for bits"],
  ["fast", 'up: "fast" is not a rate: expected bytes per second, like "512 KiB", "10 MB/s" or a number, 1 to 10^12'],
  ["", "is not a rate"],
  ["MiB", "is not a rate"],
  ["-1 MiB", "is not a rate"],
  ["1e6", "is not a rate"],
  ["1 MiB/m", "is not a rate"],
  ["1 XB", "is not a rate"],
  ["2 TB", "1 to 10^12"],
  [0, "0 is not a rate"],
  [Number.NaN, "NaN is not a rate"],
  [Infinity, "Infinity is not a rate"],
  [null, "null is not a rate"],
  [{}, "an object is not a rate"],
])("%j is refused: %s", (value, why) => {
  expect(() => parseByteRate(value, "up")).toThrow(why)
  expect(() => parseByteRate(value, "up")).toThrow(expect.objectContaining({ name: "LimitInvalid" }))
})

test("bandwidth has a rate in one direction or both", () => {
  expect(readBandwidth("bandwidth", { up: "1 KiB" })).toEqual({ up: 1024, down: undefined, key: undefined })
  expect(readBandwidth("bandwidth", { down: 5, key: "all" })).toEqual({ up: undefined, down: 5, key: "all" })
  expect(() => readBandwidth("bandwidth", {})).toThrow("bandwidth: expected up, down or both")
  expect(() => readBandwidth("bandwidth", { up: 1, upp: 2 })).toThrow('did you mean "up"?')
  expect(() => readBandwidth("bandwidth", { up: 1, key: () => "a" })).toThrow(
    "key: a function is for limits that a policy makes",
  )
})
