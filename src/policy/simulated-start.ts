// How a simulated client starts, and what the gateway makes of that before it asks anybody.
import { parseClientHello, type ClientHello } from "../protocol/index.ts"
import { postgres } from "../protocol/postgres.ts"
import type { Alert } from "../protocol/alert.ts"
import type { CloseReason, PostgresStart } from "./connection.ts"
import { describe } from "./describe.ts"
import {
  cancelRequest,
  checkHello,
  checkPostgres,
  FactsInvalid,
  makeHello,
  sslRequest,
  startupPacket,
  type HelloFacts,
  type MadeHello,
  type PostgresFacts,
} from "./first-bytes.ts"
import type { ListenEntry, Scheme } from "./listen.ts"
import { HelloInvalid, PREREAD_DEADLINE, PrereadTimeout, PrereadTooLarge } from "./preread.ts"
import { ServerNames } from "./server-names.ts"

/** What the facts say of the client's bytes. */
export interface SentFacts {
  readonly tls?: HelloFacts
  readonly postgres?: PostgresFacts
  readonly bytes?: string | Uint8Array
  readonly plain?: string | Uint8Array
  readonly closed?: boolean
}

/** What a client has sent. */
export interface Sent {
  readonly bytes: Uint8Array
  /** The hello that is in `bytes`, or that follows when a PostgreSQL client is told that it may encrypt. */
  readonly made: MadeHello | undefined
  /** What follows once TLS is terminated. */
  readonly plain: Uint8Array
  readonly closed: boolean
}

/** Why the gateway closes a connection before it asks anybody. */
export interface Refused {
  readonly reason: CloseReason
  readonly message: string
  /** What it says before that. */
  readonly alert: Alert | undefined
}

/** A connection as its policies find it. */
export interface Start {
  /** What `peek` gives. */
  readonly bytes: Uint8Array
  /** Known before the policies are asked. */
  readonly hello: ClientHello | undefined
  readonly postgres: PostgresStart | undefined
  readonly refused: Refused | undefined
}

const POSTGRES_ALPN = "postgresql"

/** What the client sends to the listener that `to` names. @throws FactsInvalid */
export function sentBy(facts: SentFacts, to: ListenEntry): Sent {
  const plain = bytesOf("plain", facts.plain)
  if (facts.tls !== undefined) checkHello(facts.tls)
  if (facts.postgres !== undefined) checkPostgres(facts.postgres)
  const closed = facts.closed === true
  if (facts.bytes !== undefined) {
    const bytes = bytesOf("bytes", facts.bytes)
    if (facts.postgres !== undefined) throw new FactsInvalid("bytes and postgres: expected one of the two")
    // Behind a request for encryption the hello comes later, so that facts of it may stand beside the bytes.
    const made = asksForEncryption(bytes) ? madeHello(facts.tls ?? {}, to) : undefined
    if (made === undefined && facts.tls !== undefined)
      throw new FactsInvalid("bytes and tls: expected one of the two; what the client sends inside TLS is plain")
    return { bytes, made, plain, closed }
  }
  const kind = kindOf(facts, to)
  if (kind === undefined) return { bytes: new Uint8Array(), made: undefined, plain, closed }
  if (kind === "cancel") return { bytes: cancelRequest(), made: undefined, plain, closed }
  if (kind === "startup") return { bytes: startupPacket(facts.postgres ?? {}), made: undefined, plain, closed }
  const direct = kind === "direct-tls" && (facts.postgres !== undefined || to.scheme === "postgres")
  const made = madeHello({ ...(direct ? { alpn: [POSTGRES_ALPN] } : {}), ...facts.tls }, to)
  const names = facts.postgres !== undefined && facts.plain === undefined
  return {
    bytes: kind === "ssl-request" ? sslRequest() : made.bytes,
    made,
    plain: names ? startupPacket(facts.postgres) : plain,
    closed,
  }
}

/** How the client starts, in PostgreSQL's words, in which any TLS is direct; `undefined` for one that sends nothing. */
function kindOf({ postgres, tls }: SentFacts, { pattern, scheme }: ListenEntry): PostgresStart["kind"] | undefined {
  if (postgres?.kind !== undefined) return postgres.kind
  if (scheme === "tls") return "direct-tls"
  const encrypted = tls !== undefined || pattern !== undefined
  if (scheme === "postgres" || postgres !== undefined) return encrypted ? "ssl-request" : "startup"
  return encrypted ? "direct-tls" : undefined
}

function madeHello(facts: HelloFacts, { pattern, url }: ListenEntry): MadeHello {
  if ("sni" in facts || pattern === undefined) return makeHello(facts)
  if (pattern.startsWith("*."))
    throw new FactsInvalid(`tls: sni: expected the name that the client asks for, one that ${url} matches`)
  return makeHello({ sni: pattern, ...facts })
}

function asksForEncryption(bytes: Uint8Array): boolean {
  const start = postgres(bytes)
  return typeof start === "object" && (start.kind === "ssl-request" || start.kind === "gss-request")
}

/** @throws FactsInvalid */
export function bytesOf(name: string, bytes: unknown): Uint8Array {
  if (bytes === undefined) return new Uint8Array()
  if (typeof bytes === "string") return new TextEncoder().encode(bytes)
  if (bytes instanceof Uint8Array) return bytes.slice()
  throw new FactsInvalid(`${name}: expected a text or a Uint8Array, found ${describe(bytes)}`)
}

/** What a listener of this scheme makes of it. */
export function startAt(scheme: Scheme, sent: Sent): Start {
  const { bytes, closed } = sent
  if (scheme === "tcp") return { bytes, hello: undefined, postgres: undefined, refused: undefined }
  const known = { bytes, hello: undefined, postgres: undefined }
  const refusal = (reason: CloseReason, message: string, alert: Alert | undefined) => ({
    ...known,
    refused: { reason, message, alert },
  })
  if (closed && bytes.length === 0) return refusal("client-closed", "the client sent nothing but its FIN", undefined)
  try {
    if (scheme === "postgres") return startPostgres(sent)
    const hello = readHello(sent)
    if (hello === undefined) throw new HelloInvalid("the first bytes are no TLS hello")
    return { ...known, hello, refused: undefined }
  } catch (error) {
    if (!(error instanceof HelloInvalid || error instanceof PrereadTimeout || error instanceof PrereadTooLarge))
      throw error
    // A client that is too slow is told nothing, nor is one that began with neither TLS nor PostgreSQL.
    const silent = error instanceof PrereadTimeout || (scheme === "postgres" && bytes[0] !== HANDSHAKE)
    return refusal(
      error.closeReason,
      error.message,
      silent ? undefined : error instanceof NoProtocol ? "no_application_protocol" : "decode_error",
    )
  }
}

/** The hello that the bytes are; `undefined` for what is not TLS. @throws HelloInvalid, PrereadTimeout, PrereadTooLarge */
export function readHello({ bytes, closed, made }: Pick<Sent, "bytes" | "closed" | "made">): ClientHello | undefined {
  if (made !== undefined && bytes === made.bytes) return made.hello
  const hello = parseClientHello(bytes)
  if (hello === "more") {
    if (closed && bytes.length === 0) return undefined
    if (closed) throw new HelloInvalid("the client's FIN came inside its TLS hello")
    throw new PrereadTimeout(
      `the client sent ${bytes.length} bytes and no whole TLS hello within ${PREREAD_DEADLINE} ms`,
    )
  }
  if (hello === undefined || !("error" in hello)) return hello
  const message = `${hello.error}: ${hello.detail}`
  throw hello.error === "too-large" ? new PrereadTooLarge(message) : new HelloInvalid(message)
}

/** A hello whose protocols are the wrong ones. */
class NoProtocol extends HelloInvalid {}

/** The length of SSLRequest and GSSENCRequest. */
const REQUEST = 8
/** The first byte of a TLS handshake record. */
const HANDSHAKE = 0x16

/** PostgreSQL's ways to start. A request for encryption is answered, so that the hello comes. */
function startPostgres(sent: Sent): Start {
  const { bytes, closed, made } = sent
  const start = bytes[0] === HANDSHAKE ? startDirect(sent) : postgres(bytes)
  if (start === "more") {
    if (closed) throw new HelloInvalid("the client's FIN came inside its first message")
    throw new PrereadTimeout(`the client sent ${bytes.length} bytes and no whole message within ${PREREAD_DEADLINE} ms`)
  }
  if (start === undefined) throw new HelloInvalid("the first bytes are no PostgreSQL startup packet")
  if (!("protocol" in start)) return start
  const known = { bytes, hello: undefined, refused: undefined }
  if (start.kind === "cancel") return { ...known, postgres: { kind: "cancel" } }
  if (start.kind === "startup") {
    const { applicationName, database, user } = start
    return { ...known, postgres: { kind: "startup", user, database, applicationName } }
  }
  // Whoever stuffs bytes behind the request wants them taken for what was encrypted later (CVE-2021-23222).
  if (bytes.length > REQUEST || made === undefined) throw new HelloInvalid("bytes behind the request for encryption")
  return { ...known, bytes: made.bytes, hello: made.hello, postgres: { kind: "ssl-request" } }
}

function startDirect(sent: Sent): Start {
  const hello = readHello(sent)
  if (hello === undefined) throw new HelloInvalid("the first bytes are no TLS hello")
  if (!hello.alpn.includes(POSTGRES_ALPN)) throw new NoProtocol(`direct TLS without ALPN ${POSTGRES_ALPN}`)
  return { bytes: sent.bytes, hello, postgres: { kind: "direct-tls" }, refused: undefined }
}

/** Whether the listener's files are asked about it. @throws FactsInvalid */
export function checkServes({ pattern, url }: ListenEntry, { hello }: Start): void {
  if (pattern === undefined) return
  const names = new ServerNames<true>()
  names.set(pattern, true)
  if (names.find(hello?.sni) === undefined)
    throw new FactsInvalid(
      hello?.sni === undefined
        ? `to: the client names no server, so that files with ${url} are not asked`
        : `to: the client asks for ${describe(hello.sni)}, so that files with ${url} are not asked`,
    )
}

/** Of the listeners of one policy, the one that the client meets: by the server name that it asks for, else the first. */
export function listenerMet(listen: readonly ListenEntry[], facts: SentFacts): string {
  const names = new ServerNames<ListenEntry>()
  for (const entry of listen.toReversed()) if (entry.scheme !== "tcp") names.set(entry.pattern, entry)
  const sni = facts.tls?.sni ?? sniIn(facts.bytes)
  const kind = facts.postgres?.kind
  const nameless = facts.bytes !== undefined || kind === "startup" || kind === "cancel"
  const named = typeof sni === "string" || nameless ? names.find(sni?.toLowerCase().replace(/\.$/, "")) : undefined
  return (named ?? listen[0]!).url
}

function sniIn(bytes: unknown): string | undefined {
  const hello = bytes instanceof Uint8Array ? parseClientHello(bytes) : undefined
  return typeof hello === "object" && !("error" in hello) ? hello.sni : undefined
}
