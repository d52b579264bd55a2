// From saving a file to its being in effect, with nothing else going on: new files, and changed ones.
import { join } from "node:path"
import { freePort } from "../process.ts"
import { inTurn, taskOf, type Scenario } from "../scenario.ts"
import { percentile } from "../stats.ts"
import { start, visit } from "../system.ts"
import { save as write, tidegate } from "../systems/tidegate.ts"

const policy = (port: number, text: string) => `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:${port}"
export const on_tcp_connect = () => respond("${text}")
`

const LONGEST = 5000

async function until(port: number, text: string): Promise<number> {
  const began = performance.now()
  while ((await visit("127.0.0.1", port, { silent: true })) !== text) {
    if (performance.now() - began > LONGEST) return LONGEST
    await new Promise((resolve) => setImmediate(resolve))
  }
  return performance.now() - began
}

export const save: Scenario = {
  name: "save",
  title: "From saving a policy file until it answers: a new file, and a changed one",
  unit: "save",
  compare: [],
  subject: "a changed file",
  goals: [{ metric: "effect_max", as: "value", most: 100 }],
  async run(context) {
    const saves = context.quick ? 3 : 20
    const running = await start(tidegate, taskOf(context, { policy: "list", connections: 100 }))
    const ports: number[] = []
    try {
      const rows = [{ name: "a new file" }, { name: "a changed file" }]
      const samples = await inTurn(context, rows, async ({ name }) => {
        const times: number[] = []
        for (let i = 0; i < saves; i++) {
          const isNew = name === "a new file"
          if (isNew) ports.push(freePort())
          const which = isNew ? ports.length - 1 : ports.length - saves + i
          const text = `${name} ${which}`
          const began = performance.now()
          write(join(running.folder, `saved-${which}.ts`), policy(ports[which]!, text))
          await until(ports[which]!, text)
          times.push(performance.now() - began)
        }
        return {
          effect_p50: percentile(times, 0.5),
          effect_p95: percentile(times, 0.95),
          effect_max: percentile(times, 1),
          units: saves,
          failed: times.filter((time) => time >= LONGEST).length,
        }
      })
      return { samples, left: [] }
    } finally {
      await running.stop()
    }
  },
}
