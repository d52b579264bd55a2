// nginx's stream module with geo and map: one worker.
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { userInfo } from "node:os"
import { find } from "../process.ts"
import { ranges } from "../ranges.ts"
import { serverNames, type System, type Task } from "../system.ts"
import { OWN_ANSWER } from "../wire.ts"

/** Where dynamic modules are, and whether the stream module is one; `undefined` without nginx. */
function build(): { modules: string; stream: "static" | "dynamic" | "none" } | undefined {
  const program = find("nginx")
  if (program === undefined) return undefined
  const text = Bun.spawnSync([program, "-V"]).stderr.toString()
  const modules = /--modules-path=(\S+)/.exec(text)?.[1] ?? "/usr/lib/nginx/modules"
  const isStatic = /--with-stream(?![=_])/.test(text)
  const isDynamic = existsSync(join(modules, "ngx_stream_module.so"))
  return { modules, stream: isStatic ? "static" : isDynamic ? "dynamic" : "none" }
}

export function missingModules(...extra: string[]): string | undefined {
  const found = build()
  if (found === undefined) return "nginx is not installed"
  if (found.stream === "none") return "nginx has no stream module (libnginx-mod-stream)"
  const absent = extra.find((name) => !existsSync(join(found.modules, name)))
  return absent === undefined ? undefined : `nginx has no ${absent}`
}

/** With that of the library that its TLS comes from. */
export function version(): string {
  const text = Bun.spawnSync([find("nginx")!, "-V"]).stderr.toString()
  const own = /^nginx version: (.*)$/m.exec(text)?.[1] ?? "unknown"
  const library = /\brunning with (\S+ \S+)/.exec(text) ?? /^built with (\S+ \S+)/m.exec(text)
  return library === null ? own : `${own} (${library[1]})`
}

/** Descriptors of nginx beside connections: logs, channels, event queue. */
const SPARE = 64

/** A configuration whose stream block begins with `head` and whose server does `body`. */
export function configuration(
  task: Task,
  folder: string,
  extra: readonly string[],
  head: readonly string[],
  body: readonly string[],
): string {
  const { modules, stream } = build()!
  const load = [...(stream === "dynamic" ? ["ngx_stream_module.so"] : []), ...extra]
  const ports = task.last > task.first ? `${task.first}-${task.last}` : String(task.first)
  const listeners = task.last - task.first + 1
  return `daemon off;
${userInfo().uid === 0 ? "user root;" : ""}
worker_processes 1;
pid ${join(folder, "pid")};
error_log stderr crit;
${load.map((name) => `load_module ${join(modules, name)};\n`).join("")}
events { worker_connections ${2 * task.connections + listeners + SPARE}; }
stream {
  upstream web { server 127.0.0.1:${task.upstream}; }
${head.map((line) => `  ${line}\n`).join("")}
  server {
    listen ${task.address}:${ports}${task.certificate === undefined ? "" : " ssl"};
    ${task.buffers === undefined ? "" : `proxy_buffer_size ${task.buffers};`}
${body.map((line) => `    ${line}\n`).join("")}
  }
}
`
}

function body(task: Task): string[] {
  switch (task.policy) {
    case "deny":
      return [...ranges(task.policy).map((range) => `allow ${range};`), "deny all;", "proxy_pass web;"]
    case "answer":
      return ["return $text;"]
    case "sni":
      return ["ssl_preread on;", "proxy_pass $target;"]
    case "terminate":
      return [...tls(task), "proxy_pass web;"]
    case "tell":
      return [...tls(task), `return "${TEXT}";`]
    default:
      return ["proxy_pass $target;"]
  }
}

const TEXT = OWN_ANSWER.replace("\n", "\\n")

const tls = ({ certificate }: Task): string[] => [
  `ssl_certificate ${certificate!.cert};`,
  `ssl_certificate_key ${certificate!.key};`,
  "ssl_protocols TLSv1.2 TLSv1.3;",
]

function head(task: Task): string[] {
  switch (task.policy) {
    case "sni":
      return [
        `map $ssl_preread_server_name $target { default none; ${serverNames(task)
          .map((name) => `${name} web;`)
          .join(" ")} }`,
      ]
    case "terminate":
    case "tell":
      return []
    default:
      return [
        `geo $listed { default 0; ${ranges(task.policy)
          .map((range) => `${range} 1;`)
          .join(" ")} }`,
        task.policy === "answer"
          ? `map $listed $text { default ""; 1 "${TEXT}"; }`
          : "map $listed $target { default none; 1 web; }",
      ]
  }
}

export const nginx: System = {
  name: "nginx",
  missing: () => missingModules(),
  policies: ["list", "deny", "answer", "sni", "terminate", "tell"],
  buffers: true,
  reloads: true,
  version,
  prepare(task, folder) {
    const file = join(folder, "nginx.conf")
    writeFileSync(file, configuration(task, folder, [], head(task), body(task)))
    return [find("nginx")!, "-c", file, "-e", "stderr"]
  },
  reload: (program) => void process.kill(program.pid, "SIGHUP"),
}
