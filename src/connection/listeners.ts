// The listeners of a gateway: binds what a snapshot names, before the swap; serves; lets go of what nothing names any
// more; stops accepting at the limits. Clients that are not accepted wait in the backlog.
import { networkInterfaces } from "node:os"
import type { ListenerPlan, Snapshot } from "../config/snapshot.ts"
import { names } from "../limit/names.ts"
import { formatIp, isLoopback, isUnspecified, parseIp, type Ip } from "../policy/address.ts"
import { identity, type Bind } from "../policy/listen.ts"
import { ListenFailed, removePath } from "./acquire.ts"
import type { DataPath } from "./data-path.ts"
import { Listener, ListeningSocket } from "./listener.ts"
import { listenerLimitIds } from "./listener-limits.ts"
import { limitIds } from "./pool-limits.ts"

/** 1 s: a file that moves away and back, or a `git checkout`, must not cost its clients anything. */
const GRACE = 1000
/** A listener that cannot be bound is tried again after 1, 2, 4, ... 30 s. */
const FIRST_RETRY = 1000
const LONGEST_RETRY = 30_000
/** How long the addresses of this machine are believed. */
const INTERFACES_FRESH = 10_000

/** One listener's state, for status and for the line at start. */
export interface ListenerStatus {
  readonly plan: ListenerPlan
  readonly state: "up" | "down" | "paused"
  /** Where it is really bound. */
  readonly address: string | undefined
  readonly error: string | undefined
  readonly active: number
}

export interface ListenersExits {
  /** A listener was bound after a failure, or could not be. */
  readonly changed: (status: ListenerStatus) => void
}

export class Listeners {
  private readonly path: DataPath
  private readonly exits: ListenersExits
  private readonly listeners = new Map<string, Listener>()
  private readonly sockets = new Map<string, ListeningSocket>()
  /** Asked about every target that is dialled. */
  private readonly byPort = new Map<number, ListeningSocket[]>()
  private readonly leaving = new Map<string, Timer>()
  private retry: Timer | undefined = undefined
  private retryAfter = FIRST_RETRY
  private full = false
  private stopped = false
  /** Until `open`: sockets are bound, but nobody is let in. */
  private held = true
  private machine: { readonly at: number; readonly addresses: ReadonlySet<string> } | undefined = undefined

  constructor(path: DataPath, exits: ListenersExits) {
    this.path = path
    this.exits = exits
    path.onAccepted = (listener) => this.accepted(listener)
    path.onRoom = (listener) => this.ended(listener)
  }

  /**
   * Binds what is new, then lets the snapshot decide about every connection from here on. Sockets that cannot be bound
   * are `down` and tried again; they hold nothing back.
   */
  apply(snapshot: Snapshot): void {
    const plans = [...snapshot.listeners.values()]
    names.keep(this, [...plans.flatMap(listenerLimitIds), ...[...snapshot.pools.values()].flatMap(limitIds)])
    for (const plan of plans) {
      const known = this.listeners.get(plan.identity)
      if (known === undefined) this.listeners.set(plan.identity, new Listener(plan))
    }
    this.bindMissing(plans)
    for (const [key, listener] of this.listeners) {
      const plan = snapshot.listeners.get(key)
      if (plan !== undefined) listener.plan = plan
      else {
        this.listeners.delete(key)
        // Its last connections may outlive its socket.
        listener.socket = undefined
      }
    }
    this.assign()
    this.path.listeningSockets = this.sockets.size
    if (this.down().length > 0) this.retryLater()
  }

  /** Lets clients in. */
  open(): void {
    this.held = false
    for (const [key, socket] of this.sockets) if (!this.leaving.has(key)) this.serve(socket)
  }

  /** Listeners that are not bound. */
  down(): readonly ListenerStatus[] {
    return this.status().filter((listener) => listener.state === "down")
  }

  status(): readonly ListenerStatus[] {
    return [...this.listeners.values()].map((listener) => this.statusOf(listener))
  }

  private statusOf(listener: Listener): ListenerStatus {
    const { plan, socket, error, active } = listener
    const state = socket === undefined ? "down" : socket.paused && !this.held ? "paused" : "up"
    return { plan, state, address: socket?.address, error, active }
  }

  /** Stops accepting for good: waiting clients are reset by the kernel when the process ends or the sockets close. */
  close(): void {
    this.stopped = true
    clearTimeout(this.retry)
    names.keep(this, [])
    for (const timer of this.leaving.values()) clearTimeout(timer)
    for (const key of Array.from(this.sockets.keys())) this.closeSocket(key)
  }

  /** Whether a target is one of our own listeners. */
  ownAddress(ip: Ip, port: number): boolean {
    const sockets = this.byPort.get(port)
    if (sockets === undefined) return false
    // To connect to no address is to connect to the loopback.
    const reached = isUnspecified(ip) ? (ip.family === "IPv4" ? "127.0.0.1" : "::1") : formatIp(ip)
    for (const { bind } of sockets) {
      if (bind.kind !== "tcp") continue
      const bound = parseIp(bind.address)
      if (bound !== undefined && !isUnspecified(bound)) {
        if (bind.address === reached) return true
      } else if (isUnspecified(ip) || isLoopback(ip) || this.machineHas(ip)) return true
    }
    return false
  }

  ownPath(path: string): boolean {
    return this.sockets.has(`unix:${path}`)
  }

  private machineHas(ip: Ip): boolean {
    const now = Date.now()
    if (this.machine === undefined || now - this.machine.at > INTERFACES_FRESH) {
      const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
      this.machine = { at: now, addresses: new Set(all.map((entry) => entry.address.split("%")[0]!)) }
    }
    return this.machine.addresses.has(formatIp(ip))
  }

  /** Binds every socket that a plan needs and that is not there. A wildcard is bound first: it carries the others. */
  private bindMissing(plans: readonly ListenerPlan[]): void {
    const wildcards = plans.filter((plan) => breadth(plan.bind) > 0).sort((a, b) => breadth(b.bind) - breadth(a.bind))
    for (const plan of [...wildcards, ...plans.filter((plan) => breadth(plan.bind) === 0)]) {
      const listener = this.listeners.get(plan.identity)!
      if (this.sockets.has(plan.identity) || this.carrier(plan.bind, plans) !== undefined) {
        listener.error = undefined
        continue
      }
      try {
        this.add(plan.identity, new ListeningSocket(this.path, plan.bind, this.besides(plan.bind)))
        listener.error = undefined
      } catch (error) {
        if (!(error instanceof ListenFailed)) throw error
        listener.error = error.message
        // `localhost` means both loopbacks, where there are both.
        if (error.code === "EADDRNOTAVAIL" || error.code === "EAFNOSUPPORT") this.forgetMissingLoopback(plan, plans)
      }
    }
  }

  private forgetMissingLoopback(plan: ListenerPlan, plans: readonly ListenerPlan[]): void {
    if (plan.bind.kind !== "tcp" || plan.bind.address !== "::1") return
    const other = identity({ ...plan.bind, address: "127.0.0.1" }, "")
    if (plans.some((each) => each.identity === other)) this.listeners.delete(plan.identity)
  }

  /** The bound wildcard socket, named by a plan, that takes connections for this address too. */
  private carrier(bind: Bind, plans: readonly ListenerPlan[]): ListeningSocket | undefined {
    for (const key of wider(bind)) {
      const socket = this.sockets.get(key)
      if (socket !== undefined && plans.some((plan) => plan.identity === key)) return socket
    }
    return undefined
  }

  /** Descriptors of ours on the same port: the kernel has to be asked to let another one beside them. */
  private besides(bind: Bind): number[] {
    if (bind.kind === "unix" || bind.port === 0) return []
    return (this.byPort.get(bind.port) ?? []).map((socket) => socket.fd).filter((fd) => fd >= 0)
  }

  /** Gives every socket its listeners; a socket without any is paused and closed after the grace. */
  private assign(): void {
    const plans = [...this.listeners.values()].map((listener) => listener.plan)
    const carried = new Map<ListeningSocket, Listener[]>()
    for (const listener of this.listeners.values()) {
      const socket = this.sockets.get(listener.identity) ?? this.carrier(listener.plan.bind, plans)
      listener.socket = socket
      if (socket === undefined) continue
      const list = carried.get(socket)
      if (list === undefined) carried.set(socket, [listener])
      else list.push(listener)
    }
    for (const [key, socket] of this.sockets) {
      const listeners = carried.get(socket)
      if (listeners === undefined) this.leave(key, socket)
      else {
        clearTimeout(this.leaving.get(key))
        this.leaving.delete(key)
        socket.assign(listeners)
        this.serve(socket)
      }
    }
  }

  private leave(key: string, socket: ListeningSocket): void {
    socket.pause()
    if (this.leaving.has(key)) return
    const timer = setTimeout(() => {
      this.leaving.delete(key)
      this.closeSocket(key)
    }, GRACE)
    this.leaving.set(key, timer)
  }

  private add(key: string, socket: ListeningSocket): void {
    this.sockets.set(key, socket)
    this.byPort.set(socket.port, [...(this.byPort.get(socket.port) ?? []), socket])
  }

  private closeSocket(key: string): void {
    const socket = this.sockets.get(key)
    if (socket === undefined) return
    this.sockets.delete(key)
    const left = this.byPort.get(socket.port)?.filter((other) => other !== socket) ?? []
    if (left.length > 0) this.byPort.set(socket.port, left)
    else this.byPort.delete(socket.port)
    socket.close()
    if (socket.bind.kind === "unix") removePath(socket.bind.path)
  }

  private retryLater(): void {
    if (this.retry !== undefined || this.stopped) return
    this.retry = setTimeout(() => {
      this.retry = undefined
      const before = new Set(this.down().map((listener) => listener.plan.identity))
      this.bindMissing([...this.listeners.values()].map((listener) => listener.plan))
      this.assign()
      const after = this.status().filter((listener) => before.has(listener.plan.identity))
      for (const listener of after) if (listener.state !== "down") this.exits.changed(listener)
      const stillDown = after.some((listener) => listener.state === "down")
      this.retryAfter = stillDown ? Math.min(this.retryAfter * 2, LONGEST_RETRY) : FIRST_RETRY
      if (stillDown) this.retryLater()
    }, this.retryAfter)
    this.retry.unref()
  }

  /** Accepts on a socket, unless a limit says no. */
  private serve(socket: ListeningSocket): void {
    if (this.held || this.full || this.stopped) return socket.pause()
    const only = socket.choose(undefined)
    if (socket.single && only?.full === true) return socket.pause()
    socket.resume()
  }

  private accepted(listener: Listener): void {
    const { cap, live } = this.path
    // Whoever only lingers makes room.
    if (live.size >= cap && !this.path.lingering.letGo()) {
      this.full = true
      for (const socket of this.sockets.values()) socket.pause()
    } else if (listener.full && listener.socket?.single === true && !listener.lingering.letGo()) listener.socket.pause()
  }

  private ended(listener: Listener): void {
    if (this.full) {
      if (this.path.crowded) return
      this.full = false
      for (const [key, socket] of this.sockets) if (!this.leaving.has(key)) this.serve(socket)
      return
    }
    const { socket } = listener
    if (socket?.paused !== true || this.leaving.has(listener.identity)) return
    if (!listener.crowded) this.serve(socket)
  }
}

/** 2: all addresses of both families; 1: of one family; 0: one address or a path. */
function breadth(bind: Bind): number {
  if (bind.kind === "unix") return 0
  return bind.address === "*" ? 2 : bind.address === "0.0.0.0" || bind.address === "::" ? 1 : 0
}

/** Identities of the wildcards that cover an address, the nearest first. */
function wider(bind: Bind): string[] {
  if (bind.kind === "unix" || bind.port === 0 || bind.address === "*") return []
  const all = identity({ ...bind, address: "*" }, "")
  if (breadth(bind) === 1) return [all]
  return [identity({ ...bind, address: bind.address.includes(":") ? "::" : "0.0.0.0" }, ""), all]
}
