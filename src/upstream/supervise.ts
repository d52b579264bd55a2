// Everything about pools that waits: checks of their targets, and the DNS for targets that follow it. One fiber for
// each, as long as the pool has the target; nothing here is on the way of a connection.
import { Clock, Effect, FiberMap, Random, type Scope } from "effect"
import type { Target } from "../policy/target.ts"
import { parseIp } from "../policy/address.ts"
import type { HealthSpec, PoolSpec, TargetSpec } from "../policy/pool.ts"
import type { DnsRecord, FollowOptions, Followed } from "./follow.ts"
import type { Member, MemberFacts } from "./member.ts"
import type { Pool } from "./pool.ts"
import type { ProbeFailed } from "./probe-failed.ts"

/** 10 s: what has met a bug of ours begins anew, and does not meet it all the time. */
const ANEW = 10_000

/** How a pool's targets are spoken to, by checks as by connections. */
export type Manner = Pick<PoolSpec, "proxyProtocol" | "tls">

export interface SuperviseOptions {
  readonly probe: (target: Target, health: HealthSpec, manner: Manner) => Effect.Effect<void, ProbeFailed>
  /** Asks the DNS about a target for ever. */
  readonly follow: (source: Followed, exits: Omit<FollowOptions, "dns">) => Effect.Effect<never>
  /** What is wrong with the answers about a target of a pool; `undefined` once nothing is. */
  readonly troubled: (pool: Pool, target: TargetSpec, problem: string | undefined) => void
  /** A bug of ours: what was going on begins anew after a while. */
  readonly failed: (error: unknown) => void
}

export interface Supervisor {
  /** The pool has other targets or options than before, or is gone. */
  readonly look: (pool: Pool, gone: boolean) => void
}

/** A check, and what it was started for: another one is started when this changes. */
interface Checking {
  readonly member: Member
  readonly health: HealthSpec
  readonly manner: Manner
}

/** A target that follows the DNS, as the options have it now. */
interface Following {
  target: TargetSpec
  /** What the DNS said last. */
  records: readonly DnsRecord[] | undefined
}

/** What goes on for a pool, by the keys of its fibers. */
interface Watched {
  readonly checks: ReadonlyMap<string, Checking>
  readonly followed: ReadonlyMap<string, Following>
}

/** In a millisecond. */
const NANOSECONDS = 1e6

const NOTHING: Watched = { checks: new Map(), followed: new Map() }

export const supervise = ({
  failed,
  follow,
  probe,
  troubled,
}: SuperviseOptions): Effect.Effect<Supervisor, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberMap.make<string, never, never>()
    const fork = yield* FiberMap.runtime(fibers)<never>()
    const run = (key: string, work: Effect.Effect<never>) => fork(key, lasting(work, failed))
    const watched = new Map<Pool, Watched>()
    const end = (key: string) => Effect.runFork(FiberMap.remove(fibers, key))

    return {
      look(pool, gone) {
        const before = watched.get(pool) ?? NOTHING
        const now = gone ? NOTHING : { checks: checksOf(pool), followed: followedBy(pool, before.followed) }
        // First: the answer to a question that is asked here may come back here.
        if (gone) watched.delete(pool)
        else watched.set(pool, now)
        for (const key of before.followed.keys()) if (!now.followed.has(key)) end(key)
        for (const key of before.checks.keys()) if (!now.checks.has(key)) end(key)
        for (const [key, following] of now.followed) {
          const { source } = following.target
          if (source.kind !== "target" && !before.followed.has(key))
            run(key, follow(source, exitsOf(pool, following, troubled)))
        }
        for (const [key, checking] of now.checks) {
          const old = before.checks.get(key)
          if (!isSame(old, checking)) run(key, check(probe, pool, checking, !asksTheSame(old, checking)))
        }
        for (const target of pool.spec.targets) {
          const following = now.followed.get(followKey(pool, target))
          if (following === undefined || Bun.deepEquals(following.target, target)) continue
          // What the DNS has said is the same, and not asked again.
          following.target = target
          apply(pool, following)
        }
      },
    }
  })

/** Nothing that goes on for a pool ends by itself, and least of all unheard. */
const lasting = (work: Effect.Effect<never>, failed: SuperviseOptions["failed"]): Effect.Effect<never> =>
  Effect.forever(
    Effect.catchDefect(work, (error) =>
      Effect.andThen(
        Effect.sync(() => failed(error)),
        Effect.sleep(ANEW),
      ),
    ),
  )

const followKey = (pool: Pool, target: TargetSpec) => `${pool.name} ${target.url}`

function followedBy(pool: Pool, before: Watched["followed"]): Watched["followed"] {
  const targets = pool.spec.targets.filter(({ source }) => source.kind !== "target")
  return new Map(
    targets.map((target) => {
      const key = followKey(pool, target)
      return [key, before.get(key) ?? { target, records: undefined }]
    }),
  )
}

function checksOf({ members, name, spec }: Pool): Watched["checks"] {
  const { health, proxyProtocol, tls } = spec
  if (health === undefined) return NOTHING.checks
  return new Map(
    Array.from(members.values(), (member) => [
      `${name} check ${member.id}`,
      { member, health, manner: { proxyProtocol, tls } },
    ]),
  )
}

function exitsOf(pool: Pool, following: Following, troubled: SuperviseOptions["troubled"]): Omit<FollowOptions, "dns"> {
  return {
    onRecords(records) {
      following.records = records
      apply(pool, following)
    },
    onProblem(problem) {
      pool.troubled(following.target.url, problem)
      troubled(pool, following.target, problem)
    },
  }
}

/** The pool has what the DNS said last, by the options of now. */
function apply(pool: Pool, { records, target }: Following): void {
  const { source } = target
  if (records === undefined || source.kind === "target") return
  pool.follow(
    target.url,
    records.map((record) => factsOf(target, source, record)),
  )
}

/**
 * Checks a member for ever.
 * @param isNew nothing is known of it by this check: the first answer is believed at once
 */
const check = (
  probe: SuperviseOptions["probe"],
  pool: Pool,
  { health, manner, member }: Checking,
  isNew: boolean,
): Effect.Effect<never> =>
  Effect.gen(function* () {
    let differing = 0
    let isFirst = isNew
    for (;;) {
      const started = yield* Clock.monotonicTimeNanos
      const failure = yield* probe(member.target, health, manner).pipe(
        Effect.as(undefined),
        Effect.catch(Effect.succeed),
      )
      // What this machine could not ask says nothing about the target.
      if (failure?.isOurs !== true) {
        const problem = failure?.message
        differing = member.healthy === (problem === undefined) ? 0 : differing + 1
        const enough = isFirst ? 1 : member.healthy ? health.fall : health.rise
        isFirst = false
        if (differing >= enough) {
          differing = 0
          pool.checked(member, problem)
        } else if (!member.healthy && problem !== undefined) member.problem = problem
      }
      const random = yield* Random.nextBetween(-1, 1)
      const spent = Number((yield* Clock.monotonicTimeNanos) - started) / NANOSECONDS
      const wait = health.interval * (1 + health.jitter * random) - spent
      yield* Effect.sleep(Math.max(0, wait))
    }
  })

/** Whether what the one has found holds for the other: it was asked the same, perhaps at other times. */
function asksTheSame(a: Checking | undefined, b: Checking): boolean {
  return a?.member === b.member && Bun.deepEquals(a.health.check, b.health.check) && Bun.deepEquals(a.manner, b.manner)
}

/** Whether a check that goes on is the one that is wanted. */
function isSame(a: Checking | undefined, b: Checking): boolean {
  return a?.member === b.member && Bun.deepEquals(a.health, b.health) && Bun.deepEquals(a.manner, b.manner)
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
