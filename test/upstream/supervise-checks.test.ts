// Checks over time: when a target is asked, what its answers come to, and that nothing goes on for nobody. The clock is
// the test's, and so are the answers.
import { expect, test } from "bun:test"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { HealthSpec, PoolSpec } from "../../src/policy/pool.ts"
import { failed } from "../../src/upstream/probe-failed.ts"
import { Pools } from "../../src/upstream/pools.ts"
import { supervise } from "../../src/upstream/supervise.ts"
import { HEALTH, poolSpec } from "../helper/pools.ts"

const A = "tcp://10.0.0.1:5432"
const B = "tcp://10.0.0.2:5432"

/** What a target says from now on: nothing is wrong, this is, nothing is but it takes so long, or it never answers. */
type Answer = "well" | "hangs" | { readonly wrong: string } | { readonly wellAfter: number }

const REFUSED: Answer = { wrong: "refused" }

interface World {
  readonly pools: Pools
  /** `"well"` unless a test says otherwise. */
  readonly answers: Map<string, Answer>
  /** Who was asked, and when. */
  readonly asked: { readonly url: string; readonly at: number }[]
  /** Who is being asked now. */
  readonly asking: string[]
  /** `change url`, in order. */
  readonly changes: string[]
  readonly apply: (...specs: PoolSpec[]) => void
}

/** Runs the body, and expects afterwards that nobody is asked any more. */
async function checking(body: (world: World) => Effect.Effect<void>): Promise<void> {
  const answers: World["answers"] = new Map()
  const asked: World["asked"] = []
  const asking: string[] = []
  const changes: string[] = []
  const answerOf = (url: string) => {
    const answer = answers.get(url) ?? "well"
    if (answer === "well") return Effect.void
    if (typeof answer === "object" && "wellAfter" in answer) return Effect.sleep(answer.wellAfter)
    return answer === "hangs" ? Effect.never : Effect.fail(failed(answer.wrong))
  }
  const program = Effect.gen(function* () {
    const supervisor = yield* supervise({
      probe: ({ url }) =>
        Effect.acquireUseRelease(
          Effect.map(Clock.currentTimeMillis, (at) => {
            asked.push({ url, at })
            asking.push(url)
          }),
          () => answerOf(url),
          () => Effect.sync(() => asking.splice(asking.indexOf(url), 1)),
        ),
      follow: () => Effect.never,
      troubled: () => undefined,
      failed: (error) => {
        throw error
      },
    })
    const pools: Pools = new Pools({
      changed: (_, { id }, change) => changes.push(`${change} ${id}`),
      leave: () => undefined,
      members: (pool) => supervisor.look(pool, pools.find(pool.name) !== pool),
    })
    const apply = (...specs: PoolSpec[]) => pools.apply(new Map(specs.map((spec) => [spec.name, spec])))
    yield* body({ pools, answers, asked, asking, changes, apply })
    pools.close()
  })
  await Effect.runPromise(Effect.provide(Effect.scoped(program), TestClock.layer()))
  expect(asking).toEqual([])
}

const health = (options: Partial<HealthSpec>) => ({ health: { ...HEALTH, interval: 1000, ...options } })
const timesOf = (asked: World["asked"], url: string) => asked.flatMap((each) => (each.url === url ? [each.at] : []))
const pass = (milliseconds: number) => TestClock.adjust(milliseconds)

test("a target is asked at once and then at its interval, and the first answer decides", () =>
  checking(({ answers, apply, asked, changes, pools }) =>
    Effect.gen(function* () {
      answers.set(A, REFUSED)
      apply(poolSpec([A, B], health({ fall: 3 })))
      yield* pass(0)
      expect(asked.map(({ url }) => url)).toEqual([A, B])
      expect(changes).toEqual([`down ${A}`])
      yield* pass(999)
      expect(asked).toHaveLength(2)
      yield* pass(3001)
      expect(timesOf(asked, B)).toEqual([0, 1000, 2000, 3000, 4000])
      expect(pools.find("db")!.members.get(A)).toMatchObject({ healthy: false, problem: "refused" })
    }),
  ))

test("as many answers in a row as the pool says change what is known; others in between start anew", () =>
  checking(({ answers, apply, changes, pools }) =>
    Effect.gen(function* () {
      const says = (...said: Answer[]) =>
        Effect.forEach(said, (answer) => {
          answers.set(A, answer)
          return pass(1000)
        })
      apply(poolSpec([A], health({ rise: 2, fall: 3 })))
      yield* pass(0)
      yield* says(REFUSED, REFUSED, "well", REFUSED, REFUSED)
      expect(changes).toEqual([])
      yield* says(REFUSED)
      expect(changes).toEqual([`down ${A}`])
      yield* says("well", { wrong: "no answer" }, "well")
      expect(changes).toHaveLength(1)
      // Why it is down is what it said last.
      expect(pools.find("db")!.members.get(A)!.problem).toBe("no answer")
      yield* says("well")
      expect(changes).toEqual([`down ${A}`, `up ${A}`])
      expect(pools.find("db")!.members.get(A)!.problem).toBeUndefined()
    }),
  ))

test("checks come earlier and later by up to their jitter, and targets do not stay in step", () =>
  checking(({ apply, asked }) =>
    Effect.gen(function* () {
      apply(poolSpec([A, B], health({ jitter: 0.2 })))
      yield* pass(0)
      for (let step = 0; step < 2000; step++) yield* pass(100)
      const gaps = [A, B].map((url) => {
        const times = timesOf(asked, url)
        return times.slice(1).map((at, i) => at - times[i]!)
      })
      for (const gap of gaps.flat()) {
        expect(gap).toBeGreaterThanOrEqual(799)
        expect(gap).toBeLessThanOrEqual(1201)
      }
      const [some, others] = gaps as [number[], number[]]
      expect(Math.min(...some)).toBeLessThan(900)
      expect(Math.max(...some)).toBeGreaterThan(1100)
      expect(some.slice(0, 20)).not.toEqual(others.slice(0, 20))
    }),
  ))

test("a check that took part of its interval leaves the rest; one that took more is followed by the next at once", () =>
  checking(({ answers, apply, asked }) =>
    Effect.gen(function* () {
      answers.set(A, { wellAfter: 600 })
      answers.set(B, { wellAfter: 1500 })
      apply(poolSpec([A, B], health({})))
      yield* pass(4600)
      expect(timesOf(asked, A)).toEqual([0, 1000, 2000, 3000, 4000])
      expect(timesOf(asked, B)).toEqual([0, 1500, 3000, 4500])
    }),
  ))

test("a probe that never ends is over as soon as its target, its pool or everything is", () =>
  checking(({ answers, apply, asking }) =>
    Effect.gen(function* () {
      for (const url of [A, B]) answers.set(url, "hangs")
      apply(poolSpec([A, B]), poolSpec([A], { name: "other" }))
      yield* pass(0)
      expect(asking).toEqual([A, B, A])
      apply(poolSpec([B]), poolSpec([A], { name: "other" }))
      yield* pass(0)
      expect(asking.toSorted()).toEqual([A, B])
      apply(poolSpec([B], { health: undefined }), poolSpec([A], { name: "other" }))
      yield* pass(0)
      expect(asking).toEqual([A])
    }),
  ))

test("a reload asks anew only who is to be asked otherwise, and believes the first answer only to another question", () =>
  checking(({ answers, apply, asked, changes }) =>
    Effect.gen(function* () {
      const spec = (options: Partial<HealthSpec>, more: Partial<PoolSpec> = {}) =>
        poolSpec([A], { ...health({ interval: 1000, fall: 3, rise: 2, ...options }), ...more })
      apply(spec({}))
      yield* pass(500)
      // The same, with other weights, limits and what else a pool has.
      apply(spec({}, { balance: "random-two", retryBudget: 1, slowStart: 7 }))
      yield* pass(0)
      expect(timesOf(asked, A)).toEqual([0])
      // Asked more often: at once, but one bad answer is no more than before.
      answers.set(A, REFUSED)
      apply(spec({ interval: 700 }))
      yield* pass(0)
      expect([timesOf(asked, A), changes]).toEqual([[0, 500], []])
      // Another question: nothing is known.
      apply(spec({ interval: 700, check: { redis: {} } }))
      yield* pass(0)
      expect([timesOf(asked, A), changes]).toEqual([[0, 500, 500], [`down ${A}`]])
      // The same question in another manner.
      answers.set(A, "well")
      apply(spec({ interval: 700, check: { redis: {} } }, { tls: { insecureSkipVerify: true } }))
      yield* pass(0)
      expect(changes).toEqual([`down ${A}`, `up ${A}`])
    }),
  ))

test("a target that goes and comes back in one breath is asked as a new one", () =>
  checking(({ answers, apply, asked, changes }) =>
    Effect.gen(function* () {
      apply(poolSpec([A, B]))
      yield* pass(0)
      answers.set(A, REFUSED)
      apply(poolSpec([B]))
      apply(poolSpec([A, B]))
      yield* pass(0)
      expect(timesOf(asked, A)).toEqual([0, 0])
      expect(changes).toEqual([`down ${A}`])
      yield* pass(HEALTH.interval)
      expect(timesOf(asked, A)).toHaveLength(3)
    }),
  ))

test("1,000 reconfigurations leave one check for each target that there is, and nothing else", () =>
  checking(({ answers, apply, asked, asking }) =>
    Effect.gen(function* () {
      const urls = Array.from({ length: 10 }, (_, i) => `tcp://10.0.1.${i}:5432`)
      for (const url of urls) answers.set(url, "hangs")
      const [db, other] = [urls.slice(0, 3), urls.slice(2, 6)]
      for (let i = 0; i < 1000; i++) {
        const some = urls.filter((_, n) => (i >> (n % 5)) % 2 === 0 || n === i % 10)
        apply(poolSpec(some, health({ interval: 1000 + (i % 3) })), poolSpec(some.slice(1), { name: "other" }))
        if (i % 10 === 0) yield* pass(0)
      }
      apply(poolSpec(db), poolSpec(other, { name: "other" }))
      yield* pass(0)
      expect(asking.toSorted()).toEqual([...db, ...other].toSorted())
      for (const url of urls) answers.set(url, "well")
      const before = asked.length
      apply(poolSpec(db, health({})), poolSpec(other, { ...health({}), name: "other" }))
      yield* pass(2000)
      expect(asking).toEqual([])
      expect(asked.length - before).toBe(3 * (db.length + other.length))
    }),
  ))
