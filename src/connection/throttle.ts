// Bandwidth: how fast bytes may come. Each chunk is passed on as it is and taken from the buckets of its direction; when
// one of them is empty, its sender is not read from until there is something in it again.
import type { Connection } from "./connection.ts"
import { BandwidthGate, type Shares } from "../limit/bandwidth.ts"
import type { BandwidthSpec } from "../policy/limits.ts"
import type { Side } from "./side.ts"
import { ipOf } from "./socket-address.ts"
import { TICK } from "./wheel.ts"

const NEVER = Number.POSITIVE_INFINITY

export class Throttle {
  private readonly connection: Connection
  private readonly shares: readonly Shares[]
  /** Ticks until which the sides are not read from. */
  private clientHeld = 0
  private upstreamHeld = 0

  constructor(connection: Connection, shares: readonly Shares[]) {
    this.connection = connection
    this.shares = shares
  }

  /** The tick at which the next side may be read from again. */
  get due(): number {
    return Math.min(
      this.clientHeld === 0 ? NEVER : this.clientHeld,
      this.upstreamHeld === 0 ? NEVER : this.upstreamHeld,
    )
  }

  holds(side: Side): boolean {
    return (side === this.connection.client ? this.clientHeld : this.upstreamHeld) > 0
  }

  /** Bytes of a side have come. Returns whether it is to be held back. */
  passed(side: Side, bytes: number): boolean {
    const isClient = side === this.connection.client
    const now = performance.now()
    let wait = 0
    for (const { down, up } of this.shares) {
      const bucket = isClient ? up : down
      if (bucket !== undefined) wait = Math.max(wait, bucket.debit(bytes, now))
    }
    if (wait === 0) return false
    const { wheel } = this.connection.path
    // Rather a little early than late: what is still missing then is waited for with the next chunk.
    const until = wheel.refresh() + Math.max(1, Math.round(wait / TICK))
    if (isClient) this.clientHeld = until
    else this.upstreamHeld = until
    return true
  }

  /** Reads on from the sides whose time has come. Returns whether one is, or was until now, held back. */
  letGo(now: number): boolean {
    const { client, upstream } = this.connection
    if (this.clientHeld === 0 && this.upstreamHeld === 0) return false
    if (this.clientHeld > 0 && now >= this.clientHeld) {
      this.clientHeld = 0
      if (upstream?.queued === 0) client.resume()
    }
    if (this.upstreamHeld > 0 && now >= this.upstreamHeld) {
      this.upstreamHeld = 0
      if (client.queued === 0) upstream?.resume()
    }
    return true
  }

  /** The connection has ended: what it shared is the others'. */
  release(): void {
    for (const shares of this.shares) shares.release()
  }
}

/** Options live as long as their listener, pool or route. */
const gates = new WeakMap<BandwidthSpec, BandwidthGate>()

/** `undefined` where nothing limits how fast the bytes of this connection come. */
export function throttleFor(connection: Connection): Throttle | undefined {
  const { decision, plan, policy, route } = connection
  const own = route?.bandwidth
  if (own === undefined && plan.bandwidth === undefined) return undefined
  const shares: Shares[] = []
  if (plan.bandwidth !== undefined) shares.push(sharesOf(connection, `listener ${plan.identity}`, plan.bandwidth))
  if (own !== undefined) {
    const isPools = decision?.action === "route" && decision.bandwidth === undefined
    shares.push(sharesOf(connection, isPools ? `pool ${decision.pool}` : `policy ${policy?.file}`, own))
  }
  return new Throttle(connection, shares)
}

function sharesOf({ hello, peer }: Connection, owner: string, spec: BandwidthSpec): Shares {
  let gate = gates.get(spec)
  if (gate === undefined) {
    gate = new BandwidthGate(owner, spec)
    gates.set(spec, gate)
  }
  return gate.take(ipOf(peer), hello?.sni)
}
