// How large a value is with all that is within it. What is shared counts each time, since whatever writes or compares the
// value goes through it each time.
import { isCelList, isCelMap, type CelList, type CelMap } from "@bufbuild/cel"
import { checkWeight, spend } from "./bounds.ts"
import { textIn } from "./dual.ts"

interface Weight {
  weight: number
  depth: number
}

const NOTHING: Weight = { weight: 0, depth: 0 }

/** Of lists and maps, which do not change once they are made; the lists that loops make are updated by them. */
const known = new WeakMap<CelList | CelMap, Weight>()

/** @throws TooMuch for what is too large or too deep */
export function weigh(value: unknown): Weight {
  if (typeof value === "string") return { weight: value.length + 1, depth: 0 }
  if (value instanceof Uint8Array) return { weight: value.length + 1, depth: 0 }
  if (isCelList(value)) return known.get(value) ?? keep(value, sum(value))
  // Its fields are looked up when they are read, and it is no larger than its text.
  const text = textIn(value)
  if (text !== undefined) return { weight: text.length + 1, depth: 0 }
  if (isCelMap(value)) return known.get(value) ?? keep(value, sum(entries(value)))
  return { weight: 1, depth: 0 }
}

/** Adds what was appended to a list. @throws TooMuch */
export function heavier(list: CelList, by: unknown): void {
  const weight = known.get(list) ?? keep(list, { ...NOTHING, depth: 1 })
  const more = weigh(by)
  weight.weight += more.weight
  weight.depth = Math.max(weight.depth, more.depth + 1)
  checkWeight(weight.weight, weight.depth)
}

function keep(value: CelList | CelMap, weight: Weight): Weight {
  known.set(value, weight)
  return weight
}

function sum(values: Iterable<unknown>): Weight {
  const total: Weight = { weight: 1, depth: 1 }
  for (const value of values) {
    spend(1)
    const { depth, weight } = weigh(value)
    total.weight += weight
    total.depth = Math.max(total.depth, depth + 1)
    checkWeight(total.weight, total.depth)
  }
  return total
}

function* entries(map: CelMap): Generator<unknown> {
  for (const [key, value] of map) {
    yield key
    yield value
  }
}
