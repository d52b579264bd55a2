// Lists and maps that an expression writes down.
import { call, list, type Expr } from "./node.ts"
import * as types from "./type.ts"
import { join, shown, type Type } from "./type.ts"
import type { Seen, Walk } from "./walk.ts"

const SCALARS = new Set([
  "bool",
  "bytes",
  "double",
  "dual",
  "duration",
  "int",
  "null",
  "string",
  "timestamp",
  "type",
  "uint",
])
const KEYS = new Set(["bool", "dual", "dyn", "int", "string", "uint"])
export function listOf(walk: Walk, expr: Expr, elements: readonly Expr[]): Seen {
  const items = elements.map((element) => walk.visit(element, true))
  const span = walk.spans.of(expr, items)
  const [first, ...rest] = items.map(({ type }) => type)
  const element = rest.reduce<Type | undefined>((all, type) => (all === undefined ? type : join(all, type)), first)
  const type: Type = { name: "list", element }
  const made = list(
    expr,
    items.map((item) => item.expr),
  )
  if (items.length > 0 && items.every(({ isConstant }) => isConstant)) return walk.computed(made, span, type)
  return walk.seen(weighed(walk, made, items), span, type)
}

export function mapOf(walk: Walk, expr: Expr): Seen {
  if (expr.exprKind.case !== "structExpr") return walk.refuse(expr, walk.spans.of(expr), "it is no map")
  const { entries, messageName } = expr.exprKind.value
  if (messageName !== "")
    return walk.refuse(
      expr,
      walk.spans.of(expr),
      `there are no messages here, such as ${messageName}`,
      "write a map: {'name': value}",
    )
  const parts: Seen[] = []
  const made = entries.map((entry) => {
    const keyOf = entry.keyKind.case === "mapKey" ? entry.keyKind.value : undefined
    if (keyOf === undefined || entry.value === undefined) return entry
    const key = walk.visit(keyOf, false)
    const value = walk.visit(entry.value, true)
    parts.push(key, value)
    if (!KEYS.has(key.type.name)) walk.refuse(expr, key, `${shown(key.type)} is no key of a map`)
    return { ...entry, keyKind: { case: "mapKey" as const, value: walk.asKey(key) }, value: value.expr }
  })
  const span = walk.spans.of(expr, parts)
  const map: Expr = { ...expr, exprKind: { case: "structExpr", value: { ...expr.exprKind.value, entries: made } } }
  if (parts.length > 0 && parts.every(({ isConstant }) => isConstant)) return walk.computed(map, span, types.MAP)
  return walk.seen(weighed(walk, map, parts), span, types.MAP)
}

/** What may be large, with what is within it, is weighed when it is made. */
function weighed(walk: Walk, made: Expr, items: readonly Seen[]): Expr {
  return items.every(({ type }) => SCALARS.has(type.name) && type.name !== "string")
    ? made
    : call(made, "@made", [made])
}
