// PostgreSQL, as pg_isready asks: a startup message, to which every answer is good but that the server is starting up.
// Protocol 3, "Message Flow" and "Message Formats".
import { u32 } from "../../protocol/bytes.ts"
import { words, type Answer, type Dialogue } from "./dialogue.ts"

const PROTOCOL_3 = 196_608
const AUTHENTICATION = 0x52
const ERROR = 0x45
const NOTICE = 0x4e
const NEGOTIATE = 0x76
/** Type and length. */
const HEADER = 5
/** libpq's bounds of an error: what is outside has none, and is a text of a server that could not even fork. */
const SHORTEST_ERROR = 8
const LONGEST_ERROR = 30_000
/** cannot_connect_now: starting up, shutting down, or in recovery and not open to readers. */
const CANNOT_CONNECT_NOW = "57P03"
const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4)
const MORE: Answer = { kind: "more", awaits: "answer to the startup message" }
const FOREIGN: Answer = { kind: "bad", why: "it does not speak PostgreSQL" }

export interface PostgresCheck {
  readonly user?: string
  readonly database?: string
}

export function postgres({ user = "tidegate", database }: PostgresCheck): Dialogue {
  const settings = ["user", user, ...(database === undefined ? [] : ["database", database])]
  settings.push("application_name", "tidegate")
  return { opening: startup(settings), hear }
}

function startup(settings: readonly string[]): Uint8Array {
  const text = new TextEncoder().encode(`${settings.join("\0")}\0\0`)
  const message = new Uint8Array(8 + text.length)
  const view = new DataView(message.buffer)
  view.setUint32(0, message.length)
  view.setUint32(4, PROTOCOL_3)
  message.set(text, 8)
  return message
}

function hear(read: Uint8Array): Answer {
  for (let at = 0; at < read.length;) {
    const type = read[at]
    if (type !== AUTHENTICATION && type !== ERROR && type !== NOTICE && type !== NEGOTIATE) return FOREIGN
    if (read.length < at + HEADER) return MORE
    const length = u32(read, at + 1)
    const end = at + 1 + length
    if (type === ERROR && (length < SHORTEST_ERROR || length > LONGEST_ERROR)) return failed(read, at + 1)
    if (length < 4 || length > LONGEST_ERROR) return FOREIGN
    if (read.length < end) return MORE
    // It wants a password, or is content without one: then a session begins, which is to be left as sessions are.
    if (type === AUTHENTICATION) {
      return u32(read, at + HEADER) === 0 ? { kind: "alive", farewell: TERMINATE } : { kind: "alive" }
    }
    if (type === ERROR) return refused(read, at + HEADER, end)
    at = end
  }
  return MORE
}

/** An ErrorResponse: fields of a type and a text. Whoever refuses a user or a database is up. */
function refused(read: Uint8Array, from: number, end: number): Answer {
  const fields = new Map<string, string>()
  for (let at = from; at < end && read[at] !== 0;) {
    const close = read.indexOf(0, at)
    const to = close < 0 || close > end ? end : close
    fields.set(String.fromCharCode(read[at]!), words(read, at + 1, to))
    at = to + 1
  }
  if (fields.get("C") !== CANNOT_CONNECT_NOW) return { kind: "alive" }
  return { kind: "bad", why: `${CANNOT_CONNECT_NOW}: ${fields.get("M") ?? "it takes no connections now"}` }
}

function failed(read: Uint8Array, from: number): Answer {
  const end = read.indexOf(0, from)
  return end < 0 ? MORE : { kind: "bad", why: words(read, from, end) || "it failed without a word" }
}
