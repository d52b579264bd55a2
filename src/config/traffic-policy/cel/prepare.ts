// What an expression means, before it is planned: names are resolved, types are checked, constants are computed, and what
// the library would do without bounds is put into other words. One walk over what the parser made.
import { isCelError, plan, type CelValue } from "@bufbuild/cel"
import { presence, RESULTS, ROOTS, VARS, whole, type Node } from "./activation.ts"
import { DEEPEST_TREE, MOST_PARTS, refill } from "./bounds.ts"
import { ENVIRONMENT, fitting, IMPURE_NAMES, OVERLOADS } from "./environment.ts"
import { call, comprehension, constant, constantText, ident, list, nameOf, select, type Expr } from "./node.ts"
import { didYouMean } from "../../../policy/suggest.ts"
import type { CelProblem } from "./problem.ts"
import { refusedFunction, refusedVariable, type Refusal } from "./refusals.ts"
import { Spans, type Span } from "./spans.ts"
import { textsOfNumbers, typeHint, wrongCall } from "./wrong-call.ts"
import { checkConstant } from "./check-constant.ts"
import * as types from "./type.ts"
import { join, mayBe, mayEqual, shown, typeNamed, type Type } from "./type.ts"
import type { Need } from "./variables.ts"

/** A name that is known only while a policy runs. */
export interface Read {
  readonly kind: "var" | "result"
  /** Of the variable, or of the action with underscores. */
  readonly name: string
  readonly offset: number
  readonly length: number
}

export interface Prepared {
  /** `undefined` where there are errors. */
  readonly expr: Expr | undefined
  readonly type: Type
  readonly problems: readonly CelProblem[]
  readonly needs: ReadonlySet<Need>
  readonly reads: readonly Read[]
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
interface Local {
  readonly name: string
  readonly alias: string
  readonly type: Type
  readonly outer: Local | undefined
}

interface Step extends Span {
  readonly name: string
}

/** Why there is no going on. */
class Abandoned extends Error {}

const INT_MIN = -(2n ** 63n)
const INT_MAX = 2n ** 63n - 1n
const UINT_MAX = 2n ** 64n - 1n
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
const MACROS: Readonly<Record<string, string>> = {
  all: "list.all(x, condition)",
  exists: "list.exists(x, condition)",
  exists_one: "list.exists_one(x, condition)",
  existsOne: "list.existsOne(x, condition)",
  filter: "list.filter(x, condition)",
  map: "list.map(x, value) or list.map(x, condition, value)",
  sortBy: "list.sortBy(x, key)",
}

/** @param keep the text with fields itself is wanted as the result, not its text */
export function prepare(
  text: string,
  root: Expr,
  positions: Readonly<Record<string, number>>,
  keep: boolean,
): Prepared {
  const preparation = new Preparation(new Spans(text, positions))
  let seen: Seen | undefined
  try {
    seen = preparation.visit(root, keep)
  } catch (error) {
    if (!(error instanceof Abandoned)) throw error
  }
  const { needs, problems, reads } = preparation
  const isGood = seen !== undefined && !problems.some(({ severity }) => severity === "error")
  return { expr: isGood ? seen?.expr : undefined, type: seen?.type ?? types.DYN, problems, needs, reads }
}

class Preparation {
  readonly problems: CelProblem[] = []
  readonly needs = new Set<Need>()
  readonly reads: Read[] = []
  private readonly spans: Spans
  private local: Local | undefined
  private locals = 0
  private depth = 0
  private parts = 0

  constructor(spans: Spans) {
    this.spans = spans
  }

  visit(expr: Expr, keep: boolean): Seen {
    if (++this.parts > MOST_PARTS) this.abandon(expr, `an expression has at most ${MOST_PARTS} parts`)
    if (++this.depth > DEEPEST_TREE) this.abandon(expr, `an expression is at most ${DEEPEST_TREE} parts deep`)
    const seen = this.look(expr, keep)
    this.depth--
    return seen
  }

  private look(expr: Expr, keep: boolean): Seen {
    const { exprKind } = expr
    switch (exprKind.case) {
      case "constExpr":
        return this.constant(expr)
      case "identExpr":
        return this.path(expr, [this.step(expr, exprKind.value.name)], keep)
      case "selectExpr":
        return this.select(expr, keep)
      case "callExpr":
        return this.call(expr, keep)
      case "listExpr":
        return this.list(expr, exprKind.value.elements)
      case "structExpr":
        return this.map(expr)
      case "comprehensionExpr":
        return this.loop(expr)
      default:
        return this.refuse(expr, this.spans.of(expr), "it is incomplete")
    }
  }

  private constant(expr: Expr): Seen {
    const kind = expr.exprKind.case === "constExpr" ? expr.exprKind.value.constantKind : undefined
    const span = this.spans.of(expr)
    const outOfRange =
      (kind?.case === "int64Value" && (kind.value < INT_MIN || kind.value > INT_MAX)) ||
      (kind?.case === "uint64Value" && kind.value > UINT_MAX)
    if (outOfRange) return this.refuse(expr, span, "the number does not fit into 64 bits")
    return { ...span, expr, type: constantType(kind?.case), isConstant: true, path: undefined }
  }

  // Names

  private select(expr: Expr, keep: boolean): Seen {
    if (expr.exprKind.case !== "selectExpr") return this.refuse(expr, this.spans.of(expr), "it is no field")
    const { field, operand, testOnly } = expr.exprKind.value
    if (operand === undefined) return this.refuse(expr, this.spans.of(expr), "it is a field of nothing")
    const steps = this.steps(expr, operand, field)
    if (steps !== undefined && !this.isDynamic(steps)) return this.path(expr, steps, keep, testOnly)
    return this.field(expr, operand, field, testOnly)
  }

  /** A field of a value that is known only while the policy runs. */
  private field(expr: Expr, operand: Expr, field: string, testOnly: boolean): Seen {
    const of = this.visit(operand, true)
    const span = this.spans.of(expr, [of])
    if (!["dual", "dyn", "map"].includes(of.type.name))
      return this.refuse(expr, span, `${shown(of.type)} has no fields; found .${field}`)
    const made = testOnly ? call(expr, "@has", [of.expr, constant(expr, field)]) : select(expr, of.expr, field)
    return this.seen(made, span, testOnly ? types.BOOL : types.DYN)
  }

  /** The names of `a.b["c"]`, from the first one on. */
  private steps(expr: Expr, operand: Expr, field: string): Step[] | undefined {
    const name = nameOf(operand)
    const last = this.step(expr, field)
    if (name !== undefined) return [this.step(operand, name), last]
    const { exprKind } = operand
    let before: Step[] | undefined
    if (exprKind.case === "selectExpr" && !exprKind.value.testOnly && exprKind.value.operand !== undefined)
      before = this.steps(operand, exprKind.value.operand, exprKind.value.field)
    if (exprKind.case === "callExpr" && exprKind.value.function === "_[_]") before = this.indexSteps(operand)
    return before === undefined ? undefined : [...before, last]
  }

  private indexSteps(expr: Expr): Step[] | undefined {
    if (expr.exprKind.case !== "callExpr") return undefined
    const [operand, index] = expr.exprKind.value.args
    const key = index === undefined ? undefined : constantText(index)
    return operand === undefined || key === undefined ? undefined : this.steps(expr, operand, key)
  }

  private step(expr: Expr, name: string): Step {
    return { name, ...this.spans.of(expr) }
  }

  private find(name: string): Local | undefined {
    let local = this.local
    while (local !== undefined && local.name !== name) local = local.outer
    return local
  }

  /** Whether what the names lead to is known only while the policy runs. */
  private isDynamic(steps: readonly Step[]): boolean {
    const [root, second] = steps
    if (root === undefined || this.find(root.name) !== undefined) return true
    if (root.name === "vars") return steps.length > 2
    if (root.name === "actions") return second?.name === "ngrok" && steps.length > 3
    const { left, node } = resolve(steps)
    const type = node?.variable?.type.name
    return left > 0 && (type === "list" || type === "map" || type === "dyn")
  }

  /** A name that is known now. */
  private path(expr: Expr, steps: readonly Step[], keep: boolean, testOnly = false): Seen {
    const [root, second, third] = steps
    const name = steps.map((step) => step.name).join(".")
    const span = { start: root?.start ?? 0, end: steps.at(-1)?.end ?? 0 }
    const local = steps.length === 1 ? this.find(name) : undefined
    if (local !== undefined) return this.seen(ident(expr, local.alias), span, local.type)
    if (root?.name === "vars") return this.running(expr, VARS, "var", second, span, testOnly)
    if (root?.name === "actions" && second?.name === "ngrok")
      return this.running(expr, RESULTS, "result", third, span, testOnly)
    const { left, node } = resolve(steps)
    const refused = refusedVariable(name)
    if (refused !== undefined) return this.refuse(expr, span, ...refused)
    if (node === undefined && typeNamed(name) !== undefined)
      return { ...span, expr, type: types.TYPE, isConstant: false, path: undefined }
    if (node === undefined || left > 0) return this.unknown(expr, steps, left, node)
    this.note(node)
    if (testOnly) return this.seen(ident(expr, presence(node.name)), span, types.BOOL)
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
  private running(
    expr: Expr,
    key: string,
    kind: Read["kind"],
    step: Step | undefined,
    span: Span,
    testOnly: boolean,
  ): Seen {
    const all = ident(expr, key)
    if (step === undefined) return this.seen(all, span, types.MAP)
    this.reads.push({ kind, name: step.name, offset: span.start, length: step.end - span.start })
    if (testOnly) return this.seen(call(expr, "@has", [all, constant(expr, step.name)]), span, types.BOOL)
    return this.seen(select(expr, all, step.name), span, types.DYN)
  }

  private unknown(expr: Expr, steps: readonly Step[], left: number, node: Node | undefined): Seen {
    const known = steps
      .slice(0, steps.length - left)
      .map((step) => step.name)
      .join(".")
    const step = steps[steps.length - left]
    const wrong = step ?? steps[0]
    const name = wrong?.name ?? ""
    const span = { start: steps[0]?.start ?? 0, end: wrong?.end ?? 0 }
    if (node?.variable !== undefined && node.children.size === 0)
      return this.refuse(
        expr,
        span,
        `${known} is ${shown(node.variable.type)} and has no field ${JSON.stringify(name)}`,
      )
    if (node !== undefined) {
      const fields = [...node.children.keys()]
      const near = didYouMean(name, fields)
      return this.refuse(
        expr,
        span,
        `there is no ${known}.${name}${near}`,
        near === "" ? `${known} has ${fields.slice(0, 20).join(", ")}` : undefined,
      )
    }
    if (name === "actions") return this.refuse(expr, span, "results of actions are in actions.ngrok")
    const roots = [...ROOTS.keys(), "vars", "actions"]
    const longer = longerNames(steps.map((at) => at.name).join("."))
    const near = longer.length > 0 ? `; did you mean ${longer.slice(0, 3).join(" or ")}?` : didYouMean(name, roots)
    const hint = near === "" ? `known are ${roots.join(", ")}; a text stands in quotes` : undefined
    return this.refuse(expr, span, `there is no variable ${JSON.stringify(name)}${near}`, hint)
  }

  private note(node: Node): void {
    if (node.variable?.need !== undefined) this.needs.add(node.variable.need)
    if (node.variable !== undefined && node.variable.type !== types.DUAL) return
    // A whole object may be asked for anything in it. A text with fields is mostly used as a text; its fields are looked
    // up when they are read.
    if (node.variable === undefined) for (const child of node.children.values()) this.note(child)
  }

  // Calls

  private call(expr: Expr, keep: boolean): Seen {
    if (expr.exprKind.case !== "callExpr") return this.refuse(expr, this.spans.of(expr), "it is no call")
    const { args, function: name, target } = expr.exprKind.value
    const [first, second] = args
    switch (name) {
      case "_[_]": {
        const steps = this.indexSteps(expr)
        if (steps !== undefined && !this.isDynamic(steps)) return this.path(expr, steps, keep)
        if (first !== undefined && second !== undefined) return this.index(expr, first, second)
        break
      }
      case "_?_:_":
        return this.choice(expr, args, keep)
      case "_&&_":
      case "_||_":
        return this.logic(expr, name, args)
      case "@not_strictly_false":
        return this.seen(...this.remade(expr, name, args), types.BOOL)
      case "has":
        return this.has(expr, args)
      case "sortBy":
        if (target !== undefined && first !== undefined && second !== undefined && nameOf(first) !== undefined)
          return this.sortBy(expr, target, nameOf(first) ?? "", second)
        break
    }
    const refused = refusedFunction(name)
    if (refused !== undefined) return this.refuse(expr, this.nameSpan(expr, name), ...refused)
    return this.plainCall(expr, name, target, args)
  }

  private plainCall(expr: Expr, name: string, target: Expr | undefined, args: readonly Expr[]): Seen {
    const namespace = target === undefined ? undefined : this.namespace(target)
    const full = namespace === undefined ? name : `${namespace}.${name}`
    const isMethod = target !== undefined && namespace === undefined
    const group = OVERLOADS.get(full)
    if (group === undefined) return this.unknownFunction(expr, full, isMethod ? target : undefined)
    const of = isMethod ? this.visit(target, false) : undefined
    const isLookup = full === "@in"
    const given = args.map((arg, i) => this.visit(arg, isLookup && i === 1))
    const before = of ?? (target === undefined ? undefined : this.spans.of(target))
    const span = this.spans.of(expr, [...given, ...(before === undefined ? [] : [before])])
    const kinds = given.map(({ type }) => type)
    const fits = isLookup && kinds[1]?.name === "dual" ? [IN_FIELDS] : fitting(full, of?.type, kinds)
    const wrong = fits.length === 0 ? wrongCall(full, group, of, given) : this.comparison(full, given)
    if (wrong !== undefined) return this.refuse(expr, span, ...wrong)
    if (full === "secrets.get") this.needs.add("secrets")
    this.warn(textsOfNumbers(full, given))
    for (const problem of checkConstant(full, of, given)) this.warn(problem)
    const result = fits.every(({ result }) => result.name === fits[0]?.result.name) ? fits[0]?.result : undefined
    const made =
      this.quick(expr, full, given) ??
      call(
        expr,
        name,
        given.map((arg) => arg.expr),
        isMethod ? of?.expr : target,
      )
    const isConstant =
      !IMPURE_NAMES.has(full) && given.every((arg) => arg.isConstant) && (of === undefined ? !isMethod : of.isConstant)
    return isConstant ? this.computed(made, span, result) : this.seen(made, span, result ?? types.DYN)
  }

  /** Membership in a constant list of texts is one look-up. */
  private quick(expr: Expr, name: string, [value, within]: readonly Seen[]): Expr | undefined {
    if (name !== "@in" || value === undefined || within?.isConstant !== true || within.type.name !== "list")
      return undefined
    return call(expr, "@among", [value.expr, within.expr])
  }

  private comparison(name: string, [left, right]: readonly Seen[]): Refusal | undefined {
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
  private namespace(target: Expr): string | undefined {
    const name = nameOf(target)
    if (name === undefined || this.find(name) !== undefined || ROOTS.has(name) || name === "vars") return undefined
    return NAMESPACES.has(name) ? name : undefined
  }

  private unknownFunction(expr: Expr, name: string, target: Expr | undefined): Seen {
    const problems = this.problems.length
    const of = target === undefined ? undefined : this.visit(target, false)
    // What it is called on may be what is wrong, as in `bas64.encode(x)`.
    if (of !== undefined && this.problems.length > problems) return of
    const span = this.nameSpan(expr, name)
    const usage = MACROS[name]
    if (usage !== undefined) return this.refuse(expr, span, `${name} is written as ${usage}`)
    const known = [...OVERLOADS.keys()].filter((other) => /^[a-zA-Z]/.test(other))
    const near = didYouMean(name, known)
    return this.refuse(expr, span, `there is no ${target === undefined ? "function" : "method"} ${name}${near}`)
  }

  private index(expr: Expr, operand: Expr, index: Expr): Seen {
    const of = this.visit(operand, true)
    const at = this.visit(index, false)
    const span = this.spans.of(expr, [of, at])
    if (!["dual", "dyn", "list", "map"].includes(of.type.name))
      return this.refuse(expr, span, `${shown(of.type)} has no elements`)
    if (of.type.name === "list" && !["double", "dyn", "int", "uint"].includes(at.type.name))
      return this.refuse(expr, at, `the elements of a list have numbers, found ${shown(at.type)}`)
    const made = call(expr, "_[_]", [of.expr, this.asKey(at)])
    return this.seen(made, span, of.type.element ?? types.DYN)
  }

  /** What may be a text with fields is its text as a key. */
  private asKey({ expr, isConstant, type }: Seen): Expr {
    return !isConstant && (type.name === "dyn" || type.name === "dual") ? call(expr, "@key", [expr]) : expr
  }

  private choice(expr: Expr, args: readonly Expr[], keep: boolean): Seen {
    const [condition, yes, no] = args.map((arg, i) => this.visit(arg, i > 0 && keep))
    if (condition === undefined || yes === undefined || no === undefined)
      return this.refuse(expr, this.spans.of(expr), "expected condition ? value : value")
    const span = this.spans.of(expr, [condition, no])
    this.expectBool(condition)
    const made = call(expr, "_?_:_", [condition.expr, yes.expr, no.expr])
    if (condition.isConstant && yes.isConstant && no.isConstant) return this.computed(made, span, undefined)
    return this.seen(made, span, join(yes.type, no.type))
  }

  private logic(expr: Expr, name: string, args: readonly Expr[]): Seen {
    const given = args.map((arg) => this.visit(arg, false))
    for (const arg of given) this.expectBool(arg)
    const span = this.spans.of(expr, given)
    const made = call(
      expr,
      name,
      given.map((arg) => arg.expr),
    )
    return given.every((arg) => arg.isConstant)
      ? this.computed(made, span, types.BOOL)
      : this.seen(made, span, types.BOOL)
  }

  /** `has(map["key"])`, which CEL does not have and ngrok does; the parser took care of `has(map.key)`. */
  private has(expr: Expr, [arg, more]: readonly Expr[]): Seen {
    const span = this.nameSpan(expr, "has")
    if (more === undefined && arg?.exprKind.case === "callExpr" && arg.exprKind.value.function === "_[_]") {
      const steps = this.indexSteps(arg)
      if (steps !== undefined && !this.isDynamic(steps)) return this.path(expr, steps, false, true)
      const [operand, index] = arg.exprKind.value.args
      if (operand !== undefined && index !== undefined) {
        const of = this.visit(operand, true)
        const at = this.visit(index, false)
        const made = call(expr, "@has", [of.expr, this.asKey(at)])
        return this.seen(made, this.spans.of(expr, [of, at]), types.BOOL)
      }
    }
    return this.refuse(expr, span, "has() asks for a field", "write has(vars.name) or has(conn.tls.sni)")
  }

  // Lists, maps and loops

  private list(expr: Expr, elements: readonly Expr[]): Seen {
    const items = elements.map((element) => this.visit(element, true))
    const span = this.spans.of(expr, items)
    const [first, ...rest] = items.map(({ type }) => type)
    const element = rest.reduce<Type | undefined>((all, type) => (all === undefined ? type : join(all, type)), first)
    const type: Type = { name: "list", element }
    const made = list(
      expr,
      items.map((item) => item.expr),
    )
    if (items.length > 0 && items.every(({ isConstant }) => isConstant)) return this.computed(made, span, type)
    return this.seen(this.weighed(made, items), span, type)
  }

  private map(expr: Expr): Seen {
    if (expr.exprKind.case !== "structExpr") return this.refuse(expr, this.spans.of(expr), "it is no map")
    const { entries, messageName } = expr.exprKind.value
    if (messageName !== "")
      return this.refuse(
        expr,
        this.spans.of(expr),
        `there are no messages here, such as ${messageName}`,
        "write a map: {'name': value}",
      )
    const parts: Seen[] = []
    const made = entries.map((entry) => {
      const keyOf = entry.keyKind.case === "mapKey" ? entry.keyKind.value : undefined
      if (keyOf === undefined || entry.value === undefined) return entry
      const key = this.visit(keyOf, false)
      const value = this.visit(entry.value, true)
      parts.push(key, value)
      if (!KEYS.has(key.type.name)) this.refuse(expr, key, `${shown(key.type)} is no key of a map`)
      return { ...entry, keyKind: { case: "mapKey" as const, value: this.asKey(key) }, value: value.expr }
    })
    const span = this.spans.of(expr, parts)
    const map: Expr = { ...expr, exprKind: { case: "structExpr", value: { ...expr.exprKind.value, entries: made } } }
    if (parts.length > 0 && parts.every(({ isConstant }) => isConstant)) return this.computed(map, span, types.MAP)
    return this.seen(this.weighed(map, parts), span, types.MAP)
  }

  /** What may be large, with what is within it, is weighed when it is made. */
  private weighed(made: Expr, items: readonly Seen[]): Expr {
    return items.every(({ type }) => SCALARS.has(type.name) && type.name !== "string")
      ? made
      : call(made, "@made", [made])
  }

  private loop(expr: Expr): Seen {
    if (expr.exprKind.case !== "comprehensionExpr") return this.refuse(expr, this.spans.of(expr), "it is no loop")
    const { accuInit, accuVar, iterRange, iterVar, loopCondition, loopStep, result } = expr.exprKind.value
    if (!accuInit || !iterRange || !loopCondition || !loopStep || !result)
      return this.refuse(expr, this.spans.of(expr), "the loop is incomplete")
    const over = this.range(iterRange)
    const makesList = accuInit.exprKind.case === "listExpr"
    const start = makesList ? undefined : this.visit(accuInit, false)
    const type = start?.type ?? types.LIST
    const before = this.local
    const into = this.declare(accuVar, type)
    const item = this.declare(iterVar, over.type.element ?? types.DYN)
    const condition = this.visit(loopCondition, false)
    const step = makesList ? this.growth(loopStep, into.alias) : this.visit(loopStep, false).expr
    const end = this.visit(result, false)
    this.local = before
    const made = comprehension(expr, {
      accuInit: start?.expr ?? call(expr, "@newList", []),
      accuVar: into.alias,
      iterRange: over.expr,
      iterVar: item.alias,
      loopCondition: call(expr, "@step", [condition.expr]),
      loopStep: step,
      result: end.expr,
    })
    return this.seen(made, this.spans.of(expr, [over]), makesList ? types.LIST : types.BOOL)
  }

  private range(expr: Expr): Seen {
    const over = this.visit(expr, true)
    if (["dyn", "list", "map"].includes(over.type.name)) return over
    return this.refuse(expr, over, `only lists and maps have elements, found ${shown(over.type)}`)
  }

  /** `result + [value]`, and `condition ? result + [value] : result`: appends instead. */
  private growth(expr: Expr, alias: string): Expr {
    const { exprKind } = expr
    const args = exprKind.case === "callExpr" ? exprKind.value.args : []
    const [first, second, third] = args
    if (third !== undefined && first !== undefined && second !== undefined) {
      const condition = this.visit(first, false)
      this.expectBool(condition)
      return call(expr, "_?_:_", [condition.expr, this.growth(second, alias), ident(third, alias)])
    }
    const element = second?.exprKind.case === "listExpr" ? second.exprKind.value.elements[0] : undefined
    const value = element === undefined ? undefined : this.visit(element, true)
    return call(expr, "@append", [ident(expr, alias), value?.expr ?? constant(expr, null)])
  }

  /** `list.sortBy(x, key)`: pairs of key and element, sorted. */
  private sortBy(expr: Expr, target: Expr, name: string, key: Expr): Seen {
    const over = this.range(target)
    const before = this.local
    const into = this.declare("", types.LIST)
    const item = this.declare(name, over.type.element ?? types.DYN)
    const by = this.visit(key, false)
    this.local = before
    const pairs = comprehension(expr, {
      accuInit: call(expr, "@newList", []),
      accuVar: into.alias,
      iterRange: over.expr,
      iterVar: item.alias,
      loopCondition: call(expr, "@step", [constant(expr, true)]),
      loopStep: call(expr, "@append", [ident(expr, into.alias), list(expr, [by.expr, ident(expr, item.alias)])]),
      result: ident(expr, into.alias),
    })
    return this.seen(
      call(expr, "@sorted", [pairs]),
      this.spans.of(expr, [over]),
      over.type.name === "list" ? over.type : types.LIST,
    )
  }

  /** Aliases are names that no expression has, so that a loop's variable may be called as anything. */
  private declare(name: string, type: Type): Local {
    this.local = { name, alias: `@${++this.locals}`, type, outer: this.local }
    return this.local
  }

  // Results and problems

  private remade(expr: Expr, name: string, args: readonly Expr[]): [Expr, Span] {
    const given = args.map((arg) => this.visit(arg, false))
    return [
      call(
        expr,
        name,
        given.map((arg) => arg.expr),
      ),
      this.spans.of(expr, given),
    ]
  }

  private seen(expr: Expr, { end, start }: Span, type: Type): Seen {
    return { start, end, expr, type, isConstant: false, path: undefined }
  }

  /** A part that says the same each time is computed now; what fails now would fail each time. */
  private computed(expr: Expr, span: Span, type: Type | undefined): Seen {
    if (this.problems.some(({ severity }) => severity === "error")) return this.seen(expr, span, type ?? types.DYN)
    refill()
    const value = plan(ENVIRONMENT, expr)({})
    if (isCelError(value)) return this.refuse(expr, span, `it fails each time: ${value.message}`)
    return { ...this.seen(constant(expr, value), span, type ?? typeOfValue(value)), isConstant: true }
  }

  private expectBool(seen: Seen): void {
    if (mayBe(seen.type, types.BOOL)) return
    this.refuse(seen.expr, seen, `expected a bool, found ${shown(seen.type)}`)
  }

  private nameSpan(expr: Expr, name: string): Span {
    const { end, start } = this.spans.of(expr)
    const last = name.slice(name.lastIndexOf(".") + 1)
    const token = this.spans.all.find((at) => at.start >= start && at.end <= end && at.text === last)
    return token ?? { start, end }
  }

  private refuse(expr: Expr, { end, start }: Span, message: string, hint?: string): Seen {
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

  private warn(problem: CelProblem | undefined): void {
    if (problem !== undefined) this.problems.push(problem)
  }

  private abandon(expr: Expr, message: string): never {
    this.refuse(expr, this.spans.of(expr), message)
    throw new Abandoned()
  }
}

/** Whether a text is a key of a text with fields. */
const IN_FIELDS = { target: undefined, parameters: [types.DYN, types.DUAL], result: types.BOOL }
const NAMESPACES: ReadonlySet<string> = new Set(
  [...OVERLOADS.keys()]
    .filter((name) => /^[a-zA-Z]/.test(name) && name.includes("."))
    .map((name) => name.slice(0, name.indexOf("."))),
)

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
