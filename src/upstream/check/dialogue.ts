// What a check says to a server, and what it makes of the answers. Pure: a dialogue is told everything that was read so
// far, each time anew, and keeps nothing; the socket is in ../probe.ts.
import { latin1 } from "../../protocol/bytes.ts"

export interface Dialogue {
  /** Said first; empty where the server speaks first. */
  readonly opening: Uint8Array
  readonly hear: (read: Uint8Array) => Answer
}

/** What to make of all that was read. Never throws, whatever the bytes. */
export type Answer =
  | {
      readonly kind: "more"
      /** What is missing, as in "no answer to PING within 2000 ms". */
      readonly awaits: string
      /** What there is to say by now, behind the opening: each is said once. */
      readonly replies?: readonly Uint8Array[]
    }
  | {
      readonly kind: "alive"
      /** What to say before leaving. */
      readonly farewell?: Uint8Array
    }
  | { readonly kind: "bad"; readonly why: string }

export const NOTHING = new Uint8Array(0)

/** 200 characters of what a server says of itself: enough for every message of the servers that are asked here. */
const LONGEST_WORDS = 200

/** A server's own words, on one line. One byte is one character: what they are written in is not known. */
export function words(bytes: Uint8Array, from: number, to: number): string {
  const end = Math.min(to, from + LONGEST_WORDS)
  return latin1(bytes, from, end)
    .replaceAll(/\p{Cc}+/gu, " ")
    .trim()
}
