// What terminated connections leave behind, however they end: earlier releases of Bun 1.4 lost sockets on which TLS was
// started after the accept.
import { expect, setDefaultTimeout, test } from "bun:test"
import { authority, type Issued } from "../helper/certificates.ts"
import { eventually } from "../helper/eventually.ts"
import { lineChild } from "../helper/line-child.ts"
import { freePort } from "../helper/ports.ts"
import { connectTls, secureUpstream, type TlsWire } from "../helper/tls-wire.ts"
import { echo, stalls, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"
import type { FixtureOptions, Held } from "./tls-leaks-fixture.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(180_000)

/** How many there are of each ending, in each of two halves. */
const SHARE = 1000
const PARALLEL = 64
/** Clients that only wait. */
const PARALLEL_WAITS = 256
const HANDSHAKE_DEADLINE = 200
/** 16 MiB: a socket with TLS takes some 20 kB, and there are 1,000 of each ending. */
const MOST_MEMORY = 16_777_216
const MOST_HEAP = 2_097_152

const pair = ({ cert, key }: Issued) => ({ cert, key })
const ca = authority()
const NAMES = ["relayed", "stalled", "denied", "refused", "verified", "encrypted", "doubted"]
const server = pair(ca.issue({ names: NAMES.map((name) => `${name}.test`), ips: ["127.0.0.1"] }))
const doubtful = pair(ca.issue({ names: ["somebody.test"] }))
const stranger = pair(authority({ name: "Other root" }).issue({ names: ["stranger"], usage: "client" }))

/** A gateway in a process of its own. */
async function start(options: FixtureOptions) {
  const child = lineChild(`${import.meta.dir}/tls-leaks-fixture.ts`)
  const [port, hasty] = JSON.parse(await child.tell(JSON.stringify(options))) as [number, number]
  return {
    port,
    /** The port of the one with the short deadline. */
    hasty,
    held: async () => JSON.parse(await child.tell("?")) as Held,
    [Symbol.dispose]: () => child[Symbol.dispose](),
  }
}

/** The hello of Bun's client, as it goes over the wire. */
async function hello(): Promise<Uint8Array> {
  using listener = upstream(() => undefined)
  using _ = await connectTls(listener.port, { serverName: "relayed.test" })
  const wire = await listener.connection()
  return await wire.atLeast(200)
}

/** Waits for the other end, then leaves. */
const over = async (client: TlsWire) => {
  await client.stops()
  client.reset()
}

async function many(times: number, parallel: number, one: (nth: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < times) await one(next++)
  }
  await Promise.all(Array.from({ length: parallel }, worker))
}

test("20,000 connections of every ending leave no descriptor, no socket and no memory behind", async () => {
  using up = upstream(echo)
  using encrypted = secureUpstream(server)
  using doubted = secureUpstream(doubtful)
  const targets = {
    "relayed.test": up.url,
    "verified.test": up.url,
    "refused.test": `tcp://127.0.0.1:${freePort()}`,
    "encrypted.test": encrypted.url,
    "doubted.test": doubted.url,
  }
  using gate = await start({ ...server, ca: ca.cert, targets, handshakeDeadline: HANDSHAKE_DEADLINE })
  const first = await hello()
  const dial = (name: string, more: object = {}) =>
    connectTls(gate.port, { ca: ca.cert, serverName: `${name}.test`, ...more } as Bun.TLSOptions, { hail: "hi" })
  const endings: Readonly<Record<string, (nth: number) => Promise<void>>> = {
    async "a clean close of the client"() {
      const client = await dial("relayed")
      await client.atLeast(2)
      client.end()
      await client.closes()
    },
    async "a close of the gateway"() {
      const client = await dial("denied")
      await client.stops()
      client.end()
      await client.closes()
    },
    async "a reset in the relay"() {
      const client = await dial("relayed")
      await client.atLeast(2)
      client.reset()
    },
    async "a reset in a relay to TLS"(nth) {
      const client = await dial("encrypted")
      await client.atLeast(2)
      if (nth % 2 === 0) client.reset()
      else encrypted.accepted.find((wire) => !wire.closed && wire.received === 2)?.reset()
      if (!client.closed) client.reset()
    },
    async "an upstream that is not believed"() {
      await over(await dial("doubted"))
    },
    async "an upstream that refuses"() {
      await over(await dial("refused"))
    },
    async "no certificate, or one of a stranger"(nth) {
      await over(await dial("verified", nth % 2 === 0 ? {} : stranger))
    },
    async "a reset in the handshake"(nth) {
      const client = await connect(gate.port, { first })
      if (nth % 2 === 0) await client.until(() => client.received > 0 || client.closed)
      if (!client.closed) client.reset()
    },
    async "junk behind the hello, or an alert"(nth) {
      const junk = nth % 2 === 0 ? Uint8Array.of(21, 3, 3, 0, 2, 2, 48) : new Uint8Array(300).fill(7)
      const client = await connect(gate.port, { first: nth % 4 < 2 ? Buffer.concat([first, junk]) : first })
      if (nth % 4 >= 2) {
        await client.until(() => client.received > 0 || client.closed)
        await client.write(junk).catch(() => undefined)
      }
      await client.stops()
      if (!client.closed) client.reset()
    },
    async "a handshake that takes too long, or a FIN in it"(nth) {
      const client = await connect(gate.hasty, { first })
      if (nth % 4 === 0) client.end()
      await client.closes()
    },
  }

  const half = async () => {
    for (const [name, one] of Object.entries(endings))
      await many(SHARE, name.startsWith("a handshake") ? PARALLEL_WAITS : PARALLEL, one)
    for (const { accepted } of [up, encrypted, doubted]) for (const wire of accepted.splice(0)) wire[Symbol.dispose]()
    const ends: Record<string, number> = {}
    for (;;) {
      const held = await gate.held()
      for (const [reason, times] of Object.entries(held.ends)) ends[reason] = (ends[reason] ?? 0) + times
      // Once more without the events, which were kept until they were told.
      if (held.live === 0) return { ...(await gate.held()), ends }
    }
  }

  // What is made once is there after a few.
  for (const one of Object.values(endings)) await many(PARALLEL, PARALLEL, one)
  await gate.held()
  const before = await gate.held()
  const [middle, end] = [await half(), await half()]
  expect(Object.keys(endings).length * SHARE * 2).toBe(20_000)
  for (const { ends, failures } of [middle, end]) {
    const { "tls-handshake-failed": failed, "client-reset": reset, "upstream-reset": back, ...others } = ends
    expect(others).toEqual({ "client-closed": SHARE, denied: SHARE, "dial-failed": 2 * SHARE })
    // Some of those that reset at once have gone before they were connections.
    expect(failed).toBeWithin(3 * SHARE, 4 * SHARE + 1)
    expect(reset! + back!).toBe(2 * SHARE)
    expect(failures).toBe(0)
  }
  expect(end.descriptors).toBeLessThanOrEqual(before.descriptors)
  expect(end.sockets).toBeLessThanOrEqual(before.sockets + 4)
  expect(end.heap - middle.heap).toBeLessThan(MOST_HEAP)
  // Freed pages go back to the system by a thread of the allocator, a second or so later.
  await eventually(async () => (await gate.held()).rss - middle.rss < MOST_MEMORY)
})

test("a client that stops to read costs the gateway less than 1 MiB", async () => {
  const STALLED = 50
  const block = new Uint8Array(new ArrayBuffer(1_048_576)).fill(7)
  let pouring = false
  using up = upstream(async (wire) => {
    stalls(wire)
    await wire.until(() => pouring)
    await wire.pour(block)
  })
  using gate = await start({ ...server, ca: ca.cert, targets: { "stalled.test": up.url }, handshakeDeadline: 60_000 })
  const tls = { ca: ca.cert, serverName: "stalled.test" }
  const clients = await Promise.all(Array.from({ length: STALLED }, () => connectTls(gate.port, tls)))
  for (const client of clients) {
    await client.secured()
    client.pause()
  }
  const wires = await Promise.all(clients.map((_, nth) => up.connection(nth)))
  const idle = await gate.held()
  expect(idle.live).toBe(STALLED)
  pouring = true
  // Any event makes it look at its condition again.
  for (const wire of wires) wire.resume()
  let full = await gate.held()
  while (full.stalled < STALLED) full = await gate.held()
  for (const client of clients) client.reset()
  expect((full.rss - idle.rss) / STALLED).toBeLessThan(1_048_576)
})
