import { describe, expect, setDefaultTimeout, spyOn, test } from "bun:test"
import { route } from "../../src/policy/decision.ts"
import { State } from "../../src/connection/connection.ts"
import { gateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { unsent } from "../../src/native/socket.ts"
import { RawClient } from "../helper/raw.ts"
import { resetDelivered, stalls, upstream } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

/** Bytes that differ by position, so that a lost or doubled part shows in the hash. */
function body(length: number): Uint8Array {
  const words = new Uint32Array(new ArrayBuffer(Math.ceil(length / 4) * 4))
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 0x9e3779b1)
  return new Uint8Array(words.buffer, 0, length)
}

const sha1 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha1").update(bytes).digest("hex")

/** An upstream that answers, waits until the gateway's kernel has all of it, and resets. */
function answersAndResets(answer: Uint8Array, ready: Promise<void> = Promise.resolve()) {
  return upstream(async (wire) => {
    await wire.write(answer)
    await ready
    await resetDelivered(wire)
  })
}

describe("a reset is passed on", () => {
  test("from the client to the upstream", async () => {
    using up = upstream()
    using gate = gateway(() => route(up.url))
    const client = await connect(gate.port, { first: "x" })
    await client.atLeast(1)
    client.reset()
    expect(await (await up.connection()).closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "client-reset", by: "client" },
      conn: { bytes_in: 1, bytes_out: 1 },
    })
  })

  test("from the upstream to the client", async () => {
    using up = upstream(async (wire) => {
      await wire.atLeast(1)
      wire.reset()
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port, { first: "x" })
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "upstream-reset", by: "upstream" },
      conn: { bytes_in: 1, bytes_out: 0 },
    })
  })

  test("and never taken for a FIN, though a write to the upstream may be what notices it", async () => {
    using up = upstream(async (wire) => {
      await wire.atLeast(1)
      wire.reset()
    })
    using gate = gateway(() => route(up.url))
    for (let i = 0; i < 100; i++) {
      using client = await connect(gate.port, { first: "x" })
      // As many small writes as it takes until one of them meets the reset.
      while (!client.closed && !client.ended) {
        await client.write("y").catch(() => undefined)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(await client.closes()).toBe("ECONNRESET")
    }
    const events = await gate.ended(100)
    expect(new Set(events.map((event) => event.close.reason))).toEqual(new Set(["upstream-reset"]))
  })

  test("also by a side that had sent its FIN before", async () => {
    using up = upstream(async (wire) => {
      await wire.until(() => wire.ended)
      // Until somebody notices.
      await wire.pour(body(65_536))
    })
    using gate = gateway(() => route(up.url))
    const client = await RawClient.connect(gate.port, 16_384)
    client.shutdown()
    const wire = await up.connection()
    await wire.until(() => wire.written > 0)
    // Closing with unread bytes makes it a reset.
    client[Symbol.dispose]()
    // A reset after a FIN, as Bun names it.
    expect(await wire.closes()).toBe("EPIPE")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
  })

  test("to an upstream that does not read, within 5 seconds", async () => {
    using up = upstream(stalls)
    using gate = gateway(() => route(up.url))
    const client = await connect(gate.port)
    const writing = client.write(body(30_000_000)).catch(() => "cut")
    await up.connection()
    const [connection] = gate.path.live
    await eventually(() => connection!.client.paused)
    const looks = spyOn(connection!.upstream!, "delivered")
    client.reset()
    const started = performance.now()
    expect(await writing).toBe("cut")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(performance.now() - started).toBeGreaterThan(4900)
    expect(performance.now() - started).toBeLessThan(6000)
    // Thousands of them are looked at, and nothing else would be done.
    expect(looks.mock.calls.length).toBeLessThan(25)
  })

  test("while the client's own bytes are in the gateway, these are dropped and the reset is seen", async () => {
    using up = upstream(async (wire) => {
      wire.pause()
      await wire.until(() => false)
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    const writing = client.write(body(30_000_000)).catch(() => "cut")
    const wire = await up.connection()
    const [connection] = gate.path.live
    await eventually(() => connection!.client.paused)
    wire.reset()
    expect(await client.closes()).toBe("ECONNRESET")
    expect(await writing).toBe("cut")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "upstream-reset", by: "upstream" })
  })
})

describe.each([300_000, 3_000_000])("%p bytes before a reset all arrive", (size) => {
  const answer = body(size)

  test("at a client that reads at once", async () => {
    using up = answersAndResets(answer)
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect(sha1(client.soFar())).toBe(sha1(answer))
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "upstream-reset", by: "upstream" },
      conn: { bytes_out: size },
    })
    expect(up.problems).toEqual([])
  })

  test("at a client with a tiny receive buffer", async () => {
    using up = answersAndResets(answer)
    using gate = gateway(() => route(up.url))
    using client = await RawClient.connect(gate.port, 16_384)
    expect(await client.readAll()).toEqual({ bytes: size, hash: sha1(answer), end: "reset" })
    expect(up.problems).toEqual([])
  })

  test("at a client that reads only after the upstream's reset", async () => {
    using up = answersAndResets(answer)
    using gate = gateway(() => route(up.url))
    using client = await RawClient.connect(gate.port, 65_536)
    // The reset leaves as soon as the gateway's kernel has everything, whether or not the client reads.
    const wire = await up.connection()
    const [connection] = gate.path.live
    const reading = Promise.race([wire.closes(), eventually(() => connection!.upstream?.paused === true)])
    await reading
    expect(await client.readAll()).toEqual({ bytes: size, hash: sha1(answer), end: "reset" })
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "upstream-reset", by: "upstream" })
  })

  test("from a client, at an upstream that reads later", async () => {
    const wires: Wire[] = []
    using up = upstream((wire) => {
      wires.push(wire)
      wire.pause()
    })
    using gate = gateway(() => route(up.url))
    using client = await connect(gate.port)
    await client.write(answer)
    const [connection] = gate.path.live
    const sending = resetDelivered(client)
    await eventually(() => connection!.client.paused || connection!.state === State.resetting)
    wires[0]!.resume()
    await sending
    expect(await wires[0]!.closes()).toBe("ECONNRESET")
    expect(sha1(wires[0]!.soFar())).toBe(sha1(answer))
  })
})

test("bytes that wait in the kernel for a paused side are not lost when its reset comes", async () => {
  // More than both kernels and the gateway hold: when the gateway stops reading, its kernel's queue fills as well.
  const answer = body(40_000_000)
  using up = upstream((wire) => wire.write(answer))
  using gate = gateway(() => route(up.url))
  using client = await RawClient.connect(gate.port, 65_536)
  const wire = await up.connection()
  const [connection] = gate.path.live
  await eventually(() => connection!.upstream?.paused === true)
  let before = -1
  await eventually(() => before === (before = wire.written - unsent(wire.fd)))
  // What was not acknowledged has not reached the gateway's kernel: only what did has to arrive.
  const acknowledged = wire.written - unsent(wire.fd)
  expect(acknowledged).toBeGreaterThan(connection!.upstream!.received)
  wire.reset()
  const { bytes, hash, end } = await client.readAll()
  expect(end).toBe("reset")
  expect(bytes).toBeGreaterThanOrEqual(acknowledged)
  expect(hash).toBe(sha1(answer.subarray(0, bytes)))
})
