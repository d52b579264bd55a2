// Memory per idle connection: each has asked once and was answered. Every round has a fresh process, because memory is
// not given back.
import { memory } from "../process.ts"
import { aimOf, choose, inTurn, type Scenario } from "../scenario.ts"
import { start } from "../system.ts"

/** Before the first reading: as much traffic as brings code and buffers to their place. */
const BEFORE = 500
/** Until what was only needed to open them is freed. */
const REST = 2000

export const idle: Scenario = {
  name: "idle",
  title: "Memory per idle connection, at 5,000 of them",
  unit: "connection",
  compare: ["rss_kb", "pss_kb"],
  goals: [{ metric: "rss_kb", as: "ratio", to: ["haproxy"], most: 1.2 }],
  async run(context) {
    const count = context.quick ? 200 : 5000
    const { contenders, left } = choose(context, { policy: "list", connections: count + 200, few: false })
    const { workers } = context
    const samples = await inTurn(context, contenders, async ({ system, task }) => {
      const running = await start(system, task)
      try {
        const aim = aimOf(task)
        await workers.run({ kind: "open", aim, count: Math.min(BEFORE, count), concurrency: 32 })
        await workers.run({ kind: "shut" })
        await Bun.sleep(context.quick ? 10 : REST)
        const before = memory(running.program)
        const { units, failed } = await workers.run({ kind: "open", aim, count, concurrency: 32 })
        await Bun.sleep(context.quick ? 10 : REST)
        const after = memory(running.program)
        await workers.run({ kind: "shut" })
        return {
          rss_kb: (after.rss - before.rss) / units / 1000,
          pss_kb: (after.pss - before.pss) / units / 1000,
          rss_mb: after.rss / 1e6,
          units,
          failed,
        }
      } finally {
        await running.stop()
      }
    })
    return { samples, left }
  },
}
