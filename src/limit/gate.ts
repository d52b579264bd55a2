// Limits of listeners and pools: those that need no code, asked with what is known of a connection at that point.
import type { Ip } from "../policy/address.ts"
import type { ConcurrencyLimitSpec, RateLimitSpec } from "../policy/limits.ts"
import { NamedKeys } from "./key.ts"
import { names, type Slot } from "./names.ts"
import type { ConcurrencyCounts, RateCounts } from "./store.ts"

export class RateGate {
  /** To be kept in `names` while the gate is in use. */
  readonly id: string
  readonly keys: NamedKeys
  private readonly spec: RateLimitSpec
  private slot: Slot<RateCounts> | undefined = undefined

  /** @param owner what has the limit, over reloads: `listener tcp:*:5432` */
  constructor(owner: string, spec: RateLimitSpec) {
    this.id = `rateLimit of ${owner}`
    this.keys = new NamedKeys(spec.key)
    this.spec = spec
  }

  /** Takes a token. False when none is left. */
  take(ip: Ip | undefined, sni: string | undefined): boolean {
    const { hash } = names.store
    this.keys.hash(hash, ip, sni)
    if (this.slot === undefined || this.slot.gone) this.slot = names.rate(this.id)
    return this.slot.counts.take(hash.high, hash.low, this.spec)
  }
}

/** One that is counted. */
export class Counted {
  private counts: ConcurrencyCounts | undefined
  private readonly high: number
  private readonly low: number

  constructor(counts: ConcurrencyCounts, high: number, low: number) {
    this.counts = counts
    this.high = high
    this.low = low
  }

  /** Gives it back; once, however often it is called. */
  release(): void {
    this.counts?.give(this.high, this.low)
    this.counts = undefined
  }
}

export class ConcurrencyGate {
  /** To be kept in `names` while the gate is in use. */
  readonly id: string
  readonly keys: NamedKeys
  private readonly max: number
  private slot: Slot<ConcurrencyCounts> | undefined = undefined

  /** @param owner what has the limit, over reloads: `listener tcp:*:5432` */
  constructor(owner: string, { key, max }: ConcurrencyLimitSpec) {
    this.id = `concurrencyLimit of ${owner}`
    this.keys = new NamedKeys(key)
    this.max = max
  }

  /** Counts one, until it is released; `undefined` when there are `max` already. */
  take(ip: Ip | undefined, sni: string | undefined): Counted | undefined {
    const { hash } = names.store
    this.keys.hash(hash, ip, sni)
    if (this.slot === undefined || this.slot.gone) this.slot = names.concurrency(this.id)
    const { counts } = this.slot
    return counts.take(hash.high, hash.low, this.max) ? new Counted(counts, hash.high, hash.low) : undefined
  }
}
