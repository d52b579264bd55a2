// What is read before anybody is asked: PROXY headers of trusted senders, the TLS hello of `tls://` listeners, and
// PostgreSQL's way to it on `postgres://` listeners (protocol 3, "SSL Session Encryption"). Who is asked follows from the
// server name.
import { HelloInvalid, PREREAD_DEADLINE } from "../policy/preread.ts"
import { readable } from "../policy/thrown.ts"
import { alert, type Alert } from "../protocol/alert.ts"
import { parseClientHello, type ClientHello } from "../protocol/index.ts"
import { postgres } from "../protocol/postgres.ts"
import { POSTGRES_ALPN } from "./alpn.ts"
import { State, type Connection } from "./connection.ts"
import { decide } from "./decide.ts"
import { alertFor } from "./farewell.ts"
import { linger, refuse } from "./ending.ts"
import { isTurnedAway } from "./listener-limits.ts"
import { helloOr } from "./preread.ts"
import { awaitHeader, expireHeader, readHeader } from "./proxy-in.ts"

/** Bytes of an SSLRequest or GSSENCRequest. */
const REQUEST_LENGTH = 8
const REQUESTED = Uint8Array.of(0x53)
const REFUSED = Uint8Array.of(0x4e)
/** The first byte of a TLS handshake record. */
const HANDSHAKE = 0x16

/** A connection was accepted. */
export function begin(connection: Connection): void {
  if (connection.plan.proxyProtocol === undefined || !awaitHeader(connection)) start(connection)
}

/** The client may begin: a PROXY header has been read, or none is waited for. */
function start(connection: Connection): void {
  if (connection.plan.proxyProtocol !== undefined && isTurnedAway(connection, "header")) return
  if (connection.plan.scheme === "tcp") {
    connection.state = State.deciding
    return decide(connection)
  }
  connection.state = State.reading
  connection.schedule(PREREAD_DEADLINE)
  const { client, preread } = connection
  if (client.ended || (preread?.size ?? 0) > 0) readOn(connection)
}

/** The client has sent more, or its FIN. */
export function readOn(connection: Connection): void {
  const { headerWait } = connection
  if (headerWait !== undefined) {
    if (readHeader(connection, headerWait)) start(connection)
    return
  }
  if (connection.plan.scheme === "postgres" && connection.postgres === undefined) return readStart(connection)
  const hello = parseClientHello(connection.ahead().bytes)
  if (hello !== "more") take(connection, hello)
  else if (connection.client.ended) leave(connection)
}

/** The client was too slow. */
export function expireReading(connection: Connection): void {
  const { headerWait } = connection
  if (headerWait !== undefined) {
    if (expireHeader(connection, headerWait)) start(connection)
    return
  }
  connection.reason = `the client sent ${connection.preread?.size ?? 0} bytes and no whole hello within ${PREREAD_DEADLINE} ms`
  // It is owed nothing: not even the FIN of a client that is gone is waited for.
  connection.finish("preread-timeout", "gateway")
}

/** Its FIN came before its hello was whole. */
function leave(connection: Connection): void {
  if (connection.ahead().size === 0) return connection.finish("client-closed", "client")
  invalid(connection, "the client's FIN came inside its hello")
}

function take(connection: Connection, parsed: Exclude<ReturnType<typeof parseClientHello>, "more">): void {
  let hello: ClientHello | undefined
  try {
    hello = helloOr(parsed)
  } catch (error) {
    const reason = error instanceof HelloInvalid ? "hello-invalid" : "preread-too-large"
    connection.reason = readable(error).message
    return sayAlert(connection, alertFor(reason), reason)
  }
  if (hello === undefined) return invalid(connection, "the first bytes are no TLS hello")
  connection.hello = hello
  if (connection.postgres?.kind === "direct-tls" && !hello.alpn.includes(POSTGRES_ALPN[0]!)) {
    // So that it cannot be made to speak to a server of another protocol (ALPACA).
    connection.reason = `direct TLS without ALPN ${POSTGRES_ALPN[0]}`
    return sayAlert(connection, "no_application_protocol", "hello-invalid")
  }
  ask(connection, hello.sni)
}

/** What a PostgreSQL client starts with; it may ask for GSSAPI, then for TLS, before it says who it is. */
function readStart(connection: Connection): void {
  const ahead = connection.ahead()
  if (ahead.bytes[0] === HANDSHAKE) {
    connection.postgres = { kind: "direct-tls" }
    return readOn(connection)
  }
  const start = postgres(ahead.bytes)
  if (start === "more") {
    if (connection.client.ended) leave(connection)
    return
  }
  if (start === undefined) return invalid(connection, "the first bytes are no PostgreSQL startup packet")
  switch (start.kind) {
    case "startup": {
      const { user, database, applicationName } = start
      connection.postgres = { kind: "startup", user, database, applicationName }
      return ask(connection, undefined)
    }
    case "cancel":
      connection.postgres = { kind: "cancel" }
      return ask(connection, undefined)
    case "gss-request":
    case "ssl-request": {
      // Whoever stuffs bytes behind the request wants them taken for what was encrypted later (CVE-2021-23222).
      if (ahead.size > REQUEST_LENGTH) return invalid(connection, "bytes behind the request for encryption")
      ahead.take(REQUEST_LENGTH)
      if (start.kind === "ssl-request") connection.postgres = { kind: "ssl-request" }
      // Once, and before it asks for TLS.
      else if (connection.client.written > 0) return invalid(connection, "GSSAPI encryption asked for twice")
      ahead.write(start.kind === "ssl-request" ? REQUESTED : REFUSED)
    }
  }
}

/** Those with the most specific pattern that matches are asked. Their time starts now. */
function ask(connection: Connection, name: string | undefined): void {
  const { plan, started } = connection
  connection.state = State.deciding
  connection.heldBack = performance.now() - started
  const policies = plan.names?.find(name)
  if (policies === undefined) {
    connection.reason =
      name === undefined ? "no server name, and nothing is served without one" : `nothing is served under ${name}`
    return refuse(connection, "no-policy")
  }
  connection.policies = policies
  if (!isTurnedAway(connection, "hello")) decide(connection)
}

function invalid(connection: Connection, why: string): void {
  connection.reason = why
  // Nothing that began as TLS: an alert would be as foreign to a PostgreSQL client as its bytes are to us.
  if (connection.plan.scheme === "postgres" && connection.postgres === undefined)
    return refuse(connection, "hello-invalid")
  sayAlert(connection, "decode_error", "hello-invalid")
}

function sayAlert(connection: Connection, description: Alert, reason: "hello-invalid" | "preread-too-large"): void {
  connection.closeReason = reason
  connection.closedBy = "gateway"
  connection.client.send(alert(description))
  linger(connection)
}
