// When values are equal, and which comes first. As the library has it, in bounds, and with texts that have fields.
import {
  isCelList,
  isCelMap,
  isCelType,
  isCelUint,
  type CelInput,
  type CelList,
  type CelMap,
  type CelValue,
} from "@bufbuild/cel"
import { spend } from "../bounds.ts"
import { undual } from "../dual.ts"
import { isDuration, isTimestamp, messageOf } from "../value.ts"
import { weigh } from "../weight.ts"
import { Refused } from "./refused.ts"

/** CEL's `==`: numbers are compared across their types, and values of other types are never equal. @throws TooMuch */
export function equal(a: CelValue, b: CelValue): boolean {
  if (a === b) {
    if (typeof a === "string") spend(a.length >> 6)
    return true
  }
  if (typeof a === "string" && typeof b === "string") {
    spend(Math.min(a.length, b.length) >> 6)
    return false
  }
  const left = undual(a)
  const right = undual(b)
  if (left === right) return true
  if (typeof left === "object" && left !== null) return equalObjects(left, right)
  if (typeof left === "bigint" || typeof left === "number") return equalNumbers(left, right)
  return false
}

function equalObjects(left: Exclude<CelValue, null | boolean | number | bigint | string>, right: CelValue): boolean {
  if (isCelUint(left)) return equalNumbers(left.value, right)
  if (isCelList(left)) return isCelList(right) && equalLists(left, right)
  if (isCelMap(left)) return isCelMap(right) && equalMaps(left, right)
  if (isCelType(left)) return isCelType(right) && left.name === right.name
  if (left instanceof Uint8Array) {
    spend(left.length >> 6)
    return right instanceof Uint8Array && Buffer.compare(left, right) === 0
  }
  const one = messageOf(left)
  const other = messageOf(right)
  if (one === undefined || other === undefined || one.$typeName !== other.$typeName) return false
  return compareMessages(left, right) === 0
}

function equalNumbers(left: number | bigint, right: CelValue): boolean {
  const other = isCelUint(right) ? right.value : right
  // oxlint-disable-next-line eqeqeq -- a bigint and a number of one value are equal in this way alone
  return (typeof other === "number" || typeof other === "bigint") && left == other
}

function equalLists(left: CelList, right: CelList): boolean {
  if (left.size !== right.size) return false
  spend(Math.min(weigh(left).weight, weigh(right).weight))
  for (let i = 0; i < left.size; i++) if (!equal(left.get(i) ?? null, right.get(i) ?? null)) return false
  return true
}

function equalMaps(left: CelMap, right: CelMap): boolean {
  if (left.size !== right.size) return false
  spend(Math.min(weigh(left).weight, weigh(right).weight))
  for (const [key, value] of left) {
    const other = right.get(key)
    if (other === undefined || !equal(value, other)) return false
  }
  return true
}

/** Whether a list has a value. @throws TooMuch */
export function isAmong(value: CelValue, list: CelList): boolean {
  const { size } = list
  spend(size)
  for (let i = 0; i < size; i++) {
    const item = list.get(i)
    if (item !== undefined && equal(item, value)) return true
  }
  return false
}

/** Below 0 when the first one comes first. @throws Refused for what has no order */
export function compare(a: CelValue, b: CelValue): number {
  const left = undual(a)
  const right = undual(b)
  const kind = kindOf(left)
  if (kind === undefined || kind !== kindOf(right))
    throw new Refused("only numbers, texts, bools, bytes, times and durations can be sorted, and only of one type")
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right)
  if (isCelUint(left) && isCelUint(right)) return order(left.value, right.value)
  if (typeof left === "object" || typeof right === "object") return compareMessages(left, right)
  return order(left, right)
}

function order(left: bigint | boolean | number | string, right: bigint | boolean | number | string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/** Times, or durations. */
function compareMessages(left: CelInput, right: CelInput): number {
  const one = messageOf(left)
  const other = messageOf(right)
  if (one === undefined || other === undefined) return Number.NaN
  const same = (isTimestamp(one) && isTimestamp(other)) || (isDuration(one) && isDuration(other))
  if (!same) return Number.NaN
  return order(one.seconds, other.seconds) || one.nanos - other.nanos
}

function kindOf(value: CelValue): string | undefined {
  if (typeof value !== "object") return typeof value
  if (isCelUint(value)) return "uint"
  if (value instanceof Uint8Array) return "bytes"
  return messageOf(value)?.$typeName
}
