// What a simulated client sends first, made from facts: a TLS hello, or the packet that a PostgreSQL client starts with.
// Made as bytes, so that `peek`, `hello` and `protocol` read them as they read a live client's.
import { parseClientHello, type ClientHello } from "../protocol/index.ts"
import { describe } from "./describe.ts"
import { didYouMean } from "./suggest.ts"

/** A TLS hello. What is left out is as a client of today says it. */
export interface HelloFacts {
  /** The server name. @default the name in `to` */
  readonly sni?: string
  /** @default none; `["postgresql"]` for a PostgreSQL client that starts TLS directly */
  readonly alpn?: readonly string[]
  /** @default `["TLSv1.3", "TLSv1.2"]` */
  readonly versions?: readonly string[]
  /** Numbers of the IANA registry, like 0x1301. */
  readonly cipherSuites?: readonly number[]
  readonly groups?: readonly number[]
  readonly signatureAlgorithms?: readonly number[]
  /** @default computed */
  readonly ja3?: string
  /** @default computed */
  readonly ja4?: string
}

/** How a PostgreSQL client starts. */
export interface PostgresFacts {
  /** @default `"ssl-request"` on a `postgres://` listener when there are TLS facts or a server name, else `"startup"` */
  readonly kind?: "startup" | "ssl-request" | "direct-tls" | "cancel"
  /** Said in plain text, or after `terminate()`, like the next two. */
  readonly user?: string
  /** @default the user's name */
  readonly database?: string
  readonly applicationName?: string
}

/** Thrown for facts that make no connection; the message names the fact. */
export class FactsInvalid extends Error {
  override readonly name = "FactsInvalid"
}

/** Names that are no facts. @throws FactsInvalid */
export function checkFacts(where: string, value: object, known: readonly string[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FactsInvalid(`${where}expected an object, found ${describe(value)}`)
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw new FactsInvalid(`${where}there is no fact ${JSON.stringify(name)}${didYouMean(name, known)}`)
  }
}

const HELLO = ["sni", "alpn", "versions", "cipherSuites", "groups", "signatureAlgorithms", "ja3", "ja4"] as const
const VERSIONS: Readonly<Record<string, number>> = {
  "TLSv1.3": 0x0304,
  "TLSv1.2": 0x0303,
  "TLSv1.1": 0x0302,
  TLSv1: 0x0301,
  SSLv3: 0x0300,
}

/** What OpenSSL 3 offers by default, shortened. */
const MODERN = {
  versions: ["TLSv1.3", "TLSv1.2"],
  cipherSuites: [0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc02b, 0xc02f],
  groups: [0x001d, 0x0017, 0x0018],
  signatureAlgorithms: [0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601],
} as const

/** A made hello: its record, and what a policy sees of it. */
export interface MadeHello {
  readonly bytes: Uint8Array
  readonly hello: ClientHello
}

/** @throws FactsInvalid */
export function checkHello(facts: HelloFacts): void {
  checkFacts("tls: ", facts, HELLO)
}

/** @throws FactsInvalid */
export function makeHello(facts: HelloFacts): MadeHello {
  const versions = textsOf("versions", facts.versions ?? MODERN.versions).map(versionOf)
  if (versions.length === 0) throw new FactsInvalid("tls: versions: expected at least one")
  const legacy = Math.min(Math.max(...versions), 0x0303)
  const name = facts.sni === undefined ? [] : ascii("sni", facts.sni)
  const alpn = textsOf("alpn", facts.alpn ?? []).flatMap((protocol) => sized8("alpn", ascii("alpn", protocol)))
  const extensions = [
    ...(facts.sni === undefined ? [] : extension(0, sized16([0, ...sized16(name)]))),
    ...extension(10, sized16(numbersOf("groups", facts.groups ?? MODERN.groups))),
    ...extension(11, [1, 0]),
    ...extension(
      13,
      sized16(numbersOf("signatureAlgorithms", facts.signatureAlgorithms ?? MODERN.signatureAlgorithms)),
    ),
    ...(alpn.length === 0 ? [] : extension(16, sized16(alpn))),
    // A client of TLS 1.2 has its one highest version in front (RFC 8446 section 4.1.2).
    ...(versions.length === 1 && legacy === versions[0]
      ? []
      : extension(43, sized8("versions", versions.flatMap(be16)))),
  ]
  const body = [
    ...be16(legacy),
    ...Array.from({ length: 32 }, (_, i) => i),
    0,
    ...sized16(numbersOf("cipherSuites", facts.cipherSuites ?? MODERN.cipherSuites)),
    1,
    0,
    ...sized16(extensions),
  ]
  const message = [1, body.length >> 16, ...be16(body.length & 0xffff), ...body]
  const bytes = Uint8Array.from([22, 3, 1, ...sized16(message)])
  const read = parseClientHello(bytes)
  if (read === undefined || read === "more" || "error" in read)
    throw new FactsInvalid(`tls: no client says that: ${typeof read === "object" ? read.detail : "too long"}`)
  return { bytes, hello: withPrints(read, text("ja3", facts.ja3), text("ja4", facts.ja4)) }
}

/** The given fingerprints in place of the computed ones: no hello can be made to have them. */
function withPrints(hello: ClientHello, ja3: string | undefined, ja4: string | undefined): ClientHello {
  if (ja3 === undefined && ja4 === undefined) return hello
  return { ...hello, ja3: ja3 ?? hello.ja3, ja4: ja4 ?? hello.ja4 }
}

function versionOf(name: string): number {
  const number = Object.hasOwn(VERSIONS, name) ? VERSIONS[name] : undefined
  if (number === undefined)
    throw new FactsInvalid(
      `tls: versions: expected ${Object.keys(VERSIONS).join(", ")}, found ${describe(name)}${didYouMean(name, Object.keys(VERSIONS))}`,
    )
  return number
}

function text(name: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === "string") return value
  throw new FactsInvalid(`tls: ${name}: expected a text, found ${describe(value)}`)
}

function textsOf(name: string, value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value as readonly string[]
  throw new FactsInvalid(`tls: ${name}: expected a list of texts, found ${describe(value)}`)
}

function numbersOf(name: string, value: unknown): number[] {
  if (Array.isArray(value) && value.every((one) => Number.isInteger(one) && one >= 0 && one <= 0xffff))
    return (value as number[]).flatMap(be16)
  throw new FactsInvalid(`tls: ${name}: expected a list of numbers from 0 to 0xffff, found ${describe(value)}`)
}

function ascii(name: string, value: unknown): number[] {
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) return Array.from(value, (char) => char.charCodeAt(0))
  throw new FactsInvalid(`tls: ${name}: expected printable ASCII, found ${describe(value)}`)
}

function be16(value: number): number[] {
  return [value >> 8, value & 255]
}

/** 65,535: what two bytes of length can say; a hello holds less. */
function sized16(content: readonly number[]): number[] {
  if (content.length > 0xffff) throw new FactsInvalid("tls: no client says that: too long")
  return [...be16(content.length), ...content]
}

function sized8(name: string, content: readonly number[]): number[] {
  if (content.length > 255) throw new FactsInvalid(`tls: ${name}: at most 255 bytes`)
  return [content.length, ...content]
}

function extension(type: number, content: readonly number[]): number[] {
  return [...be16(type), ...sized16(content)]
}

const POSTGRES = ["kind", "user", "database", "applicationName"] as const
const KINDS: readonly unknown[] = ["startup", "ssl-request", "direct-tls", "cancel"]

/** @throws FactsInvalid */
export function checkPostgres(facts: PostgresFacts): void {
  checkFacts("postgres: ", facts, POSTGRES)
  if (facts.kind !== undefined && !KINDS.includes(facts.kind))
    throw new FactsInvalid(`postgres: kind: expected ${KINDS.join(", ")}, found ${describe(facts.kind)}`)
  for (const name of ["user", "database", "applicationName"] as const) {
    const value: unknown = facts[name]
    if (value !== undefined && (typeof value !== "string" || value.includes("\0")))
      throw new FactsInvalid(`postgres: ${name}: expected a text, found ${describe(value)}`)
  }
}

/** A StartupMessage of protocol 3.0. */
export function startupPacket({ user, database, applicationName }: PostgresFacts): Uint8Array {
  const pairs = [
    ["user", user],
    ["database", database],
    ["application_name", applicationName],
  ].filter((pair) => pair[1] !== undefined)
  return packet(196_608, new TextEncoder().encode(`${pairs.map(([name, value]) => `${name}\0${value}\0`).join("")}\0`))
}

export function sslRequest(): Uint8Array {
  return packet(80_877_103, new Uint8Array())
}

/** A CancelRequest with some process and key. */
export function cancelRequest(): Uint8Array {
  return packet(80_877_102, new Uint8Array(8).fill(1))
}

function packet(code: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + content.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length)
  view.setUint32(4, code)
  bytes.set(content, 8)
  return bytes
}
