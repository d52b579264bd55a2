// Tidegate itself, as `tidegate serve` starts it, with a policy file for the task.
import { readFileSync, renameSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { askControl, type Status } from "../../src/admin/control.ts"
import type { Certificate } from "../certificates.ts"
import { DIGITS } from "../hello.ts"
import { manifestFiles } from "../manifests.ts"
import { ranges } from "../ranges.ts"
import { POOL, type Policy, type System, type Task } from "../system.ts"
import { OWN_ANSWER, REQUEST } from "../wire.ts"

const ROOT = resolve(import.meta.dir, "../..")
/** As many ports as one URL may name. */
const WIDEST = 1000

export function listenOf(task: Task): string[] {
  const urls: string[] = []
  for (let first = task.first; first <= task.last; first += WIDEST) {
    const last = Math.min(task.last, first + WIDEST - 1)
    urls.push(`tcp://${task.address}:${first === last ? first : `${first}-${last}`}`)
  }
  return urls
}

const WAITS: Partial<Record<Policy, string>> = {
  promise: "await Promise.resolve()",
  timer: "await new Promise((resolve) => setTimeout(resolve, 1))",
}

export function policyText(task: Task): string {
  if (task.policy === "sni") return byName(task)
  if (task.policy === "pool") return pooled(task)
  if (task.certificate !== undefined) return terminating(task, task.certificate)
  const wait = WAITS[task.policy]
  const granted =
    task.policy === "answer" ? `respond(${JSON.stringify(OWN_ANSWER)})` : `route("tcp://127.0.0.1:${task.upstream}")`
  return `import { cidrs, deny, respond, route, type Connection } from "tidegate"

export const listen = ${JSON.stringify(listenOf(task))}

const office = cidrs(${JSON.stringify(ranges(task.policy))})

export ${wait === undefined ? "" : "async "}function on_tcp_connect(connection: Connection) {
  ${wait ?? ""}
  return connection.client.within(office) ? ${granted} : deny()
}
`
}

/** The same intervals, counts and exchanges as in HAProxy's configuration. */
function pooled({ address, first, greeted, leastConnections, targets = [] }: Task): string {
  const urls = targets.map((port) => `tcp://127.0.0.1:${port}`)
  const check = { ...(greeted === true ? {} : { send: new TextDecoder().decode(REQUEST) }), expect: POOL.expect }
  const health = { check, interval: POOL.interval, jitter: 0, timeout: POOL.timeout, fall: POOL.fall, rise: POOL.rise }
  const balance = leastConnections === true ? "least-connections" : "round-robin"
  return `import { route } from "tidegate"

export const listen = "tcp://${address}:${first}"

export const pools = { web: ${JSON.stringify({ targets: urls, balance, health })} }

export function on_tcp_connect() {
  return route("web")
}
`
}

/** The names are patterns of the listener, which finds the policy by them. */
function byName({ address, first, upstream, names }: Task): string {
  return `import { route } from "tidegate"

const name = (i: number) => \`name-\${String(i).padStart(${DIGITS}, "0")}.bench.example\`

export const listen = Array.from({ length: ${names} }, (_, i) => ({
  url: \`tls://\${name(i)}:${first}\`,
  address: "${address}",
}))

export function on_tcp_connect() {
  return route("tcp://127.0.0.1:${upstream}")
}
`
}

function terminating({ policy, address, first, upstream }: Task, { cert, key }: Certificate): string {
  const granted = policy === "tell" ? `respond(${JSON.stringify(OWN_ANSWER)})` : `route("tcp://127.0.0.1:${upstream}")`
  return `import { readFileSync } from "node:fs"
import { respond, route, type Connection } from "tidegate"

export const listen = "tls://${address}:${first}"

const certificates = { cert: readFileSync("${cert}", "utf8"), key: readFileSync("${key}", "utf8") }

export async function on_tcp_connect(connection: Connection) {
  await connection.terminate({ certificates })
  return ${granted}
}
`
}

/** Replaces a file at once, as editors and deployments do. */
export function save(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text)
  renameSync(`${file}.tmp`, file)
}

/** The command, with options for Bun itself. */
export function serveCommand(folder: string, bunOptions: readonly string[] = []): string[] {
  const main = join(ROOT, "src/main.ts")
  return [process.execPath, "--no-install", ...bunOptions, main, "serve", folder, "--log", "none", "--drain", "100ms"]
}

export const tidegate: System = {
  name: "tidegate",
  missing: () => undefined,
  policies: ["list", "promise", "timer", "deny", "answer", "sni", "terminate", "tell", "pool", "routes"],
  buffers: false,
  reloads: true,
  version() {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))
    const { stdout } = Bun.spawnSync(["git", "-C", ROOT, "describe", "--always", "--dirty"])
    return [version, stdout.toString().trim()].filter(Boolean).join(" ")
  },
  async pool(folder) {
    const { pools } = (await askControl({ folder }, "status")) as Status
    const { retries, targets } = pools[0]!
    return { retries, out: targets.map(({ state }) => state !== "up") }
  },
  prepare(task, folder) {
    if (task.policy === "routes") for (const [name, text] of manifestFiles(task)) save(join(folder, name), text)
    else save(join(folder, "policy.ts"), policyText(task))
    return serveCommand(folder)
  },
}
