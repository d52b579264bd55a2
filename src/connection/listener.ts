// A listening socket, and the listeners that share it: a wildcard and specific addresses on one port have one socket,
// and the listener is chosen by the address that the client connected to.
import type { ListenerPlan } from "../config/snapshot.ts"
import { formatIp, parseIp } from "../policy/address.ts"
import type { Bind } from "../policy/listen.ts"
import {
  available,
  closeDescriptor,
  duplicate,
  localName,
  peerName,
  setBacklog,
  type SocketName,
} from "../native/socket.ts"
import { acquire, BACKLOG, boundTo } from "./acquire.ts"
import {
  accepted,
  descriptor,
  handlersFor,
  listenAt,
  listeningDescriptor,
  listenOn,
  NOBODY,
  remoteAddress,
  type BunListener,
  type Socket,
} from "./bun-socket.ts"
import { Connection } from "./connection.ts"
import { RESUME_SHARE, type DataPath } from "./data-path.ts"
import { begin } from "./hello.ts"
import { Lingering } from "./lingering.ts"
import { admit } from "./listener-limits.ts"
import type { Waiting } from "./share.ts"
import { clientHandlers } from "./sockets.ts"
import { ipOf } from "./socket-address.ts"

/** One listener over all snapshots that name it. */
export class Listener implements Waiting {
  readonly identity: string
  plan: ListenerPlan
  socket: ListeningSocket | undefined = undefined
  /** Live connections. */
  active = 0
  /** Of these: clients that are being held by a `delay`, and those that have begun a TLS handshake and not ended it. */
  delayed = 0
  shaking = 0
  readonly lingering = new Lingering()
  /** Why it is not bound. */
  error: string | undefined = undefined

  constructor(plan: ListenerPlan) {
    this.identity = plan.identity
    this.plan = plan
  }

  get full(): boolean {
    return this.plan.maxConnections !== undefined && this.active >= this.plan.maxConnections
  }

  /** As that of the gateway. */
  get crowded(): boolean {
    return this.plan.maxConnections !== undefined && this.active > this.plan.maxConnections * RESUME_SHARE
  }
}

/** One bound socket. It is served, or paused: then clients wait in its backlog. */
export class ListeningSocket {
  readonly bind: Bind
  readonly path: DataPath
  /** The descriptor while nobody serves it: accepting can stop without losing who waits. -1 while Bun has it. */
  private idle = -1
  /** By local address; the family wildcards and `"*"` are keys too. */
  private listeners = new Map<string, Listener>()
  private only: Listener | undefined = undefined
  private serving: BunListener<ListeningSocket> | undefined = undefined
  private readonly local: SocketName | undefined
  readonly address: string
  /** 0 on a unix socket. */
  readonly port: number

  /** @throws ListenFailed */
  constructor(path: DataPath, bind: Bind, besides: readonly number[]) {
    this.path = path
    this.bind = bind
    if (available) this.idle = acquire(bind, besides)
    else this.serving = this.listenByBun()
    this.address = available
      ? boundTo(this.idle)
      : bind.kind === "unix"
        ? `unix:${bind.path}`
        : `${bind.address}:${this.serving!.port}`
    this.port = bind.kind === "unix" ? 0 : Number(this.address.slice(this.address.lastIndexOf(":") + 1))
    // A specific address is the local address of every connection: no need to ask for it each time.
    const specific = bind.kind === "tcp" && bind.address !== "*" && parseIp(bind.address)
    this.local =
      specific && (specific.a | specific.b | specific.c | specific.d) !== 0 ? localName(this.idle) : undefined
  }

  /** Which listeners it serves from now on. */
  assign(listeners: readonly Listener[]): void {
    this.listeners = new Map(listeners.map((listener) => [addressOf(listener.plan.bind), listener]))
    const alone = listeners.length === 1 && addressOf(listeners[0]!.plan.bind) === addressOf(this.bind)
    this.only = alone ? listeners[0] : undefined
    for (const listener of listeners) listener.socket = this
  }

  /** Whether it serves one listener alone, so that pausing it holds back nobody else. */
  get single(): boolean {
    return this.only !== undefined
  }

  get paused(): boolean {
    return this.serving === undefined
  }

  /** The listening descriptor; -1 where there are no descriptors. */
  get fd(): number {
    return available && this.serving !== undefined ? listeningDescriptor(this.serving) : this.idle
  }

  resume(): void {
    if (this.serving !== undefined) return
    if (!available) {
      this.serving = this.listenByBun()
      return
    }
    this.serving = listenOn(this.idle, handlers, this)
    this.idle = -1
    // Bun has set its own.
    setBacklog(this.fd, BACKLOG)
  }

  /** Stops accepting; clients wait in the backlog. @throws SocketError when there is no descriptor left to keep it by */
  pause(): void {
    if (this.serving === undefined) return
    if (available) this.idle = duplicate(this.fd)
    this.serving.stop()
    this.serving = undefined
  }

  close(): void {
    this.serving?.stop()
    this.serving = undefined
    if (this.idle >= 0) closeDescriptor(this.idle)
    this.idle = -1
  }

  /** The listener for a local address: exact, then its family's wildcard, then all. */
  choose(local: SocketName | undefined): Listener | undefined {
    if (this.only !== undefined) return this.only
    const ip = ipOf(local)
    if (ip === undefined) return this.listeners.get("*")
    return (
      this.listeners.get(formatIp(ip)) ??
      this.listeners.get(ip.family === "IPv4" ? "0.0.0.0" : "::") ??
      this.listeners.get("*")
    )
  }

  /** Our own address of an accepted socket. */
  localOf(socket: Socket): SocketName | undefined {
    if (this.local !== undefined || this.bind.kind === "unix") return this.local
    return localName(descriptor(socket))
  }

  private listenByBun(): BunListener<ListeningSocket> {
    const { bind } = this
    if (bind.kind === "unix") return listenAt({ unix: bind.path }, handlers, this)
    return listenAt({ hostname: bind.address === "*" ? "::" : bind.address, port: bind.port }, handlers, this)
  }
}

/** The address of a listener among those on its port; unix sockets have only one. */
export function addressOf(bind: Bind): string {
  return bind.kind === "unix" ? "*" : bind.address
}

function peerOf(socket: Socket): SocketName | undefined {
  if (available) return peerName(descriptor(socket))
  const found = remoteAddress(socket)
  const ip = found === undefined ? undefined : parseIp(found.address)
  return ip === undefined ? undefined : { ...ip, port: found!.port }
}

function turnAway(socket: Socket): void {
  socket.data = NOBODY
  socket.close()
}

function open(socket: Socket): void {
  const listening = accepted<ListeningSocket>(socket)
  const { path } = listening
  const unix = listening.bind.kind === "unix"
  const local = listening.localOf(socket)
  const listener = listening.choose(local)
  if (listener === undefined) return turnAway(socket)
  if (listener.full && !listener.lingering.letGo()) {
    // Only where the socket is shared: a socket of its own is paused instead, and clients wait.
    path.exits.refused(listener.plan, "limit-reached")
    return turnAway(socket)
  }
  const peer = unix ? undefined : peerOf(socket)
  // It has reset already. Without an address nothing that a policy says about it could be right.
  if (!unix && peer === undefined) return turnAway(socket)
  const counted = admit(listener.plan, peer)
  if (typeof counted === "string") {
    path.exits.refused(listener.plan, "limit-reached")
    return turnAway(socket)
  }
  const connection = new Connection(path, listener, listener.plan, peer, local)
  connection.counted = counted
  connection.client.socket = socket
  socket.data = connection.client
  path.onAccepted(listener)
  begin(connection)
}

const handlers = handlersFor<ListeningSocket>(open, clientHandlers)
