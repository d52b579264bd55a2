// Bytes over time, and who shares them.
import { expect, test } from "bun:test"
import { BandwidthGate, sharedBuckets } from "../../src/limit/bandwidth.ts"
import { Bucket } from "../../src/limit/bucket.ts"
import { ipv4, ipv6 } from "../../src/policy/address.ts"
import { random } from "../helper/random.ts"

const KIB = 1024

test("64 KiB pass at once, then what exceeds the rate is to be waited for", () => {
  const bucket = new Bucket(1000, 0)
  expect(bucket.debit(64 * KIB, 0)).toBe(0)
  expect(bucket.debit(500, 0)).toBe(500)
  expect(bucket.debit(500, 250)).toBe(750)
  expect(bucket.debit(0, 1000)).toBe(0)
  expect(bucket.debit(1, 1000)).toBe(1)
})

test("a fast one lets a tenth of a second pass at once", () => {
  const bucket = new Bucket(10_000_000, 0)
  expect(bucket.burst).toBe(1_000_000)
  expect(bucket.debit(1_000_000, 0)).toBe(0)
  expect(bucket.debit(1_000_000, 0)).toBe(100)
})

test("a rest is worth no more than the burst, and a clock that goes back is worth nothing", () => {
  const bucket = new Bucket(1000, 0)
  expect(bucket.debit(64 * KIB, 1e9)).toBe(0)
  expect(bucket.debit(1000, 1e9)).toBe(1000)
  expect(bucket.debit(1000, 5e8)).toBe(2000)
  expect(bucket.debit(0, 1e9 + 2000)).toBe(0)
})

test("another rate counts from then on, and what is to be waited for stays", () => {
  const bucket = new Bucket(1000, 0)
  expect(bucket.debit(64 * KIB + 2000, 0)).toBe(2000)
  bucket.change(100, 1000)
  expect(bucket.debit(0, 1000)).toBe(10_000)
  bucket.change(10_000_000, 1000)
  expect(bucket.debit(0, 1001)).toBe(0)
  bucket.change(1000, 1e6)
  expect([bucket.isFull(1e6), bucket.burst]).toEqual([true, 64 * KIB])
})

test("whoever waits as long as it is told to gets the rate, whatever the sizes", () => {
  const { below } = random(3)
  for (const rate of [100, 65_536, 3_333_333]) {
    const bucket = new Bucket(rate, 0)
    let now = 0
    let bytes = -bucket.burst
    for (let i = 0; i < 1000; i++) {
      const chunk = 1 + below(512 * KIB)
      bytes += chunk
      now += bucket.debit(chunk, now)
    }
    expect(bytes / (now / 1000) / rate).toBeCloseTo(1, 6)
  }
})

const CLIENT = { ipv4: 32, ipv6: 64 } as const

test("without a key each connection has buckets of its own, in the directions that are limited", () => {
  const gate = new BandwidthGate("test own", { up: 1000, down: undefined, key: undefined })
  const [a, b] = [gate.take(ipv4(1), undefined), gate.take(ipv4(1), undefined)]
  expect(a.up).not.toBe(b.up!)
  expect([a.up?.rate, a.down]).toEqual([1000, undefined])
  a.release()
})

test("connections of one key share their buckets, also with another rate after a reload", () => {
  const before = new BandwidthGate("test shared", { up: 1000, down: 2000, key: CLIENT })
  const [a, b, c] = [
    before.take(ipv6(1, 2, 3, 4), undefined),
    before.take(ipv6(1, 2, 7, 7), undefined),
    before.take(ipv6(1, 3, 3, 4), undefined),
  ]
  expect([a.up === b.up, a.down === b.down, a.up === c.up]).toEqual([true, true, false])
  const other = new BandwidthGate("test another", { up: 1000, down: 2000, key: CLIENT }).take(
    ipv6(1, 2, 3, 4),
    undefined,
  )
  expect(other.up).not.toBe(a.up!)
  const after = new BandwidthGate("test shared", { up: 500, down: undefined, key: CLIENT }).take(
    ipv6(1, 2, 3, 4),
    undefined,
  )
  expect([after.up === a.up, a.up?.rate, after.down]).toEqual([true, 500, undefined])
  for (const each of [a, b, c, other, after]) each.release()
})

test("by name, those with one server name share", () => {
  const gate = new BandwidthGate("test names", { up: 1000, down: undefined, key: "sni" })
  const [a, b, c] = [gate.take(ipv4(1), "a.example"), gate.take(ipv4(2), "a.example"), gate.take(ipv4(1), undefined)]
  expect([a.up === b.up, a.up === c.up]).toEqual([true, false])
  for (const each of [a, b, c]) each.release()
})

test("who comes again at once finds what is left, and buckets that are full again are forgotten", () => {
  const gate = new BandwidthGate("test again", { up: 1, down: undefined, key: CLIENT })
  const before = sharedBuckets()
  const first = gate.take(ipv4(1), undefined)
  first.up!.debit(64 * KIB, performance.now())
  first.release()
  first.release()
  expect(sharedBuckets()).toEqual({ used: before.used, resting: before.resting + 1 })
  const again = gate.take(ipv4(1), undefined)
  expect(again.up).toBe(first.up!)
  again.release()
  const fresh = gate.take(ipv4(2), undefined)
  fresh.release()
  expect(sharedBuckets()).toEqual({ used: before.used, resting: before.resting + 1 })
})

test("no more than 10,000 rest", () => {
  const gate = new BandwidthGate("test many", { up: 1, down: undefined, key: CLIENT })
  for (let i = 0; i < 10_100; i++) {
    const shares = gate.take(ipv4(i), undefined)
    shares.up!.debit(64 * KIB, performance.now())
    shares.release()
  }
  expect(sharedBuckets().resting).toBe(10_000)
})
