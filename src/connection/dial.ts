// Dialling: targets in order, the addresses of a target interleaved by family and staggered, every attempt
// cancellable, one attempt = one accept at the upstream. The first that stands wins; the others are reset before a byte.
import { formatHostPort, formatIp, isUnspecified, type Ip } from "../policy/address.ts"
import { continuationOf, type Route } from "../policy/decision.ts"
import type { Target } from "../policy/target.ts"
import { available, connectTcp, connectUnix } from "../native/socket.ts"
import { connectOn, dialAddress, dialPath, type Socket } from "./bun-socket.ts"
import { State, type Connection } from "./connection.ts"
import { refusedAddress, refusedPath } from "./refusal.ts"
import { Side } from "./side.ts"
import { UpstreamHello } from "./upstream-hello.ts"
import { Listed, WAIT, type Attempts } from "../upstream/attempts.ts"
import type { Lease } from "../upstream/lease.ts"
import type { Member } from "../upstream/member.ts"
import type { Pool } from "../upstream/pool.ts"
import { admit, type Admitted } from "./pool-limits.ts"
import { hashFor } from "./hash-key.ts"
import { settingsOf } from "./route-settings.ts"
import { orderOf } from "./target-order.ts"

/** 5 s for one target: name and connect. */
const CONNECT_TIMEOUT = 5000
/** 250 ms before the next address is tried beside the first (RFC 8305 section 5). */
const STAGGER = 250
/** Attempts beside a first one, over all connections: they come out of the 256 descriptors that the cap leaves free. */
const SIDE_ATTEMPTS = 96

/** Where dialling leads. */
export interface DialOutcome {
  readonly connected: (connection: Connection, upstream: Side) => void
  /** Every attempt failed, or there was nothing to try. */
  readonly failed: (connection: Connection, tried: number) => void
  /** A limit of the pool is reached. */
  readonly limited: (connection: Connection, why: string) => void
}

/** The dialling of one connection, over all its targets. */
export class Dial {
  readonly connection: Connection
  readonly pool: Pool | undefined
  private readonly outcome: DialOutcome
  private readonly targets: Attempts
  private readonly lease: Lease | undefined
  private readonly timeout: number
  /** All targets of the pool are full: one of them has to get rid of a connection. */
  private waits = false
  /** What the pool's limits count of this connection. */
  admitted: Admitted | undefined = undefined
  /** When the attempts at this target began. */
  private begunAt = 0
  private addresses: readonly Ip[] = []
  private nextAddress = 0
  private readonly attempts: Side[] = []
  /** What the winner has to say and hear before the relay. */
  private hello: UpstreamHello | undefined = undefined
  /** Ticks: when this target is given up, and when its next address is tried. */
  private due = 0
  private staggered = 0
  /** Tells a late answer of the resolver that its target was given up. */
  private turn = 0
  tried = 0
  target: Target | undefined = undefined
  /** The address of the last attempt. */
  private dialled: Ip | undefined = undefined
  error: string | undefined = undefined

  constructor(connection: Connection, route: Route, pool: Pool | undefined, outcome: DialOutcome) {
    this.connection = connection
    this.outcome = outcome
    this.pool = pool
    this.lease = pool?.lease(hashFor(connection, route, pool.spec), route.retries, (target) => this.granted(target))
    this.targets = this.lease ?? new Listed(orderOf(route), route.retries)
    this.timeout = connection.route?.connectTimeout ?? CONNECT_TIMEOUT
  }

  /** The address of the last attempt, as text. */
  get address(): string | undefined {
    const { target, dialled } = this
    return dialled === undefined || target === undefined || target.kind === "unix"
      ? undefined
      : formatHostPort(formatIp(dialled), target.port)
  }

  /** The pool's target that it holds a place at. */
  get member(): Member | undefined {
    return this.lease?.member
  }

  get more(): boolean {
    return this.targets.more
  }

  /** Whether the pool has another target for it, now or when it has retries again. */
  get hasOther(): boolean {
    return this.lease?.hasOther === true
  }

  /** Tries the next target; with none left, the route has failed. */
  next(): void {
    this.turn++
    for (;;) {
      const target = this.targets.next()
      if (target === undefined) return this.nothing()
      if (target === WAIT) return this.wait()
      if (this.start(target)) return
    }
  }

  private start(target: Target): boolean {
    this.tried++
    if (this.begin(target)) return true
    this.targets.failed()
    return false
  }

  private wait(): void {
    const { queue } = this.pool!.spec
    const { wheel } = this.connection.path
    this.waits = true
    this.due = wheel.now + wheel.ticks(queue.timeout)
    this.connection.schedule(queue.timeout)
  }

  /** The wait for a place is over. */
  private granted(target: Target | undefined): void {
    this.waits = false
    this.turn++
    if (target === undefined) this.nothing()
    else if (!this.start(target)) this.next()
  }

  private nothing(): void {
    this.error ??= this.targets.problem
    this.outcome.failed(this.connection, this.tried)
  }

  private begin(target: Target): boolean {
    const { connection } = this
    const { wheel, exits } = connection.path
    this.target = target
    this.dialled = undefined
    this.begunAt = performance.now()
    this.due = wheel.now + wheel.ticks(this.timeout)
    connection.schedule(this.timeout)
    if (target.kind === "unix") return this.attemptPath(target.path)
    if (target.ip !== undefined) return this.tryAddresses([target.ip])
    if (target.addresses !== undefined) return this.tryAddresses(target.addresses)
    const found = exits.resolve(target.host)
    if (!(found instanceof Promise)) return this.tryAddresses(found)
    const turn = this.turn
    found.then(
      (addresses) => {
        if (turn === this.turn && !this.tryAddresses(addresses)) this.next()
      },
      (error) => {
        if (turn === this.turn) this.giveUp(`${target.host}: ${messageOf(error)}`)
      },
    )
    return true
  }

  private tryAddresses(addresses: readonly Ip[]): boolean {
    this.addresses = addresses
    this.nextAddress = 0
    return this.tryAddress()
  }

  /** Starts an attempt at the next address that lets itself be dialled. */
  private tryAddress(): boolean {
    while (this.nextAddress < this.addresses.length) {
      const ip = this.addresses[this.nextAddress++]!
      if (!this.attemptIp(ip)) continue
      const { wheel } = this.connection.path
      this.staggered = wheel.now + wheel.ticks(STAGGER)
      if (this.nextAddress < this.addresses.length) this.connection.schedule(STAGGER)
      return true
    }
    return this.attempts.length > 0
  }

  private attemptIp(ip: Ip): boolean {
    const target = this.target!
    if (target.kind === "unix") return false
    this.dialled = ip
    const refused = refusedAddress(this.connection.path, ip, target.port)
    if (refused !== undefined) return this.note(refused)
    if (!available) return this.attemptByBun(isUnspecified(ip) ? "localhost" : formatIp(ip), target.port)
    try {
      return this.attempt(connectTcp(ip.family, ip.a, ip.b, ip.c, ip.d, target.port))
    } catch (error) {
      return this.note(codeOf(error))
    }
  }

  private attemptPath(path: string): boolean {
    const refused = refusedPath(this.connection.path, path)
    if (refused !== undefined) return this.note(refused)
    if (!available) return this.attemptByBun(path, undefined)
    try {
      return this.attempt(connectUnix(path))
    } catch (error) {
      return this.note(codeOf(error))
    }
  }

  private attempt(fd: number): true {
    const side = this.newAttempt()
    const opened = connectOn(fd, this.connection.path.stages.upstreamHandlers, side)
    // `open` has come already, and the rest comes through the callbacks; the promise only matters when it has not.
    if (side.socket === undefined) opened.catch((error) => attemptClosed(side, error))
    return true
  }

  /** Without descriptors: Bun dials. Such an attempt cannot be cancelled; it is reset as soon as it stands. */
  private attemptByBun(host: string, port: number | undefined): boolean {
    const side = this.newAttempt()
    const socket = this.connection.path.stages.upstreamHandlers
    const dialled = port === undefined ? dialPath(host, socket, side) : dialAddress(host, port, socket, side)
    dialled.then(
      () => this.connected(side),
      (error) => attemptClosed(side, error),
    )
    return true
  }

  private newAttempt(): Side {
    const side = new Side(this.connection)
    if (this.attempts.length > 0) this.connection.path.sideAttempts++
    this.attempts.push(side)
    return side
  }

  private note(error: string): false {
    this.error = error
    return false
  }

  /** This attempt is connected: the others are reset. It is the upstream, once nothing has to be said before the relay. */
  connected(side: Side): void {
    if (side.closed) return
    if (this.hello?.side === side) return this.hello.drained()
    if (!this.drop(side)) return
    this.cancel()
    if (!UpstreamHello.isNeeded(this.connection, this.target!)) return this.ready(side)
    this.nextAddress = this.addresses.length
    this.hello = new UpstreamHello(side, this.target!, {
      ready: (ready) => this.ready(ready),
      failed: (failed, error) => {
        failed.abandon()
        this.lost(failed, error)
      },
    })
    this.hello.begin()
  }

  private ready(side: Side): void {
    const now = performance.now()
    this.hello = undefined
    this.error = undefined
    this.connection.connectedAt = now
    this.targets.connected(now - this.begunAt)
    this.outcome.connected(this.connection, side)
  }

  /** Bytes of an upstream before the relay. Returns whether it is the upstream by now, and the bytes are for the client. */
  spoke(side: Side, chunk: Uint8Array): boolean {
    if (this.hello?.side === side) this.hello.spoke(chunk)
    else {
      this.connected(side)
      if (this.connection.upstream === side) return true
      // Before it was asked anything.
      if (this.hello?.side === side) this.hello.spoke(chunk)
    }
    return false
  }

  /** The FIN of an upstream before the relay. */
  ended(side: Side): void {
    this.connected(side)
    if (this.hello?.side !== side) return
    side.abandon()
    this.lost(side, "it closed the connection before the relay")
  }

  handshaken(side: Side, ok: boolean, error: Error | null): void {
    if (this.hello?.side === side) this.hello.handshaken(ok, error)
  }

  /** An attempt ended before it stood. */
  lost(side: Side, error: string): void {
    if (this.hello?.side === side) this.hello = undefined
    else if (!this.drop(side)) return
    this.error = error
    // Another address at once; the ones under way go on.
    if (this.tryAddress()) return
    this.targets.failed()
    this.next()
  }

  /** The upstream has sent its first byte. */
  heard(): void {
    this.targets.spoke()
  }

  /** The upstream was lost before its first byte. */
  wasted(): void {
    this.targets.failed()
  }

  /** The connection has ended. */
  over(): void {
    this.cancel()
    this.targets.release()
    this.admitted?.release()
  }

  /** The target is given up: its attempts are reset, the next target is tried. */
  giveUp(error: string): void {
    this.cancel()
    this.error = error
    this.targets.failed()
    this.next()
  }

  /** Others have found that the target cannot be had: it is not waited for, and this says nothing more about it. */
  goElsewhere(why: string): void {
    this.cancel()
    this.error = why
    this.next()
  }

  /** Resets every attempt: after this its descriptor is gone. */
  cancel(): void {
    this.turn++
    this.hello?.side.abandon()
    this.hello = undefined
    while (this.attempts.length > 0) {
      const side = this.attempts[0]!
      this.drop(side)
      side.abandon()
    }
  }

  /** Takes an attempt off the list. Returns whether it was on it. */
  private drop(side: Side): boolean {
    const at = this.attempts.indexOf(side)
    if (at < 0) return false
    this.attempts.splice(at, 1)
    if (this.attempts.length > 0) this.connection.path.sideAttempts--
    return true
  }

  private expireWait(): void {
    const { path } = this.connection
    if (path.wheel.now < this.due) return this.connection.scheduleAt(this.due)
    const { awaited, name, spec } = this.pool!
    this.waits = false
    this.targets.release()
    this.error = `pool ${name}: ${awaited}, for ${spec.queue.timeout} ms`
    this.outcome.failed(this.connection, this.tried)
  }

  expire(): void {
    const { wheel } = this.connection.path
    if (this.waits) return this.expireWait()
    if (wheel.now >= this.due) return this.giveUp(`no ${this.hello?.awaited ?? "connection"} within ${this.timeout} ms`)
    if (this.nextAddress < this.addresses.length && wheel.now >= this.staggered) {
      if (this.connection.path.sideAttempts < SIDE_ATTEMPTS) this.tryAddress()
      else this.staggered = wheel.now + wheel.ticks(STAGGER)
    }
    const soonest = this.nextAddress < this.addresses.length ? Math.min(this.due, this.staggered) : this.due
    this.connection.scheduleAt(soonest)
  }
}

/** Carries out a `route`. */
export function dial(connection: Connection, route: Route, outcome: DialOutcome): void {
  connection.state = State.dialling
  const pool = route.pool === undefined ? undefined : connection.path.exits.pools.find(route.pool)
  connection.route = settingsOf(route, pool?.spec)
  const admitted = pool === undefined ? undefined : admit(connection, pool.spec)
  if (typeof admitted === "string") return outcome.limited(connection, admitted)
  // Another route has failed before this one.
  connection.dial?.over()
  connection.dial = new Dial(connection, route, pool, outcome)
  connection.dial.admitted = admitted
  connection.dial.next()
}

/** After a connection that came to nothing: another target, if there is one. Returns whether there was. */
export function tryNextTarget(connection: Connection, error: string): boolean {
  const { dial: dialled, upstream, client } = connection
  if (dialled === undefined || upstream === undefined) return false
  const { decision } = connection
  const goesOn =
    decision?.action === "route" && (decision.otherwise !== undefined || continuationOf(decision) !== undefined)
  if (!dialled.more && !goesOn) return false
  connection.upstream = undefined
  client.other = undefined
  upstream.other = undefined
  const unsent = upstream.takeBack()
  upstream.release()
  connection.connectedAt = undefined
  connection.state = State.dialling
  for (const chunk of unsent) connection.ahead().push(chunk)
  // An alert that came before the end says more.
  dialled.error ??= error
  dialled.next()
  return true
}

export function attemptOpened(side: Side, socket: Socket): void {
  side.socket = socket
  // Given up before its socket came.
  if (side.closed) socket.terminate()
}

export function attemptClosed(side: Side, error: unknown): void {
  if (side.closed) return
  side.closed = true
  side.connection.dial?.lost(side, codeOf(error))
}

function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error) return String(error.code)
  return error === undefined ? "closed" : messageOf(error)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
