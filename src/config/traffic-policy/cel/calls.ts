// Calls in an expression: which function they are of, whether it takes what it is given, and what they are put into.
import { ROOTS } from "./activation.ts"
import { checkConstant } from "./check-constant.ts"
import { fitting, IMPURE_NAMES, OVERLOADS } from "./environment.ts"
import { sortByOf } from "./loops.ts"
import { indexSteps, isDynamic, pathOf } from "./names.ts"
import { call, nameOf, type Expr } from "./node.ts"
import { didYouMean } from "../../../policy/suggest.ts"
import { refusedFunction, type Refusal } from "./refusals.ts"
import type { Span } from "./spans.ts"
import * as types from "./type.ts"
import { join, mayEqual, shown } from "./type.ts"
import type { Seen, Walk } from "./walk.ts"
import { textsOfNumbers, typeHint, wrongCall } from "./wrong-call.ts"

const MACROS: Readonly<Record<string, string>> = {
  all: "list.all(x, condition)",
  exists: "list.exists(x, condition)",
  exists_one: "list.exists_one(x, condition)",
  existsOne: "list.existsOne(x, condition)",
  filter: "list.filter(x, condition)",
  map: "list.map(x, value) or list.map(x, condition, value)",
  sortBy: "list.sortBy(x, key)",
}

/** Whether a text is a key of a text with fields. */
const IN_FIELDS = { target: undefined, parameters: [types.DYN, types.DUAL], result: types.BOOL }
const NAMESPACES: ReadonlySet<string> = new Set(
  [...OVERLOADS.keys()]
    .filter((name) => /^[a-zA-Z]/.test(name) && name.includes("."))
    .map((name) => name.slice(0, name.indexOf("."))),
)

export function callOf(walk: Walk, expr: Expr, keep: boolean): Seen {
  if (expr.exprKind.case !== "callExpr") return walk.refuse(expr, walk.spans.of(expr), "it is no call")
  const { args, function: name, target } = expr.exprKind.value
  const [first, second] = args
  switch (name) {
    case "_[_]": {
      const steps = indexSteps(walk, expr)
      if (steps !== undefined && !isDynamic(walk, steps)) return pathOf(walk, expr, steps, keep)
      if (first !== undefined && second !== undefined) return elementOf(walk, expr, first, second)
      break
    }
    case "_?_:_":
      return choiceOf(walk, expr, args, keep)
    case "_&&_":
    case "_||_":
      return logicOf(walk, expr, name, args)
    case "@not_strictly_false":
      return walk.seen(...remade(walk, expr, name, args), types.BOOL)
    case "has":
      return hasOf(walk, expr, args)
    case "sortBy":
      if (target !== undefined && first !== undefined && second !== undefined && nameOf(first) !== undefined)
        return sortByOf(walk, expr, target, nameOf(first) ?? "", second)
      break
  }
  const refused = refusedFunction(name)
  if (refused !== undefined) return walk.refuse(expr, walk.nameSpan(expr, name), ...refused)
  return plainCall(walk, expr, name, target, args)
}

function plainCall(walk: Walk, expr: Expr, name: string, target: Expr | undefined, args: readonly Expr[]): Seen {
  const namespace = target === undefined ? undefined : namespaceOf(walk, target)
  const full = namespace === undefined ? name : `${namespace}.${name}`
  const isMethod = target !== undefined && namespace === undefined
  const group = OVERLOADS.get(full)
  if (group === undefined) return unknownFunction(walk, expr, full, isMethod ? target : undefined)
  const of = isMethod ? walk.visit(target, false) : undefined
  const isLookup = full === "@in"
  const given = args.map((arg, i) => walk.visit(arg, isLookup && i === 1))
  const before = of ?? (target === undefined ? undefined : walk.spans.of(target))
  const span = walk.spans.of(expr, [...given, ...(before === undefined ? [] : [before])])
  const kinds = given.map(({ type }) => type)
  const fits = isLookup && kinds[1]?.name === "dual" ? [IN_FIELDS] : fitting(full, of?.type, kinds)
  const wrong = fits.length === 0 ? wrongCall(full, group, of, given) : comparison(walk, full, given)
  if (wrong !== undefined) return walk.refuse(expr, span, ...wrong)
  if (full === "secrets.get") walk.needs.add("secrets")
  walk.warn(textsOfNumbers(full, given))
  for (const problem of checkConstant(full, of, given)) walk.warn(problem)
  const result = fits.every(({ result }) => result.name === fits[0]?.result.name) ? fits[0]?.result : undefined
  const made =
    quick(walk, expr, full, given) ??
    call(
      expr,
      name,
      given.map((arg) => arg.expr),
      isMethod ? of?.expr : target,
    )
  const isConstant =
    !IMPURE_NAMES.has(full) && given.every((arg) => arg.isConstant) && (of === undefined ? !isMethod : of.isConstant)
  return isConstant ? walk.computed(made, span, result) : walk.seen(made, span, result ?? types.DYN)
}

/** Membership in a constant list of texts is one look-up. */
function quick(walk: Walk, expr: Expr, name: string, [value, within]: readonly Seen[]): Expr | undefined {
  if (name !== "@in" || value === undefined || within?.isConstant !== true || within.type.name !== "list")
    return undefined
  return call(expr, "@among", [value.expr, within.expr])
}

function comparison(walk: Walk, name: string, [left, right]: readonly Seen[]): Refusal | undefined {
  if (left === undefined || right === undefined) return undefined
  if (name === "_==_" || name === "_!=_") {
    if (mayEqual(left.type, right.type)) return undefined
    const always = name === "_==_" ? "never" : "always"
    return [
      `${shown(left.type)} and ${shown(right.type)} are never equal: this is ${always} true`,
      typeHint(left, right),
    ]
  }
  const { element } = right.type
  if (name !== "@in" || element === undefined || mayEqual(left.type, element)) return undefined
  return [
    `the list has elements of another type: ${shown(left.type)} is never in it`,
    typeHint(left, { ...right, type: element }),
  ]
}

/** `base64` of `base64.encode`: a name that is no variable. */
function namespaceOf(walk: Walk, target: Expr): string | undefined {
  const name = nameOf(target)
  if (name === undefined || walk.find(name) !== undefined || ROOTS.has(name) || name === "vars") return undefined
  return NAMESPACES.has(name) ? name : undefined
}

function unknownFunction(walk: Walk, expr: Expr, name: string, target: Expr | undefined): Seen {
  const problems = walk.problems.length
  const of = target === undefined ? undefined : walk.visit(target, false)
  // What it is called on may be what is wrong, as in `bas64.encode(x)`.
  if (of !== undefined && walk.problems.length > problems) return of
  const span = walk.nameSpan(expr, name)
  const usage = MACROS[name]
  if (usage !== undefined) return walk.refuse(expr, span, `${name} is written as ${usage}`)
  const known = [...OVERLOADS.keys()].filter((other) => /^[a-zA-Z]/.test(other))
  const near = didYouMean(name, known)
  return walk.refuse(expr, span, `there is no ${target === undefined ? "function" : "method"} ${name}${near}`)
}

function elementOf(walk: Walk, expr: Expr, operand: Expr, index: Expr): Seen {
  const of = walk.visit(operand, true)
  const at = walk.visit(index, false)
  const span = walk.spans.of(expr, [of, at])
  if (!["dual", "dyn", "list", "map"].includes(of.type.name))
    return walk.refuse(expr, span, `${shown(of.type)} has no elements`)
  if (of.type.name === "list" && !["double", "dyn", "int", "uint"].includes(at.type.name))
    return walk.refuse(expr, at, `the elements of a list have numbers, found ${shown(at.type)}`)
  const made = call(expr, "_[_]", [of.expr, walk.asKey(at)])
  return walk.seen(made, span, of.type.element ?? types.DYN)
}

function choiceOf(walk: Walk, expr: Expr, args: readonly Expr[], keep: boolean): Seen {
  const [condition, yes, no] = args.map((arg, i) => walk.visit(arg, i > 0 && keep))
  if (condition === undefined || yes === undefined || no === undefined)
    return walk.refuse(expr, walk.spans.of(expr), "expected condition ? value : value")
  const span = walk.spans.of(expr, [condition, no])
  walk.expectBool(condition)
  const made = call(expr, "_?_:_", [condition.expr, yes.expr, no.expr])
  if (condition.isConstant && yes.isConstant && no.isConstant) return walk.computed(made, span, undefined)
  return walk.seen(made, span, join(yes.type, no.type))
}

function logicOf(walk: Walk, expr: Expr, name: string, args: readonly Expr[]): Seen {
  const given = args.map((arg) => walk.visit(arg, false))
  for (const arg of given) walk.expectBool(arg)
  const span = walk.spans.of(expr, given)
  const made = call(
    expr,
    name,
    given.map((arg) => arg.expr),
  )
  return given.every((arg) => arg.isConstant)
    ? walk.computed(made, span, types.BOOL)
    : walk.seen(made, span, types.BOOL)
}

/** `has(map["key"])`, which CEL does not have and ngrok does; the parser took care of `has(map.key)`. */
function hasOf(walk: Walk, expr: Expr, [arg, more]: readonly Expr[]): Seen {
  const span = walk.nameSpan(expr, "has")
  if (more === undefined && arg?.exprKind.case === "callExpr" && arg.exprKind.value.function === "_[_]") {
    const steps = indexSteps(walk, arg)
    if (steps !== undefined && !isDynamic(walk, steps)) return pathOf(walk, expr, steps, false, true)
    const [operand, index] = arg.exprKind.value.args
    if (operand !== undefined && index !== undefined) {
      const of = walk.visit(operand, true)
      const at = walk.visit(index, false)
      const made = call(expr, "@has", [of.expr, walk.asKey(at)])
      return walk.seen(made, walk.spans.of(expr, [of, at]), types.BOOL)
    }
  }
  return walk.refuse(expr, span, "has() asks for a field", "write has(vars.name) or has(conn.tls.sni)")
}

function remade(walk: Walk, expr: Expr, name: string, args: readonly Expr[]): [Expr, Span] {
  const given = args.map((arg) => walk.visit(arg, false))
  return [
    call(
      expr,
      name,
      given.map((arg) => arg.expr),
    ),
    walk.spans.of(expr, given),
  ]
}
