import { expect, test } from "bun:test"
import { DurationInvalid, milliseconds } from "../../src/policy/duration.ts"
import { random } from "../helper/random.ts"

test.each([
  ["5 seconds", 5000],
  ["5seconds", 5000],
  ["1 second", 1000],
  ["1.5 minutes", 90_000],
  ["250ms", 250],
  ["250 millis", 250],
  ["1 milli", 1],
  ["  2 Hours ", 7_200_000],
  ["30 days", 2_592_000_000],
  ["0 s", 0],
  [0, 0],
  [250, 250],
  [0.5, 0.5],
])("%p is %p ms", (value, expected) => {
  expect(milliseconds(value, "deadline")).toBe(expected)
})

test.each([
  "",
  "5",
  "seconds",
  "-1 s",
  "1e3 ms",
  "5 fortnights",
  "5 constructor",
  "1 __proto__",
  "1 s 500 ms",
  "31 days",
  "٥ s",
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  undefined,
  null,
  {},
  [[5]],
  10n,
])("%p is refused, naming what it was for", (value) => {
  expect(() => milliseconds(value, "connectTimeout")).toThrow(DurationInvalid)
  expect(() => milliseconds(value, "connectTimeout")).toThrow(/^connectTimeout: .* is not a duration/)
})

test("arbitrary text is a duration or DurationInvalid", () => {
  const { text } = random(6)
  let good = 0
  for (let i = 0; i < 20_000; i++) {
    const input = text(["0", "1", "9", ".", " ", "s", "ms", "min", "hour", "days", "-", "e"], 5)
    try {
      const parsed = milliseconds(input, "x")
      expect(parsed).toBeGreaterThanOrEqual(0)
      good++
    } catch (error) {
      expect(error).toBeInstanceOf(DurationInvalid)
    }
  }
  expect(good).toBeGreaterThan(100)
})
