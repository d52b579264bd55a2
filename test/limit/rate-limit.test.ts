// How many connections may come: exactly, over a clock that the test moves, and against exact arithmetic.
import { afterAll, beforeEach, expect, test } from "bun:test"
import { MemoryStore, type MemoryOptions } from "../../src/limit/memory-store.ts"
import { names } from "../../src/limit/names.ts"
import { rateLimit, type RateLimit } from "../../src/limit/rate-limit.ts"
import { simulate } from "../../src/policy/simulated.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { random } from "../helper/random.ts"

let now = 0

function start(options: MemoryOptions = {}): void {
  now = 1000
  names.restart({ store: new MemoryStore({ clock: () => now, ...options }) })
}

beforeEach(() => start())
afterAll(() => names.restart())

function from(client: string): Connection {
  return simulate({ from: client, to: "tcp://:5432" }).connection
}

const client = from("192.0.2.1")

/** How many of `tries` pass. */
function passing(limit: RateLimit, tries: number, connection = client): number {
  let passed = 0
  for (let i = 0; i < tries; i++) if (limit.take(connection)) passed++
  return passed
}

test("a limit lets its burst through, then one whenever a token has come back, to the millisecond", () => {
  const limit = rateLimit("a", { limit: 20, per: "1 minute" })
  expect(passing(limit, 100)).toBe(20)
  now += 2999
  expect(limit.take(client)).toBe(false)
  now += 1
  expect(passing(limit, 5)).toBe(1)
  now += 60_000
  expect(passing(limit, 100)).toBe(20)
})

test("tokens come back evenly, and no more than the burst", () => {
  const limit = rateLimit("a", { limit: 10, per: "1 second", burst: 3 })
  expect(passing(limit, 10)).toBe(3)
  now += 150
  expect(passing(limit, 10)).toBe(1)
  now += 50
  expect(passing(limit, 10)).toBe(1)
  now += 1e9
  expect(passing(limit, 10)).toBe(3)
})

test("a burst above the limit is saved up in a rest", () => {
  const limit = rateLimit("a", { limit: 1, per: "1 second", burst: 5 })
  expect(passing(limit, 10)).toBe(5)
  now += 2000
  expect(passing(limit, 10)).toBe(2)
})

test("what is refused takes nothing", () => {
  const limit = rateLimit("a", { limit: 1, per: "1 second" })
  expect(limit.take(client)).toBe(true)
  for (now += 1; now < 2000; now += 10) expect(limit.take(client)).toBe(false)
  now = 2000
  expect(limit.take(client)).toBe(true)
})

test("remaining tells the tokens that are left, and takes none", () => {
  const limit = rateLimit("a", { limit: 4, per: "1 second", burst: 6 })
  expect(limit.remaining(client)).toBe(6)
  expect(limit.remaining(client)).toBe(6)
  passing(limit, 6)
  expect(limit.remaining(client)).toBe(0)
  now += 249
  expect(limit.remaining(client)).toBe(0)
  now += 1
  expect(limit.remaining(client)).toBe(1)
  expect(limit.remaining(from("192.0.2.2"))).toBe(6)
  expect(rateLimit("b", { limit: 1, per: 1, key: () => undefined }).remaining(client)).toBe(Infinity)
})

test("clients are counted apart", () => {
  const limit = rateLimit("a", { limit: 2, per: "1 hour" })
  for (let i = 0; i < 100; i++) expect(passing(limit, 5, from(`192.0.2.${i}`))).toBe(2)
})

/** A bucket in exact arithmetic: tokens times `per`, in whole numbers. */
class Model {
  private missing = 0n
  private at = 0n

  take(limit: number, per: number, burst: number, time: number): boolean {
    const elapsed = BigInt(time) - this.at
    this.at = BigInt(time)
    this.missing -= elapsed * BigInt(limit)
    if (this.missing < 0n) this.missing = 0n
    if (this.missing + BigInt(per) > BigInt(burst) * BigInt(per)) return false
    this.missing += BigInt(per)
    return true
  }
}

test("any options at any times agree with exact arithmetic", () => {
  const { below, pick } = random(11)
  for (let round = 0; round < 300; round++) {
    start()
    const limit = 1 + below(pick([3, 50, 1000, 1_000_000]))
    const per = 1 + below(pick([5, 1000, 60_000, 2_592_000_000]))
    const burst = 1 + below(pick([2, 20, 100]))
    const limiter = rateLimit("a", { limit, per, burst })
    const models = Array.from({ length: 4 }, () => new Model())
    const clients = models.map((_, i) => from(`10.0.0.${i}`))
    const step = Math.ceil(per / limit) + 1
    let passed = 0
    for (let i = 0; i < 200; i++) {
      now += below(4) === 0 ? below(step * pick([1, 3, burst + 1])) : 0
      const who = below(4)
      const took = limiter.take(clients[who]!)
      expect(took).toBe(models[who]!.take(limit, per, burst, now))
      if (took) passed++
    }
    expect(passed).toBeGreaterThan(0)
  }
})

test("after a long time, and at high rates, it is still exact", () => {
  const limit = rateLimit("a", { limit: 1000, per: "1 second", burst: 10 })
  passing(limit, 10)
  // 30 years.
  now += 1e12
  expect(passing(limit, 100)).toBe(10)
  now += 1
  expect(passing(limit, 100)).toBe(1)
  now += 5
  expect(passing(limit, 100)).toBe(5)
  const fast = rateLimit("b", { limit: 1_000_000_000, per: 1, burst: 3 })
  for (let i = 0; i < 10_000; i++) {
    expect(passing(fast, 4)).toBe(3)
    now += 1
  }
})

test("changed options keep what was taken: more is let through at once, or less", () => {
  const options = { per: "1 hour" } as const
  const two = rateLimit("a", { limit: 2, ...options })
  expect(passing(two, 5)).toBe(2)
  const five = rateLimit("a", { limit: 5, ...options })
  expect(five.remaining(client)).toBe(3)
  expect(passing(five, 10)).toBe(3)
  const one = rateLimit("a", { limit: 1, ...options })
  expect(one.take(client)).toBe(false)
  // Five are taken, and one comes back in an hour: room for the next is there when none is missing.
  now += 5 * 3_600_000 - 1
  expect(one.take(client)).toBe(false)
  now += 1
  expect(one.take(client)).toBe(true)
})

test("the time before a change counts at the old rate, and the time after it at the new one", () => {
  const slow = rateLimit("a", { limit: 10, per: "10 seconds" })
  expect(passing(slow, 20)).toBe(10)
  now += 2500
  const fast = rateLimit("a", { limit: 10, per: "1 second" })
  expect(fast.remaining(client)).toBe(2)
  now += 50
  expect(fast.remaining(client)).toBe(3)
})

test("a handle of the same name and options counts with the others", () => {
  const [a, b] = [rateLimit("a", { limit: 3, per: "1 hour" }), rateLimit("a", { limit: 3, per: "1 hour" })]
  expect([a.take(client), b.take(client), a.take(client), b.take(client)]).toEqual([true, true, true, false])
  expect(rateLimit("b", { limit: 3, per: "1 hour" }).take(client)).toBe(true)
})

test("past its bound a table forgets who came longest ago", () => {
  start({ most: 100 })
  const limit = rateLimit("a", { limit: 1, per: "1 hour" })
  const clients = Array.from({ length: 101 }, (_, i) => from(`10.0.0.${i}`))
  for (let i = 0; i < 100; i++) expect(limit.take(clients[i]!)).toBe(true)
  // The first comes again, which is refused but keeps it.
  expect(limit.take(clients[0]!)).toBe(false)
  expect(limit.take(clients[100]!)).toBe(true)
  expect(limit.take(clients[0]!)).toBe(false)
  expect(limit.take(clients[2]!)).toBe(false)
  expect(limit.take(clients[1]!)).toBe(true)
})

test("records of clients that have all their tokens again are used for others, so that a flood leaves no table behind", () => {
  start({ most: 1_000_000 })
  const { hash } = names.store
  const rates = names.store.rates("test")
  const rate = { limit: 1, per: 1000, burst: 1 }
  for (let i = 0; i < 200_000; i++) {
    now += 1
    hash.word(1, i)
    expect(rates.take(hash.high, hash.low, rate)).toBe(true)
  }
  // Each lacks its token for a second, in which 1,000 others come; one more for what is rounded.
  expect(rates.size).toBeLessThanOrEqual(1001)
})

test("limits that are made before a restart count from the start", () => {
  const limit = rateLimit("a", { limit: 1, per: "1 hour" })
  expect(passing(limit, 2)).toBe(1)
  start()
  expect(passing(limit, 2)).toBe(1)
})

test.each([
  [undefined, { limit: 1, per: 1 }, "expected a name of 1 to 100 characters first"],
  [{ limit: 1, per: 1 }, undefined, 'like rateLimit("per-client", { limit: 20, per: "1 minute" }), found an object'],
  ["", { limit: 1, per: 1 }, "expected a name"],
  ["a\nb", { limit: 1, per: 1 }, "expected a name"],
  ["x".repeat(101), { limit: 1, per: 1 }, "expected a name"],
  ["a", undefined, 'rateLimit "a": expected options like { limit: 20, per: "1 minute" }, found undefined'],
  ["a", 20, "expected options"],
  ["a", { limit: 20 }, 'rateLimit "a": per: undefined is not a duration'],
  ["a", { per: "1s" }, 'rateLimit "a": limit: expected a whole number from 1 to 1,000,000,000, found undefined'],
  ["a", { limit: 0, per: "1s" }, "limit: expected a whole number"],
  ["a", { limit: 1.5, per: "1s" }, "limit: expected a whole number"],
  ["a", { limit: "20", per: "1s" }, 'limit: expected a whole number from 1 to 1,000,000,000, found "20"'],
  ["a", { limit: 1e10, per: "1s" }, "limit: expected a whole number"],
  ["a", { limit: 1, per: "0s" }, "per: expected 1 millisecond to 30 days"],
  ["a", { limit: 1, per: "31 days" }, "per:"],
  ["a", { limit: 1, per: "1 minuet" }, "per:"],
  ["a", { limit: 1, per: "1s", burst: 0 }, "burst: expected a whole number"],
  ["a", { limit: 1, per: "1s", bursts: 5 }, 'there is no option "bursts"; did you mean "burst"?'],
  ["a", { limt: 1, per: "1s" }, 'there is no option "limt"; did you mean "limit"?'],
  ["a", { limit: 1, per: "1s", key: "clients" }, 'key: there is no "clients"; did you mean "client"?'],
  ["a", { limit: 1, per: "1s", key: "ip" }, 'did you mean "client"?'],
  ["a", { limit: 1, per: "1s", key: 5 }, 'key: expected "client", "sni", "all" or prefix lengths'],
  ["a", { limit: 1, per: "1s", key: {} }, "key: expected"],
  ["a", { limit: 1, per: "1s", key: { ipv4: 33 } }, "ipv4: expected a prefix length from 0 to 32, found 33"],
  ["a", { limit: 1, per: "1s", key: { ipv6: "64" } }, "ipv6: expected a prefix length from 0 to 128"],
  ["a", { limit: 1, per: "1s", key: { ip4: 24 } }, 'key: there is no "ip4"; did you mean "ipv4"?'],
  ["a", { limit: 1, per: "1s", key: { toString: 24 } }, 'key: there is no "toString"'],
])("rateLimit(%p, %p) is refused: %s", (name, options, why) => {
  const make = () => Reflect.apply(rateLimit, undefined, [name, options])
  expect(make).toThrow(why)
  expect(make).toThrow(expect.objectContaining({ name: "LimitInvalid" }))
})

function takeUnder(i: number): boolean {
  return rateLimit(`client ${i}`, { limit: 1, per: 1 }).take(client)
}

test("no more than 10,000 names are kept: who makes a name for each client is told so", () => {
  for (let i = 0; i < 10_000; i++) takeUnder(i)
  expect(() => takeUnder(10_000)).toThrow("clients are told apart by `key`, not by name")
  expect(takeUnder(5)).toBe(false)
})
