// Reloads under load: the target of the route changes again and again while new connections keep coming. Counts the
// connections that fail, and the time from the save until a connection reaches the new target.
import { aimOf, alternate, choose, type Scenario } from "../scenario.ts"
import { visit, type Task } from "../system.ts"
import { percentile } from "../stats.ts"

/** Fewer than would keep both cores busy: the question is whether one of them fails. */
const CONCURRENCY = 4
/** 100 ms between reloads, which then take turns with ordinary service. */
const PAUSE = 100
/** 5 s: a change that is not in effect by then never was. */
const LONGEST = 5000

/** Milliseconds from `began` until a connection is answered by that upstream. */
async function until(task: Task, name: "A" | "B", began: number): Promise<number> {
  let answer: string | undefined
  do {
    answer = await visit(task.address, task.first)
  } while (answer?.endsWith(name) !== true && performance.now() - began < LONGEST)
  return performance.now() - began
}

export const reload: Scenario = {
  name: "reload",
  title: "Reloads under load: failed connections, and milliseconds from the save until it is in effect",
  unit: "connection",
  compare: ["effect_p50"],
  goals: [
    { metric: "failed", as: "value", most: 0 },
    { metric: "effect_max", as: "value", most: 100 },
  ],
  async run(context) {
    const saves = context.quick ? 3 : 20
    const { contenders, left } = choose(context, { policy: "list", connections: 1000, keep: ({ reloads }) => reloads })
    const { upstream } = context.workers
    const targets = new Map<string, "A" | "B">()
    const samples = await alternate(
      context,
      contenders,
      () => Promise.resolve(),
      async ({ name, task, running }) => {
        await context.workers.run({ kind: "stream", aim: aimOf(task), concurrency: CONCURRENCY })
        const times: number[] = []
        let missed = 0
        for (let i = 0; i < saves; i++) {
          await Bun.sleep(PAUSE)
          const next = targets.get(name) === "B" ? "A" : "B"
          targets.set(name, next)
          const began = performance.now()
          running.change({ ...task, upstream: upstream[next] })
          const time = await until(task, next, began)
          if (time < LONGEST) times.push(time)
          else missed++
        }
        const { units, failed } = await context.workers.run({ kind: "stop" })
        return {
          effect_p50: percentile(times, 0.5),
          effect_max: percentile(times, 1),
          failed: failed + missed,
          units,
        }
      },
    )
    return { samples, left }
  },
}
