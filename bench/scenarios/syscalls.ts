// System calls per connection, counted by strace over a fixed number of new connections. Their times are strace's and say nothing.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { family, find, newFolder } from "../process.ts"
import { choose, type Context, type Sample, type Scenario, type Started } from "../scenario.ts"
import { start } from "../system.ts"
import { countOf, jobOf, MOST_CONNECTIONS, warmUp } from "./connections.ts"

const WHO = ["tidegate", "floor", "haproxy", "nginx"]
/** Less often than this per connection is housekeeping. */
const RARE = 0.02

/** Calls by name, as `strace -c` counts them. */
export function parseCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of text.split("\n")) {
    const match = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line)
    if (match !== null && match[2] !== "total") counts.set(match[2]!, Number(match[1]))
  }
  return counts
}

const attached = (pid: number) => !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))

async function trace(context: Context, strace: string, started: Started): Promise<Map<string, number>> {
  await warmUp(context)(started)
  const file = join(newFolder(), "counts")
  const pids = family(started.running.program.pid)
  const child = Bun.spawn([strace, "-c", "-f", "-o", file, ...pids.flatMap((pid) => ["-p", String(pid)])], {
    stdout: "ignore",
    stderr: "ignore",
  })
  while (child.exitCode === null && !pids.every(attached)) await Bun.sleep(10)
  const { units } = await context.workers.run(jobOf(started.task, countOf(context) / 4))
  await Bun.sleep(200)
  child.kill("SIGINT")
  await child.exited
  return new Map([...parseCounts(readFileSync(file, "utf8"))].map(([call, count]) => [call, count / units]))
}

export const syscalls: Scenario = {
  name: "syscalls",
  title: "System calls per routed connection",
  unit: "call",
  compare: [],
  goals: [],
  async run(context) {
    const strace = find("strace")
    if (strace === undefined) return { samples: [], left: ["everybody: strace is not installed"] }
    const { contenders, left } = choose(context, {
      policy: "list",
      connections: MOST_CONNECTIONS,
      keep: ({ name }) => WHO.includes(name),
    })
    const columns = new Map<string, Map<string, number>>()
    for (const contender of contenders) {
      context.say(contender.name)
      const running = await start(contender.system, contender.task)
      columns.set(contender.name, await trace(context, strace, { ...contender, running }))
      await running.stop()
    }
    return { samples: rows(columns), left }
  },
}

/** One row per call, one column per system. */
function rows(columns: ReadonlyMap<string, ReadonlyMap<string, number>>): Sample[] {
  const calls = new Set([...columns.values()].flatMap((counts) => [...counts.keys()]))
  const row = (call: string) => [...columns].map(([name, counts]) => [name, counts.get(call) ?? 0] as const)
  const sum = (call: string) => row(call).reduce((total, [, count]) => total + count, 0)
  const all = [...columns].map(
    ([name, counts]) => [name, [...counts.values()].reduce((total, count) => total + count, 0)] as const,
  )
  return [
    ...[...calls]
      .filter((call) => row(call).some(([, count]) => count >= RARE))
      .sort((a, b) => sum(b) - sum(a))
      .map((call) => ({ system: call, round: 1, metrics: Object.fromEntries(row(call)) })),
    { system: "all", round: 1, metrics: Object.fromEntries(all) },
  ]
}
