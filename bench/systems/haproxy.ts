// HAProxy with plain rules: one thread, the ranges in an ACL file.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { find } from "../process.ts"
import { ranges } from "../ranges.ts"
import { POOL, serverNames, type System, type Task } from "../system.ts"
import { REQUEST } from "../wire.ts"

export const missing = () => (find("haproxy") === undefined ? "haproxy is not installed" : undefined)
/** With that of the library that its TLS comes from. */
export function version(): string {
  const text = Bun.spawnSync([find("haproxy")!, "-vv"]).stdout.toString()
  const own = text.split("\n")[0]!.replace(/ \d{4}\/.*$/, "")
  const library = /^Running on \S+ version : (\S+ \S+)/m.exec(text)?.[1]
  return library === undefined ? own : `${own} (${library})`
}

/** A configuration whose frontend follows these rules. */
export function configuration(
  task: Task,
  folder: string,
  globals: readonly string[],
  rules: readonly string[],
): string {
  writeFileSync(join(folder, "list"), `${ranges(task.policy).join("\n")}\n`)
  return `global
  nbthread 1
  maxconn ${task.connections}
${[...globals, ...(task.buffers === undefined ? [] : [`tune.bufsize ${task.buffers}`])].map((line) => `  ${line}\n`).join("")}
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s

frontend in
  bind ${task.address}:${task.first}${task.last > task.first ? `-${task.last}` : ""}${tls(task)}
${rules.map((line) => `  ${line}\n`).join("")}
backend web
${backend(task)}`
}

function backend({ greeted, leastConnections, policy, targets = [], upstream }: Task): string {
  if (policy !== "pool") return `  server web 127.0.0.1:${upstream}\n`
  const { expect, fall, interval, rise, timeout } = POOL
  const request = new TextDecoder().decode(REQUEST).replaceAll("\r\n", "\\r\\n").replaceAll(" ", "\\ ")
  // Three failures in a row take a server down without a check, as they do in Tidegate.
  const observed = "observe layer4 error-limit 3 on-error mark-down"
  return `  balance ${leastConnections === true ? "leastconn" : "roundrobin"}
  retries 3
  option redispatch 1
  timeout check ${timeout}ms
  option tcp-check
  tcp-check connect
${greeted === true ? "" : `  tcp-check send ${request}\n`}  tcp-check expect string ${expect}
  default-server check inter ${interval}ms fall ${fall} rise ${rise} ${observed}
${targets.map((port, i) => `  server target-${i} 127.0.0.1:${port}\n`).join("")}`
}

/** Asks the running program. */
function statistics(folder: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ""
  void Bun.connect({
    unix: join(folder, "stats"),
    socket: {
      open: (socket) => void socket.write("show stat\n"),
      data: (_, chunk) => void (text += chunk.toString()),
      close: () => resolve(text),
      error: () => undefined,
    },
  })
  return promise
}

/** By itself it would prefer other ciphers than nginx and other groups than anybody, who follow the client. */
function tls({ certificate }: Task): string {
  if (certificate === undefined) return ""
  return ` ssl crt ${certificate.pair} prefer-client-ciphers curves X25519:P-256`
}

function rules(task: Task, folder: string): string[] {
  switch (task.policy) {
    case "sni": {
      const map = join(folder, "map")
      writeFileSync(
        map,
        serverNames(task)
          .map((name) => `${name} web\n`)
          .join(""),
      )
      return [
        "tcp-request inspect-delay 5s",
        "tcp-request content accept if { req.ssl_hello_type 1 }",
        `use_backend %[req.ssl_sni,lower,map(${map})]`,
      ]
    }
    case "terminate":
    case "pool":
      return ["default_backend web"]
    default:
      return [`tcp-request connection reject unless { src -f ${join(folder, "list")} }`, "default_backend web"]
  }
}

export const haproxy: System = {
  name: "haproxy",
  missing,
  policies: ["list", "deny", "sni", "terminate", "pool"],
  buffers: true,
  reloads: true,
  version,
  async pool(folder) {
    const [head, ...lines] = (await statistics(folder)).trim().split("\n")
    const names = head!.slice("# ".length).split(",")
    const rows = lines.map((line) => line.split(","))
    const value = (row: readonly string[], name: string) => row[names.indexOf(name)] ?? ""
    const servers = rows.filter((row) => value(row, "svname").startsWith("target-"))
    return {
      out: servers.map((row) => !value(row, "status").startsWith("UP")),
      retries: servers.reduce((sum, row) => sum + Number(value(row, "wretr")) + Number(value(row, "wredis")), 0),
    }
  },
  prepare(task, folder) {
    const file = join(folder, "haproxy.cfg")
    // The sockets are handed from process to process, as the documentation tells those who want no failures.
    const globals = [`stats socket ${join(folder, "stats")} level admin expose-fd listeners`]
    writeFileSync(file, configuration(task, folder, globals, rules(task, folder)))
    return [find("haproxy")!, "-W", "-f", file]
  },
  reload: (program) => void process.kill(program.pid, "SIGUSR2"),
}
