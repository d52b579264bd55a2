// What the library asks for the values of variables: an object whose keys are whole names, as `conn.client_ip`, so that one
// look-up finds a value and nothing is made that no expression reads. `name?` is whether it is there, and `name!` all of
// it: a map, or a text with fields.
import { celList, celMap, type CelInput, type CelMap } from "@bufbuild/cel"
import { dualOf, objectOf, type Fields } from "./dual.ts"
import type { Facts } from "./facts.ts"
import type { Type } from "./type.ts"
import { timeValue } from "./value.ts"
import { VARIABLES, type Variable } from "./variables.ts"

/** A variable, what is within it, or both. */
export interface Node {
  readonly name: string
  readonly variable: Variable | undefined
  readonly children: ReadonlyMap<string, Node>
}

const FACTS: unique symbol = Symbol("facts")

/** The values of the variables for one connection; what is no variable is `undefined`, and the library knows that. */
export class Activation {
  readonly [name: string]: CelInput
  readonly [FACTS]: Facts

  constructor(facts: Facts) {
    this[FACTS] = facts
  }
}

/** The keys of what changes while a policy runs. */
export const VARS = "@vars"
export const RESULTS = "@results"

export const presence = (name: string) => `${name}?`
export const whole = (name: string) => `${name}!`

const NO_ITEMS = celList([])
const THE_EPOCH = timeValue(0)

/** All variables, by their first name. */
export const ROOTS: ReadonlyMap<string, Node> = tree()

define(VARS, (facts) => celMap(facts.vars))
define(RESULTS, (facts) => celMap(facts.results))
for (const root of ROOTS.values()) defineAll(root)

function tree(): ReadonlyMap<string, Node> {
  interface Growing extends Node {
    variable: Variable | undefined
    readonly children: Map<string, Growing>
  }
  const root: Growing = { name: "", variable: undefined, children: new Map() }
  for (const [path, variable] of VARIABLES) {
    let at = root
    for (const step of path.split(".")) {
      let child = at.children.get(step)
      if (child === undefined) {
        child = { name: at === root ? step : `${at.name}.${step}`, variable: undefined, children: new Map() }
        at.children.set(step, child)
      }
      at = child
    }
    at.variable = variable
  }
  return root.children
}

function defineAll(node: Node): void {
  const { children, name, variable } = node
  if (variable !== undefined) {
    const nothing = nothingOf(variable.type)
    define(name, (facts) => variable.read(facts) ?? nothing)
  }
  if (children.size > 0) define(whole(name), (facts) => wholeOf(node, facts))
  define(presence(name), (facts) => isThere(node, facts))
  for (const child of children.values()) defineAll(child)
}

function define(key: string, get: (facts: Facts) => CelInput): void {
  Object.defineProperty(Activation.prototype, key, {
    get(this: Activation) {
      return get(this[FACTS])
    },
  })
}

function wholeOf(node: Node, facts: Facts): CelInput {
  const { children, variable } = node
  if (children.size === 0) return variable === undefined ? null : (variable.read(facts) ?? nothingOf(variable.type))
  const text = variable?.read(facts) ?? ""
  return variable === undefined || typeof text !== "string" ? mapOf(node, facts) : dualOf(text, fieldsOf(node, facts))
}

function mapOf(node: Node, facts: Facts): CelMap {
  return objectOf(fieldsOf(node, facts))
}

function fieldsOf({ children }: Node, facts: Facts): Fields {
  return {
    names: [...children.keys()],
    get: (name) => {
      const child = children.get(name)
      return child === undefined ? undefined : wholeOf(child, facts)
    },
    has: (name) => {
      const child = children.get(name)
      return child !== undefined && isThere(child, facts)
    },
  }
}

/** What is within a variable, or a part of them, as expressions see it: what is not there is nothing of its type. */
export function fieldsWithin(path: string, facts: Facts): Fields {
  const [root = "", ...steps] = path.split(".")
  let node = ROOTS.get(root)
  for (const step of steps) node = node?.children.get(step)
  if (node === undefined) throw new Error(`there is no ${path}`)
  return fieldsOf(node, facts)
}

function isThere({ children, variable }: Node, facts: Facts): boolean {
  if (variable !== undefined) return variable.read(facts) !== undefined
  return children.values().some((child) => isThere(child, facts))
}

/** What stands for a value that is not there. */
function nothingOf({ name }: Type): CelInput {
  switch (name) {
    case "bool":
      return false
    case "double":
      return 0
    case "int":
      return 0n
    case "list":
      return NO_ITEMS
    case "timestamp":
      return THE_EPOCH
    default:
      return ""
  }
}
