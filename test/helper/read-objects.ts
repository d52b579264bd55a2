// What is said of Kubernetes objects that are written as YAML: each problem and warning as `line:column message`.
import { readObject } from "../../src/config/kubernetes/read.ts"
import type { AnyObject } from "../../src/config/kubernetes/types.ts"
import type { Diagnostic } from "../../src/config/diagnostic.ts"
import { documentsOf } from "./cluster-of-objects.ts"

export interface Said {
  readonly values: readonly AnyObject[]
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

export function reading(text: string): Said {
  const read = documentsOf(text).map(readObject)
  return {
    values: read.flatMap(({ value }) => (value === undefined ? [] : [value])),
    problems: read.flatMap(({ problems }) => problems.map(shown)),
    warnings: read.flatMap(({ warnings }) => warnings.map(shown)),
  }
}

function shown({ column, hint, line, message }: Diagnostic): string {
  return `${line}:${column} ${message}${hint === undefined ? "" : ` (${hint})`}`
}

/** The same without the values. */
export function said(text: string): Omit<Said, "values"> {
  const { problems, warnings } = reading(text)
  return { problems, warnings }
}

/** The problems alone, of a text in which nothing else is worth a look. */
export function problemsOf(text: string): readonly string[] {
  return reading(text).problems
}

/** Lines with this much before each. */
export function indented(text: string, by: number): string {
  return text
    .trim()
    .split("\n")
    .map((line) => " ".repeat(by) + line)
    .join("\n")
}
