// CEL for traffic policies: expressions and `${}` templates, compiled once, evaluated in bounds. Pure: what an
// expression is told about comes from the caller as `Facts`.
import { Recent } from "../../../limit/recent.ts"
import { deepOf, type DeepProblem } from "./deep.ts"
import type { Facts } from "./facts.ts"
import { EvaluationFailed, type Compiled, type CelProblem } from "./problem.ts"
import { compile, type Planned } from "./program.ts"
import type { Read } from "./walk.ts"
import { fill, partsOf, type Part } from "./template.ts"
import { BOOL, mayBe, shown } from "./type.ts"
import type { Json, Value } from "./value.ts"
import type { Need } from "./variables.ts"

export { Facts, type CertificateFacts, type EndpointFacts, type FactSource } from "./facts.ts"
export type { DeepProblem } from "./deep.ts"
export { EvaluationFailed, type CelCode, type CelProblem, type Compiled } from "./problem.ts"
export type { Read } from "./walk.ts"
export { fromPlain, plain, textOf, type Json, type Plain, type Value } from "./value.ts"

/** What has to be there before a program is evaluated, or need not. */
export interface Needs {
  /** It reads what the client says in its hello. */
  readonly hello: boolean
  /** It reads what is known only once TLS was ended here; before that it is empty. */
  readonly terminated: boolean
  /** It reads where an address is: there should be a database. */
  readonly geo: boolean
  /** It reads the categories of an address: there should be lists. */
  readonly categories: boolean
  /** It reads secrets. */
  readonly secrets: boolean
}

interface Program {
  readonly needs: Needs
  /** What it reads of variables and results, so that the caller can check the names. */
  readonly reads: readonly Read[]
}

/** An expression of a rule. */
export interface Expression extends Program {
  readonly text: string
  evaluate(facts: Facts): boolean | EvaluationFailed
}

/** A text that may have `${}` in it. */
export interface Template extends Program {
  readonly text: string
  /** It has no `${}`: `evaluate` gives the text, at no cost. */
  readonly isStatic: boolean
  /** With exactly one `${}` and nothing beside it the value keeps its type; anything else is a text. */
  evaluate(facts: Facts): Value | EvaluationFailed
}

/** A value of YAML whose texts, at any depth, are templates. Keys are as they are. */
export interface DeepTemplate extends Program {
  readonly isStatic: boolean
  evaluate(facts: Facts): Value | EvaluationFailed
}

/** 5,000 programs of each kind, twice: those of a thousand files that have a few rules each. */
const REMEMBERED = 5000

const expressions = new Recent<string, Compiled<Expression>>(REMEMBERED)
const templates = new Recent<string, Compiled<Template>>(REMEMBERED)

/** Compiles an expression of a rule, which must give a bool. Equal texts give one program. Never throws. */
export function compileExpression(text: string): Compiled<Expression> {
  let compiled = expressions.get(text)
  if (compiled === undefined) {
    compiled = expressionOf(text)
    expressions.set(text, compiled)
  }
  return compiled
}

function expressionOf(text: string): Compiled<Expression> {
  const { planned, problems } = compile(text, false)
  if (planned === undefined) return { program: undefined, problems }
  if (!mayBe(planned.type, BOOL)) return { program: undefined, problems: [...problems, noBool(planned)] }
  const program: Expression = {
    ...sumOf([planned]),
    text,
    evaluate: (facts) => {
      const value = planned.run(facts)
      if (typeof value === "boolean" || value instanceof EvaluationFailed) return value
      return new EvaluationFailed(
        "an expression of a rule has to be true or false, and gave another value",
        "ERR_NGROK_2253",
      )
    },
  }
  return { program, problems }
}

function noBool({ text, type }: Planned): CelProblem {
  return {
    offset: 0,
    length: text.length,
    message: `an expression of a rule has to give a bool, and this gives ${shown(type)}`,
    hint: text.includes("${") ? "an expression has no ${}" : "compare it with something, as in x == 'value'",
    code: "ERR_NGROK_2200",
    severity: "error",
  }
}

/** Compiles a text with `${}`; `$${` is a `${` that is none. Problems point into the text. Never throws. */
export function compileTemplate(text: string): Compiled<Template> {
  let compiled = templates.get(text)
  if (compiled === undefined) {
    compiled = templateOf(text)
    templates.set(text, compiled)
  }
  return compiled
}

function templateOf(text: string): Compiled<Template> {
  const { parts, problems } = partsOf(text)
  if (hasErrors(problems)) return { program: undefined, problems }
  const [only = ""] = parts
  const isStatic = parts.length < 2 && typeof only === "string"
  const evaluate = isStatic ? () => only : (facts: Facts) => fill(parts, facts)
  return { program: { ...sumOf(parts), text, isStatic, evaluate }, problems }
}

/** Compiles a value whose texts may have `${}`, such as the metadata of `log`. Never throws. */
export function compileDeep(value: Json): {
  readonly program: DeepTemplate | undefined
  readonly problems: readonly DeepProblem[]
} {
  const { deep, problems } = deepOf(value)
  if (hasErrors(problems)) return { program: undefined, problems }
  const isStatic = deep.parts.every((part) => typeof part === "string")
  return { program: { ...sumOf(deep.parts), isStatic, evaluate: (facts) => deep.evaluate(facts) }, problems }
}

function hasErrors(problems: readonly CelProblem[]): boolean {
  return problems.some(({ severity }) => severity === "error")
}

/** What several expressions need and read. */
function sumOf(parts: readonly Part[]): Program {
  const all = parts.filter((part) => typeof part !== "string")
  const needs = (need: Need) => all.some((planned) => planned.needs.has(need))
  return {
    needs: {
      hello: needs("hello"),
      terminated: needs("terminated"),
      geo: needs("geo"),
      categories: needs("categories"),
      secrets: needs("secrets"),
    },
    reads: all.flatMap(({ reads }) => reads),
  }
}
