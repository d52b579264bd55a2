// Values of expressions, and what they are outside of expressions.
import { celList, celMap, isCelList, isCelMap, isCelType, isCelUint, type CelInput, type CelValue } from "@bufbuild/cel"
import { create, toJson, type Message } from "@bufbuild/protobuf"
import { isReflectMessage, reflect } from "@bufbuild/protobuf/reflect"
import { DurationSchema, TimestampSchema, type Timestamp } from "@bufbuild/protobuf/wkt"
import { TooDeep } from "./bounds.ts"
import { textIn } from "./dual.ts"
import { weigh } from "./weight.ts"

/** What a template gives and variables hold: of any CEL type. `fromPlain` makes one of plain data. */
export type Value = CelValue

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/** What actions leave behind, as TypeScript has it. Whole numbers are `int`, fields that are `undefined` are not there. */
export type Plain =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Date
  | Uint8Array
  | readonly Plain[]
  | { readonly [name: string]: Plain }

/** 64 levels: what is deeper comes from no file that was read. */
const DEEPEST_PLAIN = 64

/** A value of plain data. @throws TooDeep */
export function fromPlain(plain: Plain, depth = 0): Value {
  if (depth > DEEPEST_PLAIN) throw new TooDeep(`lists and maps more than ${DEEPEST_PLAIN} deep within each other`)
  if (typeof plain === "number") return Number.isSafeInteger(plain) ? BigInt(plain) : plain
  if (plain === undefined || plain === null) return null
  if (typeof plain !== "object" || plain instanceof Uint8Array) return plain
  if (plain instanceof Date) return timeValue(plain.getTime())
  if (isPlainList(plain)) return celList(plain.map((item) => fromPlain(item, depth + 1)))
  const entries = Object.entries(plain).filter(([, value]) => value !== undefined)
  return celMap(new Map(entries.map(([name, value]) => [name, fromPlain(value, depth + 1)])))
}

function isPlainList(plain: object): plain is readonly Plain[] {
  return Array.isArray(plain)
}

/** A time, from milliseconds since the epoch. */
export function timestampOf(milliseconds: number): Timestamp {
  const seconds = Math.floor(milliseconds / 1000)
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: Math.round((milliseconds - seconds * 1000) * 1e6) })
}

/** As {@link timestampOf}, as values of the library have it. */
export function timeValue(milliseconds: number): Value {
  return reflect(TimestampSchema, timestampOf(milliseconds))
}

/** A value as JSON has it: times and durations as text, bytes as base64, integers beyond 2^53 as text. @throws TooMuch */
export function plain(value: Value): Json {
  weigh(value)
  return jsonOf(value)
}

function jsonOf(value: unknown): Json {
  const text = textIn(value)
  if (text !== undefined) return text
  if (typeof value === "boolean" || value === null || value === undefined) return value ?? null
  if (typeof value === "bigint") return integer(value)
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value)
  if (isCelUint(value)) return integer(value.value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64")
  if (isCelList(value)) return Array.from(value, jsonOf)
  if (isCelMap(value)) return Object.fromEntries(Array.from(value, ([key, item]) => [textOf(key), jsonOf(item)]))
  if (isCelType(value)) return value.name
  return messageText(value) ?? String(value)
}

function integer(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}

/** A value as it stands within a text: a list or a map is JSON there. @throws TooMuch */
export function textOf(value: CelInput): string {
  const text = textIn(value)
  if (text !== undefined) return text
  if (typeof value === "object" && value !== null && (isCelList(value) || isCelMap(value))) {
    weigh(value)
    return JSON.stringify(jsonOf(value))
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8")
  if (isCelUint(value)) return value.value.toString()
  if (isCelType(value)) return value.name
  return messageText(value) ?? String(value)
}

/** Times and durations, as JSON has them. */
function messageText(value: unknown): string | undefined {
  const message = messageOf(value)
  if (message === undefined) return undefined
  if (isTimestamp(message)) return toJson(TimestampSchema, message)
  return isDuration(message) ? toJson(DurationSchema, message) : undefined
}

/** What a value of the library holds. */
export function messageOf(value: unknown): Message | undefined {
  return isReflectMessage(value) ? value.message : undefined
}

export function isTimestamp(message: Message): message is Timestamp {
  return message.$typeName === TimestampSchema.typeName
}

export function isDuration(message: Message): message is ReturnType<typeof create<typeof DurationSchema>> {
  return message.$typeName === DurationSchema.typeName
}
