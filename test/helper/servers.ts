// Real servers from the system's packages, each on a free port in a folder of its own, gone when disposed.
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { freePort } from "./ports.ts"

export interface RunningServer extends AsyncDisposable {
  readonly port: number
  readonly folder: string
}

/** The path of a program, also where only root's PATH has it. */
export function program(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin:${postgresBin() ?? ""}` }) ?? undefined
}

/** Whether all of these are installed; says which are not. */
export function installed(...names: string[]): boolean {
  const missing = names.filter((name) => program(name) === undefined)
  if (missing.length > 0) console.log(`skipped: ${missing.join(", ")} not installed`)
  return missing.length === 0
}

function postgresBin(): string | undefined {
  const root = "/usr/lib/postgresql"
  const newest = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a))[0] : undefined
  return newest === undefined ? undefined : join(root, newest, "bin")
}

/** Runs a program to its end; rejects with its output when it fails. */
export async function run(
  command: string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<string> {
  const child = Bun.spawn([program(command[0]!) ?? command[0]!, ...command.slice(1)], {
    stdin: options.stdin === undefined ? "ignore" : new TextEncoder().encode(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${err}${out}`)
  return out
}

/** Connects until somebody answers; a server that ends first is an error with its output. */
async function answering(
  child: Bun.Subprocess<"ignore", "pipe", "pipe">,
  port: number,
  hostname: string,
): Promise<void> {
  const output = new Response(child.stderr).text()
  const ended = child.exited.then(async (code) => {
    throw new Error(`the server ended with ${code}: ${await output}`)
  })
  // Handled where it is raced; a server that is stopped later must not count as a stray rejection.
  ended.catch(() => undefined)
  for (;;) {
    const open = Bun.connect({ hostname, port, socket: { data: () => undefined } }).then(
      (socket) => {
        socket.end()
        return true
      },
      () => false,
    )
    if (await Promise.race([open, ended])) return
    await Promise.race([new Promise((resolve) => setImmediate(resolve)), ended])
  }
}

export async function startServer(
  command: string[],
  port: number,
  folder: string,
  hostname = "127.0.0.1",
): Promise<RunningServer> {
  const child = Bun.spawn([program(command[0]!)!, ...command.slice(1)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  await answering(child, port, hostname)
  return {
    port,
    folder,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM")
      await child.exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "tidegate-server-"))
}

/** @param settings further ones, as arguments */
export function startRedis(...settings: string[]): Promise<RunningServer> {
  const port = freePort()
  const folder = newFolder()
  return startServer(
    ["redis-server", "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, ...settings],
    port,
    folder,
  )
}

export interface PostgresOptions {
  /** What the server says of itself: `show cluster_name`. */
  readonly name?: string
  /** It speaks TLS with this certificate. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** It follows a log that never comes, and lets nobody in meanwhile. */
  readonly isRecovering?: boolean
}

/** PostgreSQL does not run as root: then it runs as its own user. */
export async function startPostgres({ name = "", tls, isRecovering }: PostgresOptions = {}): Promise<RunningServer> {
  const port = freePort()
  const folder = newFolder()
  const asUser = userInfo().uid === 0 ? ["runuser", "-u", "postgres", "--"] : []
  if (asUser.length > 0) {
    const [uid, gid] = (
      await run(["id", "-u", "postgres"]).then(async (id) => [id, await run(["id", "-g", "postgres"])])
    ).map(Number)
    chownSync(folder, uid!, gid!)
  }
  chmodSync(folder, 0o700)
  const data = join(folder, "data")
  await run([...asUser, program("initdb")!, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"])
  const settings = ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=50", `cluster_name=${name}`]
  if (tls !== undefined) {
    const files = { cert: join(data, "tls.crt"), key: join(data, "tls.key") }
    for (const [kind, path] of Object.entries(files)) {
      writeFileSync(path, tls[kind as "cert" | "key"], { mode: 0o600 })
      const { uid, gid } = statSync(data)
      chownSync(path, uid, gid)
    }
    settings.push("ssl=on", `ssl_cert_file=${files.cert}`, `ssl_key_file=${files.key}`)
  }
  if (isRecovering === true) {
    writeFileSync(join(data, "standby.signal"), "")
    settings.push("hot_standby=off")
  }
  const server = [program("postgres")!, "-D", data, "-p", String(port), "-k", folder]
  return startServer([...asUser, ...server, ...settings.flatMap((each) => ["-c", each])], port, folder)
}

export async function startSsh(): Promise<RunningServer & { readonly key: string }> {
  const port = freePort()
  const folder = newFolder()
  mkdirSync("/run/sshd", { recursive: true })
  const key = join(folder, "id")
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(folder, "host")])
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
  const config = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(folder, "host")}`,
    `AuthorizedKeysFile ${key}.pub`,
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "PermitRootLogin yes",
    `PidFile ${join(folder, "pid")}`,
    "Subsystem sftp internal-sftp",
  ]
  writeFileSync(join(folder, "config"), config.join("\n"))
  const server = await startServer(["sshd", "-D", "-e", "-f", join(folder, "config")], port, folder)
  return { ...server, key, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** @param tls it speaks TLS with this certificate */
export function startNginx(tls?: { readonly cert: string; readonly key: string }): Promise<RunningServer> {
  const port = freePort()
  const folder = newFolder()
  mkdirSync(join(folder, "html"))
  writeFileSync(join(folder, "html", "index.html"), "hello from nginx\n")
  writeFileSync(join(folder, "html", "big"), new Uint8Array(20_000_000).fill(65))
  if (tls !== undefined) for (const kind of ["cert", "key"] as const) writeFileSync(join(folder, kind), tls[kind])
  const secure = tls === undefined ? "" : `ssl_certificate ${folder}/cert; ssl_certificate_key ${folder}/key;`
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; ${userInfo().uid === 0 ? "user root;" : ""} worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http { access_log off; ${temp.join(" ")} server { listen 127.0.0.1:${port}${tls === undefined ? "" : " ssl"}; ${secure} root ${folder}/html; } }`,
  )
  return startServer(["nginx", "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")], port, folder)
}
