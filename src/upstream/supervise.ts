// Everything about pools that waits: checks of their targets, and the DNS for targets that follow it. One fiber for
// each, as long as the pool has the target; nothing here is on the way of a connection.
import { Effect, FiberMap, Random, type Scope } from "effect"
import type { Target } from "../policy/target.ts"
import { parseTarget } from "../policy/target.ts"
import type { HealthSpec, TargetSpec } from "../policy/pool.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"
import type { Member, MemberFacts } from "./member.ts"
import type { Pool } from "./pool.ts"
import type { ProbeFailed } from "./probe-failed.ts"

/** One address or name that a target that follows the DNS stands for now. */
export interface FoundTarget {
  /** An address or a host name. */
  readonly host: string
  readonly port: number
  /** Of the record; 1 where records have none. */
  readonly weight: number
  readonly priority: number
}

export interface SuperviseOptions {
  readonly probe: (target: Target, health: HealthSpec, tls: UpstreamTls | undefined) => Effect.Effect<void, ProbeFailed>
  /** Goes on for ever: calls `found` with every answer that differs, `lost` when there is none to begin with. */
  readonly follow: (
    source: Exclude<TargetSpec["source"], { kind: "target" }>,
    exits: { readonly found: (targets: readonly FoundTarget[]) => void; readonly lost: (problem: string) => void },
  ) => Effect.Effect<never>
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

export const supervise = ({ follow, probe }: SuperviseOptions): Effect.Effect<Supervisor, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberMap.make<string, never, never>()
    const run = yield* FiberMap.runtime(fibers)<never>()
    const watched = new Map<Pool, Map<string, Watched>>()

    const check = (pool: Pool, member: Member, health: HealthSpec): Effect.Effect<never> =>
      Effect.gen(function* () {
        let differing = 0
        let isFirst = true
        for (;;) {
          const started = performance.now()
          const problem = yield* probe(member.target, health, pool.spec.tls).pipe(
            Effect.as(undefined),
            Effect.catch((error) => Effect.succeed(error.message)),
          )
          differing = member.healthy === (problem === undefined) ? 0 : differing + 1
          // What nobody knows anything of yet is believed at once.
          const enough = isFirst ? 1 : member.healthy ? health.fall : health.rise
          if (differing >= enough) {
            differing = 0
            pool.checked(member, problem)
          } else if (!member.healthy && problem !== undefined) member.problem = problem
          isFirst = false
          const random = yield* Random.nextBetween(-1, 1)
          const wait = health.interval * (1 + health.jitter * random) - (performance.now() - started)
          yield* Effect.sleep(Math.max(0, wait))
        }
      })

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
            const exits = {
              found: (found: readonly FoundTarget[]) =>
                pool.follow(
                  target.url,
                  found.map((each) => factsOf(target, each)),
                ),
              lost: () => pool.unanswered(target.url),
            }
            run(key, follow(source, exits))
          }
          for (const member of health === undefined ? [] : pool.members.values()) {
            const key = `${pool.name} check ${member.id}`
            const now = { health, tls }
            after.set(key, now)
            if (!isSame(before.get(key), now)) run(key, check(pool, member, health!))
          }
        }
        for (const key of before.keys()) if (!after.has(key)) Effect.runFork(FiberMap.remove(fibers, key))
        if (gone) watched.delete(pool)
        else watched.set(pool, after)
      },
    }
  })

function isSame(a: Watched | undefined, b: Watched): boolean {
  return a !== undefined && Bun.deepEquals(a, b)
}

/** What of a target that follows the DNS an answer stands for. */
function factsOf({ maxConnections, name, priority, source, url, weight }: TargetSpec, found: FoundTarget): MemberFacts {
  const tls = source.kind !== "target" && source.tls
  const plain = parseTarget(`tcp://${found.host.includes(":") ? `[${found.host}]` : found.host}:${found.port}`)
  if (plain.kind === "unix") throw new Error("a record that names a path")
  const at = plain.url.slice("tcp://".length)
  return {
    id: `${url} ${at}`,
    name: `${name}/${at}`,
    // What is verified is the name that was asked for where the answer is an address.
    target: tls
      ? { ...plain, kind: "tls", url: `tls://${at}`, host: source.kind === "dns" ? source.host : plain.host }
      : plain,
    weight: weight * found.weight,
    priority: priority + found.priority,
    maxConnections,
  }
}
