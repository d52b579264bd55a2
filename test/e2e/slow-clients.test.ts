// Clients that begin and never get on, by the thousand: each is closed when its own time is over, its descriptor is given
// back, and whoever does get on is served meanwhile.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { recordHello } from "../../bench/hello.ts"
import { authority } from "../helper/certificates.ts"
import { Crowd } from "../helper/crowd.ts"
import { eventually } from "../helper/eventually.ts"
import { servedDuring } from "../helper/onlooker.ts"
import { freePort } from "../helper/ports.ts"
import { line } from "../helper/proxy.ts"
import { ask } from "../helper/secure.ts"
import { serve, type Served } from "../helper/serve.ts"
import { descriptorsOf, forgetPeak, givenBack, memoryOf, peakOf } from "../helper/vitals.ts"
import { helloMessage, hello, record } from "../protocol/hello.ts"

/** Of each kind. */
const CROWD = 400
/** 100 MB: 30 kB for each of the clients here; what one takes is measured elsewhere. */
const MEMORY = 100e6

const ports = { tls: freePort(), postgres: freePort(), terminates: freePort() }
const certificate = authority().issue({ names: ["x.example"] })

const reads = (what: string) => `import { respond, type Connection } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export async function on_tcp_connect(connection: Connection) {
  await connection.${what}
  return respond("got on")
}
`
const answers = (listen: object | string) => `import { respond } from "tidegate"
export const listen = ${JSON.stringify(listen)}
export const on_tcp_connect = () => respond("served")
`
const terminates = `import { readFileSync } from "node:fs"
import { respond, type Connection } from "tidegate"
export const listen = { url: "tls://:${ports.terminates}", address: "127.0.0.1", maxConnections: 400 }
const certificates = {
  cert: readFileSync("${certificate.path.cert}", "utf8"),
  key: readFileSync("${certificate.path.key}", "utf8"),
}
export async function on_tcp_connect(connection: Connection) {
  await connection.terminate({ certificates })
  return respond("served")
}
`

let gateway: Served
let other: number

beforeAll(async () => {
  gateway = await serve({
    "peek.ts": reads("peek(64)"),
    "hello.ts": reads("hello()"),
    "protocol.ts": reads("protocol()"),
    "terminates.ts": terminates,
    "tls.ts": answers({ url: `tls://:${ports.tls}`, address: "127.0.0.1" }),
    "postgres.ts": answers({ url: `postgres://:${ports.postgres}`, address: "127.0.0.1" }),
    "proxy.ts": answers({
      url: "tcp://127.0.0.1:0",
      proxyProtocol: { from: ["127.0.0.0/8"], mode: "required" },
    }),
    "other.ts": answers("tcp://127.0.0.1:0"),
  })
  other = await gateway.port("other.ts")
})

afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
})

/** How many connections to a port have ended how, from the nth closing event on. */
function ends(port: number, from: number): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { close, conn } of gateway.events.slice(from)) {
    if (conn.server_port !== port) continue
    const how = `${close.reason} by ${close.by}`
    found[how] = (found[how] ?? 0) + 1
  }
  return found
}

const startup = Uint8Array.of(0, 0, 0, 60, 0, 3, 0, 0, ...Buffer.from("user\0amy\0database\0books\0"))
const sslRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47)
const whole = hello({ sni: "x.example" })
/** A whole record, with half a hello in it. */
const half = Uint8Array.from(record(helloMessage({ sni: "x.example" }).slice(0, 50)))

interface Kind {
  readonly name: string
  readonly port: () => number | Promise<number>
  /** Sent at once, then the rest a byte at a time, then nothing. */
  readonly first?: Uint8Array
  readonly rest: Uint8Array
  readonly reason: string
}

const KINDS: readonly Kind[] = [
  {
    name: "bytes of a peek",
    port: () => gateway.port("peek.ts"),
    rest: Buffer.from("GET /"),
    reason: "preread-timeout",
  },
  {
    name: "a hello that a policy waits for",
    port: () => gateway.port("hello.ts"),
    rest: whole,
    reason: "preread-timeout",
  },
  { name: "a first message", port: () => gateway.port("protocol.ts"), rest: whole, reason: "answered" },
  { name: "a hello", port: () => ports.tls, rest: whole, reason: "preread-timeout" },
  {
    name: "half a hello in a whole record",
    port: () => ports.tls,
    first: half,
    rest: whole.subarray(0, 0),
    reason: "preread-timeout",
  },
  { name: "a startup packet", port: () => ports.postgres, rest: startup, reason: "preread-timeout" },
  {
    name: "a hello behind an SSLRequest",
    port: () => ports.postgres,
    first: sslRequest,
    rest: whole,
    reason: "preread-timeout",
  },
  { name: "a PROXY header", port: () => gateway.port("proxy.ts"), rest: line(), reason: "proxy-invalid" },
]

test("clients that send a byte from time to time, or half and then nothing, are closed in time, and others are served", async () => {
  const idle = descriptorsOf(gateway.pid)
  const memory = memoryOf(gateway.pid)
  forgetPeak(gateway.pid)
  const from = gateway.events.length
  const attacks = await Promise.all(
    KINDS.map(async (kind, nth) => {
      const port = await kind.port()
      return { ...kind, port, nth, crowd: new Crowd(port, CROWD, { from: `127.0.1.${nth + 1}` }) }
    }),
  )
  await eventually(() => attacks.every(({ crowd }) => crowd.connected === CROWD))
  for (const { crowd, first } of attacks) if (first !== undefined) crowd.send(first)
  let sent = 0
  const dripping = setInterval(() => {
    for (const { crowd, rest } of attacks) crowd.send(rest.subarray(sent, sent + 1))
    sent++
  }, 1000)
  const over = eventually(() => attacks.every(({ crowd }) => crowd.over === CROWD))
  const served = await servedDuring(other, over).finally(() => clearInterval(dripping))
  expect(served).toBeGreaterThan(0)
  for (const { crowd } of attacks) crowd.reset()
  await givenBack(gateway.pid, idle)
  await gateway.until(() => gateway.events.length - from >= KINDS.length * CROWD + served)
  for (const { port } of attacks) {
    const wanted: Record<string, number> = {}
    for (const each of attacks) {
      if (each.port === port) wanted[`${each.reason} by gateway`] = (wanted[`${each.reason} by gateway`] ?? 0) + CROWD
    }
    expect(ends(port, from)).toEqual(wanted)
  }
  expect(peakOf(gateway.pid) - memory).toBeLessThan(MEMORY)
}, 30_000)

test("handshakes that nobody ends do not keep others out: a quarter of them has a minute, the rest 5 seconds", async () => {
  const idle = descriptorsOf(gateway.pid)
  const from = gateway.events.length
  const shakers = await Crowd.connect(ports.terminates, 380, { from: "127.0.2.1" })
  shakers.send((await recordHello("small")).bytes)
  await eventually(() => shakers.told === shakers.size)
  const secure = () =>
    ask({ port: ports.terminates, servername: "x.example", rejectUnauthorized: false }, "", "served".length)
  expect(await secure()).toBe("served")
  await eventually(() => shakers.over === 280)
  expect(await secure()).toBe("served")
  await gateway.until(() => ends(ports.terminates, from)["tls-handshake-failed by gateway"] === 280)
  shakers.reset()
  await givenBack(gateway.pid, idle)
  await gateway.until(() => ends(ports.terminates, from)["tls-handshake-failed by client"] === 100)
}, 30_000)
