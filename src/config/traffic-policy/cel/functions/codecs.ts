// Encodings: base64, JSON, query strings, URLs and basic authentication, as functions and as methods.
import {
  celFunc,
  celList,
  celMap,
  celMethod,
  CelScalar,
  isCelList,
  mapType,
  type CelFunc,
  type CelMap,
  type CelValue,
} from "@bufbuild/cel"
import { checkLength, DEEPEST_VALUE, spend } from "../bounds.ts"
import { plain, textOf } from "../value.ts"
import { Refused } from "./refused.ts"

const { BOOL, BYTES, DYN, STRING } = CelScalar

const MAP = mapType(DYN, DYN)

/** The padding may be left out, as CEL's own conformance tests have it. */
function decodeBase64(text: string): Uint8Array {
  spend(text.length >> 3)
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text))
    throw new Refused("base64.decode: it is not base64")
  return Buffer.from(text, "base64")
}

function encodeBase64(bytes: string | Uint8Array): string {
  checkLength((bytes.length * 4) / 3)
  return Buffer.from(bytes).toString("base64")
}

function encodeJson(value: CelValue): string {
  const text = JSON.stringify(plain(value))
  checkLength(text.length)
  return text
}

function decodeJson(text: string): CelValue {
  spend(text.length)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Its message quotes the text.
    throw new Refused("json.decode: it is not JSON")
  }
  return valueOf(value, 0)
}

/** Numbers are doubles, as the specification says of JSON. */
function valueOf(json: unknown, depth: number): CelValue {
  if (depth > DEEPEST_VALUE) throw new Refused("json.decode: lists and maps too deep within each other")
  if (Array.isArray(json)) return celList(json.map((item) => valueOf(item, depth + 1)))
  if (typeof json === "object" && json !== null)
    return celMap(new Map(Object.entries(json).map(([key, value]) => [key, valueOf(value, depth + 1)])))
  return typeof json === "string" || typeof json === "number" || typeof json === "boolean" ? json : null
}

function isJson(text: string): boolean {
  spend(text.length)
  try {
    JSON.parse(text)
    return true
  } catch {
    // That is the question.
    return false
  }
}

/** As `encodeURIComponent`, with the characters too that it leaves, and spaces as `+`: Go's `url.QueryEscape`. */
function escapeUrl(text: string): string {
  checkLength(text.length * 3)
  return encodeURIComponent(text.toWellFormed())
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+")
}

function unescapeUrl(text: string): string {
  spend(text.length)
  const decoded = decodedPart(text)
  if (decoded === undefined) throw new Refused("url.unescape: a % is not followed by two hexadecimal digits of UTF-8")
  return decoded
}

function decodedPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "))
  } catch {
    // A bad escape; the caller says so.
    return undefined
  }
}

function decodeQuery(text: string): CelMap {
  spend(text.length)
  const values = new Map<string, string>()
  for (const [name, value] of pairs(text)) {
    if (name === undefined || value === undefined) throw new Refused("queryString.decode: a bad escape (%)")
    // The first of several, as Go's `Values.Get` has it.
    if (!values.has(name)) values.set(name, value)
  }
  return celMap(values)
}

function pairs(text: string): (readonly [string | undefined, string | undefined])[] {
  return text
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=")
      const name = equals < 0 ? part : part.slice(0, equals)
      return [decodedPart(name), equals < 0 ? "" : decodedPart(part.slice(equals + 1))] as const
    })
}

function isQuery(text: string): boolean {
  spend(text.length)
  return (
    text !== "" &&
    text.split("&").every((part) => part.indexOf("=") > 0 && !/[\s#?]/.test(part)) &&
    pairs(text).every(([name, value]) => name !== undefined && value !== undefined)
  )
}

/** Sorted by name; a list is written once for each of its elements. */
function encodeQuery(map: CelMap): string {
  plain(map)
  const parts = Array.from(map, ([key, value]) => {
    const values = isCelList(value) ? [...value] : [value]
    const name = textOf(key)
    return { name, text: values.map((one) => `${escapeUrl(name)}=${escapeUrl(textOf(one))}`).join("&") }
  })
  parts.sort((a, b) => (a.name < b.name ? -1 : 1))
  const text = parts.map(({ text }) => text).join("&")
  checkLength(text.length)
  return text
}

function urlOf(text: string): URL | undefined {
  spend(text.length)
  return URL.canParse(text) ? new URL(text) : undefined
}

/** What stands between the scheme and the path; the parser of URLs would drop the default port. */
function hostOf(text: string): string {
  return /^[^:/?#]+:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(text)?.[1] ?? ""
}

function parseUrl(text: string): CelMap {
  const url = urlOf(text)
  if (url === undefined) throw new Refused("url.parse: it is not a URL")
  const host = hostOf(text)
  const path = /^[^:/?#]+:(?:\/\/[^/?#]*)?([^?#]*)/.exec(text)?.[1] ?? ""
  const parts: Readonly<Record<string, string>> = {
    scheme: url.protocol.slice(0, -1),
    host,
    hostname: host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1"),
    port: /:(\d+)$/.exec(host)?.[1] ?? "",
    path,
    query: url.search.slice(1),
    fragment: url.hash.slice(1),
    username: url.username,
  }
  return celMap(new Map(Object.entries(parts)))
}

const isUrl = (text: string) => urlOf(text) !== undefined && hostOf(text) !== ""
const decodeText = (text: string) => Buffer.from(decodeBase64(text)).toString("utf8")

export const CODECS: readonly CelFunc[] = [
  celFunc("base64.decode", [STRING], BYTES, decodeBase64),
  celFunc("base64.encode", [BYTES], STRING, encodeBase64),
  celFunc("base64.encode", [STRING], STRING, encodeBase64),
  celMethod("encodeBase64", STRING, [], STRING, function () {
    return encodeBase64(this)
  }),
  celMethod("encodeBase64", BYTES, [], STRING, function () {
    return encodeBase64(this)
  }),
  celMethod("decodeBase64", STRING, [], STRING, function () {
    return decodeText(this)
  }),
  celFunc(
    "basic_auth.encode",
    [STRING, STRING],
    STRING,
    (name, password) => `Basic ${encodeBase64(`${name}:${password}`)}`,
  ),
  celFunc("json.encode", [DYN], STRING, encodeJson),
  celFunc("json.decode", [STRING], DYN, decodeJson),
  celMethod("encodeJson", DYN, [], STRING, function () {
    return encodeJson(this)
  }),
  celMethod("decodeJson", STRING, [], DYN, function () {
    return decodeJson(this)
  }),
  celFunc("isJson", [STRING], BOOL, isJson),
  celMethod("isJson", STRING, [], BOOL, function () {
    return isJson(this)
  }),
  celFunc("queryString.encode", [MAP], STRING, encodeQuery),
  celFunc("queryString.decode", [STRING], MAP, decodeQuery),
  celMethod("encodeQueryString", MAP, [], STRING, function () {
    return encodeQuery(this)
  }),
  celMethod("decodeQueryString", STRING, [], MAP, function () {
    return decodeQuery(this)
  }),
  celFunc("isQueryString", [STRING], BOOL, isQuery),
  celMethod("isQueryString", STRING, [], BOOL, function () {
    return isQuery(this)
  }),
  celFunc("url.escape", [STRING], STRING, escapeUrl),
  celFunc("url.unescape", [STRING], STRING, unescapeUrl),
  celFunc("url.parse", [STRING], MAP, parseUrl),
  celMethod("escapeUrl", STRING, [], STRING, function () {
    return escapeUrl(this)
  }),
  celMethod("unescapeUrl", STRING, [], STRING, function () {
    return unescapeUrl(this)
  }),
  celMethod("parseUrl", STRING, [], MAP, function () {
    return parseUrl(this)
  }),
  celFunc("isURL", [STRING], BOOL, isUrl),
  celMethod("isURL", STRING, [], BOOL, function () {
    return isUrl(this)
  }),
]
