// HAProxy and nginx's stream module beside a gateway: in front of it, or behind it.
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { freePort } from "./ports.ts"
import { installed, newFolder, program, startServer, type RunningServer } from "./servers.ts"

/** Runs HAProxy; `configuration` is what follows the defaults, given the folder of its files. */
export function startHaproxy(
  configuration: (folder: string) => string,
  files: Readonly<Record<string, string>> = {},
): Promise<RunningServer> {
  const port = freePort()
  const folder = newFolder()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
  writeFileSync(
    join(folder, "haproxy.cfg"),
    `global
  maxconn 1000
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
# Only to tell that the others are bound.
frontend probe
  bind 127.0.0.1:${port}
${configuration(folder)}
`,
  )
  return startServer(["haproxy", "-db", "-q", "-f", join(folder, "haproxy.cfg")], port, folder)
}

function streamModule(): string | undefined {
  const nginx = program("nginx")
  if (nginx === undefined) return undefined
  const told = Bun.spawnSync([nginx, "-V"]).stderr.toString()
  if (/--with-stream(?![=_])/.test(told)) return ""
  const modules = /--modules-path=(\S+)/.exec(told)?.[1] ?? "/usr/lib/nginx/modules"
  const file = join(modules, "ngx_stream_module.so")
  return existsSync(file) ? `load_module ${file};` : undefined
}

/** Whether nginx is there and has its stream module; says when it is not. */
export function hasStreams(): boolean {
  if (!installed("nginx")) return false
  if (streamModule() !== undefined) return true
  console.log("skipped: nginx has no stream module (libnginx-mod-stream)")
  return false
}

/** Runs nginx with these servers in its stream block. */
export function startStreams(servers: string): Promise<RunningServer> {
  const port = freePort()
  const folder = newFolder()
  mkdirSync(join(folder, "logs"))
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; ${userInfo().uid === 0 ? "user root;" : ""} worker_processes 1; pid ${folder}/pid;
error_log ${folder}/error.log;
${streamModule() ?? ""}
events { worker_connections 512; }
stream {
  # Only to tell that the others are bound.
  server { listen 127.0.0.1:${port}; return ""; }
  ${servers}
}`,
  )
  return startServer(["nginx", "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")], port, folder)
}
