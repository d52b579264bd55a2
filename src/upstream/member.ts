// One target of a pool over time: an address that can be dialled, and everything that is known of it. A plain object:
// picks read it on every connection.
import type { Target } from "../policy/target.ts"
import type { Breaker } from "./breaker.ts"
import { newStreak } from "./ejection.ts"

/** What a member is made of; comes anew with every configuration and every answer of the DNS. */
export interface MemberFacts {
  /** Names it in its pool, over reloads. */
  readonly id: string
  /** How people call it. */
  readonly name: string
  readonly target: Target
  readonly weight: number
  readonly priority: number
  readonly maxConnections: number
}

/** The tenth of its weight that a target starts with where there is a slow start: with nothing it would never be picked. */
const FIRST_SHARE = 0.1

export class Member {
  readonly id: string
  name: string
  target: Target
  weight: number
  priority: number
  maxConnections: number
  /** Connections and attempts that it has now. */
  active = 0
  /** Attempts and failed attempts since the start. */
  attempts = 0
  failures = 0
  /** What active checks say; without checks always true. */
  healthy = true
  /** Why it is not healthy. */
  problem: string | undefined = undefined
  /** Until when it is out by its failures; 0 when it is not. On the clock of `performance.now()`, like all times here. */
  ejectedUntil = 0
  readonly streak = newStreak()
  breaker: Breaker | undefined = undefined
  /** Its breaker lets one attempt try, and that is under way. */
  trying = false
  /** No longer in the pool: it only drains. */
  removed = false
  /** Slow start: when it began and ends; equal when there is none. */
  risingFrom = 0
  risenAt = 0
  /** Decayed average of connect times in milliseconds, and when it was last measured; 0 before the first. */
  latency = 0
  measuredAt = 0
  /** When `latency` last picked it. */
  triedAt = 0
  /** Place in a smooth round-robin. */
  turn = 0

  constructor(facts: MemberFacts) {
    this.id = facts.id
    this.name = facts.name
    this.target = facts.target
    this.weight = facts.weight
    this.priority = facts.priority
    this.maxConnections = facts.maxConnections
  }

  /** It is in its pool, with what is said of it now. What is known of it stays. */
  become({ maxConnections, name, priority, target, weight }: MemberFacts): void {
    this.removed = false
    this.name = name
    this.target = target
    this.weight = weight
    this.priority = priority
    this.maxConnections = maxConnections
  }

  /** Its breaker has other options from now on, or none. */
  dropBreaker(): void {
    this.breaker = undefined
    this.trying = false
  }

  /** Whether it takes one more connection. */
  get hasRoom(): boolean {
    return this.active < this.maxConnections && !this.trying
  }

  /** The weight that counts now. */
  weightAt(now: number): number {
    if (now >= this.risenAt) return this.weight
    const risen = (now - this.risingFrom) / (this.risenAt - this.risingFrom)
    return this.weight * Math.max(FIRST_SHARE, risen)
  }
}
