// Colour for terminals, or none.
import { isatty } from "node:tty"

export type Color = "dim" | "bold" | "red" | "green" | "yellow" | "cyan"
export type Paint = (color: Color, text: string) => string

const CODES: Readonly<Record<Color, string>> = {
  dim: "2",
  bold: "1",
  red: "31",
  green: "32",
  yellow: "33",
  cyan: "36",
}

/** Paints, or leaves text as it is. */
export function painter(color: boolean): Paint {
  return color ? (name, text) => `\u001b[${CODES[name]}m${text}\u001b[0m` : (_, text) => text
}

/** Whether `fd` is a terminal that wants colour: see https://no-color.org */
export function wantsColor(fd: number): boolean {
  return isatty(fd) && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb"
}
