// Bulk: one or eight streams, down, up, or both at once; with buffers as they come, and with 128 KiB where that can be chosen.
import type { Job } from "../job.ts"
import {
  aimOf,
  alternate,
  choose,
  window,
  type Context,
  type Metrics,
  type Scenario,
  type Started,
} from "../scenario.ts"
import type { Direction } from "../wire.ts"

const BUFFERS = 131_072
/** Peers at their defaults, and with larger buffers. */
const DEFAULTS = ["haproxy", "nginx"]
const LARGE = ["haproxy 128k", "nginx 128k"]

/** Bytes of all streams together, per direction. */
const bytesOf = (context: Context) => (context.quick ? 8_000_000 : 800_000_000)

interface Bulk {
  readonly direction: Direction
  readonly streams: number
}

function jobOf(started: Started, { direction, streams }: Bulk, bytes: number): Job {
  return { kind: "bulk", aim: aimOf(started.task), streams, bytes: Math.round(bytes / streams), direction }
}

function scenario(bulk: Bulk): Scenario {
  const { direction, streams } = bulk
  return {
    name: `bulk-${direction}-${streams}`,
    title: `Bulk ${direction === "both" ? "both ways at once" : direction}, ${streams} stream${streams > 1 ? "s" : ""}`,
    unit: "GB",
    compare: ["gbps", "cpu_s"],
    goals: [
      { metric: "gbps", as: "ratio", to: DEFAULTS, least: 1 },
      { metric: "gbps", as: "ratio", to: LARGE, least: 0.95 },
      { metric: "cpu_s", as: "ratio", to: DEFAULTS, most: 1 },
    ],
    async run(context) {
      const plain = choose(context, { policy: "list", connections: 100 })
      const choice = { policy: "list", connections: 100, buffers: BUFFERS } as const
      // Scripts do not see the bytes: their systems are there without them.
      const large = choose(context, { ...choice, keep: (system) => system.buffers && !isScripted(system.name) })
      const contenders = [...plain.contenders.filter(({ name }) => !isScripted(name)), ...large.contenders]
      const warmUp = (started: Started) => context.workers.run(jobOf(started, bulk, bytesOf(context) / 8))
      const measure = async (started: Started): Promise<Metrics> => {
        const { cpu, units, failed, seconds } = await window(context, started, jobOf(started, bulk, bytesOf(context)))
        return { cpu_s: cpu / (units / 1e9), gbps: units / 1e9 / seconds, units, failed }
      }
      return { samples: await alternate(context, contenders, warmUp, measure), left: plain.left }
    },
  }
}

const isScripted = (name: string) => name === "haproxy-lua" || name === "nginx-njs"

export const bulkScenarios: readonly Scenario[] = [1, 8].flatMap((streams) =>
  (["down", "up", "both"] as const).map((direction) => scenario({ direction, streams })),
)
