// Parts of expressions, as the library's parser makes them and its planner takes them.
import { isCelList, isCelUint, type CelValue } from "@bufbuild/cel"
import type { Constant, Expr, Expr_Call, Expr_Comprehension } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js"

export type { Expr }
type Kind = Expr["exprKind"]
type ConstantKind = Constant["constantKind"]

/** A part in the place of another one: problems at run time are reported there. */
export function inPlaceOf({ id }: Expr, exprKind: Kind): Expr {
  return { $typeName: "cel.expr.Expr", id, exprKind }
}

export function ident(at: Expr, name: string): Expr {
  return inPlaceOf(at, { case: "identExpr", value: { $typeName: "cel.expr.Expr.Ident", name } })
}

export function call(at: Expr, name: string, args: Expr[], target?: Expr): Expr {
  const value: Expr_Call = { $typeName: "cel.expr.Expr.Call", function: name, args }
  if (target !== undefined) value.target = target
  return inPlaceOf(at, { case: "callExpr", value })
}

export function select(at: Expr, operand: Expr, field: string): Expr {
  const value = { $typeName: "cel.expr.Expr.Select", operand, field, testOnly: false } as const
  return inPlaceOf(at, { case: "selectExpr", value })
}

export function list(at: Expr, elements: Expr[]): Expr {
  const value = { $typeName: "cel.expr.Expr.CreateList", elements, optionalIndices: [] } as const
  return inPlaceOf(at, { case: "listExpr", value: { ...value, optionalIndices: [] } })
}

export function comprehension(at: Expr, parts: Omit<Expr_Comprehension, "$typeName" | "iterVar2" | "$unknown">): Expr {
  const value: Expr_Comprehension = { $typeName: "cel.expr.Expr.Comprehension", iterVar2: "", ...parts }
  return inPlaceOf(at, { case: "comprehensionExpr", value })
}

/** A value that does not change, computed once. */
export function constant(at: Expr, value: CelValue): Expr {
  return inPlaceOf(at, {
    case: "constExpr",
    value: { $typeName: "cel.expr.Constant", constantKind: constantKind(value) },
  })
}

function constantKind(value: CelValue): ConstantKind {
  if (typeof value === "string") return { case: "stringValue", value }
  if (typeof value === "boolean") return { case: "boolValue", value }
  if (typeof value === "bigint") return { case: "int64Value", value }
  if (typeof value === "number") return { case: "doubleValue", value }
  if (value === null) return { case: "nullValue", value: 0 }
  if (isCelUint(value)) return { case: "uint64Value", value: value.value }
  // The planner hands on what a constant holds without a look at it, so that a list, a map or a time is one too. A test
  // holds it to that; the version of the library is pinned.
  return { case: "stringValue", value: value as unknown as string }
}

/** The value of a constant that is a text. */
export function constantText({ exprKind }: Expr): string | undefined {
  const kind = exprKind.case === "constExpr" ? exprKind.value.constantKind : undefined
  return kind?.case === "stringValue" && typeof kind.value === "string" ? kind.value : undefined
}

/** The elements of a constant that is a list. */
export function constantList({ exprKind }: Expr): readonly CelValue[] | undefined {
  const value: unknown = exprKind.case === "constExpr" ? exprKind.value.constantKind.value : undefined
  return isCelList(value) ? [...value] : undefined
}

export function nameOf({ exprKind }: Expr): string | undefined {
  return exprKind.case === "identExpr" ? exprKind.value.name : undefined
}
