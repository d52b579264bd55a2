// Where the CPU time of routed connections goes in JavaScript: Bun's sampling profiler over the serving process, the
// samples of each function and what it calls natively, as microseconds per connection.
import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { cpu, cpuBetween, newFolder } from "../process.ts"
import { taskOf, type Sample, type Scenario } from "../scenario.ts"
import { percentile } from "../stats.ts"
import { start, type System } from "../system.ts"
import { floor } from "../systems/floor.ts"
import { serveCommand, tidegate } from "../systems/tidegate.ts"
import { countOf, jobOf, MOST_CONNECTIONS } from "./connections.ts"

/** Microseconds between samples. */
const INTERVAL = 250
const ROWS = 25

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Microseconds by function, of the samples from `after` milliseconds on. */
function functions(profile: Profile, after: number): Map<string, number> {
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      url === "" ? functionName : `${functionName || "(anonymous)"} ${basename(url)}:${lineNumber + 1}`,
    ]),
  )
  const self = new Map<string, number>()
  // Only JavaScript is sampled, so most deltas have other time in them; the shortest are what one sample stands for.
  const interval = percentile(profile.timeDeltas, 0.1)
  let at = 0
  for (const [i, id] of profile.samples.entries()) {
    at += profile.timeDeltas[i] ?? 0
    if (at < after * 1000) continue
    const name = names.get(id) ?? "?"
    self.set(name, (self.get(name) ?? 0) + interval)
  }
  return self
}

/** The same system under the profiler. */
function profiled(system: System, folder: string): System {
  const options = ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${INTERVAL}`]
  return {
    ...system,
    prepare(task, own) {
      const [bun, noInstall, ...rest] = system.prepare(task, own)
      return system === tidegate ? serveCommand(own, options) : [bun!, noInstall!, ...options, ...rest]
    },
  }
}

export const profile: Scenario = {
  name: "profile",
  title: "Where the microseconds of a routed connection go, by function (self time)",
  unit: "connection",
  compare: [],
  goals: [],
  async run(context) {
    const rows: Sample[] = []
    const count = countOf(context) * 3
    for (const system of [tidegate, floor]) {
      context.say(system.name)
      const folder = newFolder()
      const task = taskOf(context, { policy: "list", connections: MOST_CONNECTIONS })
      const began = performance.now()
      const running = await start(profiled(system, folder), task)
      await context.workers.run(jobOf(task, count / 2))
      const warm = performance.now() - began
      const before = cpu(running.program)
      const { units } = await context.workers.run(jobOf(task, count))
      const end = cpu(running.program)
      await running.stop()
      const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"))
      const self: Map<string, number> =
        file === undefined ? new Map() : functions(JSON.parse(readFileSync(join(folder, file), "utf8")), warm)
      const row = (name: string, us: number): Sample => ({
        system: `${system.name}: ${name}`,
        round: 1,
        metrics: { self_us: us / units },
      })
      const sampled = [...self.values()].reduce((sum, us) => sum + us, 0)
      const main = ([tid]: readonly [string, number]) => tid === String(running.program.pid)
      const spent = cpuBetween(before, end) * 1e6
      const onMain = cpuBetween(before, new Map([...end].filter(main))) * 1e6
      rows.push(row("all, by the operating system", spent))
      rows.push(row("other threads: garbage collector, compilers, profiler", spent - onMain))
      rows.push(row("outside of JavaScript: event loop, its reads", onMain - sampled))
      for (const [name, us] of [...self].sort((a, b) => b[1] - a[1]).slice(0, ROWS)) rows.push(row(name, us))
    }
    return { samples: rows, left: [] }
  },
}
