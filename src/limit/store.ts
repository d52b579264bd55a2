// Where limits are counted. Everything else knows only these interfaces, so that a store which several processes share
// can take the place of the one in memory: answers stay synchronous, whatever a store does behind them.
import type { Hash } from "./hash.ts"

/** Counts of the keys of one rate limit. Keys are the 64 bits that the store's {@link LimitStore.hash} makes of them. */
export interface RateCounts {
  /** Takes a token. False when none is left. */
  take(high: number, low: number, rate: Rate): boolean
  /** Whole tokens that are left. */
  remaining(high: number, low: number, rate: Rate): number
  /** Keys that take memory here. */
  readonly size: number
}

/** How tokens come back; its options may change from one call to the next, and what was taken stays taken. */
export interface Rate {
  readonly limit: number
  /** Milliseconds. */
  readonly per: number
  readonly burst: number
}

/** Counts of the keys of one concurrency limit. */
export interface ConcurrencyCounts {
  /** Counts one more. False when there are `max`, or when no more keys can be counted. */
  take(high: number, low: number, max: number): boolean
  /** Counts one less. */
  give(high: number, low: number): void
  /** What is counted now. */
  active(high: number, low: number): number
  /** Whether anything is counted. */
  readonly busy: boolean
  /** Keys that take memory here. */
  readonly size: number
}

/** The one of this process is that of `names`; `names.restart({ store })` puts another in its place. */
export interface LimitStore {
  /** Makes the keys. Processes that share counts share its seed. */
  readonly hash: Hash
  /** Counts that nobody has used yet, or those that have been kept under this id elsewhere. */
  rates(id: string): RateCounts
  concurrency(id: string): ConcurrencyCounts
}
