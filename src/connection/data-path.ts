// What all connections of a gateway share: settings, the wheel, the set of live connections, and the ways out to
// the rest of the program. The data path imports nothing of it; gateway.ts wires it.
import type { ListenerPlan, PolicyVersion } from "../config/snapshot.ts"
import type { X509Certificate } from "node:crypto"
import type { Ip } from "../policy/address.ts"
import type { ClientCertificate } from "../policy/client-certificate.ts"
import type { CertificatePair } from "../policy/terminate.ts"
import { Contexts } from "../tls/contexts.ts"
import type { CloseReason, Summary } from "../policy/connection.ts"
import type { Continuation, RouteFailure } from "../policy/decision.ts"
import type { Geo } from "../policy/geo.ts"
import type { Connection } from "./connection.ts"
import type { Listener } from "./listener.ts"
import type { Handlers } from "./bun-socket.ts"
import type { Side } from "./side.ts"
import type { Pools } from "../upstream/pools.ts"
import { Lingering } from "./lingering.ts"
import type { Waiting } from "./share.ts"
import { Wheel } from "./wheel.ts"

export interface Settings {
  /** Connections at one time, at most. */
  readonly maxConnections: number
  /** The limit of descriptors that this follows from. */
  readonly descriptors: number
  /** Milliseconds for a policy that waits. */
  readonly policyDeadline: number
  /** Milliseconds for the handshake of `terminate`. @default 60000 */
  readonly handshakeDeadline?: number
  /** Dial link-local addresses (cloud metadata services live there). */
  readonly allowLinkLocal: boolean
  /** Dial our own listeners, which may loop. */
  readonly allowOwnListeners: boolean
  /** Two characters in every connection id: which worker made it. */
  readonly worker: string
}

/** What became of an Effect. */
export type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown }

/** The ways out of the data path. None of them may block or throw. */
export interface Exits {
  /** A connection has ended; `undefined` when nobody wants to know. */
  readonly closed: ((summary: Summary) => void) | undefined
  /** A client was turned away before it became a connection. */
  readonly refused: (plan: ListenerPlan, reason: CloseReason) => void
  /** A policy failed on a connection: to be logged once per version and message. */
  readonly policyFailed: (policy: PolicyVersion, error: unknown) => void
  /** A bug of ours, or something that cannot happen: worth a line. */
  readonly internalError: (error: unknown) => void
  /** Runs an Effect that a policy returned; the result interrupts it. */
  readonly runEffect: (effect: object, settle: (outcome: Outcome) => void) => () => void
  /** Told before and after a policy's synchronous code. */
  readonly enter: (policy: PolicyVersion) => void
  readonly leave: () => void
  /** The addresses of a name: at once when they are known. */
  readonly resolve: (host: string) => Found<readonly Ip[]>
  readonly pools: Pick<Pools, "find" | "names">
  /** Whether this is an address that one of our own listeners is bound to. */
  readonly ownAddress: (ip: Ip, port: number) => boolean
  readonly ownPath: (path: string) => boolean
  /** The certificates for a server name, or for the address that the client connected to where it names none. */
  readonly certificates: (name: string | undefined, address: string | undefined) => Found<readonly CertificatePair[]>
  /** What a policy is told of a client's certificate. */
  readonly clientCertificate: (certificate: X509Certificate) => Promise<ClientCertificate>
  /** Where an address is registered; left out where there is no database. @throws GeoUnavailable */
  readonly where?: ((ip: Ip) => Geo) | undefined
}

/** At once where it is known. */
export type Found<Value> = Value | Promise<Value>

/** What connections call without knowing it: sockets.ts puts it in place. */
export interface Stages {
  readonly expire: (connection: Connection) => void
  readonly upstreamHandlers: Handlers<Side>
  /** Those of sockets that speak TLS. */
  readonly tlsClientHandlers: Handlers<Side>
  readonly tlsUpstreamHandlers: Handlers<Side>
  /** Lets a policy go on whose route has failed. */
  readonly goOn: (connection: Connection, continuation: Continuation, failure: RouteFailure) => void
  /** Ends the connection if it is only being held, or lingers. */
  readonly letGo: (connection: Connection) => void
}

/** 256 descriptors are no connections: files, sockets of our own, attempts to connect that run beside others. */
const SPARE_DESCRIPTORS = 256
/** As many listening sockets as that leaves room for; more of them take the place of connections. */
const SPARE_FOR_LISTENERS = 64

/** How many connections a limit of descriptors carries: each takes two. */
export function connectionCap(descriptors: number, listeningSockets = 0): number {
  const taken = SPARE_DESCRIPTORS + Math.max(0, listeningSockets - SPARE_FOR_LISTENERS)
  return Math.max(1, Math.floor((descriptors - taken) / 2))
}

/** Accepting goes on at 95 % of a cap, so that it does not flap at each close. */
export const RESUME_SHARE = 0.95

export class DataPath implements Waiting {
  readonly stages: Stages
  readonly settings: Settings
  readonly exits: Exits
  readonly wheel = new Wheel()
  readonly contexts = new Contexts()
  readonly live = new Set<Connection>()
  /** Connections accepted since the start. */
  accepted = 0
  listeningSockets = 0
  /** Clients that are being held by a `delay`. */
  delayed = 0
  /** Clients that have begun a TLS handshake and not ended it. */
  shaking = 0
  readonly lingering = new Lingering()
  /** Attempts that run beside another attempt of the same connection. */
  sideAttempts = 0
  /** Called when the number of live connections has gone down. */
  onRoom: (listener: Listener) => void = () => undefined
  /** Called when a client was accepted. */
  onAccepted: (listener: Listener) => void = () => undefined
  private sequence = 0
  private readonly onEmpty: (() => void)[] = []

  constructor(settings: Settings, exits: Exits, stages: Stages) {
    this.stages = stages
    this.settings = settings
    this.exits = exits
  }

  /** Connections at one time, at most, with the listening sockets that there are. */
  get cap(): number {
    const { maxConnections, descriptors } = this.settings
    return Math.min(maxConnections, connectionCap(descriptors, this.listeningSockets))
  }

  /** Whether there is little room, or none: more connections than accepting goes on with after a pause. */
  get crowded(): boolean {
    return this.live.size > this.cap * RESUME_SHARE
  }

  /** Ends what would only hold up a shutdown: clients that are held or linger. */
  letGo(): void {
    for (const connection of Array.from(this.live)) this.stages.letGo(connection)
  }

  /** Resolves when no connection is left. */
  empty(): Promise<void> {
    if (this.live.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.onEmpty.push(resolve))
  }

  /** A connection has ended. */
  left(connection: Connection): void {
    this.live.delete(connection)
    if (this.live.size > 0 || this.onEmpty.length === 0) return
    for (const resolve of this.onEmpty.splice(0)) resolve()
  }

  /** The number of the next connection: its place among those of the same millisecond. */
  next(): number {
    this.accepted++
    return (this.sequence = (this.sequence + 1) % 36 ** 6)
  }
}
