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
  if (line.startsWith(text.slice(0, offset), from)) return { ...start, column: from + offset + 1 }
  return alongside(lines, start, { line: start.line! - 1, column: from }, text, offset, first)
}

interface At {
  line: number
  column: number
}

/** Goes through what is written and what it means at once: lines may be joined, and characters escaped. */
function alongside(
  lines: readonly string[],
  start: Place,
  at: At,
  text: string,
  offset: number,
  style: string | undefined,
): Place {
  const before = text.slice(0, offset)
  const isEnd = text.slice(offset).trim() === ""
  for (let i = 0; i < before.length;) {
    const line = lines[at.line]
    if (line === undefined) return start
    const rest = line.slice(at.column)
    if (style === '"' && rest === "\\") {
      nextLine(lines, at)
      continue
    }
    const escape = style === '"' ? /^\\(?:x..|u.{4}|U.{8}|.)/.exec(rest)?.[0] : undefined
    const character = before[i]
    // A line break is a space, or several of them are line breaks; what is left of the line is nothing then.
    if (rest.trim() === "" && (character === " " || character === "\n")) {
      nextLine(lines, at)
      while (before[i + 1] === "\n") i++
      i++
    } else if (escape !== undefined) {
      at.column += escape.length
      i += escape.startsWith("\\U") ? (Number(`0x${escape.slice(2)}`) > 0xffff ? 2 : 1) : 1
    } else if (rest[0] === character) {
      at.column += style === "'" && rest.startsWith("''") ? 2 : 1
      i++
    } else return start
  }
  // An expression that begins a line is not at the end of the one before.
  if (!isEnd && lines[at.line]?.slice(at.column).trim() === "") nextLine(lines, at)
  return { ...start, line: at.line + 1, column: at.column + 1 }
}

/** To the first character of the next line that has any. */
function nextLine(lines: readonly string[], at: At): void {
  do at.line++
  while (lines[at.line]?.trim() === "")
  const line = lines[at.line] ?? ""
  at.column = line.length - line.trimStart().length
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
  if (!written.startsWith(before.slice(begins), indent)) {
    const beginning = { line: start.line! - 1, column: 0 }
    nextLine(lines, beginning)
    return alongside(lines, start, beginning, text, offset, ">")
  }
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
