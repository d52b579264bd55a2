import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { respond } from "../../src/policy/decision.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { RawClient } from "../helper/raw.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const sha1 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha1").update(bytes).digest("hex")
const big = Buffer.alloc(20_000_000, "0123456789abcdefghijklmnopqrstuvwxyz")

/** Bytes that the kernel has yet to take, over all clients. */
const queued = ({ path }: TestGateway) => Array.from(path.live).reduce((sum, { client }) => sum + client.queued, 0)

describe("an answer", () => {
  test("is written completely, then FIN", async () => {
    using gate = gateway(() => respond("hëllo\n"))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("hëllo\n")
    client.end()
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "answered", by: "gateway" },
      conn: { bytes_in: 0, bytes_out: 7 },
      policy: { decision: "respond" },
      ip_policy: { decision: "allow" },
      upstream: null,
    })
  })

  test.each([[""], [new Uint8Array()], [[]]])("may be empty (%p)", async (body) => {
    using gate = gateway(() => respond(body))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("")
    client.end()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "answered", by: "gateway" })
  })

  test("of 20 MB arrives whole at a slow reader", async () => {
    using gate = gateway(() => respond(big))
    using client = await RawClient.connect(gate.port, 65_536)
    expect(await client.readAll()).toEqual({ bytes: big.length, hash: sha1(big), end: "FIN" })
    client.shutdown()
    expect((await gate.ended(1))[0]!.conn.bytes_out).toBe(big.length)
  })

  test("that is a long text arrives whole, also with characters of two halves, and is held by no slow reader", async () => {
    const texts = ["", "x", "xy"].map((start) => start + "a\u{1f600}b\u00e9".repeat(1_000_000))
    let nth = 0
    using gate = gateway(() => respond(texts[nth++]!))
    for (const text of texts) {
      using client = await RawClient.connect(gate.port, 65_536)
      await eventually(() => queued(gate) > 0)
      // 64 Ki characters.
      expect(queued(gate)).toBeLessThan(3 * 65_536)
      const bytes = Buffer.from(text)
      expect(await client.readAll()).toEqual({ bytes: bytes.length, hash: sha1(bytes), end: "FIN" })
      client.shutdown()
      await gate.ended(nth)
    }
  })

  test("arrives whole, and without a reset before its end, at a client that keeps sending", async () => {
    using gate = gateway(() => respond(big))
    using client = await RawClient.connect(gate.port, 65_536)
    const noise = new Uint8Array(new ArrayBuffer(32_768))
    const hasher = new Bun.CryptoHasher("sha1")
    let bytes = 0
    await eventually(() => {
      // About half a megabyte while it reads, and some more after our answer is out.
      if (bytes < big.length / 2) client.send(noise.subarray(0, 512))
      for (let chunk = client.read(); chunk !== undefined; chunk = client.read()) {
        bytes += chunk.length
        hasher.update(chunk)
      }
      return client.end !== undefined
    })
    expect({ bytes, hash: hasher.digest("hex"), end: client.end }).toEqual({
      bytes: big.length,
      hash: sha1(big),
      end: "FIN",
    })
    client.send(noise)
    client.shutdown()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "answered", by: "gateway" })
  })

  test("arrives whole at a client that reads slowly and never stops sending", async () => {
    using gate = gateway(() => respond(big))
    using client = await RawClient.connect(gate.port, 16_384)
    const noise = new Uint8Array(new ArrayBuffer(262_144))
    const hasher = new Bun.CryptoHasher("sha1")
    let bytes = 0
    let sent = 0
    await eventually(() => {
      sent += Math.max(0, client.send(noise))
      for (let i = 0; i < 8; i++) {
        const chunk = client.read()
        bytes += chunk?.length ?? 0
        if (chunk !== undefined) hasher.update(chunk)
      }
      return client.end !== undefined
    })
    expect({ bytes, hash: hasher.digest("hex") }).toEqual({ bytes: big.length, hash: sha1(big) })
    expect(sent).toBeGreaterThan(2_097_152)
    client[Symbol.dispose]()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "answered", by: "gateway" })
  })

  test("is the same for a client that has sent its FIN before", async () => {
    using gate = gateway(async (connection) => {
      await connection.peek(100)
      return respond(big)
    })
    using client = await RawClient.connect(gate.port, 65_536)
    client.send(new TextEncoder().encode("GET"))
    client.shutdown()
    expect(await client.readAll()).toEqual({ bytes: big.length, hash: sha1(big), end: "FIN" })
    expect((await gate.ended(1))[0]).toMatchObject({ close: { reason: "answered" }, conn: { bytes_in: 3 } })
  })

  test("comes after its delay", async () => {
    using gate = gateway(() => respond("late", { delay: 300 }))
    const started = performance.now()
    using client = await connect(gate.port, { first: "noise" })
    expect(await client.text()).toBe("late")
    expect(performance.now() - started).toBeGreaterThanOrEqual(300)
    client.end()
    expect((await gate.ended(1))[0]!.conn).toMatchObject({ bytes_in: 5, bytes_out: 4 })
  })

  test("is cut when the client resets", async () => {
    using gate = gateway(() => respond(big))
    using client = await RawClient.connect(gate.port, 65_536)
    await eventually(() => client.read() !== undefined)
    client[Symbol.dispose]()
    const [event] = await gate.ended(1)
    expect(event!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(event!.conn.bytes_out).toBeLessThan(big.length)
  })
})

async function* oneTwoThree() {
  yield "one "
  await Bun.sleep(1)
  yield new TextEncoder().encode("two ")
  yield ""
  yield "three"
}

describe("an answer in parts", () => {
  test("is written in order, texts and bytes", async () => {
    using gate = gateway(() => respond(oneTwoThree()))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("one two three")
    client.end()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "answered", by: "gateway" })
  })

  test("may come from a plain iterable", async () => {
    using gate = gateway(() => respond(["a", "b", "c"]))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("abc")
  })

  test("is asked for no faster than the client reads", async () => {
    let made = 0
    const part = Buffer.alloc(65_536, "x")
    async function* parts() {
      for (; made < 400; made++) yield part
    }
    using gate = gateway(() => respond(parts()))
    using client = await RawClient.connect(gate.port, 65_536)
    const [connection] = await eventuallyLive(gate)
    await eventually(() => connection!.client.queued > 0)
    const held = made
    expect(held).toBeLessThan(400)
    // Nothing more is asked for while nothing is read.
    for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(made).toBe(held)
    expect(connection!.client.queued).toBeLessThanOrEqual(part.length)
    expect(await client.readAll()).toMatchObject({ bytes: 400 * 65_536, end: "FIN" })
  })

  test("may use one buffer for all parts", async () => {
    const part = new Uint8Array(200_000)
    async function* parts() {
      for (let i = 0; i < 60; i++) yield part.fill(i)
    }
    using gate = gateway(() => respond(parts()))
    using client = await connect(gate.port)
    const all = await client.bytes()
    expect(all).toEqual(Buffer.concat(Array.from({ length: 60 }, (_, i) => Buffer.alloc(200_000, i))))
  })

  test("that throws is reset, so that nobody takes what came for the whole, and is the policy's failure", async () => {
    const failure = new Error("the database is gone")
    async function* parts() {
      yield "half"
      throw failure
    }
    using gate = gateway(() => respond(parts()))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "policy-failed", by: "gateway" },
      policy: { file: "p0.ts", decision: "respond", reason: "the database is gone" },
    })
    expect(gate.failures).toEqual([{ file: "p0.ts", error: failure }])
  })

  test("of the wrong kind is the policy's failure", async () => {
    using gate = gateway(() => respond([1, 2] as unknown as string[]))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]!.policy!.reason).toBe("respond: a part of the body is a text or bytes, found 1")
  })

  test("that cannot even begin is the policy's failure", async () => {
    const body = {
      [Symbol.asyncIterator]() {
        throw new Error("no cursor")
      },
    } as unknown as AsyncIterable<string>
    using gate = gateway(() => respond(body))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "policy-failed" },
      policy: { reason: "no cursor" },
    })
  })

  test("is ended when the client resets: its finally runs", async () => {
    const finished = Promise.withResolvers<string>()
    async function* parts() {
      try {
        for (;;) {
          yield "tick"
          await Bun.sleep(1)
        }
      } finally {
        finished.resolve("finally")
      }
    }
    using gate = gateway(() => respond(parts()))
    using client = await connect(gate.port)
    await client.atLeast(8)
    client.reset()
    expect(await finished.promise).toBe("finally")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(gate.failures).toEqual([])
  })

  test("is ended when a client that does not read resets", async () => {
    const finished = Promise.withResolvers<string>()
    async function* parts() {
      try {
        for (;;) yield big
      } finally {
        finished.resolve("finally")
      }
    }
    using gate = gateway(() => respond(parts()))
    using client = await connect(gate.port, { paused: true })
    const [connection] = gate.path.live
    await eventually(() => connection!.client.queued > 0)
    client.reset()
    expect(await finished.promise).toBe("finally")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
  })
})

describe("after an answer", () => {
  test("the client may go on sending up to 1 MiB and then its FIN", async () => {
    using gate = gateway(() => respond("bye"))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("bye")
    await client.write(new Uint8Array(1_000_000))
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect((await gate.ended(1))[0]).toMatchObject({ close: { reason: "answered" }, conn: { bytes_in: 1_000_000 } })
  })

  test("a client that sends more than 1 MiB is cut off", async () => {
    using gate = gateway(() => respond("bye"))
    using client = await connect(gate.port)
    const writing = client.write(new Uint8Array(20_000_000)).catch(() => "cut")
    // A reset after our FIN, as Bun names it.
    expect(await client.closes()).toBe("EPIPE")
    expect(new TextDecoder().decode(client.soFar())).toBe("bye")
    expect(await writing).toBe("cut")
    const [event] = await gate.ended(1)
    expect(event!.close).toEqual({ reason: "answered", by: "gateway" })
    expect(event!.conn.bytes_in).toBeLessThan(1_048_576 + 524_288 + 1)
  })

  test("a client that says nothing is closed after 5 seconds", async () => {
    using gate = gateway(() => respond("bye"))
    using client = await connect(gate.port)
    const started = performance.now()
    expect(await client.text()).toBe("bye")
    await gate.ended(1)
    expect(performance.now() - started).toBeGreaterThanOrEqual(5000)
    expect(performance.now() - started).toBeLessThan(6000)
  })
})

async function eventuallyLive(gate: ReturnType<typeof gateway>) {
  await eventually(() => gate.path.live.size > 0)
  return [...gate.path.live]
}
