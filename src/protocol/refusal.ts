// Refusals in the client's own language: bytes after which the gateway closes, and which its programs show to people.
// Pure. A protocol is here only if its specification has such a message and its clients show it.
import { alert } from "./alert.ts"
import type { Protocol } from "./index.ts"
import type { Minecraft } from "./minecraft.ts"
import { http, http2 } from "./refusal/http.ts"
import { line } from "./refusal/line.ts"
import { disconnect, legacyStatus, status } from "./refusal/minecraft.ts"
import { mqtt3, mqtt5 } from "./refusal/mqtt.ts"
import { mysql } from "./refusal/mysql.ts"
import { nats } from "./refusal/nats.ts"
import { be16, be32, packet } from "./refusal/packet.ts"
import { postgresError } from "./refusal/postgres.ts"
import { ssh } from "./refusal/ssh.ts"
import { vnc } from "./refusal/vnc.ts"

/** The protocols that have a refusal, by the names that `detect` gives them. */
export const REFUSABLE = [
  "http",
  "http2",
  "postgres",
  "mysql",
  "ssh",
  "redis",
  "mqtt",
  "minecraft",
  "tls",
  "nats",
  "vnc",
  "socks4",
  "socks5",
] as const

/** "Request rejected or failed" of the SOCKS 4 specification. */
const SOCKS4_REJECTED = 91
/** RFC 1928 section 3. */
const SOCKS5_NO_METHOD = 0xff

export type Refusable = (typeof REFUSABLE)[number]

export function isRefusable(name: string): name is Refusable {
  return (REFUSABLE as readonly string[]).includes(name)
}

/**
 * What a client is told in the protocol of this name, with the reason as one printable line of at most 255 bytes. `spoken`
 * is its first message, if it sent one. `undefined` where nothing can be said.
 */
export function refusal(
  name: Refusable,
  reason: string | undefined,
  spoken: Protocol | undefined,
): Uint8Array | undefined {
  switch (name) {
    case "http":
      if (spoken?.protocol === "http2") return http2(reason)
      return http(reason, spoken?.protocol === "http" ? spoken.method : undefined)
    case "http2":
      return http2(reason)
    case "postgres":
      return spoken?.protocol === "postgres" && spoken.kind === "cancel" ? undefined : postgresError(reason)
    case "mysql":
      // A client that has spoken was greeted, and not by us.
      return spoken?.protocol === "mysql" ? undefined : mysql(reason)
    case "ssh":
      return ssh(reason)
    case "redis":
      return packet(`-ERR ${line(reason)}\r\n`)
    case "mqtt":
      if (spoken?.protocol === "mqtt" && spoken.version === "5") return mqtt5(reason, spoken.maximumPacketSize)
      return mqtt3()
    case "minecraft":
      return spoken?.protocol === "minecraft" ? afterHandshake(reason, spoken) : undefined
    case "tls":
      return alert("access_denied")
    case "nats":
      return nats(reason)
    case "vnc":
      return vnc(reason)
    case "socks4":
      return packet([0, SOCKS4_REJECTED], be16(0), be32(0))
    case "socks5":
      return packet([5, SOCKS5_NO_METHOD])
  }
}

/**
 * What leads a client to a message that can be refused: a PostgreSQL client asks for encryption first, and reads an error
 * only after the answer that there is none. Write it, read its next message, and ask again with that.
 * A client that insists on encryption leaves instead.
 */
export function declineEncryption(spoken: Protocol | undefined): Uint8Array | undefined {
  if (spoken?.protocol !== "postgres") return undefined
  return spoken.kind === "ssl-request" || spoken.kind === "gss-request" ? packet("N") : undefined
}

function afterHandshake(reason: string | undefined, spoken: Minecraft): Uint8Array {
  if (spoken.legacy) return legacyStatus(reason, spoken.protocolVersion)
  return spoken.nextState === "status" ? status(reason, spoken.protocolVersion) : disconnect(reason)
}
