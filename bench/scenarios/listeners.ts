// Many listeners: whether a connection costs the same when the gateway has thousands of them. The load goes to all in turn.
import { readFileSync } from "node:fs"
import { alternate, choose, type Contender, type Scenario } from "../scenario.ts"
import { measure, MOST_CONNECTIONS, warmUp } from "./connections.ts"

const MANY = 10_000
/** Tidegate keeps one descriptor per listener; so many are left for everything else. */
const PER_LISTENER = 1
const SPARE = 1000
/** Below the ports of outgoing connections; everybody has a loopback address of their own. */
const FIRST_PORT = 10_000

/** As many as the descriptors suffice for. */
function most(): number {
  const limit = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1024)
  return Math.min(MANY, Math.floor((limit - SPARE) / PER_LISTENER / 100) * 100)
}

const MOST = most()

export const listeners: Scenario = {
  name: "listeners",
  title: `New connections with 1, 100 and ${MOST.toLocaleString("en")} listeners`,
  unit: "connection",
  compare: ["cpu_us"],
  subject: `tidegate x${MOST}`,
  goals: [{ metric: "cpu_us", as: "ratio", to: ["tidegate x1"], most: 1.1 }],
  async run(context) {
    const { contenders, left } = choose(context, {
      policy: "list",
      connections: MOST_CONNECTIONS,
      keep: ({ name }) => ["tidegate", "floor", "haproxy", "nginx"].includes(name),
    })
    const counts = context.quick ? [1, 10, MOST] : [1, 100, MOST]
    const all: Contender[] = counts
      .flatMap((count) => contenders.map((contender) => ({ count, contender })))
      .map(({ count, contender: { system, task } }, i) => ({
        name: `${system.name} x${count}`,
        system,
        task: { ...task, address: `127.0.0.${i + 2}`, first: FIRST_PORT, last: FIRST_PORT + count - 1 },
      }))
    const note = MOST < MANY ? [`${MANY.toLocaleString("en")} listeners: the limit of descriptors allows ${MOST}`] : []
    return { samples: await alternate(context, all, warmUp(context), measure(context)), left: [...left, ...note] }
  },
}
