// A pool as people see it, in `tidegate status` and in the events of connections that it has nothing for.
import type { Member } from "./member.ts"
import type { Pool } from "./pool.ts"

export interface TargetStatus {
  readonly name: string
  readonly target: string
  /**
   * up: takes connections. down: fails its checks. ejected: its last connections failed. open: its breaker is open.
   * off: its weight is 0.
   */
  readonly state: "up" | "down" | "ejected" | "open" | "off"
  /** Why it is down. */
  readonly problem?: string | undefined
  readonly weight: number
  readonly priority: number
  /** Connections and attempts now, and attempts and failed ones since it came. */
  readonly active: number
  readonly attempts: number
  readonly failures: number
  /** Decayed average of connect times in milliseconds; `undefined` before the first. */
  readonly connectMs?: number | undefined
}

/** A target that follows the DNS, where that is in trouble: what the DNS said last stands. */
export interface DnsStatus {
  readonly name: string
  readonly problem: string
}

export interface PoolStatus {
  readonly name: string
  readonly balance: string
  /** Connections that wait for a place. */
  readonly queued: number
  /** Attempts after a first one, since the start. */
  readonly retries: number
  readonly targets: readonly TargetStatus[]
  readonly dns: readonly DnsStatus[]
}

export function poolStatus(pool: Pool): PoolStatus {
  const now = performance.now()
  return {
    name: pool.name,
    balance: pool.spec.balance,
    queued: pool.queued,
    retries: pool.retries,
    targets: [...pool.members.values()].map((member) => targetStatus(member, now)),
    dns: pool.spec.targets.flatMap((target) => {
      const problem = pool.troubleOf(target)
      return problem === undefined ? [] : [{ name: target.name, problem }]
    }),
  }
}

function targetStatus(member: Member, now: number): TargetStatus {
  return {
    name: member.name,
    target: member.target.url,
    state: stateOf(member, now),
    problem: member.healthy ? undefined : member.problem,
    weight: member.weight,
    priority: member.priority,
    active: member.active,
    attempts: member.attempts,
    failures: member.failures,
    connectMs: member.measuredAt === 0 ? undefined : Math.round(member.latency * 100) / 100,
  }
}

function stateOf(member: Member, now: number): TargetStatus["state"] {
  if (member.weight === 0) return "off"
  if (!member.healthy) return "down"
  if (member.ejectedUntil > 0) return "ejected"
  return member.breaker?.isOpen(now) === true ? "open" : "up"
}

/**
 * Why no member can be had.
 * @param why what is known besides
 */
export function whyNone({ members, name, troubles }: Pool, why: string | undefined): string {
  const all = [...members.values()]
  const now = performance.now()
  const counts = {
    unhealthy: all.filter(({ healthy }) => !healthy).length,
    ejected: all.filter(({ ejectedUntil }) => ejectedUntil > 0).length,
    "with an open breaker": all.filter(({ breaker }) => breaker?.isOpen(now) === true).length,
    "of weight 0": all.filter(({ weight }) => weight === 0).length,
  }
  const said = Object.entries(counts).flatMap(([state, count]) => (count > 0 ? [`${count} ${state}`] : []))
  if (why !== undefined) said.unshift(why)
  else if (all.length === 0) said.unshift("it has no targets now")
  // The others are in the status.
  said.push(...[...troubles.values()].slice(0, 1))
  return `pool ${name}: no target can be used${said.length === 0 ? "" : `: ${said.join(", ")}`} (${all.length} in all)`
}
