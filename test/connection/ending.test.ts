import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import { gateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

describe("a denied client", () => {
  test("gets a FIN, also while it is sending, and no reset", async () => {
    using gate = gateway(() => deny("not in the office"))
    using client = await connect(gate.port)
    await client.write(Buffer.alloc(500_000))
    expect(await client.text()).toBe("")
    await client.write(Buffer.alloc(300_000))
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "denied", by: "gateway" },
      conn: { bytes_in: 800_000, bytes_out: 0 },
      policy: { file: "p0.ts", decision: "deny", reason: "not in the office" },
      ip_policy: { decision: "block" },
      upstream: null,
    })
  })

  test("gets a reset where the policy says so", async () => {
    using gate = gateway(() => deny("go away", { reset: true }))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
  })

  test("that is delayed is held that long and then closed", async () => {
    using gate = gateway(() => deny("tarpit", { delay: 400 }))
    const started = performance.now()
    using client = await connect(gate.port, { first: "hello?" })
    expect(await client.stops()).toBe("FIN")
    expect(performance.now() - started).toBeGreaterThanOrEqual(400)
    expect(performance.now() - started).toBeLessThan(1400)
    client.end()
    expect((await gate.ended(1))[0]).toMatchObject({ close: { reason: "denied" }, conn: { bytes_in: 6 } })
    expect(gate.path.delayed).toBe(0)
  })

  test("that is delayed and then reset gets its reset", async () => {
    using gate = gateway(() => deny("tarpit", { delay: 200, reset: true }))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
  })

  test("that sends its FIN while it is held is closed at once", async () => {
    using gate = gateway(() => deny("tarpit", { delay: "10 minutes" }))
    using client = await connect(gate.port, { first: "x" })
    await eventually(() => gate.path.delayed === 1)
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
    expect(gate.path.delayed).toBe(0)
  })

  test("that has sent its FIN before the decision is not held", async () => {
    using gate = gateway(async (connection) => {
      await connection.peek(1)
      return deny("tarpit", { delay: "10 minutes" })
    })
    using client = await connect(gate.port)
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
  })

  test("that resets while it is held is let go of", async () => {
    using gate = gateway(() => deny("tarpit", { delay: "10 minutes" }))
    using client = await connect(gate.port)
    await eventually(() => gate.path.delayed === 1)
    client.reset()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(gate.path.delayed).toBe(0)
  })

  test("is not held when a quarter of the connections are held already", async () => {
    using gate = gateway(() => deny("tarpit", { delay: "10 minutes" }), { maxConnections: 20 })
    const held = await Promise.all(Array.from({ length: 5 }, () => connect(gate.port)))
    await eventually(() => gate.path.delayed === 5)
    using client = await connect(gate.port)
    expect(await client.stops()).toBe("FIN")
    expect(gate.path.delayed).toBe(5)
    held[0]!.end()
    await held[0]!.closes()
    expect(gate.path.delayed).toBe(4)
    for (const each of held) each[Symbol.dispose]()
  })

  test("is not held when a quarter of those of its listener are", async () => {
    using gate = gateway([
      {
        listen: { url: "tcp://127.0.0.1:0", maxConnections: 8 },
        on_tcp_connect: () => deny("", { delay: "1 minute" }),
      },
      { listen: "tcp://127.0.0.2:0", on_tcp_connect: () => deny("", { delay: "1 minute" }) },
    ])
    const held = await Promise.all([0, 1].map(() => connect(gate.port)))
    await eventually(() => gate.path.delayed === 2)
    using client = await connect(gate.port)
    expect(await client.stops()).toBe("FIN")
    const port = Number(gate.listeners.status()[1]!.address!.split(":").at(-1))
    using other = await connect({ hostname: "127.0.0.2", port })
    await eventually(() => gate.path.delayed === 3)
    held[0]!.reset()
    await eventually(() => gate.path.delayed === 2)
    using next = await connect(gate.port)
    await eventually(() => gate.path.delayed === 3)
    expect([held[1]!.ended, other.ended, next.ended]).toEqual([false, false, false])
    held[1]!.reset()
  })

  test("is never held on the last place of its listener", async () => {
    using gate = gateway([
      {
        listen: { url: "tcp://127.0.0.1:0", maxConnections: 1 },
        on_tcp_connect: () => deny("", { delay: "1 minute" }),
      },
    ])
    for (let i = 0; i < 2; i++) {
      using client = await connect(gate.port)
      expect(await client.stops()).toBe("FIN")
    }
  })

  test("that lingers and sends more than 1 MiB is reset", async () => {
    using gate = gateway(() => deny())
    using client = await connect(gate.port)
    const writing = client.write(Buffer.alloc(20_000_000)).catch(() => "cut")
    // A reset after our FIN, as Bun names it.
    expect(await client.closes()).toBe("EPIPE")
    expect(await writing).toBe("cut")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
  })
})

test("no upstream sees a packet of a connection that was denied, answered, passed by all or failed", async () => {
  using up = upstream()
  const answers = [
    () => deny(),
    () => deny("", { reset: true }),
    () => respond("no"),
    () => next,
    () => undefined,
    () => {
      throw new Error("broken")
    },
    async () => deny(),
    async () => next,
    () => route(up.url),
  ]
  let nth = 0
  using gate = gateway(() => answers[nth++]!())
  for (const _ of answers.slice(0, -1)) {
    using client = await connect(gate.port, { first: "x" })
    await client.stops()
  }
  expect(up.accepted).toEqual([])
  // The counter counts.
  using client = await connect(gate.port, { first: "x" })
  await client.atLeast(1)
  expect(up.accepted).toHaveLength(1)
})

test("a shutdown ends held and lingering clients, and leaves relays alone", async () => {
  using up = upstream()
  const answers = [() => deny("", { delay: "1 minute" }), () => deny(), () => route(up.url)]
  let nth = 0
  using gate = gateway(() => answers[nth++]!())
  using held = await connect(gate.port)
  await eventually(() => gate.path.live.size === 1)
  using lingering = await connect(gate.port)
  expect(await lingering.stops()).toBe("FIN")
  using relayed = await connect(gate.port, { first: "x" })
  await relayed.atLeast(1)
  gate.path.letGo()
  expect((await gate.ended(2)).map((event) => event.close)).toEqual([
    { reason: "denied", by: "gateway" },
    { reason: "denied", by: "gateway" },
  ])
  expect(await held.stops()).toBe("FIN")
  await relayed.write("y")
  await relayed.atLeast(2)
  const empty = gate.path.empty()
  relayed.end()
  await empty
  expect(gate.path.live.size).toBe(0)
})
