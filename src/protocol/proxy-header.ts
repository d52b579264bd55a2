// The header of HAProxy's PROXY protocol, by which a load balancer says on whose behalf it connects: a line of text
// (version 1) or binary (version 2), before everything else. Strict: a header that is not exactly right is an error.
// @see https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
import { proxySignature } from "./proxy.ts"
import { binaryLength, BINARY_LIMIT, parseProxyBinary } from "./proxy-binary.ts"
import { parseProxyLine } from "./proxy-line.ts"
import type { ProxyHeader, ProxyInvalid } from "./proxy-fields.ts"

export type { ProxyAddress, ProxyHeader, ProxyInvalid } from "./proxy-fields.ts"
export type { ProxySsl, ProxyTlvs, Tlv } from "./proxy-tlvs.ts"

/** The longest header of either version. */
export const PROXY_HEADER_LIMIT = BINARY_LIMIT

/**
 * Reads a header from the first bytes of a connection, however they were cut. `"more"` while it is incomplete,
 * `undefined` for what does not begin with a signature, an error for what does and is no header. Never throws. Bytes
 * behind the header are not looked at.
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | "more" | ProxyInvalid | undefined {
  const version = proxySignature(bytes)
  if (version === 1) return parseProxyLine(bytes)
  return version === 2 ? parseProxyBinary(bytes) : version
}

/** How many bytes there have to be before it is worth to read a header again that was incomplete. */
export function proxyBytesWanted(bytes: Uint8Array): number {
  return proxySignature(bytes) === 2 ? binaryLength(bytes) : bytes.length + 1
}
