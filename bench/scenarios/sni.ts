// Routing by SNI: the name is read from the ClientHello, which is passed on as it came. The upstream answers it in plain
// text: what follows a hello is the same for everybody and not measured.
import { recordHello, type Hello, type Size } from "../hello.ts"
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
  type Scenario,
  type Started,
} from "../scenario.ts"
import { tidegate } from "../systems/tidegate.ts"
import type { Task } from "../system.ts"
import { ANSWER_LENGTH } from "../wire.ts"
import { CONCURRENCY, countOf, MOST_CONNECTIONS, warmUpOf } from "./connections.ts"

const NAMES = 10
const PEERS = ["haproxy", "nginx", "sniproxy"]

function jobOf(task: Task, count: number): Job {
  return {
    kind: "connections",
    aim: aimOf(task),
    count,
    concurrency: CONCURRENCY,
    expect: "answered",
    bytes: ANSWER_LENGTH,
    first: { hello: task.hello!, names: task.names! },
  }
}

export const warmUp = (context: Context) => (started: Started) =>
  context.workers.run(jobOf(started.task, warmUpOf(context)))

export const measure = (context: Context) => async (started: Started) =>
  perUnit(await window(context, started, jobOf(started.task, countOf(context))))

const choiceOf = (hello: Hello, names: number) =>
  ({ policy: "sni", connections: MOST_CONNECTIONS, hello, names }) as const

function scenario(name: string, title: string, size: Size): Scenario {
  return {
    name,
    title,
    unit: "connection",
    compare: ["cpu_us", "rate", "p99"],
    goals: [{ metric: "cpu_us", as: "ratio", to: PEERS, most: 1.15 }],
    async run(context) {
      const { contenders, left } = choose(context, choiceOf(await recordHello(size), NAMES))
      return { samples: await alternate(context, contenders, warmUp(context), measure(context)), left }
    },
  }
}

const MANY = 100_000
const rowOf = (names: number) => `tidegate x${names}`

const names: Scenario = {
  name: "sni-names",
  title: `The same with a listener of ${NAMES} names, and of ${MANY.toLocaleString("en")} that are all asked for`,
  unit: "connection",
  compare: ["cpu_us"],
  subject: rowOf(MANY),
  goals: [{ metric: "cpu_us", as: "ratio", to: [rowOf(NAMES)], most: 1.05 }],
  async run(context) {
    const hello = await recordHello("large")
    const all = [NAMES, MANY].map((count): Contender => ({
      name: rowOf(count),
      system: tidegate,
      task: taskOf(context, choiceOf(hello, count)),
    }))
    return { samples: await alternate(context, all, warmUp(context), measure(context)), left: [] }
  },
}

export const sniScenarios: readonly Scenario[] = [
  scenario("sni", "New connections: routed by the name in a ClientHello of 1.5 kB, one of 10", "large"),
  scenario("sni-small", "The same with a ClientHello of 0.3 kB", "small"),
  names,
]
