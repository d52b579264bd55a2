// What the loops of `map`, `filter`, `all` and their like are made of: counted step by step, with lists that grow in
// place instead of one list within the other.
import {
  celFunc,
  celList,
  CelScalar,
  isCelList,
  isCelMap,
  listType,
  type CelFunc,
  type CelList,
  type CelValue,
} from "@bufbuild/cel"
import { checkWeight, spend, STEP } from "../bounds.ts"
import { textIn } from "../dual.ts"
import { heavier, weigh } from "../weight.ts"
import { compare, isAmong } from "./equality.ts"

const { BOOL, DYN } = CelScalar
const LIST = listType(DYN)

/** The lists that loops make, while they do. */
const growing = new WeakMap<CelList, CelValue[]>()
/** Constant lists of texts alone. */
const constants = new WeakMap<CelList, ReadonlySet<string>>()

export const LOOPS: readonly CelFunc[] = [
  celFunc("@step", [DYN], DYN, (condition) => {
    spend(STEP)
    return condition
  }),
  // Each loop starts with a copy of what it goes through.
  celFunc("@over", [DYN], DYN, (range) => {
    if (isCelList(range) || isCelMap(range)) spend(range.size)
    return range
  }),
  celFunc("@newList", [], LIST, () => {
    const items: CelValue[] = []
    const list = celList(items)
    growing.set(list, items)
    return list
  }),
  celFunc("@append", [DYN, DYN], LIST, (list, item) => {
    const items = isCelList(list) ? growing.get(list) : undefined
    if (!isCelList(list) || items === undefined) throw new TypeError("only a loop appends")
    heavier(list, item)
    items.push(item)
    return list
  }),
  celFunc("@made", [DYN], DYN, (value) => {
    const { depth, weight } = weigh(value)
    checkWeight(weight, depth)
    return value
  }),
  celFunc("@among", [DYN, DYN], BOOL, (value, list) => {
    if (!isCelList(list)) throw new TypeError("only a constant list has members")
    const texts = constants.get(list) ?? textsOf(list)
    if (texts === undefined) return isAmong(value, list)
    const text = textIn(value)
    return text !== undefined && texts.has(text)
  }),
  celFunc("@sorted", [DYN], LIST, (pairs) => {
    const items = isCelList(pairs) ? [...pairs].filter(isCelList) : []
    spend(items.length * 8)
    items.sort((a, b) => compare(a.get(0) ?? null, b.get(0) ?? null))
    // A single one has no order either.
    if (items.length === 1) compare(items[0]?.get(0) ?? null, items[0]?.get(0) ?? null)
    return celList(items.map((pair) => pair.get(1) ?? null))
  }),
]

function textsOf(list: CelList): ReadonlySet<string> | undefined {
  const texts = new Set<string>()
  for (const item of list) {
    if (typeof item !== "string") return undefined
    texts.add(item)
  }
  constants.set(list, texts)
  return texts
}
