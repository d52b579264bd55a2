// What people type to see that a listener is there.
import type { ListenerPlan } from "./config/snapshot.ts"

/** A command that connects to a bound address. */
export function howToTry({ names, scheme }: ListenerPlan, address: string | undefined): string {
  if (address === undefined) return ""
  if (address.startsWith("unix:")) return `nc -U ${address.slice(5)}`
  const at = address.lastIndexOf(":")
  const host = address.slice(0, at).replace(/^\[|\]$/g, "")
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
  const port = address.slice(at + 1)
  if (scheme === "tcp") return `nc ${reachable} ${port}`
  const name = names?.example
  if (scheme === "tls")
    return `openssl s_client -connect ${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}${name === undefined ? "" : ` -servername ${name}`}`
  return `psql "host=${name ?? reachable} hostaddr=${reachable} port=${port}"`
}
