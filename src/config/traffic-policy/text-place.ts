// Where a character of a text stands in the file that the text is written in: an expression in a rule, or a whole policy
// in a Kubernetes object. YAML writes texts in many ways; where the character is not found, the text's beginning has to do.
import type { Place } from "../diagnostic.ts"

/**
 * @param lines of the file, as they are shown
 * @param start where the text begins: its first character, its quote, or the `|` before it
 */
export function placeInText(lines: readonly string[], start: Place, text: string, offset: number): Place {
  const line = start.line === undefined ? undefined : lines[start.line - 1]
  if (line === undefined || start.column === undefined) return start
  const at = start.column - 1
  const first = line[at]
  if (first === "|" || first === ">") return inBlock(lines, start, text, offset)
  const from = first === '"' || first === "'" ? at + 1 : at
  return line.startsWith(text.slice(0, offset), from) ? { ...start, column: from + offset + 1 } : start
}

/** The lines of a block are those of the text, indented as its first one; folded ones are only so where none are joined. */
function inBlock(lines: readonly string[], start: Place, text: string, offset: number): Place {
  const before = text.slice(0, offset)
  const begins = before.lastIndexOf("\n") + 1
  const at = start.line! + before.split("\n").length - 1
  const written = lines[at]
  const first = lines.slice(start.line).find((one) => one.trim() !== "")
  if (written === undefined || first === undefined) return start
  const indent = first.length - first.trimStart().length
  if (!written.startsWith(before.slice(begins), indent)) return start
  return { ...start, line: at + 1, column: indent + (offset - begins) + 1 }
}

/** The offset of a line and column, both from 1. */
export function offsetAt(text: string, line: number, column: number): number {
  let at = 0
  for (let i = 1; i < line; i++) {
    const end = text.indexOf("\n", at)
    if (end < 0) return text.length
    at = end + 1
  }
  return Math.min(at + column - 1, text.length)
}
