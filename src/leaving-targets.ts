// Targets of pools that fail: their connections go elsewhere, by and by where the pool has not enough retries for all of
// them at once.
import type { Left } from "./connection/leave-member.ts"
import type { Log } from "./observe/log.ts"
import type { Member } from "./upstream/member.ts"
import type { Leaving, Pool } from "./upstream/pool.ts"

/** 100 ms until those for whom there was no retry are looked at again: at 2,000 connections a second there are 40 more. */
const AGAIN = 100

export interface LeavingOptions {
  readonly log: Pick<Log, "info" | "warn">
  /** Sends connections of a target elsewhere, or closes them. */
  readonly leave: (member: Member, who: Leaving, why: string) => Left
}

export class LeavingTargets {
  private readonly options: LeavingOptions
  /** Members that are looked at again. */
  private readonly waiting = new Map<Member, Leaving>()

  constructor(options: LeavingOptions) {
    this.options = options
  }

  leave(pool: Pool, member: Member, who: Leaving): void {
    if (!this.waiting.has(member)) this.go(pool, member, who, 0)
    // What checks say goes before what connections say: it concerns more of them.
    else if (who !== "attempts") this.waiting.set(member, who)
  }

  /** @param before how many have gone already */
  private go(pool: Pool, member: Member, who: Leaving, before: number): void {
    const { leave, log } = this.options
    const why = who === "attempts" ? "its last connections failed" : `it fails its checks: ${member.problem}`
    const { closed, moved, waiting } = leave(member, who, why)
    if (closed > 0)
      log.warn(`pool ${pool.name}: ${member.name}: closed ${counted(closed)}, because it fails its checks`)
    if (waiting === 0) return this.gone(pool, member, before + moved)
    this.waiting.set(member, who)
    setTimeout(() => this.goOn(pool, member, before + moved), AGAIN).unref()
  }

  private goOn(pool: Pool, member: Member, before: number): void {
    const who = this.waiting.get(member)!
    this.waiting.delete(member)
    if (member.healthy && member.ejectedUntil === 0) this.gone(pool, member, before)
    else this.go(pool, member, who, before)
  }

  private gone(pool: Pool, { name }: Member, moved: number): void {
    if (moved === 0) return
    this.options.log.info(`pool ${pool.name}: ${name}: ${counted(moved)} that had not heard from it went elsewhere`)
  }
}

function counted(connections: number): string {
  return connections === 1 ? "1 connection" : `${connections} connections`
}
