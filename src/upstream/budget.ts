// How many retries a pool may still make: each connection earns a share of one, so that a pool whose targets fail is
// asked a bounded part more, whatever the connections ask for.

/** 10 retries a second are always allowed: a pool with few connections is not to do without. */
const ALWAYS_PER_SECOND = 10
/** 500 saved up: what a fifth of 2,000 connections a second earns in a little more than one. */
const MOST_SAVED = 500

export class RetryBudget {
  /** Retries per connection. */
  share: number
  private saved = ALWAYS_PER_SECOND
  private refilledAt: number

  constructor(share: number, now: number) {
    this.share = share
    this.refilledAt = now
  }

  /** A connection has come. */
  earn(): void {
    this.saved = Math.min(MOST_SAVED, this.saved + this.share)
  }

  /** Whether there is one left. With a share of 0 there never is. */
  has(now: number): boolean {
    if (this.share === 0) return false
    const earned = ((now - this.refilledAt) / 1000) * ALWAYS_PER_SECOND
    this.refilledAt = now
    // What time brings is not saved beyond a second's worth.
    if (this.saved < ALWAYS_PER_SECOND) this.saved = Math.min(ALWAYS_PER_SECOND, this.saved + earned)
    return this.saved >= 1
  }

  /** Half of what there is: for retries that can wait. */
  get spare(): number {
    return this.share === 0 ? 0 : Math.floor(this.saved / 2)
  }

  /** Spends one. */
  spend(): void {
    this.saved--
  }
}
