// A problem of the configuration, with the place it is at, and how it is shown. Quoted text is made safe for terminals.
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { masked } from "./mask.ts"
import { painter, type Paint } from "../observe/paint.ts"
import { printable } from "../observe/printable.ts"

/** Where something is; without `line` the file as a whole. Lines and columns count from 1. */
export interface Place {
  /** Absolute path. */
  readonly path: string
  readonly line?: number | undefined
  readonly column?: number | undefined
}

export interface Diagnostic {
  /** Absolute path of the file or folder. */
  readonly path: string
  /** The path as people read it: relative to the working directory when it lies below it. */
  readonly file: string
  readonly line: number | undefined
  readonly column: number | undefined
  readonly message: string
  readonly hint: string | undefined
  /** The lines around the place; `undefined` when there is no place or no text. */
  readonly frame: readonly FrameLine[] | undefined
}

export interface FrameLine {
  readonly line: number
  readonly text: string
}

/** 2 lines before the place are enough to recognise it. */
const LINES_BEFORE = 2
/** 160: a minified line must not fill the screen. */
const WIDEST_LINE = 160

/** Makes a diagnostic; the frame is read from `text`, or from the file when no text is given. */
export function diagnostic(place: Place, message: string, hint?: string, text?: string): Diagnostic {
  return {
    path: place.path,
    file: shownPath(place.path),
    line: place.line,
    column: place.column,
    message,
    hint,
    frame: place.line === undefined ? undefined : frameAt(shownText(place.path, text), place.line),
  }
}

/** The place of an offset in a text. */
export function placeAt(path: string, text: string, offset: number): Place {
  const before = text.slice(0, offset)
  const start = before.lastIndexOf("\n") + 1
  let line = 1
  for (let i = before.indexOf("\n"); i >= 0; i = before.indexOf("\n", i + 1)) line++
  return { path, line, column: offset - start + 1 }
}

/** A path as people read it. */
export function shownPath(path: string): string {
  const below = relative(process.cwd(), path)
  return below === "" || below === ".." || below.startsWith("../") ? path : below
}

/** `file:line:column`, as far as it is known. */
export function shownPlace(place: Place): string {
  const { path, line, column } = place
  return shownPath(path) + (line === undefined ? "" : `:${line}${column === undefined ? "" : `:${column}`}`)
}

/** Renders one problem: place and message on the first line, then the frame and the hint. No newline at the end. */
export function renderDiagnostic(problem: Diagnostic, paint: Paint = painter(false)): string {
  const [first = "", ...more] = problem.message.split("\n").map((line) => printable(line))
  const lines = [`${paint("bold", printable(shownPlace(problem)))} ${paint("red", first)}`]
  lines.push(...more.map((line) => `  ${line}`))
  if (problem.frame !== undefined && problem.line !== undefined) lines.push(...renderFrame(problem, paint))
  if (problem.hint !== undefined) lines.push(`  ${paint("cyan", "hint:")} ${printable(problem.hint)}`)
  return lines.join("\n")
}

function renderFrame({ frame = [], line, column }: Diagnostic, paint: Paint): string[] {
  const width = String(frame.at(-1)?.line ?? 0).length
  return frame.flatMap((row) => {
    const gutter = `${String(row.line).padStart(width)} | `
    if (row.line !== line) return [`  ${paint("dim", gutter)}${shownSource(row.text)}`]
    const marked = [`${paint("red", ">")} ${paint("dim", gutter)}${shownSource(row.text)}`]
    if (column === undefined || column > WIDEST_LINE) return marked
    const indent = " ".repeat(width + 5 + shownSource(row.text.slice(0, column - 1)).length)
    return [...marked, `${indent}${paint("red", "^")}`]
  })
}

/** A tab would move the caret away from what it points at. */
function shownSource(text: string): string {
  return printable(text.replaceAll("\t", "  "), WIDEST_LINE)
}

/** What is no code may hold secrets. */
function shownText(path: string, given: string | undefined): string | undefined {
  const text = given ?? textOf(path)
  return text !== undefined && /\.(?:ya?ml|json)$/.test(path) ? masked(text) : text
}

function frameAt(text: string | undefined, line: number): FrameLine[] | undefined {
  const lines = text?.split(/\r?\n/)
  if (lines === undefined || line > lines.length) return undefined
  const first = Math.max(1, line - LINES_BEFORE)
  return lines.slice(first - 1, line).map((row, i) => ({ line: first + i, text: row }))
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    // The file may be gone again, or be a folder; a problem is shown without its lines then.
    return undefined
  }
}
