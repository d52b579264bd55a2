// HTTP/1.1: a GET, and the status of its answer.
import { latin1 } from "../../protocol/bytes.ts"
import { words, type Answer, type Dialogue } from "./dialogue.ts"

const LINE_FEED = 10
/** Of a status line: `HTTP/1.1 200 OK`, and what servers make of it. */
const LONGEST_LINE = 1024
const FOREIGN: Answer = { kind: "bad", why: "it does not speak HTTP/1.1" }
const MORE: Answer = { kind: "more", awaits: "answer to GET" }

export interface HttpCheck {
  readonly path?: string
  readonly host?: string
  readonly status?: readonly number[]
}

/** @param host of the target, where the check names none */
export function http({ path = "/", host, status }: HttpCheck, ofTarget: string): Dialogue {
  const request = [
    `GET ${inOneWord(path)} HTTP/1.1`,
    `Host: ${inOneWord(host ?? ofTarget)}`,
    "User-Agent: tidegate",
    "Accept: */*",
    "Connection: close",
  ]
  const isGood = (found: number) => (status === undefined ? found >= 200 && found <= 399 : status.includes(found))
  return {
    opening: new TextEncoder().encode(`${request.join("\r\n")}\r\n\r\n`),
    hear: (read) => hear(read, isGood),
  }
}

/** What would end a line, or a word of it, is percent-encoded. */
function inOneWord(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]+/gu, (part) => encodeURIComponent(part.toWellFormed()))
}

function hear(read: Uint8Array, isGood: (status: number) => boolean): Answer {
  for (let at = 0; ;) {
    const lineEnd = read.indexOf(LINE_FEED, at)
    const line = latin1(read, at, lineEnd < 0 ? Math.min(read.length, at + LONGEST_LINE) : lineEnd)
    if (!isBegun(line)) return FOREIGN
    if (lineEnd < 0) return line.length < LONGEST_LINE ? MORE : FOREIGN
    const found = /^HTTP\/1\.\d (\d{3})(?:[ \r]|$)/.exec(line)?.[1]
    if (found === undefined) return FOREIGN
    if (found.startsWith("1") && found !== "101") {
      // Interim: the answer is behind its fields.
      const next = endOfFields(read, lineEnd)
      if (next === undefined) return MORE
      at = next
      continue
    }
    if (isGood(Number(found))) return { kind: "alive" }
    return { kind: "bad", why: `it answered ${words(read, at + "HTTP/1.1 ".length, lineEnd)}` }
  }
}

/** Whether a status line may begin like this. */
function isBegun(line: string): boolean {
  const start = "HTTP/1."
  return line.length < start.length ? start.startsWith(line) : line.startsWith(start)
}

/** Behind the empty line after `lineEnd`; `undefined` where it has not come. */
function endOfFields(read: Uint8Array, lineEnd: number): number | undefined {
  for (let at = lineEnd; at >= 0; at = read.indexOf(LINE_FEED, at + 1)) {
    if (read[at + 1] === LINE_FEED) return at + 2
    if (read[at + 1] === 13 && read[at + 2] === LINE_FEED) return at + 3
  }
  return undefined
}
