// CEL for traffic policies: expressions and `${}` templates, compiled once, evaluated in bounds. Pure: what an
// expression is told about comes from the caller as `Facts`.
import type { Facts } from "./facts.ts"
import type { Compiled, CelProblem, EvaluationFailed } from "./problem.ts"
import type { Json, Value } from "./value.ts"

export { EvaluationFailed, type CelCode, type CelProblem, type Compiled } from "./problem.ts"
export { Facts, type CertificateFacts, type EndpointFacts, type FactSource } from "./facts.ts"
export type { Json, Value } from "./value.ts"

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

/** A name that is known only while a policy runs: `vars.tier`, `actions.ngrok.log`. */
export interface Read {
  readonly kind: "var" | "result"
  /** Of the variable, or of the action with underscores. */
  readonly name: string
  readonly offset: number
  readonly length: number
}

interface Program {
  readonly text: string
  readonly needs: Needs
  /** What it reads of variables and results, so that the caller can check the names. */
  readonly reads: readonly Read[]
}

/** An expression of a rule. */
export interface Expression extends Program {
  evaluate(facts: Facts): boolean | EvaluationFailed
}

/** A text that may have `${}` in it. */
export interface Template extends Program {
  /** It has no `${}`: `evaluate` gives the text, at no cost. */
  readonly isStatic: boolean
  /** With exactly one `${}` and nothing beside it the value keeps its type; anything else is a text. */
  evaluate(facts: Facts): Value | EvaluationFailed
}

/** A problem of a text within a value. */
export interface DeepProblem extends CelProblem {
  /** Of the text, from the value. */
  readonly path: readonly (string | number)[]
}

/** A value of YAML whose texts, at any depth, are templates. Keys are as they are. */
export interface DeepTemplate extends Omit<Program, "text"> {
  readonly isStatic: boolean
  evaluate(facts: Facts): Value | EvaluationFailed
}

/** Compiles an expression of a rule, which must give a bool. Equal texts give one program. Never throws. */
export declare function compileExpression(text: string): Compiled<Expression>

/** Compiles a text with `${}`; `$${` is a `${` that is none. Problems point into the text. Never throws. */
export declare function compileTemplate(text: string): Compiled<Template>

/** Compiles a value whose texts may have `${}`, such as the metadata of `log`. Never throws. */
export declare function compileDeep(value: Json): {
  readonly program: DeepTemplate | undefined
  readonly problems: readonly DeepProblem[]
}

/** A value as JSON has it: times and durations as text, bytes as base64, integers beyond 2^53 as text. */
export declare function plain(value: Value): Json

/** A value as it stands within a text, as `"${...} and more"` has it. */
export declare function textOf(value: Value): string
