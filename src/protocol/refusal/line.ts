// The reason as a client may be shown it: policies put names and ids into it that clients chose, and it ends on the
// terminals and pages of others.

/** 255 bytes: with what is around it a refusal fits into one packet of any of the protocols. */
const LONGEST_LINE = 255

/** Said where a policy gave no reason. */
export const NO_REASON = "connection refused by policy"

const BREAKS = /[\t-\r\x85\u2028\u2029]+/g
/** Controls, bidi and other format characters, lone surrogates, private and unassigned characters. */
const UNPRINTABLE = /\p{C}/gu

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** One printable line of at most 255 bytes of UTF-8, never empty, in which no character is cut. */
export function line(reason: string | undefined): string {
  const text = (reason ?? "").replace(BREAKS, " ").replace(UNPRINTABLE, "?").trim() || NO_REASON
  const bytes = new Uint8Array(LONGEST_LINE)
  // Stops before a character that does not fit.
  const { written } = encoder.encodeInto(text, bytes)
  return decoder.decode(bytes.subarray(0, written)).trimEnd()
}
