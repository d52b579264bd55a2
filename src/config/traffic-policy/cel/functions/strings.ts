// Functions of texts. Positions count code points, as `size` does.
import { celFunc, celList, celMethod, CelScalar, isCelError, listType, type CelFunc, type CelList } from "@bufbuild/cel"
import { strings as extension } from "@bufbuild/cel/ext"
import { checkLength, checkWeight, spend } from "../bounds.ts"
import { textIn, undual } from "../dual.ts"
import { weigh } from "../weight.ts"
import { matches } from "./patterns.ts"
import { Refused } from "./refused.ts"

const { BOOL, DYN, INT, STRING } = CelScalar
const LIST = listType(DYN)

/** Characters that two units of UTF-16 stand for, or halves of them. */
const WIDE = /[\ud800-\udfff]/

/** A text as its code points; most have one unit for each, and are their own. */
export function points(text: string): string | string[] {
  spend(text.length >> 6)
  if (!WIDE.test(text)) return text
  spend(text.length)
  return Array.from(text)
}

function cut(text: string, from: number, to: number): string {
  const all = points(text)
  return typeof all === "string" ? all.slice(from, to) : all.slice(from, to).join("")
}

function position(name: string, at: bigint, length: number): number {
  if (at < 0n || at > BigInt(length)) throw new Refused(`${name}: the position is not within the text`)
  return Number(at)
}

function indexOf(text: string, part: string, from: bigint): bigint {
  const all = points(text)
  const start = position("indexOf", from, all.length)
  spend(text.length >> 3)
  if (typeof all === "string") return BigInt(all.indexOf(part, start))
  const found = text.indexOf(part, all.slice(0, start).join("").length)
  return BigInt(found < 0 ? -1 : Array.from(text.slice(0, found)).length)
}

function lastIndexOf(text: string, part: string, from: bigint | undefined): bigint {
  const all = points(text)
  const start = from === undefined ? all.length : position("lastIndexOf", from, all.length)
  spend(text.length >> 3)
  if (typeof all === "string") return BigInt(all.lastIndexOf(part, start))
  const found = text.lastIndexOf(part, all.slice(0, start).join("").length)
  return BigInt(found < 0 ? -1 : Array.from(text.slice(0, found)).length)
}

function substring(text: string, from: bigint, to: bigint | undefined): string {
  const { length } = points(text)
  const first = position("substring", from, length)
  const last = to === undefined ? length : position("substring", to, length)
  if (first > last) throw new Refused("substring: it starts behind its end")
  return cut(text, first, last)
}

/** As the specification has it: at most `most` parts, the last one with all that is left; -1 is no limit. */
function split(text: string, by: string, most: bigint): CelList {
  spend(text.length)
  if (most === 0n) return celList([])
  const parts = by === "" ? Array.from(text) : text.split(by)
  const limit = Number(most)
  if (most < 0n || parts.length <= limit) return celList(parts)
  return celList([...parts.slice(0, limit - 1), parts.slice(limit - 1).join(by)])
}

function replace(text: string, part: string, by: string, most: bigint): string {
  spend(text.length)
  const parts = part === "" ? ["", ...Array.from(text), ""] : text.split(part)
  const count = most < 0n ? parts.length - 1 : Math.min(parts.length - 1, Number(most))
  checkLength(text.length + count * (by.length - part.length))
  return count === parts.length - 1
    ? parts.join(by)
    : [parts.slice(0, count + 1).join(by), ...parts.slice(count + 1)].join(part)
}

function joined(list: CelList, by: string): string {
  spend(list.size)
  const texts = Array.from(list, (item) => {
    const text = textIn(item)
    if (text === undefined) throw new Refused("join: every element has to be a string")
    return text
  })
  checkLength(texts.reduce((sum, text) => sum + text.length, by.length * Math.max(0, texts.length - 1)))
  return texts.join(by)
}

/** Unicode's mapping of single characters: what would become several keeps one, as in Go. */
function mapCase(text: string, change: (char: string) => string, several: (changed: string, char: string) => string) {
  spend(text.length >> 4)
  const quick = change(text)
  if (quick.length === text.length) return quick
  spend(text.length)
  return Array.from(text, (char) => {
    const changed = change(char)
    return Array.from(changed).length === 1 ? changed : several(changed, char)
  }).join("")
}

const lower = (text: string) =>
  mapCase(
    text,
    (char) => char.toLowerCase(),
    (changed) => Array.from(changed)[0] ?? "",
  )
const upper = (text: string) =>
  mapCase(
    text,
    (char) => char.toUpperCase(),
    (_, char) => char,
  )

const libraryFormat = extension.find(({ name }) => name === "format")

/** As the library has it, in bounds and with texts that have fields. */
function format(this: string, values: CelList): string {
  const { depth, weight } = weigh(values)
  checkWeight(weight + this.length, depth)
  spend(weight + this.length)
  const result = libraryFormat?.call(0, this, [celList(Array.from(values, undual))])
  if (typeof result === "string") return result
  // Its messages name no values.
  throw new Refused(isCelError(result) ? result.message.replace(/^.*function format: /, "format: ") : "format")
}

export const STRINGS: readonly CelFunc[] = [
  celMethod("contains", STRING, [STRING], BOOL, function (part) {
    spend(this.length >> 6)
    return this.includes(part)
  }),
  celMethod("startsWith", STRING, [STRING], BOOL, function (part) {
    spend(part.length >> 6)
    return this.startsWith(part)
  }),
  celMethod("endsWith", STRING, [STRING], BOOL, function (part) {
    spend(part.length >> 6)
    return this.endsWith(part)
  }),
  celMethod("charAt", STRING, [INT], STRING, function (at) {
    const start = position("charAt", at, points(this).length)
    return cut(this, start, start + 1)
  }),
  celMethod("format", STRING, [LIST], STRING, format),
  celMethod("indexOf", STRING, [STRING], INT, function (part) {
    return indexOf(this, part, 0n)
  }),
  celMethod("indexOf", STRING, [STRING, INT], INT, function (part, from) {
    return indexOf(this, part, from)
  }),
  celMethod("lastIndexOf", STRING, [STRING], INT, function (part) {
    return lastIndexOf(this, part, undefined)
  }),
  celMethod("lastIndexOf", STRING, [STRING, INT], INT, function (part, from) {
    return lastIndexOf(this, part, from)
  }),
  celMethod("substring", STRING, [INT], STRING, function (from) {
    return substring(this, from, undefined)
  }),
  celMethod("substring", STRING, [INT, INT], STRING, function (from, to) {
    return substring(this, from, to)
  }),
  celMethod("split", STRING, [], LIST, function () {
    return split(this, " ", -1n)
  }),
  celMethod("split", STRING, [STRING], LIST, function (by) {
    return split(this, by, -1n)
  }),
  celMethod("split", STRING, [STRING, INT], LIST, function (by, most) {
    return split(this, by, most)
  }),
  celMethod("replace", STRING, [STRING, STRING], STRING, function (part, by) {
    return replace(this, part, by, -1n)
  }),
  celMethod("replace", STRING, [STRING, STRING, INT], STRING, function (part, by, most) {
    return replace(this, part, by, most)
  }),
  celMethod("join", LIST, [], STRING, function () {
    return joined(this, "")
  }),
  celMethod("join", LIST, [STRING], STRING, function (by) {
    return joined(this, by)
  }),
  celMethod("lower", STRING, [], STRING, function () {
    return lower(this)
  }),
  celMethod("upper", STRING, [], STRING, function () {
    return upper(this)
  }),
  celMethod("reverse", STRING, [], STRING, function () {
    spend(this.length)
    return Array.from(this).toReversed().join("")
  }),
  celMethod("matches", STRING, [STRING], BOOL, function (pattern) {
    return matches(this, pattern)
  }),
  celFunc("matches", [STRING, STRING], BOOL, matches),
]
