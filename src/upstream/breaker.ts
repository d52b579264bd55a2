// A circuit breaker: stops asking a target of which too large a share of attempts fails, then lets single attempts try.
import type { PoolSpec } from "../policy/pool.ts"

type Options = NonNullable<PoolSpec["breaker"]>

/** 10 parts of the window: what is older than it goes in steps of a tenth. */
const PARTS = 10

export class Breaker {
  private readonly options: Options
  private readonly attempts = new Uint32Array(PARTS)
  private readonly failures = new Uint32Array(PARTS)
  private part = 0
  /** On the clock of `performance.now()`; 0 while it is closed. */
  openUntil = 0

  constructor(options: Options) {
    this.options = options
  }

  /** Whether its time is over, so that one attempt may try. */
  isTrying(now: number): boolean {
    return this.openUntil > 0 && now >= this.openUntil
  }

  isOpen(now: number): boolean {
    return this.openUntil > now
  }

  /** An attempt has ended. Returns whether this opened or closed it. */
  record(failed: boolean, now: number): boolean {
    if (this.openUntil > 0) {
      // What began before it opened says nothing about now.
      if (now < this.openUntil) return false
      this.attempts.fill(0)
      this.failures.fill(0)
      this.openUntil = failed ? now + this.options.openFor : 0
      return true
    }
    this.turn(now)
    const at = this.part % PARTS
    this.attempts[at]!++
    if (!failed) return false
    this.failures[at]!++
    const attempts = sum(this.attempts)
    if (attempts < this.options.attempts || sum(this.failures) < attempts * this.options.failures) return false
    this.openUntil = now + this.options.openFor
    return true
  }

  private turn(now: number): void {
    const part = Math.floor(now / (this.options.window / PARTS))
    const gone = Math.min(PARTS, part - this.part)
    for (let i = 1; i <= gone; i++) {
      this.attempts[(part - gone + i) % PARTS] = 0
      this.failures[(part - gone + i) % PARTS] = 0
    }
    this.part = part
  }
}

function sum(counts: Uint32Array): number {
  let total = 0
  for (let i = 0; i < PARTS; i++) total += counts[i]!
  return total
}
