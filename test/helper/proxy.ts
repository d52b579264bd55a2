// PROXY headers as a load balancer sends them.
import { parseIp } from "../../src/policy/address.ts"
import type { ProxyAddress } from "../../src/protocol/proxy-header.ts"
import { proxyBinary, proxyLine, type ProxyEnds, type ProxyOutFacts } from "../../src/protocol/proxy-write.ts"

/** `203.0.113.9:4711`, or with IPv6 in brackets. */
export function proxyAddress(text: string): ProxyAddress {
  const colon = text.lastIndexOf(":")
  const ip = parseIp(text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"))
  if (ip === undefined) throw new Error(`no address: ${text}`)
  return { ...ip, port: Number(text.slice(colon + 1)) }
}

const CLIENT = "203.0.113.9:4711"
const SERVER = "198.51.100.7:5432"

function endsOf(client: string, server: string): ProxyEnds {
  return { source: proxyAddress(client), destination: proxyAddress(server) }
}

/** A header of version 1. */
export function line(client = CLIENT, server = SERVER): Uint8Array {
  return proxyLine(endsOf(client, server))
}

/** One of version 2. */
export function binary(facts: ProxyOutFacts = {}, client = CLIENT, server = SERVER): Uint8Array {
  return proxyBinary(endsOf(client, server), facts)
}

/** The load balancer's own connection, like a health check. */
export const LOCAL = Uint8Array.from(Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex"))

/** A header of version 2 with as many bytes, filled up with a value that says nothing. */
export function long(length: number): Uint8Array {
  const header = new Uint8Array(length)
  header.set(binary())
  const view = new DataView(header.buffer)
  view.setUint16(14, length - 16)
  header[28] = 0x04
  view.setUint16(29, length - 31)
  return header
}
