// Functions of lists, and the sizes of what grows.
import {
  celFunc,
  celList,
  celMethod,
  CelScalar,
  isCelList,
  listType,
  mapType,
  type CelFunc,
  type CelList,
  type CelValue,
} from "@bufbuild/cel"
import { checkWeight, spend } from "../bounds.ts"
import { textIn } from "../dual.ts"
import { weigh } from "../weight.ts"
import { compare, equal } from "./equality.ts"
import { Refused } from "./refused.ts"
import { points } from "./strings.ts"

const { DYN, INT, STRING } = CelScalar
const LIST = listType(DYN)
const MAP = mapType(DYN, DYN)

/** 100,000: `lists.range` makes them without anything else being there. */
const LONGEST_RANGE = 100_000n
/** 16: lists within lists; what is deeper is a slip. */
const DEEPEST_FLATTEN = 16n

function flatten(list: CelList, depth: bigint): CelList {
  if (depth < 0n) throw new Refused("flatten: the depth is below 0")
  const { depth: deep, weight } = weigh(list)
  spend(weight)
  checkWeight(weight, deep)
  const items: CelValue[] = []
  const add = (from: CelList, left: bigint) => {
    for (const item of from) {
      if (left > 0n && isCelList(item)) add(item, left - 1n)
      else items.push(item)
    }
  }
  add(list, depth > DEEPEST_FLATTEN ? DEEPEST_FLATTEN : depth)
  return celList(items)
}

function sort(list: CelList): CelList {
  spend(list.size * 8)
  const items = [...list]
  // What has no order is an error also where there is nothing to compare it to.
  for (const item of items) compare(items[0] ?? null, item)
  return celList(items.sort(compare))
}

function distinct(list: CelList): CelList {
  const items: CelValue[] = []
  const texts = new Set<string>()
  for (const item of list) {
    const text = textIn(item)
    if (text === undefined) {
      spend(items.length + 1)
      if (!items.some((known) => equal(known, item))) items.push(item)
    } else {
      spend(1)
      if (!texts.has(text)) items.push(item)
      texts.add(text)
    }
  }
  return celList(items)
}

function slice(list: CelList, from: bigint, to: bigint): CelList {
  if (from < 0n || from > to || to > BigInt(list.size))
    throw new Refused("slice: the positions are not within the list")
  spend(list.size)
  return celList([...list].slice(Number(from), Number(to)))
}

function range(count: bigint): CelList {
  if (count < 0n || count > LONGEST_RANGE) throw new Refused(`lists.range: expected 0 to ${LONGEST_RANGE}`)
  spend(Number(count))
  return celList(Array.from({ length: Number(count) }, (_, i) => BigInt(i)))
}

function textSize(text: string): bigint {
  return BigInt(points(text).length)
}

export const LISTS: readonly CelFunc[] = [
  celMethod("flatten", LIST, [], LIST, function () {
    return flatten(this, 1n)
  }),
  celMethod("flatten", LIST, [INT], LIST, function (depth) {
    return flatten(this, depth)
  }),
  celMethod("sort", LIST, [], LIST, function () {
    return sort(this)
  }),
  celMethod("distinct", LIST, [], LIST, function () {
    return distinct(this)
  }),
  celMethod("slice", LIST, [INT, INT], LIST, function (from, to) {
    return slice(this, from, to)
  }),
  celFunc("lists.range", [INT], LIST, range),
  celFunc("size", [STRING], INT, textSize),
  celMethod("size", STRING, [], INT, function () {
    return textSize(this)
  }),
  celFunc("size", [MAP], INT, (map) => {
    const text = textIn(map)
    return text === undefined ? BigInt(map.size) : textSize(text)
  }),
  celMethod("size", MAP, [], INT, function () {
    const text = textIn(this)
    return text === undefined ? BigInt(this.size) : textSize(text)
  }),
]
