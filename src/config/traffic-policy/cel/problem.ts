// What is wrong with an expression, and what went wrong while one was evaluated. Values, both.

/**
 * ngrok's numbers: a bad expression, a template that does not compile, one that cannot be filled in, a policy that takes
 * too much memory, variables nested too deep, an evaluation that failed, a name that cannot be resolved.
 */
export type CelCode =
  | "ERR_NGROK_2200"
  | "ERR_NGROK_2224"
  | "ERR_NGROK_2238"
  | "ERR_NGROK_2249"
  | "ERR_NGROK_2250"
  | "ERR_NGROK_2253"
  | "ERR_NGROK_2254"

export interface CelProblem {
  /** UTF-16 units from the start of the text. */
  readonly offset: number
  readonly length: number
  readonly message: string
  readonly hint: string | undefined
  readonly code: CelCode
  /** With warnings alone there is a program. */
  readonly severity: "error" | "warning"
}

/** A program, where there are no errors. */
export interface Compiled<Program> {
  readonly program: Program | undefined
  readonly problems: readonly CelProblem[]
}

/** An evaluation that gave no value. The message names functions and fields, never the values of secrets. */
export class EvaluationFailed {
  readonly _tag = "EvaluationFailed"
  readonly message: string
  readonly code: CelCode
  /** Where in the text; `undefined` where that is not known. */
  readonly offset: number | undefined

  constructor(message: string, code: CelCode, offset?: number) {
    this.message = message
    this.code = code
    this.offset = offset
  }
}
