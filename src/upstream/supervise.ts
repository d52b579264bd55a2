// Everything about pools that waits: checks of their targets, and the DNS for targets that follow it. One fiber for
// each, as long as the pool has the target; nothing here is on the way of a connection.
import { Effect, FiberMap, Random, type Scope } from "effect"
import type { Target } from "../policy/target.ts"
import { parseIp } from "../policy/address.ts"
import type { HealthSpec, TargetSpec } from "../policy/pool.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"
import type { DnsRecord, FollowOptions, Followed } from "./follow.ts"
import type { Member, MemberFacts } from "./member.ts"
import type { Pool } from "./pool.ts"
import type { ProbeFailed } from "./probe-failed.ts"

export interface SuperviseOptions {
  readonly probe: (target: Target, health: HealthSpec, tls: UpstreamTls | undefined) => Effect.Effect<void, ProbeFailed>
  /** Asks the DNS about a target for ever. */
  readonly follow: (source: Followed, exits: Omit<FollowOptions, "dns">) => Effect.Effect<never>
  /** What is wrong with the answers about a target of a pool; `undefined` once nothing is. */
  readonly troubled: (pool: Pool, target: TargetSpec, problem: string | undefined) => void
}

export interface Supervisor {
  /** The pool has other targets or options than before, or is gone. */
  readonly look: (pool: Pool, gone: boolean) => void
}

/** What a fiber was started for: another one is started when this changes. */
interface Watched {
  readonly health: HealthSpec | undefined
  readonly tls: UpstreamTls | undefined
}

export const supervise = ({
  follow,
  probe,
  troubled,
}: SuperviseOptions): Effect.Effect<Supervisor, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberMap.make<string, never, never>()
    const run = yield* FiberMap.runtime(fibers)<never>()
    const watched = new Map<Pool, Map<string, Watched>>()

    return {
      look(pool, gone) {
        const before = watched.get(pool) ?? new Map<string, Watched>()
        const after = new Map<string, Watched>()
        const { health, targets, tls } = pool.spec
        if (!gone) {
          for (const target of targets) {
            const { source } = target
            if (source.kind === "target") continue
            const key = `${pool.name} ${target.url}`
            after.set(key, { health: undefined, tls: undefined })
            if (before.has(key)) continue
            const exits: Omit<FollowOptions, "dns"> = {
              onRecords: (records) =>
                pool.follow(
                  target.url,
                  records.map((record) => factsOf(target, source, record)),
                ),
              onProblem(problem) {
                troubled(pool, target, problem)
                if (problem !== undefined) pool.unanswered(target.url)
              },
            }
            run(key, follow(source, exits))
          }
          for (const member of health === undefined ? [] : pool.members.values()) {
            const key = `${pool.name} check ${member.id}`
            const now = { health, tls }
            after.set(key, now)
            if (!isSame(before.get(key), now)) run(key, check(probe, pool, member, health!))
          }
        }
        for (const key of before.keys()) if (!after.has(key)) Effect.runFork(FiberMap.remove(fibers, key))
        if (gone) watched.delete(pool)
        else watched.set(pool, after)
      },
    }
  })

/** Checks a member for ever. */
const check = (
  probe: SuperviseOptions["probe"],
  pool: Pool,
  member: Member,
  health: HealthSpec,
): Effect.Effect<never> =>
  Effect.gen(function* () {
    let differing = 0
    let isFirst = true
    for (;;) {
      const started = performance.now()
      const failure = yield* probe(member.target, health, pool.spec.tls).pipe(
        Effect.as(undefined),
        Effect.catch(Effect.succeed),
      )
      // What this machine could not ask says nothing about the target.
      if (failure?.isOurs !== true) {
        const problem = failure?.message
        differing = member.healthy === (problem === undefined) ? 0 : differing + 1
        // What nobody knows anything of yet is believed at once.
        const enough = isFirst ? 1 : member.healthy ? health.fall : health.rise
        isFirst = false
        if (differing >= enough) {
          differing = 0
          pool.checked(member, problem)
        } else if (!member.healthy && problem !== undefined) member.problem = problem
      }
      const random = yield* Random.nextBetween(-1, 1)
      const wait = health.interval * (1 + health.jitter * random) - (performance.now() - started)
      yield* Effect.sleep(Math.max(0, wait))
    }
  })

function isSame(a: Watched | undefined, b: Watched): boolean {
  return a !== undefined && Bun.deepEquals(a, b)
}

/** What a target that follows the DNS comes to by one record. */
function factsOf(
  { maxConnections, name, priority, url, weight }: TargetSpec,
  source: Followed,
  record: DnsRecord,
): MemberFacts {
  const { addresses, host, port } = record
  const kind = source.tls ? "tls" : "tcp"
  return {
    id: `${url} ${record.name}`,
    name: `${name}/${record.name}`,
    target: {
      kind,
      url: `${kind}://${record.name}`,
      // Of an address the name is known that it was found by: certificates are for that.
      host: source.kind === "dns" ? source.host : host,
      port,
      ip: parseIp(host),
      ...(addresses.length === 0 ? {} : { addresses }),
    },
    weight: weight * record.weight,
    priority: priority + record.priority,
    maxConnections,
  }
}
