// Passive health: what connections themselves say of a target. Failures in a row take it out for a growing time, but
// never more of a pool than its share.
import type { PoolSpec } from "../policy/pool.ts"

type Options = NonNullable<PoolSpec["passive"]>

/** What a member's connections have said lately. */
export interface Streak {
  /** Failures since the last good connection. */
  failures: number
  /** How often it was taken out lately: each time is twice as long as the one before. */
  ejections: number
  /** When it comes, or came, back. */
  back: number
}

export function newStreak(): Streak {
  return { failures: 0, ejections: 0, back: 0 }
}

/** A connection to it was good. Returns whether anything was to be forgotten. */
export function forgive(streak: Streak, options: Options, now: number): void {
  streak.failures = 0
  // Good for as long as it was out the last time: that is over.
  if (streak.ejections > 0 && now - streak.back > timeOut(streak.ejections, options)) streak.ejections = 0
}

/** How many of so many may be out at one time. */
export function mostEjected(options: Options | undefined, total: number): number {
  return options === undefined ? 0 : Math.floor(total * options.ejectAtMost)
}

/**
 * A connection to a member that is not out has failed. Returns until when it is out by that; 0 when it is not.
 * @param mayLeave whether the pool can do without it
 */
export function blame(streak: Streak, options: Options, mayLeave: boolean, now: number): number {
  streak.failures++
  // Who has just come back is on probation: one failure is enough.
  const onProbation = streak.ejections > 0 && now - streak.back <= timeOut(streak.ejections, options)
  if (streak.failures < options.failures && !onProbation) return 0
  if (!mayLeave) return 0
  streak.failures = 0
  streak.ejections++
  streak.back = now + timeOut(streak.ejections, options)
  return streak.back
}

/** 30: past that a power of two says nothing more. */
const MOST_DOUBLINGS = 30

function timeOut(ejections: number, { ejectFor, ejectForAtMost }: Options): number {
  return Math.min(ejectForAtMost, ejectFor * 2 ** Math.min(MOST_DOUBLINGS, ejections - 1))
}
