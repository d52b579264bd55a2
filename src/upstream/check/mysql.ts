// MySQL and MariaDB: the greeting, then a login without a password, as HAProxy's mysql-check does with a user. A server
// counts hosts that go away after its greeting, and blocks them in the end (max_connect_errors); a login that it refuses
// is no such error. Protocol::Handshake, Protocol::HandshakeResponse41, Protocol::AuthSwitchRequest.
import { u16le } from "../../protocol/bytes.ts"
import { NOTHING, words, type Answer, type Dialogue } from "./dialogue.ts"

const HEADER = 4
/** Greetings are below 200 bytes, errors below 600. */
const LONGEST_PACKET = 4096
const PROTOCOL_10 = 0x0a
const OK = 0x00
const AUTH_SWITCH = 0xfe
const MORE_DATA = 0x01
const ERR = 0xff
/** CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH. */
const CAPABILITIES = 0x8_8201
const LARGEST_PACKET = 0x1_0000
/** utf8mb4_general_ci */
const CHARSET = 45
const RESERVED = 23
/** The plugin of users without a password, on both servers. */
const PLUGIN = "mysql_native_password"
const QUIT = Uint8Array.of(1, 0, 0, 0, 1)
/** MariaDB's ed25519 plugin takes an answer of another length for a broken connection. */
const ED25519 = "client_ed25519"
const ED25519_SIGNATURE = 64
/** 3: one for the account's plugin; a server that goes on asking is up. */
const MOST_SWITCHES = 3

/**
 * Errors of a server that is up but cannot serve: too many connections (1040), out of memory or threads (1037, 1038,
 * 1041, 1135), shutting down (1053), this host is blocked (1129) or not let in (1130). All others refuse the user.
 */
const FAILURES: ReadonlySet<number> = new Set([1037, 1038, 1040, 1041, 1053, 1129, 1130, 1135])

export function mysql({ user = "tidegate" }: { readonly user?: string }): Dialogue {
  return { opening: NOTHING, hear: (read) => hear(read, user) }
}

interface Packet {
  readonly sequence: number
  readonly from: number
  readonly end: number
}

function packetAt(read: Uint8Array, at: number): Packet | "more" | undefined {
  if (read.length < at + HEADER) return "more"
  const length = u16le(read, at) | (read[at + 2]! << 16)
  if (length === 0 || length > LONGEST_PACKET) return undefined
  const end = at + HEADER + length
  return read.length < end ? "more" : { sequence: read[at + 3]!, from: at + HEADER, end }
}

const FOREIGN: Answer = { kind: "bad", why: "it does not speak MySQL" }

function hear(read: Uint8Array, user: string): Answer {
  const greeting = packetAt(read, 0)
  if (greeting === "more") return { kind: "more", awaits: "greeting" }
  if (greeting === undefined || greeting.sequence !== 0) return FOREIGN
  const first = read[greeting.from]
  if (first === ERR) return { kind: "bad", why: errorOf(read, greeting).text }
  if (first !== PROTOCOL_10) return FOREIGN

  const replies = [login(user)]
  for (let at = greeting.end; ;) {
    const packet = packetAt(read, at)
    if (packet === "more") return { kind: "more", awaits: "answer to the login", replies }
    if (packet === undefined) return FOREIGN
    const kind = read[packet.from]
    if (kind === OK) return { kind: "alive", farewell: QUIT }
    if (kind === ERR) {
      const { code, text } = errorOf(read, packet)
      return FAILURES.has(code) ? { kind: "bad", why: text } : { kind: "alive" }
    }
    if (kind === AUTH_SWITCH) {
      if (replies.length > MOST_SWITCHES) return { kind: "alive" }
      replies.push(withoutPassword(read, packet))
    } else if (kind !== MORE_DATA) return FOREIGN
    at = packet.end
  }
}

/** The error's code and words; an SQLSTATE of 6 characters comes before them once the client has spoken. */
function errorOf(read: Uint8Array, { from, end }: Packet): { readonly code: number; readonly text: string } {
  const code = u16le(read, from + 1)
  const at = read[from + 3] === 0x23 ? from + 9 : from + 3
  return { code, text: `${code}: ${words(read, Math.min(at, end), end) || "an error without words"}` }
}

function login(user: string): Uint8Array {
  const name = new TextEncoder().encode(user)
  const plugin = new TextEncoder().encode(PLUGIN)
  const body = new Uint8Array(32 + name.length + 1 + 1 + plugin.length + 1)
  const view = new DataView(body.buffer)
  view.setUint32(0, CAPABILITIES, true)
  view.setUint32(4, LARGEST_PACKET, true)
  body[8] = CHARSET
  const at = 9 + RESERVED
  body.set(name, at)
  // A zero byte ends the name; the next one is the length of an answer to the challenge.
  body.set(plugin, at + name.length + 2)
  return packetOf(1, body)
}

/** Other plugins take an empty answer for an empty password. */
function withoutPassword(read: Uint8Array, { sequence, from, end }: Packet): Uint8Array {
  const close = read.indexOf(0, from)
  const plugin = words(read, from + 1, close < 0 ? end : Math.min(close, end))
  return packetOf(sequence + 1, new Uint8Array(plugin === ED25519 ? ED25519_SIGNATURE : 0))
}

function packetOf(sequence: number, body: Uint8Array): Uint8Array {
  const packet = new Uint8Array(HEADER + body.length)
  new DataView(packet.buffer).setUint16(0, body.length, true)
  packet[3] = sequence & 0xff
  packet.set(body, HEADER)
  return packet
}
