// Start-up: from the spawn to the first connection that was routed and answered, and the memory at rest after it.
import { memory } from "../process.ts"
import { choose, inTurn, type Scenario } from "../scenario.ts"
import { start } from "../system.ts"

const REST = 1000

export const startup: Scenario = {
  name: "startup",
  title: "From the spawn to the first connection that is answered, and memory at rest",
  unit: "start",
  compare: ["ready_ms", "rss_mb"],
  goals: [
    { metric: "ready_ms", as: "value", most: 300 },
    { metric: "rss_mb", as: "value", most: 80 },
  ],
  async run(context) {
    const { contenders, left } = choose(context, { policy: "list", connections: 5000 })
    const samples = await inTurn(context, contenders, async ({ system, task }) => {
      const running = await start(system, task)
      await Bun.sleep(context.quick ? 10 : REST)
      const { rss, pss } = memory(running.program)
      await running.stop()
      return { ready_ms: running.ready, rss_mb: rss / 1e6, pss_mb: pss / 1e6, units: 1, failed: 0 }
    })
    return { samples, left }
  },
}
