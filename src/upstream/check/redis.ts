// Redis and what speaks its protocol: PING, and who is master. RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/
import { words, type Dialogue } from "./dialogue.ts"

const SIMPLE = 0x2b
const ERROR = 0x2d
const BULK = 0x24
const CARRIAGE_RETURN = 13
/** A line of a reply: errors are a sentence, lengths a number. */
const LONGEST_LINE = 1024
/** INFO replication has a line per replica, at most so many bytes in all. */
const LONGEST_BULK = 16_000

export interface RedisCheck {
  readonly password?: string
  readonly role?: "master" | "slave"
}

export function redis({ password, role }: RedisCheck): Dialogue {
  const asked = [
    ...(password === undefined
      ? []
      : [{ command: ["AUTH", password], awaits: "answer to AUTH", judge: authenticated }]),
    { command: ["PING"], awaits: "answer to PING", judge: pinged },
    ...(role === undefined
      ? []
      : [
          {
            command: ["INFO", "replication"],
            awaits: "answer to INFO replication",
            judge: (reply: Reply) => inRole(reply, role),
          },
        ]),
  ]
  return {
    opening: Buffer.concat(asked.map(({ command }) => request(command))),
    hear(read) {
      let at = 0
      for (const { awaits, judge } of asked) {
        const reply = replyAt(read, at)
        if (reply === "more") return { kind: "more", awaits }
        if (reply === undefined) return { kind: "bad", why: "it does not speak Redis" }
        const why = judge(reply)
        if (why !== undefined) return { kind: "bad", why }
        at = reply.end
      }
      return { kind: "alive" }
    },
  }
}

function request(command: readonly string[]): Uint8Array {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`)
  return Buffer.from(`*${command.length}\r\n${parts.join("")}`)
}

interface Reply {
  readonly isError: boolean
  readonly text: string
  readonly end: number
}

/** One reply of the kinds that these commands have. */
function replyAt(read: Uint8Array, from: number): Reply | "more" | undefined {
  const type = read[from]
  if (type === undefined) return "more"
  if (type !== SIMPLE && type !== ERROR && type !== BULK) return undefined
  const lineEnd = read.indexOf(CARRIAGE_RETURN, from)
  if (lineEnd < 0) return read.length - from > LONGEST_LINE ? undefined : "more"
  if (read.length < lineEnd + 2) return "more"
  if (type !== BULK) return { isError: type === ERROR, text: words(read, from + 1, lineEnd), end: lineEnd + 2 }
  const digits = words(read, from + 1, lineEnd)
  const length = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN
  if (!(length <= LONGEST_BULK)) return undefined
  const end = lineEnd + 2 + length
  if (read.length < end + 2) return "more"
  return { isError: false, text: Buffer.from(read.subarray(lineEnd + 2, end)).toString("latin1"), end: end + 2 }
}

/** A server without a password says so, and answers the rest all the same. */
function authenticated({ isError, text }: Reply): string | undefined {
  if (!isError || /no password is set|without any password/i.test(text)) return undefined
  return `it does not take the password: ${text}`
}

/** Who asks for a password, or forbids this command, is up. LOADING, MASTERDOWN, BUSY and the like are not. */
function pinged({ isError, text }: Reply): string | undefined {
  if (!isError) return undefined
  return /^(NOAUTH|NOPERM)\b/.test(text) || /operation not permitted/i.test(text) ? undefined : text
}

function inRole({ isError, text }: Reply, role: string): string | undefined {
  if (isError) return `it does not tell its role: ${text}`
  const found = /^role:(\w+)\r?$/m.exec(text)?.[1]
  if (found === role) return undefined
  return found === undefined ? "it does not tell its role" : `it is a ${found}, not a ${role}`
}
