// Expressions, compiled once and evaluated often.
import { isCelError, parse, plan, type CelError, type CelResult } from "@bufbuild/cel"
import { Activation } from "./activation.ts"
import { exceeded, LONGEST_EXPRESSION, refill, TooDeep } from "./bounds.ts"
import { ENVIRONMENT } from "./environment.ts"
import { reasonOf } from "./failure.ts"
import type { Facts } from "./facts.ts"
import type { Expr } from "./node.ts"
import { prepare } from "./prepare.ts"
import type { Read } from "./walk.ts"
import { EvaluationFailed, type CelCode, type CelProblem } from "./problem.ts"
import { setFacts } from "./run.ts"
import { tokens, withoutComments } from "./scan.ts"
import { bracketProblem, syntaxProblem } from "./syntax.ts"
import type { Type } from "./type.ts"
import type { Value } from "./value.ts"
import type { Need } from "./variables.ts"

/** An expression that is ready, whatever it gives. */
export interface Planned {
  readonly text: string
  readonly type: Type
  readonly needs: ReadonlySet<Need>
  readonly reads: readonly Read[]
  run(facts: Facts): Value | EvaluationFailed
}

export interface PlannedOrNot {
  readonly planned: Planned | undefined
  readonly problems: readonly CelProblem[]
}

/** @param keep a text with fields is wanted whole */
export function compile(text: string, keep: boolean): PlannedOrNot {
  if (text.length > LONGEST_EXPRESSION) {
    const message = `an expression has at most ${LONGEST_EXPRESSION} characters, found ${text.length}`
    return failed({ offset: 0, length: text.length, message, hint: "long lists belong into a file" })
  }
  const all = tokens(text)
  const brackets = all.some(({ kind }) => kind === "bad") ? undefined : bracketProblem(all)
  const parsed = brackets === undefined ? parsedOf(text) : undefined
  if (parsed === undefined || !("expr" in parsed))
    return failed(syntaxProblem(text, all) ?? brackets ?? parsed ?? { offset: 0, length: text.length, ...UNKNOWN })
  const { expr, needs, problems, reads, type } = prepare(text, parsed.expr, parsed.sourceInfo?.positions ?? {}, keep)
  if (expr === undefined) return { planned: undefined, problems }
  return { planned: new Program({ text, type, needs, reads }, expr, parsed.sourceInfo?.positions ?? {}), problems }
}

const UNKNOWN = { message: "it does not parse", hint: undefined }

interface Fault {
  readonly offset: number
  readonly length: number
  readonly message: string
  readonly hint: string | undefined
}

function failed({ hint, length, message, offset }: Fault): PlannedOrNot {
  return {
    planned: undefined,
    problems: [{ offset, length, message, hint, code: "ERR_NGROK_2200", severity: "error" }],
  }
}

function parsedOf(text: string): ReturnType<typeof parse> | Fault {
  try {
    return parse(withoutComments(text))
  } catch (error) {
    return faultOf(error, text)
  }
}

/** What the library's parser says, and where it gave up; or that it ran out of stack. */
function faultOf(error: unknown, text: string): Fault {
  if (error instanceof RangeError)
    return { offset: 0, length: text.length, message: "it is nested too deep", hint: undefined }
  const message = error instanceof Error ? error.message : String(error)
  const at: unknown = error instanceof Error && "location" in error ? error.location : undefined
  const start: unknown = isObject(at) && "start" in at ? at.start : undefined
  const offset = isObject(start) && "offset" in start && typeof start.offset === "number" ? start.offset : 0
  return {
    offset,
    length: Math.min(1, text.length - offset),
    message: message.replace(/^<input>:\d+:\d+: /, ""),
    hint: undefined,
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null
}

class Program implements Planned {
  readonly text: string
  readonly type: Type
  readonly needs: ReadonlySet<Need>
  readonly reads: readonly Read[]
  private readonly expr: Expr
  private readonly positions: Readonly<Record<string, number>>
  private readonly evaluate: (activation: Activation) => CelResult

  constructor(
    { needs, reads, text, type }: Omit<Planned, "run">,
    expr: Expr,
    positions: Readonly<Record<string, number>>,
  ) {
    this.text = text
    this.type = type
    this.needs = needs
    this.reads = reads
    this.expr = expr
    this.positions = positions
    this.evaluate = plan(ENVIRONMENT, expr)
  }

  run(facts: Facts): Value | EvaluationFailed {
    facts.activation ??= new Activation(facts)
    const { activation } = facts
    refill()
    setFacts(facts)
    const result = this.evaluate(activation)
    setFacts(undefined)
    const limit = exceeded()
    if (limit !== undefined)
      return this.failed(limit.message, limit instanceof TooDeep ? "ERR_NGROK_2250" : "ERR_NGROK_2249")
    return isCelError(result) ? this.failure(result) : result
  }

  private failure(error: CelError): EvaluationFailed {
    const at = error.exprId === undefined ? undefined : this.positions[error.exprId.toString()]
    const isMissing = error.message.startsWith("field not found") || error.message === "unresolved attribute"
    return this.failed(reasonOf(error, this.expr), isMissing ? "ERR_NGROK_2254" : "ERR_NGROK_2253", at)
  }

  private failed(message: string, code: CelCode, offset?: number): EvaluationFailed {
    return new EvaluationFailed(message, code, offset)
  }
}
