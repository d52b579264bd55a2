// Bulk: one or eight streams, down, up, or both at once; with buffers as they come, and with 128 KiB where that can be chosen.
import type { ClientTls, Job } from "../job.ts"
import {
  aimOf,
  alternate,
  choose,
  window,
  type Choice,
  type Contender,
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
  readonly tls?: ClientTls
}

function jobOf(started: Started, { direction, streams, tls }: Bulk, bytes: number): Job {
  const aim = { ...aimOf(started.task), ...(tls === undefined ? {} : { tls }) }
  return { kind: "bulk", aim, streams, bytes: Math.round(bytes / streams), direction }
}

/** Everybody as they come, and with large buffers; without scripts, which do not see the bytes. */
export function contend(
  context: Context,
  what: Pick<Choice, "policy" | "certificate">,
): { contenders: Contender[]; left: string[] } {
  const choice = { ...what, connections: 100 }
  const plain = choose(context, { ...choice, keep: ({ name }) => !isScripted(name) })
  const large = choose(context, {
    ...choice,
    buffers: BUFFERS,
    keep: (system) => system.buffers && !isScripted(system.name),
  })
  return { contenders: [...plain.contenders, ...large.contenders], left: plain.left }
}

export const warmUpBulk = (context: Context, bulk: Bulk) => (started: Started) =>
  context.workers.run(jobOf(started, bulk, bytesOf(context) / 8))

export const measureBulk =
  (context: Context, bulk: Bulk) =>
  async (started: Started): Promise<Metrics> => {
    const { cpu, units, failed, seconds } = await window(context, started, jobOf(started, bulk, bytesOf(context)))
    return { cpu_s: cpu / (units / 1e9), gbps: units / 1e9 / seconds, units, failed }
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
      const { contenders, left } = contend(context, { policy: "list" })
      const samples = await alternate(context, contenders, warmUpBulk(context, bulk), measureBulk(context, bulk))
      return { samples, left }
    },
  }
}

const isScripted = (name: string) => name === "haproxy-lua" || name === "nginx-njs"

export const bulkScenarios: readonly Scenario[] = [1, 8].flatMap((streams) =>
  (["down", "up", "both"] as const).map((direction) => scenario({ direction, streams })),
)
