// One fast connection beside 2,000 slow ones, which send 250 bytes every 250 ms each: how long the fast one waits.
import { aimOf, alternate, choose, perUnit, type Metrics, type Scenario, type Started } from "../scenario.ts"
import { cpu, cpuBetween } from "../process.ts"

const BYTES = 250
const EVERY = 250

export const slow: Scenario = {
  name: "slow",
  title: "Requests of one connection beside 2,000 slow ones of 1 kB/s each",
  unit: "request",
  compare: ["p99", "cpu_share"],
  goals: [],
  async run(context) {
    const slowOnes = context.quick ? 100 : 2000
    const requests = context.quick ? 200 : 5000
    const { contenders, left } = choose(context, { policy: "list", connections: slowOnes + 200, few: false })
    const { workers } = context
    const measure = async ({ task, running }: Started): Promise<Metrics> => {
      const aim = aimOf(task)
      const opened = await workers.beside({
        kind: "slow",
        aim,
        count: slowOnes,
        concurrency: 32,
        bytes: BYTES,
        every: EVERY,
      })
      await workers.run({ kind: "open", aim, count: 1, concurrency: 1 })
      const before = cpu(running.program)
      const done = await workers.run({ kind: "requests", count: requests })
      const spent = cpuBetween(before, cpu(running.program))
      await workers.run({ kind: "shut" })
      await workers.beside({ kind: "shut" })
      const { cpu_us: _, ...metrics } = perUnit({ ...done, cpu: spent })
      // Most of it goes to the slow ones, so it counts by time.
      return { ...metrics, cpu_share: (spent / done.seconds) * 100, failed: done.failed + opened.failed }
    }
    const samples = await alternate(context, contenders, measure, measure)
    return { samples, left }
  },
}
