import { describe, expect, test } from "bun:test"
import { cidrs, CidrInvalid } from "../../src/policy/cidr.ts"
import { PrereadTimeout, PrereadTooLarge } from "../../src/policy/preread.ts"
import { FactsInvalid, simulate, type Facts } from "../../src/policy/simulated.ts"
import { random } from "../helper/random.ts"

const connection = (facts: Partial<Facts> = {}) =>
  simulate({ from: "203.0.113.9:4711", to: "tcp://:5432", ...facts }).connection

describe("addresses", () => {
  test.each([
    ["203.0.113.9", "203.0.113.9", 49152, "IPv4"],
    ["203.0.113.9:4711", "203.0.113.9", 4711, "IPv4"],
    ["2001:DB8::1", "2001:db8::1", 49152, "IPv6"],
    ["[2001:db8:0::1]:4711", "2001:db8::1", 4711, "IPv6"],
    ["[2001:db8::1]", "2001:db8::1", 49152, "IPv6"],
    ["::ffff:10.0.0.1", "10.0.0.1", 49152, "IPv4"],
    ["[::ffff:10.0.0.1]:1", "10.0.0.1", 1, "IPv4"],
  ])("from %s is %s port %p", (from, address, port, family) => {
    const { client } = connection({ from })
    expect({ ...client, within: undefined }).toEqual({ address, port, family, within: undefined } as never)
  })

  test.each([
    ["tcp://:5432", "203.0.113.9", { address: "127.0.0.1", port: 5432 }],
    ["tcp://:5432", "2001:db8::1", { address: "::1", port: 5432 }],
    ["tcp://[::]:5432", "2001:db8::1", { address: "::1", port: 5432 }],
    ["tcp://10.0.0.1:5432", "203.0.113.9", { address: "10.0.0.1", port: 5432 }],
    ["tcp://localhost:5432", "203.0.113.9", { address: "127.0.0.1", port: 5432 }],
  ])("to %s from %s reaches %j", (to, from, server) => {
    expect(connection({ from, to }).server).toEqual(server)
  })

  test("on a unix listener nobody has an address, and within is false", () => {
    const { client, server, listener } = simulate({ to: "unix:/run/x.sock" }).connection
    expect(client).toMatchObject({ address: undefined, port: undefined, family: "unix" })
    expect(server).toEqual({ address: undefined, port: undefined })
    expect(listener).toEqual({ name: "unix:/run/x.sock", url: "unix:/run/x.sock" })
    expect(client.within("0.0.0.0/0", "::/0")).toBe(false)
  })

  test("within takes texts and compiled sets together", () => {
    const { client } = connection()
    expect(client.within()).toBe(false)
    expect(client.within("10.0.0.0/8", cidrs("203.0.113.0/24"))).toBe(true)
    expect(client.within("10.0.0.0/8", "203.0.113.9")).toBe(true)
    expect(client.within(cidrs("10.0.0.0/8"))).toBe(false)
    expect(() => client.within("10.0.0.0/40")).toThrow(CidrInvalid)
  })
})

describe("facts that make no connection", () => {
  test.each([
    [{ from: undefined }, "from: expected"],
    [{ from: "localhost" }, "from:"],
    [{ from: "203.0.113.9:0" }, "from:"],
    [{ from: "203.0.113.9:70000" }, "from:"],
    [{ from: "127.1" }, "from:"],
    [{ from: "" }, "from:"],
    [{ from: "[203.0.113.9" }, "from:"],
    [{ to: undefined }, "to: expected"],
    [{ to: ":5432" }, 'did you mean "tcp://:5432"?'],
    [{ to: "tcp://:0" }, "one port"],
    [{ to: "tcp://:1-2" }, "one port"],
    [{ to: "tcp://db:5432" }, "to:"],
    [{ at: new Date("x") }, "at: expected"],
    [{ at: "2026-01-01" }, "at: expected"],
    [{ bytes: 5 }, "bytes: expected"],
    [{ byte: "x" }, 'no fact "byte"; did you mean "bytes"?'],
  ])("%p", (facts, why) => {
    expect(() => connection(facts as never)).toThrow(FactsInvalid)
    expect(() => connection(facts as never)).toThrow(why)
  })

  test("arbitrary text for from and to is a connection or FactsInvalid", () => {
    const { text } = random(11)
    const pieces = ["203.0.113.9", "[::1]", "::1", ":", "5432", "tcp://", "unix:/x", "localhost", "0", "-", "/"]
    let good = 0
    for (let i = 0; i < 30_000; i++) {
      try {
        simulate({ from: text(pieces, 3), to: text(pieces, 3) })
        good++
      } catch (error) {
        expect(error).toBeInstanceOf(FactsInvalid)
      }
    }
    expect(good).toBeGreaterThan(20)
  })
})

describe("peek", () => {
  test("gives everything that was sent, as soon as there is enough", async () => {
    const client = connection({ bytes: "hello" })
    expect(new TextDecoder().decode(await client.peek(1))).toBe("hello")
    expect(await client.peek(5)).toHaveLength(5)
  })

  test("gives each caller a copy of its own", async () => {
    const sent = new Uint8Array([1, 2, 3])
    const client = connection({ bytes: sent })
    ;(await client.peek(3)).fill(0)
    sent.fill(9)
    expect(await client.peek(3)).toEqual(new Uint8Array([1, 2, 3]))
  })

  test("rejects at once when the client sends no more, and gives what there is after its FIN", async () => {
    await expect(connection({ bytes: "hi" }).peek(3, { within: "1 minute" })).rejects.toThrow(PrereadTimeout)
    expect(await connection({ bytes: "hi", closed: true }).peek(3)).toHaveLength(2)
    expect(await connection({ closed: true }).peek(1)).toHaveLength(0)
  })

  test("rejects, and never throws, for what cannot be asked", async () => {
    await expect(connection().peek(16_385)).rejects.toThrow(PrereadTooLarge)
    await expect(connection().peek(-1)).rejects.toThrow(RangeError)
    await expect(connection({ bytes: "x" }).peek(1, { within: "soon" })).rejects.toThrow("peek: within")
  })
})

test("the rest is what a policy expects: an id of its own, the time, vars, a signal, and dryRun", () => {
  const at = new Date("2026-01-01T12:00:00Z")
  const { connection: one, abort } = simulate({ from: "203.0.113.9", to: "tcp://:5432", at })
  expect(one.id).not.toBe(connection().id)
  expect(one.openedAt).toEqual(at)
  expect(one.vars).toEqual(new Map())
  expect(one.dryRun).toBe(true)
  expect(one.signal.aborted).toBe(false)
  abort(new Error("gone"))
  expect(one.signal.aborted).toBe(true)
})
