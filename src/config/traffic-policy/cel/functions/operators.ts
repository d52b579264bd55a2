// The operators that compare and that make longer values: in bounds, and with texts that have fields.
import {
  celFunc,
  CelScalar,
  isCelList,
  listType,
  mapType,
  type CelFunc,
  type CelMap,
  type CelValue,
} from "@bufbuild/cel"
import { celList, isCelMap } from "@bufbuild/cel"
import { checkLength, checkWeight, spend } from "../bounds.ts"
import { hasKey, textIn, undual } from "../dual.ts"
import { weigh } from "../weight.ts"
import { equal, isAmong } from "./equality.ts"
import { Refused } from "./refused.ts"

const { BOOL, BYTES, DOUBLE, DYN, INT, STRING, UINT } = CelScalar
const LIST = listType(DYN)
const MAP = mapType(DYN, DYN)

const inMap = (key: Parameters<CelMap["get"]>[0], map: CelMap) => hasKey(map, key)

export const OPERATORS: readonly CelFunc[] = [
  celFunc("_==_", [DYN, DYN], BOOL, equal),
  celFunc("_!=_", [DYN, DYN], BOOL, (a, b) => !equal(a, b)),
  celFunc("@in", [DYN, LIST], BOOL, isAmong),
  celFunc("@in", [STRING, MAP], BOOL, inMap),
  celFunc("@in", [INT, MAP], BOOL, inMap),
  celFunc("@in", [UINT, MAP], BOOL, inMap),
  celFunc("@in", [DOUBLE, MAP], BOOL, inMap),
  celFunc("@in", [BOOL, MAP], BOOL, inMap),
  celFunc("@in", [MAP, MAP], BOOL, (key, map) => {
    const text = textIn(key)
    if (text === undefined) throw new Refused("no key of a map is a map")
    return hasKey(map, text)
  }),
  celFunc("_+_", [STRING, STRING], STRING, (a, b) => {
    checkLength(a.length + b.length)
    return a + b
  }),
  celFunc("_+_", [BYTES, BYTES], BYTES, (a, b) => {
    checkLength(a.length + b.length)
    return Uint8Array.from([...a, ...b])
  }),
  celFunc("_+_", [LIST, LIST], LIST, (a, b) => {
    const [left, right] = [weigh(a), weigh(b)]
    checkWeight(left.weight + right.weight, Math.max(left.depth, right.depth))
    spend(a.size + b.size)
    return celList([...a, ...b])
  }),
]

/** What `prepare` puts in place of what an expression says; no expression can name these. */
export const INTERNAL: readonly CelFunc[] = [
  celFunc("@has", [DYN, DYN], BOOL, (object, key) => {
    if (isCelMap(object)) return isKey(key) && hasKey(object, key)
    if (!isCelList(object)) throw new Refused("has() looks into maps and objects")
    return typeof key === "bigint" && object.get(Number(key)) !== undefined
  }),
  celFunc("@key", [DYN], DYN, undual),
]

function isKey(value: CelValue): value is Parameters<CelMap["get"]>[0] {
  return typeof value !== "object" || (value !== null && !isCelList(value) && !isCelMap(value))
}
