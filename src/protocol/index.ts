// The table of protocols, and the one question asked of it: what does this client speak? Pure: no I/O, nothing of Bun's.
// A protocol is one file and one line here.
import { amqp } from "./amqp.ts"
import { bittorrent } from "./bittorrent.ts"
import { firstMatch } from "./detect.ts"
import { dns } from "./dns.ts"
import { http } from "./http.ts"
import { http2 } from "./http2.ts"
import { ldap } from "./ldap.ts"
import { minecraft } from "./minecraft.ts"
import { mongodb } from "./mongodb.ts"
import { mqtt } from "./mqtt.ts"
import { mssql } from "./mssql.ts"
import { mysql } from "./mysql.ts"
import { nats } from "./nats.ts"
import { openvpn } from "./openvpn.ts"
import { postgres } from "./postgres.ts"
import { proxy } from "./proxy.ts"
import { rdp } from "./rdp.ts"
import { redis } from "./redis.ts"
import { socks4 } from "./socks4.ts"
import { socks5 } from "./socks5.ts"
import { ssh } from "./ssh.ts"
import { stun } from "./stun.ts"
import { tls } from "./tls.ts"
import { vnc } from "./vnc.ts"
import { xmpp } from "./xmpp.ts"

/**
 * The order settles what begins alike: the first that does not say no decides.
 * - Text and magic numbers come first. `PROXY TCP4` and `PRI * HTTP/2.0` stand before HTTP/1, whose request line they
 *   resemble; HTTP/1 stands before NATS (`CONNECT {`) and Redis (`GET key` typed as a line), and says no to both where
 *   its own request line would go on differently.
 * - Then what has a type or version in its first byte. A SOCKS 5 client waits for an answer after three bytes, so what
 *   stands above it must say no to its first byte.
 * - Last what begins with a length, so that any first byte may be its own. Each demands that the length fits exactly and
 *   that fixed fields have their one value: OpenVPN's operation, DNS's flags and counts, MySQL's sequence number.
 */
const TABLE = [
  tls,
  proxy,
  http2,
  http,
  ssh,
  vnc,
  amqp,
  bittorrent,
  xmpp,
  nats,
  redis,
  postgres,
  mssql,
  mqtt,
  ldap,
  rdp,
  socks4,
  socks5,
  stun,
  minecraft,
  mongodb,
  openvpn,
  dns,
  mysql,
] as const

/** What a client speaks, told by `protocol`, with what its first message says about it. */
export type Protocol = Exclude<ReturnType<(typeof TABLE)[number]>, "more" | undefined>

/**
 * Names the protocol from a client's first bytes. The same answer comes from any cut of them: `"more"` until the first
 * message is complete, then the match; `undefined` for what no protocol here begins with, for an unfinished message of a
 * client that `ended`, and for one longer than 20 KiB. Protocols whose server speaks first (MySQL, VNC,
 * NATS, mail) are known by the client's silence, which the caller sees and this does not. Never throws.
 */
export function detect(bytes: Uint8Array, ended = false): Protocol | "more" | undefined {
  return firstMatch<Protocol>(TABLE, bytes, ended)
}

export { FIRST_BYTES_LIMIT } from "./detect.ts"
export { HELLO_LIMIT, HELLO_WIRE_LIMIT, parseClientHello } from "./client-hello.ts"
export type { ClientHello, HelloInvalid } from "./client-hello.ts"
