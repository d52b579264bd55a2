// How a table of parsers becomes one answer that no cut of the bytes can change. The table itself is in index.ts.
import { HELLO_WIRE_LIMIT } from "./tls-records.ts"

/** Reads a client's first message: a match with its facts, `"more"` while it may become one, `undefined` if it cannot. */
export type Detector<Match> = (bytes: Uint8Array) => Match | "more" | undefined

/** 20 KiB: what is looked at, the most that a TLS hello may take. A longer first message names nothing. */
export const FIRST_BYTES_LIMIT = HELLO_WIRE_LIMIT

/**
 * Asks the detectors in order: the first that does not say no decides, also while it asks for more. So an answer given
 * for the first bytes is still the answer when more of them are there, and the order of the table settles what two
 * protocols begin alike. `ended` says that no byte will follow, for which an unfinished message names nothing.
 */
export function firstMatch<Match>(
  table: readonly Detector<Match>[],
  bytes: Uint8Array,
  ended: boolean,
): Match | "more" | undefined {
  const seen = bytes.length > FIRST_BYTES_LIMIT ? bytes.subarray(0, FIRST_BYTES_LIMIT) : bytes
  const complete = ended || seen.length === FIRST_BYTES_LIMIT
  for (const detector of table) {
    const found = detector(seen)
    if (found === "more") return complete ? undefined : "more"
    if (found !== undefined) return found
  }
  return undefined
}
