// How many connections may be there at one time: counted once each, given back when they end.
import { afterAll, beforeEach, expect, test } from "bun:test"
import { concurrencyLimit } from "../../src/limit/concurrency-limit.ts"
import { MemoryStore } from "../../src/limit/memory-store.ts"
import { names } from "../../src/limit/names.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { simulate } from "../../src/policy/simulated.ts"
import { random } from "../helper/random.ts"

beforeEach(() => names.restart())
afterAll(() => names.restart())

function from(client: string) {
  return simulate({ from: client, to: "tcp://:5432" })
}

function many(n: number, client = "192.0.2.1") {
  return Array.from({ length: n }, () => from(client))
}

test("as many connections as max are there at one time, and the end of one makes room", () => {
  const limit = concurrencyLimit("a", { max: 2 })
  const [a, b, c] = many(3) as [ReturnType<typeof from>, ReturnType<typeof from>, ReturnType<typeof from>]
  expect([a, b, c].map(({ connection }) => limit.take(connection))).toEqual([true, true, false])
  expect(limit.active(c.connection)).toBe(2)
  // It was not counted: its end makes no room.
  c.close()
  const d = from("192.0.2.1")
  expect(limit.take(d.connection)).toBe(false)
  a.close()
  expect(limit.take(d.connection)).toBe(true)
  expect(limit.take(from("192.0.2.2").connection)).toBe(true)
})

test("a connection counts once, however often it is asked and by however many handles", () => {
  const [limit, same] = [concurrencyLimit("a", { max: 2 }), concurrencyLimit("a", { max: 2 })]
  const [a, b, c] = many(3)
  for (const each of [limit, same, limit, same]) expect(each.take(a!.connection)).toBe(true)
  expect(limit.active(a!.connection)).toBe(1)
  expect(same.take(b!.connection)).toBe(true)
  expect(limit.take(c!.connection)).toBe(false)
  // Who is in stays in.
  expect(limit.take(a!.connection)).toBe(true)
  a!.close()
  expect(limit.active(b!.connection)).toBe(1)
  expect(limit.take(c!.connection)).toBe(true)
})

test("one connection counts with each of its limits, and with each key that it has", () => {
  const [one, two] = [concurrencyLimit("one", { max: 1 }), concurrencyLimit("two", { max: 1, key: "all" })]
  const [a, b] = [from("192.0.2.1"), from("192.0.2.2")]
  expect([one.take(a.connection), two.take(a.connection)]).toEqual([true, true])
  expect([one.take(b.connection), two.take(b.connection)]).toEqual([true, false])
  a.close()
  expect(two.take(b.connection)).toBe(true)

  const user = concurrencyLimit("user", { max: 1, key: ({ vars }) => vars.get("user") as string | undefined })
  const [c, d] = [from("192.0.2.3"), from("192.0.2.4")]
  expect(user.take(c.connection)).toBe(true)
  expect(user.active(c.connection)).toBe(0)
  for (const name of ["eve", "mallory"]) {
    c.connection.vars.set("user", name)
    expect(user.take(c.connection)).toBe(true)
    d.connection.vars.set("user", name)
    expect(user.take(d.connection)).toBe(false)
  }
  c.close()
  expect(user.take(d.connection)).toBe(true)
})

test("a connection that has ended is not counted: nobody would give it back", () => {
  const limit = concurrencyLimit("a", { max: 1 })
  const [a, b] = many(2)
  a!.close()
  expect(limit.take(a!.connection)).toBe(false)
  expect(limit.active(a!.connection)).toBe(0)
  expect(limit.take(b!.connection)).toBe(true)
  b!.close()
  expect(limit.take(b!.connection)).toBe(false)
})

test("changed options keep the counts", () => {
  const [a, b, c] = many(3)
  const two = concurrencyLimit("a", { max: 2 })
  expect([a, b].map((each) => two.take(each!.connection))).toEqual([true, true])
  expect(concurrencyLimit("a", { max: 1 }).take(c!.connection)).toBe(false)
  expect(concurrencyLimit("a", { max: 3 }).take(c!.connection)).toBe(true)
})

test("when no more keys can be counted nobody else is let in, and nobody is forgotten", () => {
  names.restart({ store: new MemoryStore({ most: 3 }) })
  const limit = concurrencyLimit("a", { max: 2 })
  const first = [1, 2, 3].map((i) => from(`10.0.0.${i}`))
  for (const { connection } of first) expect(limit.take(connection)).toBe(true)
  const fourth = from("10.0.0.4")
  expect(limit.take(fourth.connection)).toBe(false)
  expect(first.map(({ connection }) => limit.active(connection))).toEqual([1, 1, 1])
  first[1]!.close()
  expect(limit.take(fourth.connection)).toBe(true)
  expect(limit.take(from("10.0.0.2").connection)).toBe(false)
})

test("any order of connecting and ending agrees with a list", () => {
  const { below } = random(5)
  names.restart({ store: new MemoryStore({ most: 8 }) })
  const limit = concurrencyLimit("a", { max: 3 })
  const open: { client: number; close: () => void }[] = []
  for (let i = 0; i < 20_000; i++) {
    if (below(2) === 0) {
      const client = below(12)
      const made = from(`10.0.0.${client}`)
      const mine = open.filter((each) => each.client === client).length
      const keys = new Set(open.map((each) => each.client)).size
      const fits = mine < 3 && (mine > 0 || keys < 8)
      expect(limit.take(made.connection)).toBe(fits)
      if (fits) open.push({ client, close: made.close })
    } else if (open.length > 0) open.splice(below(open.length), 1)[0]!.close()
  }
  for (const { close } of open) close()
  expect(names.concurrency('concurrencyLimit "a"').counts.busy).toBe(false)
})

test("a restart forgets the connections that are there, and their ends disturb nobody", () => {
  const limit = concurrencyLimit("a", { max: 1 })
  const [a, b, c] = many(3)
  expect(limit.take(a!.connection)).toBe(true)
  names.restart()
  expect(limit.take(b!.connection)).toBe(true)
  a!.close()
  expect(limit.take(c!.connection)).toBe(false)
})

test("take is for connections of the gateway: it has to hear of their ends", () => {
  const limit = concurrencyLimit("a", { max: 1 })
  const mine = { client: { address: "192.0.2.1" } } as unknown as Connection
  expect(() => limit.take(mine)).toThrow(
    'concurrencyLimit "a": expected the connection that on_tcp_connect is given, found an object, whose end nobody tells',
  )
  expect(() => Reflect.apply(limit.take, limit, [])).toThrow("found undefined")
})

test.each([
  ["a", undefined, 'concurrencyLimit "a": expected options like { max: 10 }, found undefined'],
  ["a", {}, "max: expected a whole number from 1 to 1,000,000,000, found undefined"],
  ["a", { max: 0 }, "max: expected a whole number"],
  ["a", { maximum: 1 }, 'there is no option "maximum"'],
  ["a", { max: 1, keys: "all" }, 'did you mean "key"?'],
  [{ max: 1 }, undefined, 'like concurrencyLimit("per-client", { max: 10 }), found an object'],
])("concurrencyLimit(%p, %p) is refused: %s", (name, options, why) => {
  const make = () => Reflect.apply(concurrencyLimit, undefined, [name, options])
  expect(make).toThrow(why)
  expect(make).toThrow(expect.objectContaining({ name: "LimitInvalid" }))
})
