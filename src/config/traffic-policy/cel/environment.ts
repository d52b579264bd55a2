// The functions that expressions have: those of the library, and what ngrok and bounds add to them.
import {
  celEnv,
  celFunc,
  celMethod,
  CelScalar,
  isCelError,
  isCelMap,
  mapType,
  type CelFunc,
  type CelInput,
  type CelValue,
} from "@bufbuild/cel"
import { strings as extension } from "@bufbuild/cel/ext"
import { spend } from "./bounds.ts"
import { textIn } from "./dual.ts"
import { CODECS } from "./functions/codecs.ts"
import { HASHING } from "./functions/hashes.ts"
import { IMPURE } from "./functions/impure.ts"
import { LISTS } from "./functions/lists.ts"
import { LOOPS } from "./functions/loops.ts"
import { NETWORK } from "./functions/network.ts"
import { INTERNAL, OPERATORS } from "./functions/operators.ts"
import { Refused } from "./functions/refused.ts"
import { STRINGS } from "./functions/strings.ts"
import { TIMES } from "./functions/times.ts"
import { mayBe, typeOf, type Type } from "./type.ts"

const { BYTES, STRING } = CelScalar

type LibraryType = CelFunc["result"]

/** One way to call a function. */
export interface Overload {
  /** Of a method: what stands before the dot. */
  readonly target: Type | undefined
  readonly parameters: readonly Type[]
  readonly result: Type
}

const own = [...OPERATORS, ...STRINGS, ...LISTS, ...HASHING, ...NETWORK, ...CODECS, ...TIMES, ...IMPURE]
const plainEnvironment = celEnv({ funcs: [...extension, ...own] })
const known = new Set(Array.from(plainEnvironment.funcs, ({ id }) => id))

/** Those of the library that take time in proportion to a text: they are charged for it. */
const charged = Array.from(plainEnvironment.funcs).filter(
  (func) => !own.includes(func) && [func.target, ...func.arguments].some((type) => type === STRING || type === BYTES),
)

/** What texts with fields are for the library. */
const DUAL = mapType(CelScalar.DYN, CelScalar.DYN)

export const ENVIRONMENT = celEnv({
  funcs: [
    ...plainEnvironment.funcs,
    ...charged.map(inBounds),
    ...LOOPS,
    ...INTERNAL,
    ...Array.from(plainEnvironment.funcs, forDuals).flat(),
  ],
})

/** Those that give another value each time. */
export const IMPURE_NAMES: ReadonlySet<string> = new Set(IMPURE.map(({ name }) => name))

const overloads = new Map<string, Overload[]>()
for (const { arguments: parameters, name, result, target } of plainEnvironment.funcs) {
  const group = overloads.get(name) ?? []
  group.push({
    target: target === undefined ? undefined : typeOf(target),
    parameters: parameters.map(typeOf),
    result: typeOf(result),
  })
  overloads.set(name, group)
}

export const OVERLOADS: ReadonlyMap<string, readonly Overload[]> = overloads

/** The overloads that take values of these types. */
export function fitting(name: string, target: Type | undefined, given: readonly Type[]): readonly Overload[] {
  return (OVERLOADS.get(name) ?? []).filter(
    (overload) =>
      overload.parameters.length === given.length &&
      overload.parameters.every((expected, i) => given[i] !== undefined && mayBe(given[i], expected)) &&
      (overload.target === undefined ? target === undefined : target !== undefined && mayBe(target, overload.target)),
  )
}

/** 100 digits: a number of 64 bits has 20, and what reads numbers takes the square of their length. */
const LONGEST_NUMBER = 100

function inBounds(func: CelFunc): CelFunc {
  const isNumber = func.name === "int" || func.name === "uint"
  return remade(func, [...(func.target === undefined ? [] : [func.target]), ...func.arguments], (values) => {
    for (const value of values) {
      if (typeof value !== "string" && !(value instanceof Uint8Array)) continue
      if (isNumber && value.length > LONGEST_NUMBER) throw new Refused(`${func.name}: the text is no number`)
      spend(value.length >> 1)
    }
    return values
  })
}

/** The same function for texts with fields, in any place of a text. */
function forDuals(func: CelFunc): CelFunc[] {
  const types = [...(func.target === undefined ? [] : [func.target]), ...func.arguments]
  const places = types.flatMap((type, i) => (type === STRING ? [i] : []))
  return Array.from({ length: 2 ** places.length - 1 }, (_, choice) => {
    const chosen = new Set(places.filter((_, bit) => ((choice + 1) >> bit) & 1))
    return variant(
      func,
      types.map((type, i) => (chosen.has(i) ? DUAL : type)),
      chosen,
    )
  }).filter(({ id }) => !known.has(id))
}

function variant(func: CelFunc, types: readonly LibraryType[], places: ReadonlySet<number>): CelFunc {
  return remade(func, types, (values) => values.map((value, i) => (places.has(i) ? textOf(value) : value)))
}

/** The same function for other types, with a look at its values before it gets them: those of a method start with its target. */
function remade(
  func: CelFunc,
  types: readonly LibraryType[],
  given: (values: readonly CelValue[]) => readonly CelValue[],
): CelFunc {
  const call = (values: readonly CelValue[]): CelInput => {
    const [first = null, ...rest] = given(values)
    const result = func.target === undefined ? func.call(0, undefined, [first, ...rest]) : func.call(0, first, rest)
    // The library makes a value of what is thrown, which says where the call is.
    if (isCelError(result)) throw result.cause instanceof Error ? result.cause : new Error(result.message)
    return result ?? null
  }
  const [target = CelScalar.DYN, ...rest] = types
  return func.target === undefined
    ? celFunc(func.name, types, func.result, (...values: CelValue[]) => call(values))
    : celMethod(func.name, target, rest, func.result, function (this: CelValue, ...values: CelValue[]) {
        return call([this, ...values])
      })
}

function textOf(value: CelValue): string {
  const text = isCelMap(value) ? textIn(value) : undefined
  if (text === undefined) throw new Refused("a map is not a text")
  return text
}
