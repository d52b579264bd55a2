// Why an evaluation failed, in words that name functions and fields and show no value: it may be a secret.
import type { CelError } from "@bufbuild/cel"
import { GeoUnavailable } from "../../../policy/geo.ts"
import { TooMuch } from "./bounds.ts"
import { Refused } from "./functions/refused.ts"
import { nameOf, type Expr } from "./node.ts"

/** What the library says that has no values in it. */
const SAFE =
  /^(?:.*(?:divide|modulus|division) by zero|.*(?:overflow|out of range).*|type mismatch: .*|found no matching overload for .*)$/is

/** The reason, as far as it may be told. */
export function reasonOf(error: CelError, root: Expr | undefined): string {
  const { cause, exprId, message } = error
  if (cause instanceof Refused || cause instanceof TooMuch || cause instanceof GeoUnavailable) return cause.message
  const at = root === undefined || exprId === undefined ? undefined : partWith(root, exprId)
  const label = at === undefined ? undefined : labelOf(at)
  if (message.startsWith("field not found"))
    return label === undefined ? "there is no such key" : `${label} is not there`
  if (message.startsWith("index ")) return "there is no such element in the list"
  if (message === "unresolved attribute") return `${label ?? "a variable"} is not there`
  if (message.startsWith("found no matching overload")) return noOverload(message)
  if (SAFE.test(message) && !/['"].*['"]/.test(message)) return message.replace(/ during .*$/, "")
  return label === undefined ? "it failed" : `${label} failed`
}

/** `found no matching overload for '_+_' applied to '(string, int)'`: names and types alone. */
function noOverload(message: string): string {
  const [, name = "", types = ""] = /'([\w.@]*|[^']{1,6})' applied to '([\w., ()]*)'/.exec(message) ?? []
  return `${labelOfFunction(name)} takes no ${types.replaceAll(/[()]/g, "").replaceAll(/,\s*/g, " and ") || "such values"}`
}

function labelOf({ exprKind }: Expr): string | undefined {
  if (exprKind.case === "selectExpr") {
    const { field, operand } = exprKind.value
    const before = operand === undefined ? undefined : pathOf(operand)
    return before === undefined ? `.${field}` : `${before}.${field}`
  }
  if (exprKind.case === "identExpr") return exprKind.value.name
  return exprKind.case === "callExpr" ? labelOfFunction(exprKind.value.function) : undefined
}

function pathOf(expr: Expr): string | undefined {
  const name = nameOf(expr)
  // Elements of loops have names of our own here.
  if (name?.startsWith("@") === true)
    return name === "@vars" ? "vars" : name === "@results" ? "actions.ngrok" : undefined
  if (name !== undefined) return name
  const { exprKind } = expr
  if (exprKind.case !== "selectExpr" || exprKind.value.operand === undefined) return undefined
  const before = pathOf(exprKind.value.operand)
  return before === undefined ? undefined : `${before}.${exprKind.value.field}`
}

/** `_+_` is `+`. */
export function labelOfFunction(name: string): string {
  if (name === "_[_]") return "[]"
  if (name === "_?_:_") return "?:"
  if (name.startsWith("@")) return name.slice(1)
  return /^[a-zA-Z]/.test(name) ? `${name}()` : name.replaceAll("_", "")
}

/** The part with an id. Only after a failure: it looks at all of them. */
function partWith(root: Expr, id: bigint): Expr | undefined {
  const left = [root]
  for (let expr = left.pop(); expr !== undefined; expr = left.pop()) {
    if (expr.id === id) return expr
    left.push(...partsOf(expr))
  }
  return undefined
}

function partsOf({ exprKind }: Expr): readonly Expr[] {
  switch (exprKind.case) {
    case "callExpr":
      return present([exprKind.value.target, ...exprKind.value.args])
    case "selectExpr":
      return present([exprKind.value.operand])
    case "listExpr":
      return exprKind.value.elements
    case "structExpr":
      return present(
        exprKind.value.entries.flatMap(({ keyKind, value }) => [
          keyKind.case === "mapKey" ? keyKind.value : undefined,
          value,
        ]),
      )
    case "comprehensionExpr": {
      const { accuInit, iterRange, loopCondition, loopStep, result } = exprKind.value
      return present([accuInit, iterRange, loopCondition, loopStep, result])
    }
    default:
      return []
  }
}

function present(parts: readonly (Expr | undefined)[]): readonly Expr[] {
  return parts.filter((part) => part !== undefined)
}
