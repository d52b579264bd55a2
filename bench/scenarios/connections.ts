// New connections: accepted, decided, and routed, denied or answered. Scenarios that differ in the policy only.
import type { Job } from "../job.ts"
import {
  aimOf,
  alternate,
  choose,
  perUnit,
  taskOf,
  window,
  type Contender,
  type Context,
  type Goal,
  type Scenario,
  type Started,
} from "../scenario.ts"
import type { Policy, Task } from "../system.ts"
import { tidegate } from "../systems/tidegate.ts"
import { ANSWER_LENGTH, OWN_ANSWER } from "../wire.ts"

export const CONCURRENCY = 32

export function jobOf(task: Task, count: number): Job {
  const expect = task.policy === "deny" ? "closed" : task.policy === "answer" ? "told" : "answered"
  const bytes = { closed: 0, told: OWN_ANSWER.length, answered: ANSWER_LENGTH }[expect]
  return { kind: "connections", aim: aimOf(task), count, concurrency: CONCURRENCY, expect, bytes }
}

/** So many connections in a round. */
export const countOf = (context: Context) => (context.quick ? 200 : 8000)

/** And so many before the first: after fewer the JIT compilers are still at work. */
export const warmUpOf = (context: Context) => (context.quick ? 100 : 16_000)

export const warmUp = (context: Context) => (started: Started) =>
  context.workers.run(jobOf(started.task, warmUpOf(context)))

export const measure = (context: Context) => async (started: Started) =>
  perUnit(await window(context, started, jobOf(started.task, countOf(context))))

/** As many as a round has at once, with room for those that close. */
export const MOST_CONNECTIONS = 1000

function scenario(
  name: string,
  policy: Policy,
  title: string,
  goals: readonly Goal[],
  besides: (context: Context) => readonly Contender[] = () => [],
): Scenario {
  return {
    name,
    title,
    unit: "connection",
    compare: ["cpu_us", "rate", "p99"],
    goals,
    async run(context) {
      const { contenders, left } = choose(context, { policy, connections: MOST_CONNECTIONS })
      const all = [...contenders, ...besides(context)]
      return { samples: await alternate(context, all, warmUp(context), measure(context)), left }
    },
  }
}

const ratio = (to: string, most: number): Goal => ({ metric: "cpu_us", as: "ratio", to: [to], most })

/** The same gateway with a policy that answers at once. */
const AT_ONCE = "tidegate at once"

const atOnce = (context: Context): Contender[] => [
  { name: AT_ONCE, system: tidegate, task: taskOf(context, { policy: "list", connections: MOST_CONNECTIONS }) },
]

export const connectionScenarios: readonly Scenario[] = [
  scenario("connections", "list", "New connections: routed if the source is in one of 100 ranges", [
    { metric: "cpu_us", as: "difference", to: ["floor"], most: 8 },
    ratio("haproxy-lua", 1.05),
    ratio("nginx-njs", 1.15),
    ratio("haproxy", 1.2),
  ]),
  scenario("promise", "promise", "The same, after a resolved promise", [ratio(AT_ONCE, 1.15)], atOnce),
  scenario("timer", "timer", "The same, after a timer of 1 ms", [], atOnce),
  scenario("deny", "deny", "Denied connections: the source is in none of 100 ranges", [ratio("nginx-njs", 1)]),
  scenario("answer", "answer", "Answered connections: the gateway's own text, then the close", []),
]
