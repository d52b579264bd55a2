// How commands speak: results on stdout, problems on stderr, colour only where it is wanted.
import { painter, wantsColor, type Paint } from "../observe/paint.ts"
import { printable } from "../observe/printable.ts"

/** Exit code of a command that was given what it cannot use. */
export const UNUSABLE = 2

export const paintOut: Paint = painter(wantsColor(1))
export const paintErr: Paint = painter(wantsColor(2))

/** Writes a line of the result. */
export function say(line = ""): void {
  process.stdout.write(`${line}\n`)
}

/** Writes lines about a problem, as they are. */
export function complain(lines: string): void {
  process.stderr.write(`${lines}\n`)
}

/** Says why the command cannot do it, and gives its exit code. */
export function fail(message: string, hint?: string): number {
  complain(
    `${paintErr("red", "tidegate:")} ${message
      .split("\n")
      .map((line) => printable(line))
      .join("\n")}`,
  )
  if (hint !== undefined) complain(`  ${paintErr("cyan", "hint:")} ${printable(hint)}`)
  return UNUSABLE
}

/** `1 policy`, `3 policies`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
