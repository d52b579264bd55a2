// Tables on a terminal.
import type { Color, Paint } from "../observe/paint.ts"
import { printable } from "../observe/printable.ts"

export const STATE_COLORS: Readonly<Record<string, Color>> = {
  ready: "green",
  up: "green",
  good: "green",
  paused: "yellow",
  kept: "yellow",
  loading: "yellow",
  draining: "yellow",
  ejected: "yellow",
  open: "yellow",
  down: "red",
  bad: "red",
  "not ready": "red",
}

/** 200 characters: a row is a line, or two of a narrow terminal. */
const LONGEST_CELL = 200

/** Rows under their heads; the second column is a state and has its colour. */
export function columns(paint: Paint, heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const safe = rows.map((row) => row.map((cell) => printable(cell, LONGEST_CELL)))
  const widths = heads.map((head, i) => Math.max(head.length, ...safe.map((row) => row[i]!.length)))
  const line = (row: readonly string[], color: (cell: string, i: number) => string) =>
    row.map((cell, i) => color(cell, i) + (i === row.length - 1 ? "" : " ".repeat(widths[i]! - cell.length))).join("  ")
  return [
    line(heads, (cell) => paint("dim", cell)),
    ...safe.map((row) => line(row, (cell, i) => (i === 1 ? paint(STATE_COLORS[cell] ?? "bold", cell) : cell))),
  ]
}
