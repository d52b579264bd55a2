// Gateways in a process of their own that terminate TLS, so that their descriptors and memory can be counted alone. The
// server name says what becomes of a client. Reads its options from the first line on stdin, prints its ports, then
// answers every line with what it holds.
import { heapStats } from "bun:jsc"
import { readdirSync } from "node:fs"
import { deny, route } from "../../src/policy/decision.ts"
import type { CloseReason, Connection } from "../../src/policy/connection.ts"
import { gateway } from "../helper/data-path.ts"

export interface FixtureOptions {
  readonly cert: string
  readonly key: string
  /** Of clients, and of the upstream that is believed. */
  readonly ca: string
  /** Where the clients of a server name go; denied where it is none. */
  readonly targets: Readonly<Record<string, string>>
  /** Of the second gateway. */
  readonly handshakeDeadline: number
}

export interface Held {
  readonly descriptors: number
  readonly live: number
  /** Connections whose upstream is held back by its client. */
  readonly stalled: number
  readonly rss: number
  readonly heap: number
  /** Objects of Bun's sockets, of either kind. */
  readonly sockets: number
  /** How the connections since the last time ended. */
  readonly ends: Readonly<Partial<Record<CloseReason, number>>>
  readonly failures: number
}

const lines = console[Symbol.asyncIterator]()
const options = JSON.parse((await lines.next()).value as string) as FixtureOptions
const { ca, cert, key } = options
const certificates = { cert, key }
const terminating = async (connection: Connection) => {
  const { sni } = (await connection.hello())!
  const mode = sni === "verified.test" ? ({ clientCertificate: "require-and-verify", ca } as const) : {}
  await connection.terminate({ certificates, ...mode })
  const target = options.targets[sni!]
  if (target === undefined) return deny("no")
  return target.startsWith("tls:") ? route(target, { tls: { ca } }) : route(target)
}
const gates = [gateway(terminating), gateway(terminating, { handshakeDeadline: options.handshakeDeadline })]
console.log(JSON.stringify(gates.map(({ port }) => port)))
for await (const _ of lines) {
  for (let i = 0; i < 3; i++) {
    Bun.gc(true)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { objectTypeCounts, heapSize } = heapStats()
  const ends: Partial<Record<CloseReason, number>> = {}
  for (const { close } of gates.flatMap(({ events }) => events.splice(0)))
    ends[close.reason] = (ends[close.reason] ?? 0) + 1
  const held: Held = {
    descriptors: readdirSync("/proc/self/fd").length,
    live: gates.reduce((sum, { path }) => sum + path.live.size, 0),
    stalled: gates.flatMap(({ path }) => [...path.live]).filter(({ upstream }) => upstream?.paused === true).length,
    rss: process.memoryUsage.rss(),
    heap: heapSize,
    sockets: (objectTypeCounts["TCPSocket"] ?? 0) + (objectTypeCounts["TLSSocket"] ?? 0),
    ends,
    failures: gates.reduce((sum, gate) => sum + gate.failures.length + gate.internalErrors.length, 0),
  }
  console.log(JSON.stringify(held))
}
process.exit(0)
