// Names in an expression: what they stand for, and what is said of those that stand for nothing.
import { presence, RESULTS, ROOTS, VARS, whole, type Node } from "./activation.ts"
import { call, constant, constantText, ident, nameOf, select, type Expr } from "./node.ts"
import { didYouMean } from "../../../policy/suggest.ts"
import { refusedVariable } from "./refusals.ts"
import type { Span } from "./spans.ts"
import * as types from "./type.ts"
import { shown, typeNamed } from "./type.ts"
import type { Need } from "./variables.ts"
import type { Read, Seen, Step, Walk } from "./walk.ts"

export function selectionOf(walk: Walk, expr: Expr, keep: boolean): Seen {
  if (expr.exprKind.case !== "selectExpr") return walk.refuse(expr, walk.spans.of(expr), "it is no field")
  const { field, operand, testOnly } = expr.exprKind.value
  if (operand === undefined) return walk.refuse(expr, walk.spans.of(expr), "it is a field of nothing")
  const steps = stepsOf(walk, expr, operand, field)
  if (steps !== undefined && !isDynamic(walk, steps)) return pathOf(walk, expr, steps, keep, testOnly)
  return fieldOf(walk, expr, operand, field, testOnly)
}

/** A field of a value that is known only while the policy runs. */
function fieldOf(walk: Walk, expr: Expr, operand: Expr, field: string, testOnly: boolean): Seen {
  const of = walk.visit(operand, true)
  const span = walk.spans.of(expr, [of])
  if (!["dual", "dyn", "map"].includes(of.type.name))
    return walk.refuse(expr, span, `${shown(of.type)} has no fields; found .${field}`)
  const made = testOnly ? call(expr, "@has", [of.expr, constant(expr, field)]) : select(expr, of.expr, field)
  return walk.seen(made, span, testOnly ? types.BOOL : types.DYN)
}

/** The names of `a.b["c"]`, from the first one on. */
function stepsOf(walk: Walk, expr: Expr, operand: Expr, field: string): Step[] | undefined {
  const name = nameOf(operand)
  const last = walk.step(expr, field)
  if (name !== undefined) return [walk.step(operand, name), last]
  const { exprKind } = operand
  let before: Step[] | undefined
  if (exprKind.case === "selectExpr" && !exprKind.value.testOnly && exprKind.value.operand !== undefined)
    before = stepsOf(walk, operand, exprKind.value.operand, exprKind.value.field)
  if (exprKind.case === "callExpr" && exprKind.value.function === "_[_]") before = indexSteps(walk, operand)
  return before === undefined ? undefined : [...before, last]
}

export function indexSteps(walk: Walk, expr: Expr): Step[] | undefined {
  if (expr.exprKind.case !== "callExpr") return undefined
  const [operand, index] = expr.exprKind.value.args
  const key = index === undefined ? undefined : constantText(index)
  return operand === undefined || key === undefined ? undefined : stepsOf(walk, expr, operand, key)
}

/** Whether what the names lead to is known only while the policy runs. */
export function isDynamic(walk: Walk, steps: readonly Step[]): boolean {
  const [root, second] = steps
  if (root === undefined || walk.find(root.name) !== undefined) return true
  if (root.name === "vars") return steps.length > 2
  if (root.name === "actions") return second?.name === "ngrok" && steps.length > 3
  const { left, node } = resolve(steps)
  const type = node?.variable?.type.name
  return left > 0 && (type === "list" || type === "map" || type === "dyn")
}

/** A name that is known now. */
export function pathOf(walk: Walk, expr: Expr, steps: readonly Step[], keep: boolean, testOnly = false): Seen {
  const [root, second, third] = steps
  const name = steps.map((step) => step.name).join(".")
  const span = { start: root?.start ?? 0, end: steps.at(-1)?.end ?? 0 }
  const local = steps.length === 1 ? walk.find(name) : undefined
  if (local !== undefined) return walk.seen(ident(expr, local.alias), span, local.type)
  if (root?.name === "vars") return runningName(walk, expr, VARS, "var", second, span, testOnly)
  if (root?.name === "actions" && second?.name === "ngrok")
    return runningName(walk, expr, RESULTS, "result", third, span, testOnly)
  const { left, node } = resolve(steps)
  const refused = refusedVariable(name)
  if (refused !== undefined) return walk.refuse(expr, span, ...refused)
  if (node === undefined && typeNamed(name) !== undefined)
    return { ...span, expr, type: types.TYPE, isConstant: false, path: undefined }
  if (node === undefined || left > 0) return unknownName(walk, expr, steps, left, node)
  noteNeeds(walk, node)
  if (testOnly) return walk.seen(ident(expr, presence(node.name)), span, types.BOOL)
  const hasFields = node.children.size > 0
  const isWhole = hasFields && (keep || node.variable === undefined)
  return {
    ...span,
    expr: ident(expr, isWhole ? whole(node.name) : node.name),
    type: node.variable?.type ?? types.MAP,
    isConstant: false,
    path: node.name,
  }
}

/** A variable or a result, whose names are known only while the policy runs. */
function runningName(
  walk: Walk,
  expr: Expr,
  key: string,
  kind: Read["kind"],
  step: Step | undefined,
  span: Span,
  testOnly: boolean,
): Seen {
  const all = ident(expr, key)
  if (step === undefined) return walk.seen(all, span, types.MAP)
  walk.reads.push({ kind, name: step.name, offset: span.start, length: step.end - span.start })
  if (testOnly) return walk.seen(call(expr, "@has", [all, constant(expr, step.name)]), span, types.BOOL)
  return walk.seen(select(expr, all, step.name), span, types.DYN)
}

function unknownName(walk: Walk, expr: Expr, steps: readonly Step[], left: number, node: Node | undefined): Seen {
  const known = steps
    .slice(0, steps.length - left)
    .map((step) => step.name)
    .join(".")
  const step = steps[steps.length - left]
  const wrong = step ?? steps[0]
  const name = wrong?.name ?? ""
  const span = { start: steps[0]?.start ?? 0, end: wrong?.end ?? 0 }
  if (node?.variable !== undefined && node.children.size === 0)
    return walk.refuse(expr, span, `${known} is ${shown(node.variable.type)} and has no field ${JSON.stringify(name)}`)
  if (node !== undefined) {
    const fields = [...node.children.keys()]
    const near = didYouMean(name, fields)
    return walk.refuse(
      expr,
      span,
      `there is no ${known}.${name}${near}`,
      near === "" ? `${known} has ${fields.slice(0, 20).join(", ")}` : undefined,
    )
  }
  if (name === "actions") return walk.refuse(expr, span, "results of actions are in actions.ngrok")
  const roots = [...ROOTS.keys(), "vars", "actions"]
  const longer = longerNames(steps.map((at) => at.name).join("."))
  const near = longer.length > 0 ? `; did you mean ${longer.slice(0, 3).join(" or ")}?` : didYouMean(name, roots)
  const hint = near === "" ? `known are ${roots.join(", ")}; a text stands in quotes` : undefined
  return walk.refuse(expr, span, `there is no variable ${JSON.stringify(name)}${near}`, hint)
}

/** What `conn` as a whole can do without. */
const LOOKED_UP: ReadonlySet<Need> = new Set<Need>(["geo", "categories"])

function noteNeeds(walk: Walk, node: Node, without?: ReadonlySet<Need>): void {
  const need = node.variable?.need
  if (need !== undefined && without?.has(need) !== true) walk.needs.add(need)
  if (node.variable !== undefined && node.variable.type !== types.DUAL) return
  // A whole object may be asked for anything in it. A text with fields is mostly used as a text; its fields are looked
  // up when they are read.
  const left = node === ROOTS.get(node.name) ? LOOKED_UP : without
  if (node.variable === undefined) for (const child of node.children.values()) noteNeeds(walk, child, left)
}

/** As far as names lead to something that is known, and how many are left. */
function resolve(steps: readonly Step[]): { readonly node: Node | undefined; readonly left: number } {
  let node = ROOTS.get(steps[0]?.name ?? "")
  let at = 1
  for (let child = node; node !== undefined && at < steps.length; at++) {
    child = node.children.get(steps[at]?.name ?? "")
    if (child === undefined) break
    node = child
  }
  return { node, left: node === undefined ? steps.length : steps.length - at }
}

/** Variables whose last names are these, as `conn.geo.country_code` for `geo.country_code`. */
function longerNames(name: string): readonly string[] {
  return ALL_NAMES.filter((known) => known.endsWith(`.${name}`))
}

const ALL_NAMES = [...ROOTS.values()].flatMap(namesIn)

function namesIn(node: Node): readonly string[] {
  return [node.name, ...Array.from(node.children.values(), namesIn).flat()]
}
