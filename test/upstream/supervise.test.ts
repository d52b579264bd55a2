// What goes on for pools beside their connections: from when until when, and by which options.
import { expect, jest, test } from "bun:test"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { parsePoolTarget } from "../../src/policy/pool-target.ts"
import type { PoolSpec, TargetSpec } from "../../src/policy/pool.ts"
import type { DnsRecord } from "../../src/upstream/follow.ts"
import { Pools } from "../../src/upstream/pools.ts"
import { supervise, type SuperviseOptions } from "../../src/upstream/supervise.ts"
import { poolSpec, targetSpec, testPool } from "../helper/pools.ts"

type Exits = Parameters<SuperviseOptions["follow"]>[1]

interface World {
  readonly pools: Pools
  /** What is followed now. */
  readonly followed: Map<string, Exits>
  /** How often each was begun to be followed. */
  readonly begun: string[]
  /** What is checked now. */
  readonly checked: Set<string>
  readonly said: unknown[]
  readonly apply: (...specs: PoolSpec[]) => void
}

/** Goes on until it is interrupted. */
const until = (begin: () => void, end: () => void) =>
  Effect.acquireUseRelease(
    Effect.sync(begin),
    () => Effect.never,
    () => Effect.sync(end),
  )

/** Runs the body with pools that are looked after, and afterwards expects that nothing goes on. */
async function supervising(body: (world: World) => void): Promise<void> {
  const followed = new Map<string, Exits>()
  const begun: string[] = []
  const checked = new Set<string>()
  const said: unknown[] = []
  const program = Effect.gen(function* () {
    const supervisor = yield* supervise({
      probe: ({ url }) =>
        until(
          () => checked.add(url),
          () => checked.delete(url),
        ),
      follow(source, exits) {
        const name = source.kind === "dns" ? source.host : source.service
        return until(
          () => {
            begun.push(name)
            followed.set(name, exits)
          },
          () => followed.delete(name),
        )
      },
      failed: (error) => said.push(String(error)),
      troubled: (pool, target, problem) => said.push([pool.name, target.name, problem]),
    })
    const pools: Pools = new Pools({
      changed: () => undefined,
      leave: () => undefined,
      members: (pool) => supervisor.look(pool, pools.find(pool.name) !== pool),
    })
    body({
      pools,
      followed,
      begun,
      checked,
      said,
      apply: (...specs) => pools.apply(new Map(specs.map((spec) => [spec.name, spec]))),
    })
    pools.close()
  })
  await Effect.runPromise(Effect.scoped(program))
  expect([[...followed.keys()], [...checked]]).toEqual([[], []])
}

const DNS = "dns://db.internal:5432"
const SRV = "srv://_db._tcp.internal"

const followedSpec = (url: string, options: Partial<TargetSpec> = {}, tls = false): TargetSpec => ({
  ...targetSpec("tcp://placeholder:1"),
  name: url,
  ...parsePoolTarget(url, tls),
  ...options,
})

const record = (host: string, port: number, more: Partial<DnsRecord> = {}): DnsRecord => ({
  name: `${host}:${port}`,
  host,
  port,
  addresses: [],
  weight: 1,
  priority: 0,
  ...more,
})

const membersOf = (pools: Pools, name = "db") => [...pools.find(name)!.members.values()]

test("a target is followed once, over reloads, until the pool has it no more", () =>
  supervising(({ apply, begun, followed, pools }) => {
    apply(poolSpec([followedSpec(DNS), followedSpec(SRV)]), poolSpec([followedSpec(DNS)], { name: "other" }))
    expect(begun).toEqual(["db.internal", "_db._tcp.internal", "db.internal"])
    followed.get("_db._tcp.internal")!.onRecords([record("db-1", 5432)])
    const [member] = membersOf(pools)
    apply(poolSpec([followedSpec(SRV)]), poolSpec([followedSpec(DNS)], { name: "other" }))
    expect(membersOf(pools)[0]).toBe(member!)
    expect(begun).toHaveLength(3)
    apply(poolSpec(1), poolSpec(1, { name: "other" }))
    expect([...followed]).toEqual([])
    apply(poolSpec([followedSpec(SRV)]), poolSpec(1, { name: "other" }))
    expect([...followed.keys()]).toEqual(["_db._tcp.internal"])
  }))

test("a pool that nobody names is followed and checked for another minute", async () => {
  jest.useFakeTimers()
  try {
    await supervising(({ apply, checked, followed }) => {
      apply(poolSpec([followedSpec(DNS), "tcp://10.0.0.1:5432"]))
      expect([[...followed.keys()], [...checked]]).toEqual([["db.internal"], ["tcp://10.0.0.1:5432"]])
      apply()
      jest.advanceTimersByTime(59_999)
      expect(followed.size + checked.size).toBe(2)
      jest.advanceTimersByTime(1)
      expect(followed.size + checked.size).toBe(0)
    })
  } finally {
    jest.useRealTimers()
  }
})

test("what a target's options say counts for what the DNS has said already", () =>
  supervising(({ apply, begun, followed, pools }) => {
    apply(poolSpec([followedSpec(SRV)]))
    followed
      .get("_db._tcp.internal")!
      .onRecords([record("db-1", 5432, { weight: 2, priority: 1 }), record("db-2", 5433)])
    const before = membersOf(pools)
    const options = { name: "main", weight: 10, priority: 3, maxConnections: 7 }
    apply(poolSpec([followedSpec(SRV, options, true), followedSpec(DNS, options)]))
    const after = membersOf(pools)
    expect(after).toEqual(before)
    expect(
      after.map(({ maxConnections, name, priority, target, weight }) => [
        name,
        target.url,
        weight,
        priority,
        maxConnections,
      ]),
    ).toEqual([
      ["main/db-1:5432", "tls://db-1:5432", 20, 4, 7],
      ["main/db-2:5433", "tls://db-2:5433", 10, 3, 7],
    ])
    // It holds for what the DNS says next.
    followed.get("_db._tcp.internal")!.onRecords([record("db-3", 5432)])
    expect(membersOf(pools)).toMatchObject([{ name: "main/db-3:5432", weight: 10 }])
    expect(begun).toHaveLength(2)
  }))

test("members are checked from when the DNS has them until it has them no more", () =>
  supervising(({ apply, checked, followed }) => {
    apply(poolSpec([followedSpec(DNS)]))
    const { onRecords } = followed.get("db.internal")!
    onRecords([record("10.0.0.1", 5432), record("10.0.0.2", 5432)])
    expect([...checked]).toEqual(["tcp://10.0.0.1:5432", "tcp://10.0.0.2:5432"])
    onRecords([record("10.0.0.3", 5432), record("10.0.0.2", 5432)])
    expect([...checked].sort()).toEqual(["tcp://10.0.0.2:5432", "tcp://10.0.0.3:5432"])
    apply(poolSpec([followedSpec(DNS)], { health: undefined }))
    expect([...checked]).toEqual([])
  }))

test("trouble is told by the name of now", () =>
  supervising(({ apply, followed, pools, said }) => {
    apply(poolSpec([followedSpec(DNS)]))
    const { onProblem } = followed.get("db.internal")!
    onProblem("db.internal: SERVFAIL")
    expect([...pools.find("db")!.troubles.values()]).toEqual(["db.internal: SERVFAIL"])
    apply(poolSpec([followedSpec(DNS, { name: "main" })]))
    onProblem(undefined)
    expect(said).toEqual([
      ["db", DNS, "db.internal: SERVFAIL"],
      ["db", "main", undefined],
    ])
    expect(pools.find("db")!.troubles.size).toBe(0)
  }))

test("a bug of ours is told, and does not end what goes on for a pool", () => {
  let met = 0
  const said: unknown[] = []
  const program = Effect.gen(function* () {
    const supervisor = yield* supervise({
      probe: () => Effect.void,
      follow: () =>
        Effect.suspend(() => {
          if (met++ < 2) throw new Error("met")
          return Effect.never
        }),
      troubled: () => undefined,
      failed: (error) => said.push(String(error)),
    })
    supervisor.look(testPool(poolSpec([followedSpec(DNS)])).pool, false)
    expect([met, said]).toEqual([1, ["Error: met"]])
    yield* TestClock.adjust(10_000)
    expect([met, said]).toEqual([2, ["Error: met", "Error: met"]])
    yield* TestClock.adjust(100_000)
    expect([met, said.length]).toEqual([3, 2])
  })
  return Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(TestClock.layer())))
})
