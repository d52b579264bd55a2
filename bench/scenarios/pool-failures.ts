// A pool of five targets of which three fail at one moment: what clients notice until it is known, and after.
import { aimOf, choose, inTurn, type Context, type Contender, type Metrics, type Scenario } from "../scenario.ts"
import { start, type Running } from "../system.ts"
import { startTargets, type Targets } from "../targets.ts"

/** What a client waits for its answer: longer than any detection takes here, so that whoever can be helped later is. */
const PATIENCE = 3000
/** 10 ms between looks at what the system knows. */
const LOOK = 10
/** Room for those that hang until their clients leave. */
const CONNECTIONS = 9000

/** Who speaks first, and how targets are picked. */
interface Way {
  readonly name: string
  readonly greeted: boolean
  readonly leastConnections: boolean
}

const WAYS: readonly Way[] = [
  { name: "", greeted: false, leastConnections: false },
  { name: " least", greeted: false, leastConnections: true },
  { name: " greeted", greeted: true, leastConnections: false },
]

interface Plan {
  readonly rate: number
  /** Before anything fails, and after. Seconds. */
  readonly good: number
  readonly bad: number
}

export const poolFailures: Scenario = {
  name: "pool-failures",
  title: "A pool of 5: one target is killed, one stalls, one flaps every second; 2,000 connections/s",
  unit: "connection",
  compare: [],
  goals: [
    { metric: "failed", as: "value", most: 0 },
    { of: "tidegate least", metric: "failed", as: "value", most: 0 },
    { of: "tidegate greeted", metric: "failed", as: "value", most: 0 },
    { of: "tidegate greeted", metric: "before", as: "value", most: 0 },
  ],
  async run(context) {
    const plan = context.quick ? { rate: 200, good: 0.5, bad: 3 } : { rate: 2000, good: 5, bad: 20 }
    const { contenders, left } = choose(context, {
      policy: "pool",
      connections: CONNECTIONS,
      keep: ({ name }) => name !== "floor",
    })
    const ways = context.quick ? WAYS.slice(0, 1) : WAYS
    const all = ways.flatMap((way) =>
      contenders.map((contender) => ({ ...contender, ...way, name: contender.name + way.name })),
    )
    return { samples: await inTurn(context, all, (contender) => measure(context, contender, plan)), left }
  },
}

/** Every measurement has programs and targets of its own. */
async function measure(
  context: Context,
  { greeted, leastConnections, system, task }: Contender & Way,
  { bad, good, rate }: Plan,
): Promise<Metrics> {
  const targets = await startTargets()
  const ports = greeted ? targets.greeting : targets.asked
  const running = await start(system, { ...task, greeted, leastConnections, targets: ports })
  try {
    const job = { kind: "pace", aim: aimOf(task), rate, seconds: good + bad, patience: PATIENCE, greeted } as const
    const done = context.workers.run(job)
    await Bun.sleep(good * 1000)
    const failing = failAt(targets)
    const known = untilKnown(running, bad * 1000)
    const [{ failures = [], p50, p99, units }, knownAt] = await Promise.all([done, known])
    const { retries } = await running.system.pool!(running.folder)
    return {
      before: failures.filter((began) => began < knownAt).length,
      known_ms: knownAt - failing,
      failed: failures.filter((began) => began >= knownAt).length,
      retries,
      first_p50: p50,
      first_p99: p99,
      rate: (units + failures.length) / (good + bad),
      units,
    }
  } finally {
    await running.stop()
    await targets.stop()
  }
}

/** Returns when. */
function failAt(targets: Targets): number {
  targets.fail()
  return now()
}

/** When the last of the three was taken out for the first time. */
async function untilKnown({ folder, system }: Running, within: number): Promise<number> {
  const known = [false, false, false]
  for (const began = now(); now() - began < within;) {
    const { out } = await system.pool!(folder)
    for (let i = 0; i < known.length; i++) known[i] ||= out[i]!
    if (known.every(Boolean)) return now()
    await Bun.sleep(LOOK)
  }
  throw new Error(`${system.name} has not noticed within ${within} ms: ${known.join(", ")}`)
}

/** Milliseconds since 1970, as fine as the load generator's. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
