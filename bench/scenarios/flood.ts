// A flood from one address that may come 10 times in an hour: what it costs to refuse the rest, and what is left of it in
// memory. Every round has a fresh process, so that each begins with nothing counted.
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import { find, memory } from "../process.ts"
import { inTurn, perUnit, taskOf, window, type Contender, type Context, type Scenario } from "../scenario.ts"
import { start, type System } from "../system.ts"
import { floor } from "../systems/floor.ts"
import { configuration, haproxy } from "../systems/haproxy.ts"
import { save, serveCommand, tidegate } from "../systems/tidegate.ts"
import { jobOf, MOST_CONNECTIONS } from "./connections.ts"

/** Connections that come through before the first is refused. */
const ADMITTED = 10
const LIMIT = `{ limit: ${ADMITTED}, per: "1 hour" }`

/** The listener's own limit: there is no connection yet, and no event but a count of all. */
const byListener: System = {
  ...tidegate,
  prepare({ address, first }, folder) {
    save(
      join(folder, "policy.ts"),
      `import { respond } from "tidegate"

export const listen = { url: "tcp://${address}:${first}", rateLimit: ${LIMIT} }

export const on_tcp_connect = () => respond("")
`,
    )
    return serveCommand(folder)
  },
}

/** A policy that asks a limit, and denies. */
const byPolicy: System = {
  ...tidegate,
  prepare({ address, first }, folder) {
    save(
      join(folder, "policy.ts"),
      `import { deny, rateLimit, respond, type Connection } from "tidegate"

export const listen = "tcp://${address}:${first}"

const perClient = rateLimit("per-client", ${LIMIT})

export function on_tcp_connect(connection: Connection) {
  return perClient.take(connection) ? respond("") : deny("slow down")
}
`,
    )
    return serveCommand(folder)
  },
}

/** A table of addresses as large as Tidegate's. */
const stickTable: System = {
  ...haproxy,
  prepare(task, folder) {
    const file = join(folder, "haproxy.cfg")
    const rules = [
      "stick-table type ip size 1m expire 1h store conn_rate(1h),conn_cur",
      "tcp-request connection track-sc0 src",
      `tcp-request connection reject if { sc0_conn_rate gt ${ADMITTED} } || { sc0_conn_cur gt ${MOST_CONNECTIONS} }`,
      // Nobody is there: those who come through are closed as well.
      "default_backend none",
      "backend none",
    ]
    writeFileSync(file, configuration(task, folder, [], rules))
    return [find("haproxy")!, "-f", file]
  },
}

const countOf = ({ quick }: Context) => (quick ? 200 : 20_000)

export const flood: Scenario = {
  name: "flood",
  title: "Refused connections: one address that may come 10 times in an hour comes 20,000 times",
  unit: "connection",
  compare: ["cpu_us", "rate", "rss_mb"],
  subject: "tidegate listener",
  goals: [],
  async run(context) {
    const contender = (name: string, system: System): Contender => ({
      name,
      system,
      task: taskOf(context, { policy: "deny", connections: MOST_CONNECTIONS }),
    })
    const all = [
      contender("tidegate listener", byListener),
      contender("tidegate policy", byPolicy),
      contender("floor", floor),
      ...(context.peers?.includes("haproxy") === false ? [] : [contender("haproxy", stickTable)]),
    ]
    const left = all.flatMap(({ name, system }) => {
      const why = system.missing()
      return why === undefined ? [] : [`${name}: ${why}`]
    })
    const present = all.filter(({ system }) => system.missing() === undefined)
    const samples = await inTurn(context, present, (each) => measure(context, each))
    return { samples, left }
  },
}

async function measure(context: Context, contender: Contender) {
  const running = await start(contender.system, contender.task)
  try {
    const before = memory(running.program).rss
    const done = await window(context, { ...contender, running }, jobOf(contender.task, countOf(context)))
    const after = memory(running.program).rss
    return { ...perUnit(done), rss_mb: after / 1e6, grown_mb: (after - before) / 1e6 }
  } finally {
    await running.stop()
  }
}
