// Limits counted in the memory of this process: synchronous, bounded, and nothing is allocated for a key that is known.
import { Hash, randomSeed } from "./hash.ts"
import type { ConcurrencyCounts, LimitStore, Rate, RateCounts } from "./store.ts"
import { Table } from "./table.ts"

/** 1,000,000 keys of one limit, 32 MB: more clients than that are an attack, and must not cost more memory. */
const MOST_KEYS = 1_000_000

export interface MemoryOptions {
  /** Milliseconds that never go back. @default performance.now */
  readonly clock?: () => number
  /** @default random */
  readonly seed?: readonly [number, number]
  /** Keys per limit, at most. @default 1,000,000 */
  readonly most?: number
}

export class MemoryStore implements LimitStore {
  readonly hash: Hash
  private readonly clock: () => number
  private readonly most: number
  private advanced = 0

  constructor({ clock = () => performance.now(), seed = randomSeed(), most = MOST_KEYS }: MemoryOptions = {}) {
    this.hash = new Hash(seed)
    this.clock = clock
    this.most = most
  }

  /** Lets milliseconds go by at once. */
  advance(by: number): void {
    this.advanced += by
  }

  rates(): RateCounts {
    return new Rates(() => this.clock() + this.advanced, this.most)
  }

  concurrency(): ConcurrencyCounts {
    return new Concurrency(this.most)
  }
}

/** Above this the clock of {@link Rates} is set back, so that its fractions stay fine: one step is 2^-12 of a token. */
const SET_BACK = 2 ** 40
/** The rounding of a handful of operations. */
const ROUNDING = 2 ** -50

/**
 * GCRA over a clock that counts tokens: it runs as fast as tokens come back, for all keys alike. A key's value is the
 * time at which it has all of its tokens again, so that what it lacks is the time until then; a value in the past is a
 * key that was never seen. When options change, only the speed of the clock does, and what was taken stays taken.
 */
class Rates implements RateCounts {
  private readonly table = new Table()
  private readonly clock: () => number
  private readonly most: number
  private limit = 0
  private per = 1
  /** The clock was at `began` at the time `since`, and has had its speed from then on. */
  private began = 0
  private since = 0

  constructor(clock: () => number, most: number) {
    this.clock = clock
    this.most = most
  }

  get size(): number {
    return this.table.size
  }

  take(high: number, low: number, rate: Rate): boolean {
    const now = this.advance(rate)
    const { table } = this
    const record = table.find(high, low)
    if (record < 0) {
      this.add(high, low, now)
      return true
    }
    table.touch(record)
    const full = table.get(record)
    const after = (full > now ? full : now) + 1
    if (after - now > rate.burst + ROUNDING * (now + rate.burst)) return false
    table.set(record, after)
    return true
  }

  remaining(high: number, low: number, rate: Rate): number {
    const now = this.advance(rate)
    const record = this.table.find(high, low)
    const lacking = record < 0 ? 0 : Math.max(0, this.table.get(record) - now)
    return Math.max(0, Math.floor(rate.burst - lacking + ROUNDING * (now + rate.burst)))
  }

  private add(high: number, low: number, now: number): void {
    const { table } = this
    const { oldest } = table
    // A key that has all of its tokens again is one that was never seen: its record is free.
    if (oldest >= 0 && (table.size >= this.most || table.get(oldest) <= now)) table.reuse(oldest, high, low, now + 1)
    else table.add(high, low, now + 1)
  }

  /** The clock, by the rate that is asked with now. */
  private advance({ limit, per }: Rate): number {
    const time = this.clock()
    let now = this.began + ((time - this.since) * this.limit) / this.per
    if (limit === this.limit && per === this.per && now <= SET_BACK) return now
    if (now > SET_BACK) {
      this.table.shift(now)
      now = 0
    }
    this.limit = limit
    this.per = per
    this.began = now
    this.since = time
    return now
  }
}

/** A record whose value is 0 is free, and comes before all others: a key that is counted is never forgotten. */
class Concurrency implements ConcurrencyCounts {
  private readonly table = new Table()
  private readonly most: number
  private total = 0

  constructor(most: number) {
    this.most = most
  }

  get size(): number {
    return this.table.size
  }

  get busy(): boolean {
    return this.total > 0
  }

  take(high: number, low: number, max: number): boolean {
    const { table } = this
    const record = table.find(high, low)
    if (record >= 0) {
      const count = table.get(record)
      if (count >= max) return false
      table.set(record, count + 1)
      if (count === 0) table.touch(record)
    } else {
      const { oldest } = table
      if (oldest >= 0 && table.get(oldest) === 0) table.reuse(oldest, high, low, 1)
      else if (table.size < this.most) table.add(high, low, 1)
      else return false
    }
    this.total++
    return true
  }

  give(high: number, low: number): void {
    const record = this.table.find(high, low)
    const count = record < 0 ? 0 : this.table.get(record)
    if (count === 0) return
    this.total--
    this.table.set(record, count - 1)
    if (count === 1) this.table.retire(record)
  }

  active(high: number, low: number): number {
    const record = this.table.find(high, low)
    return record < 0 ? 0 : this.table.get(record)
  }
}
