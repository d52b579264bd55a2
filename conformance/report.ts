// The table of a run.
import { columns } from "../src/cli/columns.ts"
import { painter, wantsColor, type Color } from "../src/observe/paint.ts"
import { printable } from "../src/observe/printable.ts"
import type { Outcome } from "./replay.ts"

type Result = "passed" | "failed" | "skipped"

const COLORS: Readonly<Record<Result, Color>> = { passed: "green", failed: "red", skipped: "yellow" }

function resultOf({ faults, skipped }: Outcome): Result {
  if (faults.length > 0) return "failed"
  return skipped === undefined ? "passed" : "skipped"
}

/** A line for each test, and below it what is wrong. */
export function report(outcomes: readonly Outcome[]): string {
  const paint = painter(wantsColor(1))
  const rows = outcomes.map((outcome) => [outcome.name, resultOf(outcome), counts(outcome)])
  const [head = "", ...lines] = columns(
    (color, text) => (color === "bold" ? paint(COLORS[text as Result], text) : paint(color, text)),
    ["TEST", "RESULT", "CHECKS"],
    rows,
  )
  const below = outcomes.map((outcome) => details(outcome).map((line) => `    ${printable(line)}`))
  return [head, ...lines.flatMap((line, i) => [line, ...below[i]!])].join("\n")
}

function counts({ faults, passed, skipped }: Outcome): string {
  if (skipped !== undefined) return "-"
  return [`${passed} passed`, ...(faults.length === 0 ? [] : [`${faults.length} failed`])].join(", ")
}

function details({ faults, remark, skipped }: Outcome): readonly string[] {
  return [...(skipped === undefined ? [] : [skipped]), ...(remark === undefined ? [] : [remark]), ...faults]
}

export function summary(outcomes: readonly Outcome[]): string {
  const count = (result: Result) => outcomes.filter((outcome) => resultOf(outcome) === result).length
  return (["passed", "failed", "skipped"] as const).map((result) => `${count(result)} ${result}`).join(", ")
}
