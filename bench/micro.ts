// The pieces of the data path one by one, in this process, in nanoseconds per operation: differences that drown in the
// noise of a whole connection show here. Usage: bun micro.ts ROUNDS [--quick]; prints lines { name, round, ns }.
import { closedJson } from "../src/observe/events.ts"
import { summarise } from "../src/connection/close-reason.ts"
import { Connection } from "../src/connection/connection.ts"
import { Listener } from "../src/connection/listener.ts"
import { Listeners } from "../src/connection/listeners.ts"
import { Side } from "../src/connection/side.ts"
import { orderOf } from "../src/connection/target-order.ts"
import { ConnectionView } from "../src/connection/view.ts"
import { Wheel, type Timed } from "../src/connection/wheel.ts"
import type { Snapshot } from "../src/config/snapshot.ts"
import { peerName, type SocketName } from "../src/native/socket.ts"
import { ipv4 } from "../src/policy/address.ts"
import { cidrs } from "../src/policy/cidr.ts"
import { checkAnswer, route } from "../src/policy/decision.ts"
import { parseTarget } from "../src/policy/target.ts"
import { gateway, snapshotOf } from "../test/helper/data-path.ts"
import { EVALUATIONS } from "./micro-expressions.ts"
import { limits } from "./micro-limits.ts"
import { lookUps } from "./micro-lists.ts"
import { PICKS } from "./micro-pick.ts"
import { policies } from "./micro-policies.ts"
import { freePort } from "./process.ts"
import { ranges } from "./ranges.ts"

const rounds = Number(process.argv[2] ?? 5)
/** Milliseconds per measurement. */
const LONG = process.argv.includes("--quick") ? 1 : 50

const TARGET = "tcp://127.0.0.1:5432"

/** The data path of the tests, with nobody at its exits. */
const served = gateway(() => route(TARGET), {}, { closed: () => undefined })
const { path } = served

function snapshotWith(listeners: number): Snapshot {
  const urls = Array.from({ length: listeners }, () => `tcp://127.0.0.1:${freePort()}`)
  return snapshotOf([{ listen: urls, on_tcp_connect: () => route(TARGET) }])
}

const plan = [...snapshotWith(1).listeners.values()][0]!
const policy = plan.policies[0]!
const listener = new Listener(plan)
const peer: SocketName = { family: "IPv4", a: 0x7f000001, b: 0, c: 0, d: 0, port: 40_000 }
const local: SocketName = { ...peer, port: 9000 }

/** What a connection asks of a socket on its way to the end. */
const fake = { close: () => undefined, shutdown: () => undefined, write: (chunk: Uint8Array) => chunk.length }

function routed(): Connection {
  const connection = new Connection(path, listener, plan, peer, local)
  connection.client.socket = fake as never
  connection.upstream = new Side(connection)
  connection.upstream.socket = fake as never
  connection.view = new ConnectionView(connection)
  connection.asked = 1
  connection.policy = policy
  connection.decision = route(TARGET)
  connection.decidedAt = connection.started
  connection.connectedAt = connection.started
  connection.schedule(5000)
  return connection
}

const standing = routed()
const summary = summarise(standing, "client-closed", "client")
const office = cidrs(ranges("list"))
const ip = ipv4(0x7f000001)
const decision = route(TARGET)
const weighted = route([
  { url: TARGET, weight: 3 },
  { url: "tcp://127.0.0.2:5432", weight: 1 },
])
const wheel = new Wheel()
const entry: Timed = { due: 0, slot: -1, place: 0, expire: () => undefined }
const chunk = new Uint8Array(100)
const side = new Side(standing)
side.socket = fake as never

function listenersOf(count: number): Listeners {
  const all = new Listeners(path, { changed: () => undefined })
  all.apply(snapshotWith(count))
  return all
}

const one = listenersOf(1)
const hundred = listenersOf(100)

const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } })
const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data: () => undefined } })
const { fd } = client as unknown as { readonly fd: number }

/** Each returns something, so that none of it is compiled away. */
const PIECES: Readonly<Record<string, () => unknown>> = {
  "peerName: one getpeername through FFI": () => peerName(fd),
  "new Connection": () => {
    const connection = new Connection(path, listener, plan, peer, local)
    path.live.delete(connection)
    return connection
  },
  "new Connection, as routed, then finish": () => routed().finish("client-closed", "client"),
  "new ConnectionView and client.within(100 ranges)": () => new ConnectionView(standing).client.within(office),
  "cidrs.contains, 100 ranges": () => office.contains(ip),
  "route(url), seen before": () => route(TARGET),
  "route([2 urls]), built": () => route([TARGET, "tcp://127.0.0.2:5432"]),
  "checkAnswer of a route": () => checkAnswer(decision),
  "parseTarget, seen before": () => parseTarget(TARGET),
  "orderOf, one target": () => orderOf(decision),
  "orderOf, two weighted targets": () => orderOf(weighted),
  "ownAddress, 1 listener": () => one.ownAddress(ip, 5432),
  "ownAddress, 100 listeners": () => hundred.ownAddress(ip, 5432),
  "wheel: schedule and remove": () => {
    wheel.schedule(entry, 5000)
    wheel.remove(entry)
    return entry.slot
  },
  "side.send of a chunk that is taken whole": () => side.send(chunk),
  summarise: () => summarise(standing, "client-closed", "client"),
  "event as JSON": () => closedJson(summary),
  ...limits(),
  ...lookUps(),
  ...PICKS,
  ...EVALUATIONS,
  ...policies(() => new ConnectionView(standing)),
}

let sink: unknown

function time(piece: () => unknown, times: number): number {
  const began = performance.now()
  for (let i = 0; i < times; i++) sink = piece()
  return performance.now() - began
}

/** How often it has to be done to take LONG; finding out compiles it. */
function timesFor(piece: () => unknown): number {
  let times = 16
  for (;;) {
    const took = time(piece, times)
    if (took > LONG / 2) return Math.max(1, Math.round((times * LONG) / took))
    times *= 2
  }
}

const counts = new Map(Object.entries(PIECES).map(([name, piece]) => [name, timesFor(piece)]))
for (let round = 1; round <= rounds; round++) {
  for (const [name, piece] of Object.entries(PIECES)) {
    const times = counts.get(name)!
    console.log(JSON.stringify({ name, round, ns: (time(piece, times) / times) * 1e6 }))
  }
}
process.exit(sink === undefined ? 0 : 0)
