// One connection's way through a pool: which members it has tried, the one that it holds a place at, and what that one
// turned out to be.
import { WAIT, type Attempts } from "./attempts.ts"
import type { Member } from "./member.ts"
import type { Pool } from "./pool.ts"
import { whyNone } from "./status.ts"
import type { Target } from "../policy/target.ts"

const NOBODY: readonly Member[] = []

export class Lease implements Attempts {
  readonly hash: number
  /** Called when a wait is over, with the target or with `undefined` when there is none. */
  private readonly granted: (target: Target | undefined) => void
  private readonly pool: Pool
  private readonly attempts: number
  private made = 0
  member: Member | undefined = undefined
  tried: readonly Member[] = NOBODY
  problem: string | undefined = undefined
  /** What the member is like has been said. */
  private judged = false

  constructor(pool: Pool, hash: number, retries: number | undefined, granted: (target: Target | undefined) => void) {
    this.pool = pool
    this.hash = hash
    this.attempts = 1 + (retries ?? pool.spec.retries ?? Number.MAX_SAFE_INTEGER)
    this.granted = granted
  }

  get more(): boolean {
    return this.pool.allowsRetry() && this.hasOther
  }

  /** Whether there is another one to try, now or when there are retries again. */
  get hasOther(): boolean {
    const { pool } = this
    return this.made < this.attempts && pool.spec.retryBudget > 0 && pool.canPick(this)
  }

  next(): Target | typeof WAIT | undefined {
    this.release()
    if (this.made >= this.attempts) return undefined
    if (this.made > 0 && !this.pool.allowsRetry()) return undefined
    const found = this.pool.pick(this)
    if (found === WAIT) return this.pool.enqueue(this) ? WAIT : this.none("its queue is full")
    return found === undefined ? this.none(undefined) : this.take(found)
  }

  /** Somebody has room: the wait is over. */
  grant(member: Member | undefined): void {
    this.granted(member === undefined ? this.none(undefined) : this.take(member))
  }

  connected(milliseconds: number): void {
    if (this.member !== undefined) this.pool.measured(this.member, milliseconds)
  }

  spoke(): void {
    if (this.member !== undefined && !this.judged) this.judge(false)
  }

  failed(): void {
    if (this.member !== undefined && !this.judged) this.judge(true)
  }

  release(): void {
    const { member } = this
    if (member === undefined) return this.pool.leave(this)
    this.member = undefined
    this.pool.freed(member, this.judged)
  }

  private take(member: Member): Target {
    if (this.made > 0) this.pool.retried()
    this.made++
    this.judged = false
    this.member = member
    this.tried = this.tried.length === 0 ? [member] : [...this.tried, member]
    this.pool.taken(member)
    return member.target
  }

  private none(why: string | undefined): undefined {
    if (this.made === 0) this.problem = whyNone(this.pool, why)
    return undefined
  }

  private judge(failed: boolean): void {
    this.judged = true
    this.pool.judge(this.member!, failed)
  }
}
