// Gateway API routes by the thousand: what each connection costs with few and with many, how long loading them takes, and
// how long it takes from saving one file until it serves.
import { join } from "node:path"
import { recordHello, rename } from "../hello.ts"
import { routes, routesFile, ROUTES_IN_FILE } from "../manifests.ts"
import { alternate, inTurn, taskOf, type Contender, type Context, type Scenario } from "../scenario.ts"
import { percentile } from "../stats.ts"
import { start, visit } from "../system.ts"
import { save, tidegate } from "../systems/tidegate.ts"
import { MOST_CONNECTIONS } from "./connections.ts"
import { measure, warmUp } from "./sni.ts"

const [FEW, MANY] = [10, 10_000]
const rowOf = (count: number) => `${(count > FEW ? MANY : FEW).toLocaleString("en")} routes`
const TYPESCRIPT = `TypeScript, ${FEW} names`

async function contenders(context: Context, counts: readonly number[]): Promise<Contender[]> {
  const hello = await recordHello("large")
  const choice = { connections: MOST_CONNECTIONS, hello } as const
  return [
    ...counts.map((names): Contender => ({
      name: rowOf(names),
      system: tidegate,
      task: taskOf(context, { ...choice, policy: "routes", names }),
    })),
    { name: TYPESCRIPT, system: tidegate, task: taskOf(context, { ...choice, policy: "sni", names: FEW }) },
  ]
}

const cost: Scenario = {
  name: "manifests",
  title: "New connections by Gateway API manifests: few TLSRoutes, many, and the same as a policy in TypeScript",
  unit: "connection",
  compare: ["cpu_us"],
  subject: rowOf(MANY),
  goals: [{ metric: "cpu_us", as: "ratio", to: [rowOf(FEW)], most: 1.05 }],
  async run(context) {
    const all = await contenders(context, [FEW, context.quick ? 2 * FEW : MANY])
    return { samples: await alternate(context, all, warmUp(context), measure(context)), left: [] }
  },
}

const LONGEST = 20_000

const load: Scenario = {
  name: "manifests-load",
  title: `From starting with ${MANY.toLocaleString("en")} TLSRoutes in ${MANY / ROUTES_IN_FILE} files until one serves, and from saving one file until it does`,
  unit: "save",
  compare: [],
  subject: rowOf(MANY),
  goals: [
    { metric: "ready_ms", as: "value", most: 5000 },
    { metric: "effect_p50", as: "value", most: 200 },
  ],
  async run(context) {
    const saves = context.quick ? 2 : 10
    const [contender] = await contenders(context, [context.quick ? 100 : MANY])
    const rows = [{ ...contender!, name: rowOf(MANY) }]
    const samples = await inTurn(context, rows, async ({ system, task }) => {
      const running = await start(system, task)
      try {
        const times: number[] = []
        const file = join(running.folder, routesFile(0))
        for (let i = 0; i < saves; i++) {
          const name = MANY + i
          const began = performance.now()
          save(file, routes(0, ROUTES_IN_FILE, name))
          const asked = { first: rename(task.hello!, name).slice() }
          while (!((await visit(task.address, task.first, asked)) ?? "").startsWith("HTTP")) {
            if (performance.now() - began > LONGEST) break
          }
          times.push(performance.now() - began)
        }
        return {
          ready_ms: running.ready,
          effect_p50: percentile(times, 0.5),
          effect_max: percentile(times, 1),
          units: saves,
          failed: times.filter((time) => time >= LONGEST).length,
        }
      } finally {
        await running.stop()
      }
    })
    return { samples, left: [] }
  },
}

export const manifestScenarios: readonly Scenario[] = [cost, load]
