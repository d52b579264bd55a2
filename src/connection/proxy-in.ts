// PROXY headers of load balancers, before everything else that a client sends: believed from trusted senders alone, who
// are waited for. Whoever else begins with one has its connection reset before an upstream sees it.
import { isTrustedSender } from "../policy/proxy-senders.ts"
import { parseProxyHeader, proxyBytesWanted, type ProxyHeader } from "../protocol/proxy-header.ts"
import { proxySignature, SIGNATURE_2 } from "../protocol/proxy.ts"
import type { SocketName } from "../native/socket.ts"
import { State, type Connection } from "./connection.ts"
import { refuse } from "./ending.ts"
import { ipOf } from "./socket-address.ts"

/** 3 s for a whole header: one lost segment is sent again by then (proxy-protocol.txt, section 2.1). */
export const HEADER_DEADLINE = 3000
/** 300 ms for the signature where it is optional: then a server that speaks first gets to speak. */
const OPTIONAL_SILENCE = 300

/** A trusted sender, until its header is there. */
export interface HeaderWait {
  /** The signature is there: what follows is a header, or an error. */
  signed: boolean
  /** Bytes below which there is no use in reading again. */
  wanted: number
  /** The tick of the deadline. */
  readonly due: number
}

/** A header that was read, and whose it was: the client is another from here on. */
export interface Proxied {
  readonly header: ProxyHeader
  readonly sender: SocketName | undefined
}

/** What a client may not begin with, whose header nobody believes. Its first bytes are looked at as they pass. */
export class Suspect {
  private readonly late: number | undefined
  /** Its first bytes, while they may become a signature. */
  private seen: Uint8Array

  /** @param late it is trusted, but was taken for a client of its own after so many milliseconds without a header */
  constructor(late: number | undefined, seen: Uint8Array) {
    this.late = late
    this.seen = seen
  }

  /** Whether its bytes so far begin with a signature. */
  begins(chunk: Uint8Array): boolean | "more" {
    const room = SIGNATURE_2.length - this.seen.length
    this.seen = Uint8Array.from([...this.seen, ...chunk.subarray(0, room)])
    const version = proxySignature(this.seen)
    return version === "more" ? "more" : version !== undefined
  }

  end(connection: Connection): void {
    const { late } = this
    connection.reason ??=
      late === undefined
        ? "a PROXY header from a sender that is not trusted"
        : `a PROXY header that came after ${late} ms`
    connection.abort(late === undefined ? "proxy-untrusted" : "proxy-invalid", "gateway")
  }
}

/** Begins with a connection of a listener that has the option. Returns whether its header is waited for. */
export function awaitHeader(connection: Connection): boolean {
  const { path, peer, plan } = connection
  const senders = plan.proxyProtocol!
  if (!isTrustedSender(senders, ipOf(peer))) {
    connection.suspect = new Suspect(undefined, new Uint8Array())
    return false
  }
  connection.state = State.reading
  connection.headerWait = { signed: false, wanted: 1, due: path.wheel.refresh() + path.wheel.ticks(HEADER_DEADLINE) }
  connection.schedule(senders.mode === "required" ? HEADER_DEADLINE : OPTIONAL_SILENCE)
  return true
}

/** The sender has sent more, or its FIN. Returns whether the connection goes on, with or without a header. */
export function readHeader(connection: Connection, wait: HeaderWait): boolean {
  const ahead = connection.ahead()
  const { ended } = connection.client
  if (ahead.size < wait.wanted && !ended) return false
  const found = parseProxyHeader(ahead.bytes)
  if (found === "more") {
    if (ended) return endsEarly(connection, wait)
    wait.wanted = proxyBytesWanted(ahead.bytes)
    ahead.expect(wait.wanted)
    if (!wait.signed && proxySignature(ahead.bytes) !== "more") {
      wait.signed = true
      connection.scheduleAt(wait.due)
    }
    return false
  }
  if (found === undefined) {
    if (isOptional(connection)) return goOn(connection)
    return invalid(connection, "the first bytes are no PROXY header")
  }
  if ("error" in found) return invalid(connection, `PROXY header: ${found.error}: ${found.detail}`)
  take(connection, found)
  return goOn(connection)
}

/** The time is over, or only that for the signature. Returns whether the connection goes on without a header. */
export function expireHeader(connection: Connection, wait: HeaderWait): boolean {
  const isOver = connection.path.wheel.now >= wait.due
  // What may yet become a signature is waited for as long as a header.
  const mayBegin = (connection.preread?.size ?? 0) > 0 && !isOver
  if (isOptional(connection) && !wait.signed && !mayBegin) {
    const seen = connection.preread?.bytes ?? new Uint8Array()
    connection.suspect = new Suspect(isOver ? HEADER_DEADLINE : OPTIONAL_SILENCE, seen.slice(0, SIGNATURE_2.length))
    return goOn(connection)
  }
  if (!isOver) {
    connection.scheduleAt(wait.due)
    return false
  }
  connection.reason = `${connection.preread?.size ?? 0} bytes and no whole PROXY header within ${HEADER_DEADLINE} ms`
  connection.finish("proxy-invalid", "gateway")
  return false
}

/** Looks at bytes of a client that is not trusted. Returns whether they have ended the connection. */
export function isSpoofed(connection: Connection, suspect: Suspect, chunk: Uint8Array): boolean {
  const begins = suspect.begins(chunk)
  if (begins === "more") return false
  connection.suspect = undefined
  if (begins) suspect.end(connection)
  return begins
}

function isOptional({ plan }: Connection): boolean {
  return plan.proxyProtocol?.mode === "optional"
}

/** Its FIN came before its header was whole. */
function endsEarly(connection: Connection, wait: HeaderWait): boolean {
  if (wait.signed) return invalid(connection, "the sender's FIN came inside its PROXY header")
  // Half a connection is a connection: its client may only want to read.
  if (isOptional(connection)) return goOn(connection)
  if (connection.ahead().size > 0) return invalid(connection, "the first bytes are no PROXY header")
  connection.finish("client-closed", "client")
  return false
}

/** From here on the client is whom the header speaks for. The header's bytes are none of the connection's. */
function take(connection: Connection, header: ProxyHeader): void {
  const { client, peer } = connection
  const ahead = connection.ahead()
  ahead.take(header.length)
  client.received -= header.length
  connection.proxied = { header, sender: peer }
  // On nobody's behalf, or on that of somebody without a name: then the sender itself is the client.
  if (header.command === "local" || header.family === "unspecified") return
  connection.peer = header.source
  connection.local = header.destination
}

function goOn(connection: Connection): true {
  connection.headerWait = undefined
  connection.heldBack = performance.now() - connection.started
  connection.preread?.expect(0)
  return true
}

function invalid(connection: Connection, why: string): false {
  connection.headerWait = undefined
  connection.reason = why
  refuse(connection, "proxy-invalid")
  return false
}
