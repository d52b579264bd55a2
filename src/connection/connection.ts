// One proxied connection, from accept to its one closing event: a plain object with a state. Its deadlines hang on
// the wheel, its bytes move in the callbacks of sockets.ts. No Effect, no logging here.
import type { ListenerPlan, PolicyVersion } from "../config/snapshot.ts"
import type { ClientHello } from "../protocol/index.ts"
import type { CloseReason, PostgresStart, Summary } from "../policy/connection.ts"
import type { Decision } from "../policy/decision.ts"
import type { LogFields } from "../policy/log-fields.ts"
import type { Terminated } from "../policy/terminate.ts"
import type { SocketName } from "../native/socket.ts"
import type { Counted } from "../limit/gate.ts"
import { summarise } from "./close-reason.ts"
import type { DataPath } from "./data-path.ts"
import type { Listener } from "./listener.ts"
import type { HeaderWait, Proxied, Suspect } from "./proxy-in.ts"
import type { Deciding } from "./decide.ts"
import type { Dial } from "./dial.ts"
import { Preread, type PrereadHost } from "./preread.ts"
import type { RouteSettings } from "./route-settings.ts"
import { count } from "./share.ts"
import { Side } from "./side.ts"
import type { Termination } from "./terminate.ts"
import type { Throttle } from "./throttle.ts"
import type { ConnectionView } from "./view.ts"
import type { Timed } from "./wheel.ts"

/** Where a connection is. In this order, though `deciding` may go straight to `answering`. */
export const State = {
  /** The policies are being asked, or one of them waits. */
  deciding: 0,
  /** A denied or answered client is being held. */
  delayed: 1,
  dialling: 2,
  relaying: 3,
  /** The answer of a policy is being written. */
  answering: 4,
  /** One side was reset; the other gets what was read, then its reset. */
  resetting: 5,
  /** Our FIN is out; what the client still sends is thrown away. */
  lingering: 6,
  closed: 7,
  /** First of all where a PROXY header or a hello is awaited: it is being read, nobody is asked yet. */
  reading: 8,
} as const
export type State = (typeof State)[keyof typeof State]

export type ClosedBy = "client" | "upstream" | "gateway"

const NOBODY_YET: readonly PolicyVersion[] = []

export class Connection implements Timed, PrereadHost {
  readonly path: DataPath
  readonly listener: Listener
  readonly plan: ListenerPlan
  readonly client: Side
  /**
   * The client's address, and the one that it connected to: those of a PROXY header, once one was believed. They are read
   * at accept: each is a system call, and none is there once the socket has closed.
   */
  peer: SocketName | undefined
  local: SocketName | undefined
  readonly openedAt: number
  readonly sequence: number
  readonly started: number

  state: State = State.deciding
  /** While the PROXY header of a trusted sender is waited for. */
  headerWait: HeaderWait | undefined = undefined
  proxied: Proxied | undefined = undefined
  /** Until the first bytes of a client that is not trusted are seen to begin no PROXY header. */
  suspect: Suspect | undefined = undefined
  upstream: Side | undefined = undefined
  preread: Preread | undefined = undefined
  view: ConnectionView | undefined = undefined
  /** While a policy waits. */
  deciding: Deciding | undefined = undefined
  dial: Dial | undefined = undefined
  /** Who is asked, in order: on `tls://` known by the hello. */
  policies: readonly PolicyVersion[]
  /** How many of them were asked so far. */
  asked = 0
  policy: PolicyVersion | undefined = undefined
  decision: Decision | undefined = undefined
  /** The options of the route that is carried out, with those of its pool. */
  route: RouteSettings | undefined = undefined
  /** What the client said before encryption, where it was read. */
  hello: ClientHello | undefined = undefined
  postgres: PostgresStart | undefined = undefined
  /** The end of TLS here, from its beginning on. */
  termination: Termination | undefined = undefined
  /** deny's reason, or why the policy failed. */
  reason: string | undefined = undefined
  logs: LogFields | undefined = undefined
  /** Tick of the last byte in either direction. */
  activeAt: number
  decidedAt: number | undefined = undefined
  connectedAt: number | undefined = undefined
  /** What the listener's limits count of it. */
  counted: Counted | undefined = undefined
  /** Where bytes may only come so fast. */
  throttle: Throttle | undefined = undefined
  /** Ticks after which a relay without a byte ends. */
  idle = 0
  /** The tick at which a linger, a delay or the whole connection has to end. */
  until = 0
  /** What the closing event will say, once the end is known but not yet reached. */
  closeReason: CloseReason | undefined = undefined
  closedBy: ClosedBy = "gateway"
  /** Milliseconds that policies spent waiting for the client: these do not count against their deadline. */
  heldBack = 0
  private heldSince = 0
  /** Waits for the client that are under way: a policy may read while it terminates. */
  private waits = 0
  /** Bytes that were read only to be thrown away. */
  discarded = 0
  /** What comes after a delay. */
  afterDelay: (() => void) | undefined = undefined
  /** Ends the body of an answer that is not written to its end. */
  stopBody: (() => void) | undefined = undefined
  /** Who is told of the end. */
  private atEnd: (() => void)[] | undefined = undefined

  due = 0
  slot = -1
  place = 0

  constructor(
    path: DataPath,
    listener: Listener,
    plan: ListenerPlan,
    peer: SocketName | undefined,
    local: SocketName | undefined,
  ) {
    this.path = path
    this.listener = listener
    this.plan = plan
    this.policies = plan.names === undefined ? plan.policies : NOBODY_YET
    this.peer = peer
    this.local = local
    this.client = new Side(this)
    this.openedAt = Date.now()
    this.started = performance.now()
    this.sequence = path.next()
    this.activeAt = path.wheel.refresh()
    path.live.add(this)
    listener.active++
    plan.usage.acquire()
  }

  get id(): string {
    const time = this.openedAt.toString(36).padStart(9, "0")
    return `${time}${this.path.settings.worker}${this.sequence.toString(36).padStart(6, "0")}`
  }

  /** What was agreed on with the client; `undefined` while its TLS is not ended here. */
  get terminated(): Terminated | undefined {
    return this.termination?.result
  }

  schedule(milliseconds: number): void {
    this.path.wheel.schedule(this, milliseconds)
  }

  scheduleAt(tick: number): void {
    this.path.wheel.scheduleAt(this, tick)
  }

  expire(): void {
    this.path.stages.expire(this)
  }

  wake(milliseconds: number): number {
    const { wheel } = this.path
    const tick = wheel.refresh() + wheel.ticks(milliseconds)
    if (this.slot < 0 || tick < this.due) this.scheduleAt(tick)
    return tick
  }

  waiting(waits: boolean): void {
    this.waits += waits ? 1 : -1
    if (this.waits !== (waits ? 1 : 0)) return
    const now = performance.now()
    if (waits) this.heldSince = now
    else this.heldBack += now - this.heldSince
    this.deciding?.clientAwaited(waits)
  }

  /** Calls back once, when the connection has ended; at once when it has ended already. */
  whenClosed(then: () => void): void {
    if (this.state === State.closed) then()
    else (this.atEnd ??= []).push(then)
  }

  ahead(): Preread {
    return (this.preread ??= new Preread(this))
  }

  /** The end, exactly once: sockets gone, counts given back, the one event out. */
  finish(reason: CloseReason, by: ClosedBy): void {
    if (this.state === State.closed) return
    const wasDeciding = this.deciding
    this.deciding = undefined
    if (this.state === State.delayed) count(this, "delayed", -1)
    else if (this.state === State.lingering) {
      this.path.lingering.delete(this)
      this.listener.lingering.delete(this)
    }
    this.state = State.closed
    this.path.wheel.remove(this)
    this.dial?.over()
    this.throttle?.release()
    this.client.release()
    this.upstream?.release()
    const summary = this.isAwaited() ? summarise(this, reason, by) : undefined
    this.view?.closed(reason)
    wasDeciding?.interrupt()
    this.preread?.fail(`the connection is over: ${reason}`)
    this.termination?.lost(`the connection is over: ${reason}`)
    this.stopBody?.()
    this.listener.active--
    this.counted?.release()
    this.plan.usage.release()
    if (this.atEnd !== undefined) this.callAtEnd(this.atEnd)
    try {
      if (summary !== undefined) this.tell(summary)
    } finally {
      // Whatever goes wrong in telling, the connection no longer counts.
      this.path.left(this)
      this.path.onRoom(this.listener)
    }
  }

  /** The policy that waits is no longer asked, whatever it will answer. */
  stopDeciding(reason: CloseReason, why: string): void {
    const { deciding } = this
    this.deciding = undefined
    this.policy ??= deciding?.policy
    this.reason ??= why
    this.decidedAt ??= performance.now()
    this.preread?.fail(why)
    this.view?.closed(reason)
    deciding?.interrupt()
  }

  /** Ends it now, whatever it is doing: both sides are reset, so that nobody takes a part for the whole. */
  abort(reason: CloseReason, by: ClosedBy): void {
    if (this.state === State.closed) return
    this.client.reset()
    this.upstream?.reset()
    this.finish(reason, by)
  }

  private callAtEnd(atEnd: readonly (() => void)[]): void {
    for (const then of atEnd) {
      try {
        then()
      } catch (error) {
        // The others are to hear of it all the same.
        this.path.exits.internalError(error)
      }
    }
  }

  /** Whether anybody wants to know how it ended. */
  private isAwaited(): boolean {
    return this.path.exits.closed !== undefined || this.policies.some((policy) => policy.closed !== undefined)
  }

  private tell(summary: Summary): void {
    this.path.exits.closed?.(summary)
    for (let i = 0; i < this.asked; i++) {
      const policy = this.policies[i]!
      if (policy.closed === undefined) continue
      try {
        this.path.exits.enter(policy)
        policy.closed(summary, policy.resources)
      } catch (error) {
        this.path.exits.policyFailed(policy, error)
      } finally {
        this.path.exits.leave()
      }
    }
  }
}
