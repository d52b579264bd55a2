// The walk over an expression before it is planned: what it has found so far, and what is said of it.
import { isCelError, plan, type CelValue } from "@bufbuild/cel"
import { DEEPEST_TREE, MOST_PARTS, refill } from "./bounds.ts"
import { ENVIRONMENT } from "./environment.ts"
import { call, constant, type Expr } from "./node.ts"
import type { CelProblem } from "./problem.ts"
import type { Span, Spans } from "./spans.ts"
import * as types from "./type.ts"
import { mayBe, shown, type Type } from "./type.ts"
import type { Need } from "./variables.ts"

/** A name that is known only while a policy runs. */
export interface Read {
  readonly kind: "var" | "result"
  /** Of the variable, or of the action with underscores. */
  readonly name: string
  readonly offset: number
  readonly length: number
}

/** A part that was looked at. */
export interface Seen extends Span {
  readonly expr: Expr
  readonly type: Type
  /** It is a constant, or was made one. */
  readonly isConstant: boolean
  /** The variable that it is. */
  readonly path: string | undefined
}

/** A variable of a loop. */
export interface Local {
  readonly name: string
  readonly alias: string
  readonly type: Type
  readonly outer: Local | undefined
}

export interface Step extends Span {
  readonly name: string
}

/** Why there is no going on. */
export class Abandoned extends Error {}

/** @param keep the text with fields itself is wanted, not its text */
export type Look = (walk: Walk, expr: Expr, keep: boolean) => Seen

export class Walk {
  readonly problems: CelProblem[] = []
  readonly needs = new Set<Need>()
  readonly reads: Read[] = []
  readonly spans: Spans
  /** The innermost variable of a loop. */
  local: Local | undefined
  private readonly look: Look
  private locals = 0
  private depth = 0
  private parts = 0

  constructor(spans: Spans, look: Look) {
    this.spans = spans
    this.look = look
  }

  visit(expr: Expr, keep: boolean): Seen {
    if (++this.parts > MOST_PARTS) this.abandon(expr, `an expression has at most ${MOST_PARTS} parts`)
    if (++this.depth > DEEPEST_TREE) this.abandon(expr, `an expression is at most ${DEEPEST_TREE} parts deep`)
    const seen = this.look(this, expr, keep)
    this.depth--
    return seen
  }

  step(expr: Expr, name: string): Step {
    return { name, ...this.spans.of(expr) }
  }

  find(name: string): Local | undefined {
    let local = this.local
    while (local !== undefined && local.name !== name) local = local.outer
    return local
  }

  /** Aliases are names that no expression has, so that a loop's variable may be called as anything. */
  declare(name: string, type: Type): Local {
    this.local = { name, alias: `@${++this.locals}`, type, outer: this.local }
    return this.local
  }

  seen(expr: Expr, { end, start }: Span, type: Type): Seen {
    return { start, end, expr, type, isConstant: false, path: undefined }
  }

  /** A part that says the same each time is computed now; what fails now would fail each time. */
  computed(expr: Expr, span: Span, type: Type | undefined): Seen {
    if (this.problems.some(({ severity }) => severity === "error")) return this.seen(expr, span, type ?? types.DYN)
    refill()
    const value = plan(ENVIRONMENT, expr)({})
    if (isCelError(value)) return this.refuse(expr, span, `it fails each time: ${value.message}`)
    return { ...this.seen(constant(expr, value), span, type ?? typeOfValue(value)), isConstant: true }
  }

  expectBool(seen: Seen): void {
    if (mayBe(seen.type, types.BOOL)) return
    this.refuse(seen.expr, seen, `expected a bool, found ${shown(seen.type)}`)
  }

  nameSpan(expr: Expr, name: string): Span {
    const { end, start } = this.spans.of(expr)
    const last = name.slice(name.lastIndexOf(".") + 1)
    const token = this.spans.all.find((at) => at.start >= start && at.end <= end && at.text === last)
    return token ?? { start, end }
  }

  refuse(expr: Expr, { end, start }: Span, message: string, hint?: string): Seen {
    this.problems.push({
      offset: start,
      length: end - start,
      message,
      hint: hint === "" ? undefined : hint,
      code: "ERR_NGROK_2200",
      severity: "error",
    })
    return { start, end, expr, type: types.DYN, isConstant: false, path: undefined }
  }

  warn(problem: CelProblem | undefined): void {
    if (problem !== undefined) this.problems.push(problem)
  }

  abandon(expr: Expr, message: string): never {
    this.refuse(expr, this.spans.of(expr), message)
    throw new Abandoned()
  }

  /** What may be a text with fields is its text as a key. */
  asKey({ expr, isConstant, type }: Seen): Expr {
    return !isConstant && (type.name === "dyn" || type.name === "dual") ? call(expr, "@key", [expr]) : expr
  }
}

function typeOfValue(value: CelValue): Type {
  switch (typeof value) {
    case "bigint":
      return types.INT
    case "boolean":
      return types.BOOL
    case "number":
      return types.DOUBLE
    case "string":
      return types.STRING
    default:
      return types.DYN
  }
}
