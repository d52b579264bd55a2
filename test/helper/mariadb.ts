// A MariaDB server in a folder of its own, gone when disposed.
import { chownSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { freePort } from "./ports.ts"
import { newFolder, run, startServer, type RunningServer } from "./servers.ts"

export interface MariadbOptions {
  /** @default "127.0.0.1" */
  readonly address?: string
  /**
   * Interrupted connects after which a host is blocked. Only hosts whose address has a name are counted: with this one,
   * `address` gets one, in a file system of the server's own. Needs root.
   */
  readonly maxConnectErrors?: number
}

/** Its `root` has no password and may log in over the unix socket `folder/socket`. */
export async function startMariadb({
  address = "127.0.0.1",
  maxConnectErrors,
}: MariadbOptions = {}): Promise<RunningServer> {
  const port = freePort()
  const folder = newFolder()
  // It does not run as root: then it runs as nobody, whom every system has.
  const isRoot = userInfo().uid === 0
  if (isRoot) {
    const [uid, gid] = (await Promise.all([run(["id", "-u", "nobody"]), run(["id", "-g", "nobody"])])).map(Number)
    chownSync(folder, uid!, gid!)
  }
  const data = join(folder, "data")
  const user = isRoot ? ["--user=nobody"] : []
  // Each removes what it takes for its own leftovers from a folder that it shares.
  const settings = ["--no-defaults", `--datadir=${data}`, `--tmpdir=${folder}`, ...user]
  await run(["mariadb-install-db", ...settings, "--auth-root-authentication-method=normal", "--skip-test-db"])
  const server = [
    "mariadbd",
    ...settings,
    `--port=${port}`,
    `--bind-address=${address}`,
    `--socket=${join(folder, "socket")}`,
    `--pid-file=${join(folder, "pid")}`,
    "--performance-schema",
  ]
  if (maxConnectErrors === undefined) return startServer(server, port, folder, address)
  const hosts = join(folder, "hosts")
  writeFileSync(hosts, `127.0.0.1 localhost\n${address} whoever-probes\n`)
  const command = `mount --bind ${hosts} /etc/hosts && exec "$@" --max-connect-errors=${maxConnectErrors}`
  return startServer(["unshare", "--mount", "sh", "-c", command, "sh", ...server], port, folder, address)
}
