// The micro-benchmarks of bench/micro.ts, in a process of their own.
import { join } from "node:path"
import { THREE_RULES } from "../micro-expressions.ts"
import { LIMIT_AND_LIST } from "../micro-limits.ts"
import { LOOK_UP_NAMES } from "../micro-lists.ts"
import { PICK_NAMES } from "../micro-pick.ts"
import { IN_TYPESCRIPT, IN_YAML } from "../micro-policies.ts"
import type { Scenario } from "../scenario.ts"

export const micro: Scenario = {
  name: "micro",
  title: "Pieces of the data path, in nanoseconds per operation",
  unit: "operation",
  compare: [],
  goals: [
    ...[...LOOK_UP_NAMES, ...PICK_NAMES].map((of) => ({ of, metric: "ns", as: "value", most: 1000 }) as const),
    { of: LIMIT_AND_LIST, metric: "ns", as: "value", most: 2000 },
    { of: THREE_RULES, metric: "ns", as: "value", most: 2000 },
    { of: IN_YAML, metric: "ns", as: "difference", to: [IN_TYPESCRIPT], most: 3000 },
  ],
  async run(context) {
    context.say("running")
    const file = join(import.meta.dir, "../micro.ts")
    const command = [process.execPath, "--no-install", file, String(context.rounds), context.quick ? "--quick" : ""]
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" })
    const text = await new Response(child.stdout).text()
    if ((await child.exited) !== 0) throw new Error("bench/micro.ts failed")
    const samples = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { name: string; round: number; ns: number })
      .map(({ name, round, ns }) => ({ system: name, round, metrics: { ns } }))
    return { samples, left: [] }
  },
}
