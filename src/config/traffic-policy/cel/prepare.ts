// What an expression means, before it is planned: names are resolved, types are checked, constants are computed, and what
// the library would do without bounds is put into other words. One walk over what the parser made.
import { callOf } from "./calls.ts"
import { listOf, mapOf } from "./collections.ts"
import { loopOf } from "./loops.ts"
import { pathOf, selectionOf } from "./names.ts"
import type { Expr } from "./node.ts"
import type { CelProblem } from "./problem.ts"
import { Spans } from "./spans.ts"
import * as types from "./type.ts"
import type { Type } from "./type.ts"
import type { Need } from "./variables.ts"
import { Abandoned, Walk, type Read, type Seen } from "./walk.ts"

export interface Prepared {
  /** `undefined` where there are errors. */
  readonly expr: Expr | undefined
  readonly type: Type
  readonly problems: readonly CelProblem[]
  readonly needs: ReadonlySet<Need>
  readonly reads: readonly Read[]
}

const INT_MIN = -(2n ** 63n)
const INT_MAX = 2n ** 63n - 1n
const UINT_MAX = 2n ** 64n - 1n

/** @param keep the text with fields itself is wanted as the result, not its text */
export function prepare(
  text: string,
  root: Expr,
  positions: Readonly<Record<string, number>>,
  keep: boolean,
): Prepared {
  const walk = new Walk(new Spans(text, positions), look)
  let seen: Seen | undefined
  try {
    seen = walk.visit(root, keep)
  } catch (error) {
    if (!(error instanceof Abandoned)) throw error
  }
  const { needs, problems, reads } = walk
  const isGood = seen !== undefined && !problems.some(({ severity }) => severity === "error")
  return { expr: isGood ? seen?.expr : undefined, type: seen?.type ?? types.DYN, problems, needs, reads }
}

function look(walk: Walk, expr: Expr, keep: boolean): Seen {
  const { exprKind } = expr
  switch (exprKind.case) {
    case "constExpr":
      return constantOf(walk, expr)
    case "identExpr":
      return pathOf(walk, expr, [walk.step(expr, exprKind.value.name)], keep)
    case "selectExpr":
      return selectionOf(walk, expr, keep)
    case "callExpr":
      return callOf(walk, expr, keep)
    case "listExpr":
      return listOf(walk, expr, exprKind.value.elements)
    case "structExpr":
      return mapOf(walk, expr)
    case "comprehensionExpr":
      return loopOf(walk, expr)
    default:
      return walk.refuse(expr, walk.spans.of(expr), "it is incomplete")
  }
}

function constantOf(walk: Walk, expr: Expr): Seen {
  const kind = expr.exprKind.case === "constExpr" ? expr.exprKind.value.constantKind : undefined
  const span = walk.spans.of(expr)
  const outOfRange =
    (kind?.case === "int64Value" && (kind.value < INT_MIN || kind.value > INT_MAX)) ||
    (kind?.case === "uint64Value" && kind.value > UINT_MAX)
  if (outOfRange) return walk.refuse(expr, span, "the number does not fit into 64 bits")
  return { ...span, expr, type: constantType(kind?.case), isConstant: true, path: undefined }
}

function constantType(kind: string | undefined): Type {
  switch (kind) {
    case "boolValue":
      return types.BOOL
    case "bytesValue":
      return types.BYTES
    case "doubleValue":
      return types.DOUBLE
    case "int64Value":
      return types.INT
    case "nullValue":
      return types.NULL
    case "stringValue":
      return types.STRING
    case "uint64Value":
      return types.UINT
    default:
      return types.DYN
  }
}
