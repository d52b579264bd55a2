// Knot, an authoritative DNS server, with one zone that tests change while it runs. Gone when disposed.
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "./eventually.ts"
import { freePort } from "./ports.ts"
import { newFolder, run, startServer } from "./servers.ts"

export interface Knot extends AsyncDisposable {
  /** As a setting: `127.0.0.1:port`. */
  readonly server: string
  /** Replaces the records of the zone `example.test`: lines of a zone file, names relative to it. */
  change(...records: string[]): Promise<void>
}

/** @param records as {@link Knot.change} */
export async function startKnot(...records: string[]): Promise<Knot> {
  const port = freePort()
  const folder = newFolder()
  const socket = join(folder, "socket")
  let serial = 0
  // What there is not is not for 2 seconds.
  const write = (lines: readonly string[]) =>
    writeFileSync(
      join(folder, "zone"),
      `$ORIGIN example.test.\n@ 60 SOA ns admin ${++serial} 60 60 60 2\n@ 60 NS ns\nns 60 A 127.0.0.1\n${lines.join("\n")}\n`,
    )
  write(records)
  writeFileSync(
    join(folder, "knot.conf"),
    `server:
    rundir: ${folder}
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: ${socket}
database:
    storage: ${folder}
    journal-db-max-size: 1M
zone:
  - domain: example.test
    storage: ${folder}
    file: zone
    zonefile-sync: -1
    journal-content: none
log:
  - target: stderr
    any: warning
`,
  )
  const running = await startServer(["knotd", "-c", join(folder, "knot.conf")], port, folder)
  const control = (...command: string[]) => run(["knotc", "-s", socket, "-b", ...command])
  try {
    // It listens before it can be told anything, and before it has read its zone.
    await eventually(() => existsSync(socket))
    await control("zone-reload", "example.test")
  } catch (error) {
    await running[Symbol.asyncDispose]()
    throw error
  }
  return {
    server: `127.0.0.1:${port}`,
    async change(...lines) {
      write(lines)
      await control("zone-reload", "example.test")
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
