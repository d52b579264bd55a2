// How to ask the DNS now: what resolv.conf says, which is looked at again when it changes.
import { readFile, stat } from "node:fs/promises"
import { hostname } from "node:os"
import { Effect } from "effect"
import { parseResolvConf, parseServer, type DnsServer, type ResolverSettings } from "./resolv-conf.ts"

export interface DnsOptions {
  /** Servers to ask in place of the system's, in order, like `127.0.0.1:5353`. @default those of the file */
  readonly servers?: readonly string[]
  /** What says which servers there are, and how names are searched for. @default "/etc/resolv.conf" */
  readonly path?: string
}

export class DnsServerInvalid extends Error {
  override readonly name = "DnsServerInvalid"
}

/** The settings as they are whenever it runs. @throws DnsServerInvalid at once */
export function followSettings({ path = "/etc/resolv.conf", servers }: DnsOptions): Effect.Effect<ResolverSettings> {
  const given = servers?.map(serverOf)
  let settings = parse("", given)
  let signature: string | undefined
  return Effect.promise(async () => {
    try {
      const { ctimeMs, dev, ino, mtimeMs, size } = await stat(path)
      const now = [dev, ino, size, mtimeMs, ctimeMs].join(":")
      if (now !== signature) settings = parse(await readFile(path, "utf8"), given)
      signature = now
    } catch {
      // Gone for a moment, or never there: what is known still holds, and without anything the server of this machine.
      signature = undefined
    }
    return settings
  })
}

function parse(text: string, given: readonly DnsServer[] | undefined): ResolverSettings {
  const settings = parseResolvConf(text, hostname())
  return given === undefined || given.length === 0 ? settings : { ...settings, servers: given }
}

function serverOf(text: string): DnsServer {
  const server = parseServer(text)
  if (server !== undefined) return server
  throw new DnsServerInvalid(
    `${JSON.stringify(text)} is not a DNS server: expected an address, like 10.0.0.53 or [::1]:5353`,
  )
}
