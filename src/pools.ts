// The pools of a running gateway: the registry, the checks and the DNS beside it, and what is said of them.
import { Effect, type Scope } from "effect"
import { limitIds } from "./connection/pool-limits.ts"
import { LeavingTargets, type LeavingOptions } from "./leaving-targets.ts"
import { names } from "./limit/names.ts"
import type { PoolSpec, TargetSpec } from "./policy/pool.ts"
import type { Log } from "./observe/log.ts"
import { span } from "./observe/events.ts"
import type { Member } from "./upstream/member.ts"
import type { MemberChange, Pool } from "./upstream/pool.ts"
import { Pools } from "./upstream/pools.ts"
import { supervise, type SuperviseOptions } from "./upstream/supervise.ts"

export interface OpenPoolsOptions extends Omit<SuperviseOptions, "troubled">, LeavingOptions {
  readonly log: Log
}

export interface OpenPools {
  readonly registry: Pools
  readonly apply: (specs: ReadonlyMap<string, PoolSpec>) => void
}

export const openPools = (options: OpenPoolsOptions): Effect.Effect<OpenPools, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { log } = options
    const leaving = new LeavingTargets(options)
    const supervisor = yield* supervise({ ...options, troubled: (...trouble) => reportTrouble(log, ...trouble) })
    const pools: Pools = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Pools({
            changed: (pool, member, change) => report(log, pool, member, change),
            leave: (pool, member, who) => leaving.leave(pool, member, who),
            members: (pool) => supervisor.look(pool, pools.find(pool.name) !== pool),
          }),
      ),
      (pools) => Effect.sync(() => pools.close()),
    )
    return {
      registry: pools,
      apply(specs) {
        pools.apply(specs)
        names.keep(pools, [...specs.values()].flatMap(limitIds))
      },
    }
  })

function report(log: Log, pool: Pool, member: Member, change: MemberChange): void {
  const name = `pool ${pool.name}: ${member.name}`
  const fields = { pool: pool.name, target: member.target.url, change }
  switch (change) {
    case "up":
      return log.info(`${name} is up again`, fields)
    case "down":
      return log.warn(`${name} is down: ${member.problem}`, fields)
    case "ejected": {
      const out = span(member.ejectedUntil - performance.now())
      return log.warn(`${name} is out for ${out}: its last connections failed`, fields)
    }
    case "returned":
      return log.info(`${name} is in again`, fields)
    case "breaker-open":
      return log.warn(`${name}: its breaker is open for ${span(pool.spec.breaker?.openFor ?? 0)}`, fields)
    case "breaker-closed":
      return log.info(`${name}: its breaker is closed again`, fields)
  }
}

function reportTrouble(log: Log, pool: Pool, target: TargetSpec, problem: string | undefined): void {
  const name = `pool ${pool.name}: ${target.name}`
  const fields = { pool: pool.name, target: target.url }
  if (problem === undefined) return log.info(`${name}: the DNS answers again`, fields)
  const kept = [...pool.members.keys()].some((id) => id.startsWith(`${target.url} `))
  log.warn(`${name}: ${problem}${kept ? "; the last answer stands" : ""}`, fields)
}
