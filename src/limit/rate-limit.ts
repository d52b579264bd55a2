// `rateLimit("per-client", { limit: 20, per: "1 minute" })`: how many connections may come in a time.
import type { Connection } from "../policy/connection.ts"
import { readRateLimitByAnyKey } from "../policy/limit-options.ts"
import type { LimitKey, RateLimitOptions, RateLimitSpec } from "../policy/limits.ts"
import type { AnyKey } from "../policy/limit-options.ts"
import { checkName } from "./check-name.ts"
import { claim } from "./claims.ts"
import { Keys } from "./key.ts"
import { names, type Slot } from "./names.ts"
import type { RateCounts } from "./store.ts"

/** A rate limit, made by {@link rateLimit}. */
export interface RateLimit {
  readonly name: string
  /**
   * Takes one token of what the connection counts with. False when none is left: then nothing was taken.
   * @throws LimitInvalid for a key that is no text and no number
   */
  take(connection: Connection): boolean
  /** Tokens that are left, 0 to `burst`; `Infinity` for a connection that is not limited. Takes none. */
  remaining(connection: Connection): number
}

/**
 * Lets `limit` connections through `per` time, of each client or of whatever else `key` says. It is a bucket of `burst`
 * tokens, full at first, to which `limit` tokens come back evenly in each `per`: after a rest up to `burst` pass at
 * once, and in any `per` at most `limit + burst`.
 *
 * Make it once, at the top of a policy or in `setup`. What is counted is counted under the name: it outlives reloads,
 * also with other options, and files that make the same limit share it; different options in two files are an error. It
 * knows the 1,000,000 keys that were used last.
 * @param name 1 to 100 characters
 * @throws LimitInvalid
 */
export function rateLimit(name: string, options: RateLimitOptions<LimitKey>): RateLimit {
  const what = checkName("rateLimit", name, '{ limit: 20, per: "1 minute" }')
  const spec = readRateLimitByAnyKey(what, options)
  claim({ kind: "rateLimit", name, id: what, spec })
  return new NamedRateLimit(name, what, spec)
}

class NamedRateLimit implements RateLimit {
  readonly name: string
  readonly #id: string
  readonly #spec: RateLimitSpec<AnyKey>
  readonly #keys: Keys
  #slot: Slot<RateCounts> | undefined

  constructor(name: string, id: string, spec: RateLimitSpec<AnyKey>) {
    this.name = name
    this.#id = id
    this.#spec = spec
    this.#keys = new Keys(id, spec.key)
  }

  take(connection: Connection): boolean {
    const { hash } = names.store
    return !this.#keys.hash(hash, connection) || this.#counts().take(hash.high, hash.low, this.#spec)
  }

  remaining(connection: Connection): number {
    const { hash } = names.store
    if (!this.#keys.hash(hash, connection)) return Number.POSITIVE_INFINITY
    return this.#counts().remaining(hash.high, hash.low, this.#spec)
  }

  #counts(): RateCounts {
    if (this.#slot === undefined || this.#slot.gone) this.#slot = names.rate(this.#id)
    return this.#slot.counts
  }
}
