// LDAP: the first request of a client (RFC 4511), in any of BER's lengths.
import { begins, u16, u24, u32, utf8 } from "./bytes.ts"

/** The first request of an LDAP client. */
export interface Ldap {
  readonly protocol: "ldap"
  readonly operation: "bind" | "unbind" | "search" | "modify" | "add" | "delete" | "modify-dn" | "compare" | "extended"
  /** Of a bind: the name that logs in, empty for an anonymous one. */
  readonly name: string | undefined
  /** Of an extended request: whether it asks for TLS (RFC 4511 section 4.14). */
  readonly startTls: boolean
}

const OPERATIONS: Record<number, Ldap["operation"]> = {
  0x60: "bind",
  0x42: "unbind",
  0x63: "search",
  0x66: "modify",
  0x68: "add",
  0x4a: "delete",
  0x6c: "modify-dn",
  0x6e: "compare",
  0x77: "extended",
}
const SEQUENCE = 0x30
const INTEGER = 0x02
const OCTET_STRING = 0x04
const REQUEST_NAME = 0x80
const START_TLS = "1.3.6.1.4.1.1466.20037"
/** 4 KiB: a name that logs in has some 100 bytes. */
const LONGEST_NAME = 4096

export function ldap(bytes: Uint8Array): Ldap | "more" | undefined {
  const message = element(bytes, 0, SEQUENCE)
  if (typeof message !== "object") return message
  const id = element(bytes, message.from, INTEGER, message.to)
  if (typeof id !== "object") return id
  if (id.to - id.from < 1 || id.to - id.from > 4) return undefined
  const tag = bytes[id.to]
  if (tag === undefined) return "more"
  const operation = OPERATIONS[tag]
  if (operation === undefined) return undefined
  const request = element(bytes, id.to, tag, message.to)
  if (typeof request !== "object") return request
  if (operation === "bind") return bind(bytes, request)
  if (operation === "extended") return extended(bytes, request)
  return { protocol: "ldap", operation, name: undefined, startTls: false }
}

/** Version (1 to 127), name, and the authentication, which is not read. */
function bind(bytes: Uint8Array, request: Element): Ldap | "more" | undefined {
  const version = element(bytes, request.from, INTEGER, request.to)
  if (typeof version !== "object") return version
  const name = element(bytes, version.to, OCTET_STRING, request.to)
  if (typeof name !== "object") return name
  if (version.to - version.from !== 1 || name.to - name.from > LONGEST_NAME) return undefined
  if (bytes.length < name.to) return "more"
  return { protocol: "ldap", operation: "bind", name: utf8(bytes, name.from, name.to), startTls: false }
}

function extended(bytes: Uint8Array, request: Element): Ldap | "more" | undefined {
  const name = element(bytes, request.from, REQUEST_NAME, request.to)
  if (typeof name !== "object") return name
  if (name.to - name.from > LONGEST_NAME) return undefined
  if (bytes.length < name.to) return "more"
  const startTls = name.to - name.from === START_TLS.length && begins(bytes, START_TLS, name.from) === true
  return { protocol: "ldap", operation: "extended", name: undefined, startTls }
}

/** The contents of a BER element, which may not have arrived. */
interface Element {
  readonly from: number
  readonly to: number
}

/** The element with this tag at `at`, inside what ends at `limit`. Active Directory sends lengths of four bytes. */
function element(bytes: Uint8Array, at: number, tag: number, limit?: number): Element | "more" | undefined {
  const found = bytes[at]
  if (found === undefined) return "more"
  if (found !== tag) return undefined
  const first = bytes[at + 1]
  if (first === undefined) return "more"
  const size = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || size > 4) return undefined
  const from = at + 2 + size
  if (bytes.length < from) return "more"
  const length = first < 0x80 ? first : lengthOf(bytes, at + 2, size)
  const to = from + length
  return limit !== undefined && to > limit ? undefined : { from, to }
}

function lengthOf(bytes: Uint8Array, at: number, size: number): number {
  if (size === 1) return bytes[at] ?? 0
  if (size === 2) return u16(bytes, at)
  return size === 3 ? u24(bytes, at) : u32(bytes, at)
}
