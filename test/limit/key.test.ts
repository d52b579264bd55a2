// What is counted together: addresses by network, names, everything, and whatever a function says.
import { afterAll, beforeEach, expect, test } from "bun:test"
import { names } from "../../src/limit/names.ts"
import { rateLimit } from "../../src/limit/rate-limit.ts"
import type { Connection } from "../../src/policy/connection.ts"
import type { LimitKey } from "../../src/policy/limits.ts"
import { simulate, type Facts } from "../../src/policy/simulated.ts"

beforeEach(() => names.restart())
afterAll(() => names.restart())

function connection(facts: Facts): Connection {
  return simulate(facts).connection
}

/** For each connection the first one that it is counted together with, which may be itself. */
function groups(key: LimitKey, connections: readonly Connection[]): number[] {
  const limit = rateLimit("groups", { limit: 1, per: "1 hour", key })
  const isTogether = (a: Connection, b: Connection) => {
    names.restart()
    return limit.take(a) && !limit.take(b)
  }
  return connections.map((each, i) => connections.findIndex((other, j) => j === i || isTogether(other, each)))
}

const unix = () => connection({ to: "unix:/run/x.sock" })
const to = (name: string) => connection({ from: "192.0.2.1", to: `tls://${name}:443` })
const nameless = () => connection({ from: "192.0.2.1", to: "tls://:443", tls: {} })
const from = (...clients: string[]) => clients.map((client) => connection({ from: client, to: "tcp://:5432" }))

test.each([
  ["client", ["192.0.2.1", "192.0.2.1:5", "192.0.2.2", "::ffff:192.0.2.1"], [0, 0, 2, 0]],
  ["client", ["2001:db8::1", "2001:db8::ffff:1:2:3", "2001:db8:0:1::1", "2001:db8:0:1:ffff::"], [0, 0, 2, 2]],
  [{ ipv4: 24, ipv6: 48 }, ["192.0.2.1", "192.0.2.255", "192.0.3.1"], [0, 0, 2]],
  [{ ipv4: 24, ipv6: 48 }, ["2001:db8::1", "2001:db8:0:ffff::1", "2001:db8:1::1"], [0, 0, 2]],
  [{ ipv4: 24 }, ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"], [0, 0, 2]],
  [{ ipv6: 128 }, ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"], [0, 1, 2, 3]],
  [{ ipv4: 31 }, ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"], [0, 0, 2, 2]],
  [{ ipv6: 33 }, ["2001:db8::", "2001:db8:7fff::", "2001:db8:8000::", "2001:db8:ffff::"], [0, 0, 2, 2]],
  [{ ipv4: 0, ipv6: 0 }, ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::1"], [0, 0, 2, 2]],
  // An IPv6 address whose words look like an IPv4 address is none.
  ["client", ["192.0.2.1", "c000:201::"], [0, 1]],
  ["all", ["192.0.2.1", "10.0.0.1", "2001:db8::1"], [0, 0, 0]],
] satisfies [LimitKey, string[], number[]][])("%j counts %j together as %j", (key, clients, expected) => {
  expect(groups(key, from(...clients))).toEqual(expected)
})

test("clients of a unix listener are one client, and no other one is", () => {
  expect(groups("client", [unix(), unix(), ...from("0.0.0.0", "::")])).toEqual([0, 0, 2, 3])
})

test("server names count apart, whatever their case, and who names none counts with its like", () => {
  const connections = [
    to("a.example"),
    to("A.Example."),
    to("b.example"),
    nameless(),
    nameless(),
    from("192.0.2.1")[0]!,
  ]
  expect(groups("sni", connections)).toEqual([0, 0, 2, 3, 3, 3])
})

test("a function may give texts and numbers, of which no two are the same, or undefined for no limit", () => {
  const keys = ["1", 1, "", 0, -0, 1.5, Infinity, "1", "é", "e\u0301", "x".repeat(5000), `${"x".repeat(4999)}y`]
  let next = 0
  const connections = keys.map(() => from("192.0.2.1")[0]!)
  const by = new Map(connections.map((each) => [each, keys[next++]]))
  expect(groups((each) => by.get(each), connections)).toEqual([0, 1, 2, 3, 3, 5, 6, 0, 8, 9, 10, 11])
  const free = rateLimit("free", { limit: 1, per: "1 hour", key: () => undefined })
  for (let i = 0; i < 5; i++) expect(free.take(connections[0]!)).toBe(true)
})

test.each([
  [null, "found null"],
  [Number.NaN, "found NaN"],
  [true, "found true"],
  [{}, "found an object"],
  [Promise.resolve("a"), "found a Promise"],
])("a function that gives %p for a key is an error, and nobody is let in", (key, why) => {
  const limit = rateLimit("bad", { limit: 1, per: 1, key: () => key as string })
  expect(() => limit.take(from("192.0.2.1")[0]!)).toThrow(why)
  expect(() => limit.take(from("192.0.2.1")[0]!)).toThrow('rateLimit "bad": key: expected a text or a number')
})

test("a key that asks another limit is none the worse for it", () => {
  const inner = rateLimit("inner", { limit: 1, per: "1 hour", key: "all" })
  const outer = rateLimit("outer", { limit: 1, per: "1 hour", key: (each) => `${inner.take(each)}` })
  const [a, b, c] = from("192.0.2.1", "192.0.2.2", "192.0.2.3")
  expect([a, b, c].map((each) => outer.take(each!))).toEqual([true, true, false])
})

test("take without a connection is an error; a connection that a test has written itself is one by its address", () => {
  const limit = rateLimit("a", { limit: 1, per: "1 hour" })
  expect(() => Reflect.apply(limit.take, limit, [])).toThrow(
    'rateLimit "a": expected the connection that on_tcp_connect is given, found undefined',
  )
  const written = { client: { address: "192.0.2.1" } } as unknown as Connection
  expect([limit.take(written), limit.take(from("192.0.2.1")[0]!)]).toEqual([true, false])
})
