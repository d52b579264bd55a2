// Loops: `map`, `filter`, `all` and their like, which the parser has taken apart, and `sortBy`.
import { call, comprehension, constant, ident, list, type Expr } from "./node.ts"
import * as types from "./type.ts"
import { shown } from "./type.ts"
import type { Seen, Walk } from "./walk.ts"

export function loopOf(walk: Walk, expr: Expr): Seen {
  if (expr.exprKind.case !== "comprehensionExpr") return walk.refuse(expr, walk.spans.of(expr), "it is no loop")
  const { accuInit, accuVar, iterRange, iterVar, loopCondition, loopStep, result } = expr.exprKind.value
  if (!accuInit || !iterRange || !loopCondition || !loopStep || !result)
    return walk.refuse(expr, walk.spans.of(expr), "the loop is incomplete")
  const over = rangeOf(walk, iterRange)
  const makesList = accuInit.exprKind.case === "listExpr"
  const start = makesList ? undefined : walk.visit(accuInit, false)
  const type = start?.type ?? types.LIST
  const before = walk.local
  const into = walk.declare(accuVar, type)
  const item = walk.declare(iterVar, over.type.element ?? types.DYN)
  const condition = walk.visit(loopCondition, false)
  const step = makesList ? growth(walk, loopStep, into.alias) : walk.visit(loopStep, false).expr
  const end = walk.visit(result, false)
  walk.local = before
  const made = comprehension(expr, {
    accuInit: start?.expr ?? call(expr, "@newList", []),
    accuVar: into.alias,
    iterRange: call(expr, "@over", [over.expr]),
    iterVar: item.alias,
    loopCondition: call(expr, "@step", [condition.expr]),
    loopStep: step,
    result: end.expr,
  })
  return walk.seen(made, walk.spans.of(expr, [over]), makesList ? types.LIST : types.BOOL)
}

function rangeOf(walk: Walk, expr: Expr): Seen {
  const over = walk.visit(expr, true)
  if (["dyn", "list", "map"].includes(over.type.name)) return over
  return walk.refuse(expr, over, `only lists and maps have elements, found ${shown(over.type)}`)
}

/** `result + [value]`, and `condition ? result + [value] : result`: appends instead. */
function growth(walk: Walk, expr: Expr, alias: string): Expr {
  const { exprKind } = expr
  const args = exprKind.case === "callExpr" ? exprKind.value.args : []
  const [first, second, third] = args
  if (third !== undefined && first !== undefined && second !== undefined) {
    const condition = walk.visit(first, false)
    walk.expectBool(condition)
    return call(expr, "_?_:_", [condition.expr, growth(walk, second, alias), ident(third, alias)])
  }
  const element = second?.exprKind.case === "listExpr" ? second.exprKind.value.elements[0] : undefined
  const value = element === undefined ? undefined : walk.visit(element, true)
  return call(expr, "@append", [ident(expr, alias), value?.expr ?? constant(expr, null)])
}

/** `list.sortBy(x, key)`: pairs of key and element, sorted. */
export function sortByOf(walk: Walk, expr: Expr, target: Expr, name: string, key: Expr): Seen {
  const over = rangeOf(walk, target)
  const before = walk.local
  const into = walk.declare("", types.LIST)
  const item = walk.declare(name, over.type.element ?? types.DYN)
  const by = walk.visit(key, false)
  walk.local = before
  const pairs = comprehension(expr, {
    accuInit: call(expr, "@newList", []),
    accuVar: into.alias,
    iterRange: call(expr, "@over", [over.expr]),
    iterVar: item.alias,
    loopCondition: call(expr, "@step", [constant(expr, true)]),
    loopStep: call(expr, "@append", [ident(expr, into.alias), list(expr, [by.expr, ident(expr, item.alias)])]),
    result: ident(expr, into.alias),
  })
  return walk.seen(
    call(expr, "@sorted", [pairs]),
    walk.spans.of(expr, [over]),
    over.type.name === "list" ? over.type : types.LIST,
  )
}
