// The PROXY header for an upstream: who the client is, and what is known of its TLS.
import { proxyBinary, proxyLine, type ProxyEnds, type ProxyOutFacts } from "../protocol/proxy-write.ts"
import type { ProxyAddress } from "../protocol/proxy-header.ts"
import type { SocketName } from "../native/socket.ts"
import type { Connection } from "./connection.ts"
import { ipOf } from "./socket-address.ts"

export function proxyHeader(connection: Connection, version: 1 | 2): Uint8Array {
  const ends = endsOf(connection)
  return version === 1 ? proxyLine(ends) : proxyBinary(ends, factsOf(connection))
}

/** The client as policies and events see it; `undefined` for one without an address. */
function endsOf({ local, peer }: Connection): ProxyEnds | undefined {
  const source = addressOf(peer)
  if (source === undefined) return undefined
  // Where nobody can tell which of our addresses it is: the client matters more.
  return { source, destination: addressOf(local) ?? { ...source, a: 0, b: 0, c: 0, d: 0, port: 0 } }
}

function addressOf(name: SocketName | undefined): ProxyAddress | undefined {
  const ip = ipOf(name)
  return ip === undefined || name === undefined ? undefined : { ...ip, port: name.port }
}

function factsOf({ hello, id, terminated }: Connection): ProxyOutFacts {
  const known = { authority: hello?.sni, uniqueId: id }
  if (terminated === undefined) return known
  const { alpn, cipher, clientCertificate, resumed, version } = terminated
  const certificate = clientCertificate === undefined ? "none" : resumed ? "session" : "connection"
  const { commonName, verified = false } = clientCertificate ?? {}
  return { ...known, alpn, ssl: { version, cipher, certificate, verified, commonName } }
}
