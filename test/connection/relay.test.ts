import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, route } from "../../src/policy/decision.ts"
import { gateway } from "../helper/data-path.ts"
import { answers, echo, stalls, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"
import { RawClient } from "../helper/raw.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const megabyte = (n: number) => Buffer.alloc(n * 1_048_576, "0123456789abcdef")

/** What the closing event says about the end and the bytes. */
async function ending(gate: ReturnType<typeof gateway>) {
  const [event] = await gate.ended(1)
  return { ...event!.close, in: event!.conn.bytes_in, out: event!.conn.bytes_out }
}

describe("half-close", () => {
  test("a client that sends, shuts down its write side and waits gets its whole answer", async () => {
    using up = upstream(answers((request) => Buffer.concat([request, megabyte(3)])))
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port, { first: "request" })
    client.end()
    expect(await client.bytes()).toEqual(Buffer.concat([Buffer.from("request"), megabyte(3)]))
    expect(await ending(gate)).toEqual({ reason: "client-closed", by: "client", in: 7, out: 7 + 3_145_728 })
  })

  test("an upstream that shuts down first still gets all that the client goes on to send", async () => {
    using up = upstream(async (wire) => {
      await wire.write("that is all")
      wire.end()
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("that is all")
    await client.write(megabyte(5))
    client.end()
    const wire = await up.connection()
    expect(await wire.bytes()).toEqual(megabyte(5))
    expect(await ending(gate)).toEqual({ reason: "upstream-closed", by: "upstream", in: 5_242_880, out: 11 })
  })

  test("both sides shut down at once, each with data on its way, and each gets all of the other's", async () => {
    using up = upstream(async (wire) => {
      await wire.write(megabyte(2))
      wire.end()
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    await client.write(megabyte(4))
    client.end()
    const wire = await up.connection()
    const [toClient, toUpstream] = await Promise.all([client.bytes(), wire.bytes()])
    expect(toClient).toEqual(megabyte(2))
    expect(toUpstream).toEqual(megabyte(4))
    expect(await ending(gate)).toMatchObject({ in: 4_194_304, out: 2_097_152 })
    expect(gate.internalErrors).toEqual([])
  })

  test("a client's FIN before the upstream is connected reaches the upstream with what came before it", async () => {
    using up = upstream(answers((request) => request.toReversed()))
    const decided = Promise.withResolvers<ReturnType<typeof route>>()
    using gate = gateway(() => decided.promise)
    using client = await connect(gate.port, { first: "abc" })
    client.end()
    await Promise.resolve()
    decided.resolve(route(up.url))
    expect(await client.text()).toBe("cba")
  })

  test("a FIN without a byte is passed on both ways", async () => {
    using up = upstream(echo)
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    await up.connection()
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect(await ending(gate)).toEqual({ reason: "client-closed", by: "client", in: 0, out: 0 })
  })

  test("a FIN waits for the bytes before it that a slow reader has yet to take", async () => {
    using up = upstream(async (wire) => {
      await wire.write(megabyte(8))
      wire.end()
    })
    using gate = gateway(() => route(up.url))
    using client = await RawClient.connect(gate.port, 16_384)
    const wire = await up.connection()
    await wire.until(() => wire.written > 0)
    expect(await client.readAll()).toMatchObject({ bytes: 8_388_608, end: "FIN" })
  })
})

describe("bytes read before the decision", () => {
  test("a first burst of a megabyte is delivered first and once, when the policy waits", async () => {
    using up = upstream(answers((request) => request))
    const decided = Promise.withResolvers<ReturnType<typeof route>>()
    using gate = gateway(() => decided.promise)
    const burst = megabyte(1)
    using client = await connect(gate.port)
    const writing = client.write(burst)
    const [connection] = gate.path.live
    await client.until(() => client.written > 0)
    // It reads no more than it has to before the decision.
    while (connection!.preread === undefined || connection!.preread.size < 16_384) await Bun.sleep(1)
    const held = connection!.preread.size
    expect(held).toBeLessThanOrEqual(16_384 + 524_288)
    decided.resolve(route(up.url))
    await writing
    await client.write("and the rest")
    client.end()
    expect(await client.bytes()).toEqual(Buffer.concat([burst, Buffer.from("and the rest")]))
    expect(await ending(gate)).toMatchObject({ in: 1_048_588, out: 1_048_588 })
  })

  test("bytes sent with the connect are delivered once, by a policy that answers at once", async () => {
    using up = upstream(echo)
    using gate = gateway(() => route(up.url))
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, i) => connect(gate.port, { first: `client ${i}` })),
    )
    for (const client of clients) client.end()
    expect(await Promise.all(clients.map((client) => client.text()))).toEqual(clients.map((_, i) => `client ${i}`))
  })

  test("a server that speaks first is heard by a client that says nothing", async () => {
    using up = upstream(async (wire) => {
      await wire.write("SSH-2.0-test\r\n")
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    expect(new TextDecoder().decode(await client.atLeast(14))).toBe("SSH-2.0-test\r\n")
  })
})

describe("backpressure", () => {
  test("a reader that stops holds back the sender, and gets everything once it reads on", async () => {
    using up = upstream(stalls)
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    const sent = megabyte(48)
    const writing = client.write(sent)
    const wire = await up.connection()
    const [connection] = gate.path.live
    while (!connection!.client.paused) await Bun.sleep(1)
    expect(connection!.upstream!.queued).toBeLessThanOrEqual(1_048_576)
    expect(client.written).toBeLessThan(sent.length)
    wire.resume()
    await writing
    client.end()
    expect(Bun.hash(await wire.bytes())).toBe(Bun.hash(sent))
  })

  test("a client that stops reading holds back the upstream", async () => {
    let all = 0
    using up = upstream(async (wire) => {
      await wire.write(megabyte(48))
      all = 48
      wire.end()
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port, { paused: true })
    await up.connection()
    const [connection] = gate.path.live
    while (connection!.upstream?.paused !== true) await Bun.sleep(1)
    expect(all).toBe(0)
    expect(connection!.client.queued).toBeLessThanOrEqual(1_048_576)
    client.resume()
    expect((await client.bytes()).length).toBe(48 * 1_048_576)
  })
})

describe("deadlines", () => {
  test("a connection without a byte in either direction ends as idle-timeout, with a FIN to both sides", async () => {
    using up = upstream(stalls)
    using gate = gateway(() => route(up.url, { idleTimeout: 300 }))
    using client = await connect(gate.port)
    expect(await client.stops()).toBe("FIN")
    expect(await ending(gate)).toEqual({ reason: "idle-timeout", by: "gateway", in: 0, out: 0 })
    const wire = await up.connection()
    wire.resume()
    expect(await wire.stops()).toBe("FIN")
  })

  test("bytes in either direction put the idle time-out off", async () => {
    using up = upstream(echo)
    using gate = gateway(() => route(up.url, { idleTimeout: 500 }))
    using client = await connect(gate.port)
    const started = performance.now()
    let last = started
    for (let i = 1; last - started < 1200; i++) {
      await Bun.sleep(50)
      last = performance.now()
      await client.write("x")
      await client.atLeast(i)
    }
    expect(gate.events).toEqual([])
    expect(await client.stops()).toBe("FIN")
    // However late it is seen, it is not early.
    expect(performance.now() - last).toBeGreaterThan(490)
  })

  test("after one side's FIN the idle clock goes on and is not ended by it", async () => {
    using up = upstream(async (wire) => {
      await wire.until(() => wire.ended)
      for (let i = 0; i < 8; i++) {
        await wire.write("x")
        await Bun.sleep(100)
      }
    })
    using gate = gateway(() => route(up.url, { idleTimeout: 400 }))
    using client = await connect(gate.port)
    client.end()
    expect(await client.text()).toBe("xxxxxxxx")
    expect(await ending(gate)).toEqual({ reason: "idle-timeout", by: "gateway", in: 0, out: 8 })
  })

  test("an idle time-out with bytes on their way resets, so that nobody takes a part for the whole", async () => {
    using up = upstream(async (wire) => {
      await wire.write(megabyte(48))
    })
    using gate = gateway(() => route(up.url, { idleTimeout: 400 }))
    using client = await RawClient.connect(gate.port, 16_384)
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "idle-timeout", by: "gateway" })
    expect((await client.readAll()).end).toBe("reset")
    expect(await (await up.connection()).stops()).toBe("ECONNRESET")
  })

  test("max-duration ends a busy connection", async () => {
    using up = upstream(echo)
    using gate = gateway(() => route(up.url, { maxDuration: 500 }))
    using client = await connect(gate.port)
    const started = performance.now()
    for (let i = 1; !client.ended && !client.closed; i++) {
      await client.write("x").catch(() => undefined)
      await client.until(() => client.received >= i || client.ended || client.closed)
    }
    expect(performance.now() - started).toBeGreaterThan(480)
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "max-duration", by: "gateway" })
  })
})

describe("the closing event", () => {
  test("says who, where, which policy, which upstream, how many bytes, and why it ended", async () => {
    using up = upstream(answers(() => "four"))
    using gate = gateway((connection) => {
      connection.log({ user: "ana" })
      return route(up.url)
    })
    using client = await connect(gate.port, { first: "request" })
    const { localPort } = client.socket!
    client.end()
    await client.bytes()
    const [event] = await gate.ended(1)
    expect(event).toEqual({
      conn: {
        id: expect.stringMatching(/^[0-9a-z]{17}$/),
        client_ip: "127.0.0.1",
        client_port: localPort,
        server_ip: "127.0.0.1",
        server_port: gate.port,
        server_name: null,
        start_ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        end_ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        bytes_in: 7,
        bytes_out: 4,
      },
      via: null,
      ip_policy: { decision: "allow" },
      ja4_fingerprint: null,
      tls: null,
      problem: null,
      traffic_policy: { logs: [{ user: "ana" }] },
      listener: { name: "127.0.0.1:0#p0.ts", url: "tcp://127.0.0.1:0" },
      policy: { file: "p0.ts", rule: null, version: "000000000000", decision: "route", reason: null },
      upstream: { pool: null, target: up.url, address: up.url.slice(6), attempts: 1, error: null },
      timing: { decide_ms: expect.any(Number), connect_ms: expect.any(Number), duration_ms: expect.any(Number) },
      close: { reason: "client-closed", by: "client" },
    })
    expect(gate.events).toHaveLength(1)
  })

  test("comes exactly once, whatever the order of the ends", async () => {
    using up = upstream((wire, nth) => (nth % 2 === 0 ? wire.end() : echo(wire)))
    using gate = gateway(() => route(up.url))
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect(gate.port, { first: "x" })))
    for (const [i, client] of clients.entries()) {
      if (i % 3 === 0) client.reset()
      else client.end()
    }
    const events = await gate.ended(40)
    expect(new Set(events.map((event) => event.conn.id)).size).toBe(40)
    expect(gate.path.live.size).toBe(0)
    await Promise.all(clients.map((client) => client.stops()))
    expect(events).toHaveLength(40)
    expect(gate.internalErrors).toEqual([])
  })

  test("ids are ordered by time", async () => {
    using gate = gateway(() => deny())
    for (let i = 0; i < 30; i++) (await connect(gate.port)).end()
    const ids = (await gate.ended(30)).map((event) => event.conn.id)
    expect(ids.toSorted()).toEqual(ids)
  })
})
