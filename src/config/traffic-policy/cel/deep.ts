// Values of YAML whose texts are templates, as the metadata of `log` and the values of `set-vars`.
import { celList, celMap } from "@bufbuild/cel"
import type { Facts } from "./facts.ts"
import { EvaluationFailed, type CelProblem } from "./problem.ts"
import { fill, partsOf, type Part } from "./template.ts"
import { fromPlain, type Json, type Value } from "./value.ts"

/** A problem of a text within a value. */
export interface DeepProblem extends CelProblem {
  /** Of the text, from the value. */
  readonly path: readonly (string | number)[]
}

/** A part of a value that is not the same each time. */
export interface Deep {
  readonly parts: readonly Part[]
  /** The value for these facts. */
  evaluate(facts: Facts): Value | EvaluationFailed
}

/** 64 levels: what is deeper comes from no file that was read. */
const DEEPEST = 64

export function deepOf(
  json: Json,
  path: readonly (string | number)[] = [],
): { readonly deep: Deep; readonly problems: readonly DeepProblem[] } {
  if (typeof json === "string") {
    const { parts, problems } = partsOf(json)
    const deep = { parts, evaluate: (facts: Facts) => fill(parts, facts) }
    return { deep, problems: problems.map((problem) => ({ ...problem, path })) }
  }
  if (typeof json !== "object" || json === null) return { deep: fixed(fromPlain(json)), problems: [] }
  if (path.length >= DEEPEST) return { deep: fixed(null), problems: [tooDeep(path)] }
  const keys = isList(json) ? [...json.keys()] : Object.keys(json)
  const entries = Object.entries(json).map(([, value], i) => deepOf(value, [...path, keys[i] ?? i]))
  const problems = entries.flatMap((entry) => entry.problems)
  const parts = entries.flatMap(({ deep }) => deep.parts)
  const made = isList(json) ? listOf : (values: readonly Value[]) => mapOf(keys.map(String), values)
  const all = entries.map(({ deep }) => deep)
  return { deep: { parts, evaluate: (facts) => each(all, facts, made) }, problems }
}

function each(all: readonly Deep[], facts: Facts, made: (values: readonly Value[]) => Value): Value | EvaluationFailed {
  const values: Value[] = []
  for (const deep of all) {
    const value = deep.evaluate(facts)
    if (value instanceof EvaluationFailed) return value
    values.push(value)
  }
  return made(values)
}

const listOf = (values: readonly Value[]) => celList([...values])
const mapOf = (keys: readonly string[], values: readonly Value[]) =>
  celMap(new Map(keys.map((key, i) => [key, values[i] ?? null])))

function fixed(value: Value): Deep {
  return { parts: [], evaluate: () => value }
}

function isList(json: object): json is readonly Json[] {
  return Array.isArray(json)
}

function tooDeep(path: readonly (string | number)[]): DeepProblem {
  const message = `lists and maps more than ${DEEPEST} deep within each other, which is the most`
  return { offset: 0, length: 0, message, hint: undefined, code: "ERR_NGROK_2250", severity: "error", path }
}
