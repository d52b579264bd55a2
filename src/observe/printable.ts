// Makes text that others chose (names, reasons, file contents) safe to show on a terminal. Pure.

/**
 * What could act on a terminal: controls (C0, DEL, C1), format characters (bidi overrides, zero-width and tag
 * characters), lone surrogates, line and paragraph separators.
 */
const ACTING = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
const EVERY_ACTING = new RegExp(ACTING.source, "gu")

/** The text with everything escaped that could act on a terminal, cut to `longest` characters. One line. */
export function printable(text: string, longest = 1024): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}...` : text
  return ACTING.test(cut) ? cut.replace(EVERY_ACTING, escape) : cut
}

/** A line of JSON with the same characters written as JSON escapes: the value stays what it was. */
export function printableJson(json: string): string {
  return ACTING.test(json) ? json.replace(EVERY_ACTING, escapeJson) : json
}

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u001b": "\\e" }

function escape(char: string): string {
  const short = SHORT[char]
  if (short !== undefined) return short
  const code = char.codePointAt(0)!
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`
}

function escapeJson(char: string): string {
  return Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join(
    "",
  )
}
