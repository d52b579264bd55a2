// Turns programs away by the fingerprint of their TLS hello (JA4), before any server sees them. A fingerprint is that of a
// TLS library as it is set up, not of a person: look for it in your own events (ja4_fingerprint) before you deny it.
import { deny, route, type Connection } from "tidegate"

export const listen = "tls://127.0.0.1:9112"

const denied = new Map([
  ["t13d190900_9dc949149365_97f8aa674fd9", "Sliver"],
  ["t13d201100_2b729b4bf6f3_9e7b989ebec8", "IcedID"],
])

export function on_tcp_connect(connection: Connection) {
  const program = denied.get(connection.tls?.ja4 ?? "")
  if (program === undefined) return route("tcp://web.internal:443")
  connection.log({ program })
  return deny(`the fingerprint of ${program}`)
}
