// HAProxy with plain rules: one thread, the ranges in an ACL file.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { find } from "../process.ts"
import { ranges } from "../ranges.ts"
import { firstLine, type System, type Task } from "../system.ts"

export const missing = () => (find("haproxy") === undefined ? "haproxy is not installed" : undefined)
export const version = () => firstLine([find("haproxy")!, "-v"]).replace(/ \d{4}\/.*$/, "")

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
  bind ${task.address}:${task.first}${task.last > task.first ? `-${task.last}` : ""}
${rules.map((line) => `  ${line}\n`).join("")}
backend web
  server web 127.0.0.1:${task.upstream}
`
}

export const haproxy: System = {
  name: "haproxy",
  missing,
  policies: ["list", "deny"],
  buffers: true,
  reloads: true,
  version,
  prepare(task, folder) {
    const file = join(folder, "haproxy.cfg")
    const rules = [`tcp-request connection reject unless { src -f ${join(folder, "list")} }`, "default_backend web"]
    // The sockets are handed from process to process, as the documentation tells those who want no failures.
    const globals = [`stats socket ${join(folder, "stats")} level admin expose-fd listeners`]
    writeFileSync(file, configuration(task, folder, globals, rules))
    return [find("haproxy")!, "-W", "-f", file]
  },
  reload: (program) => void process.kill(program.pid, "SIGUSR2"),
}
