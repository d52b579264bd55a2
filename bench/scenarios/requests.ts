// Requests on kept connections: what a small message costs, there and back.
import { ANSWER_LENGTH } from "../wire.ts"
import { aimOf, alternate, choose, perUnit, window, type Scenario } from "../scenario.ts"

const CONNECTIONS = 64

export const requests: Scenario = {
  name: "requests",
  title: `Requests of 44 bytes and answers of ${ANSWER_LENGTH} on ${CONNECTIONS} kept connections`,
  unit: "request",
  compare: ["cpu_us", "rate", "p99"],
  goals: [
    { metric: "cpu_us", as: "ratio", to: ["haproxy", "nginx"], most: 1.05 },
    { metric: "p99", as: "ratio", to: ["haproxy", "nginx"], most: 1.1 },
  ],
  async run(context) {
    const { contenders, left } = choose(context, { policy: "list", connections: 1000 })
    const count = context.quick ? 1000 : 60_000
    const samples = await alternate(
      context,
      contenders,
      async ({ task }) => {
        await context.workers.run({ kind: "open", aim: aimOf(task), count: CONNECTIONS, concurrency: 8 })
        await context.workers.run({ kind: "requests", count: count / 2 })
        await context.workers.run({ kind: "shut" })
      },
      async (started) => {
        const { workers } = context
        await workers.run({ kind: "open", aim: aimOf(started.task), count: CONNECTIONS, concurrency: 8 })
        const metrics = perUnit(await window(context, started, { kind: "requests", count }))
        await workers.run({ kind: "shut" })
        return metrics
      },
    )
    return { samples, left }
  },
}
