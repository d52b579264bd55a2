// The PROXY protocol, by its signature alone: the header has its own parser.
import { begins } from "./bytes.ts"

/** A client, or a proxy before it, that starts with a PROXY header. */
export interface Proxy {
  readonly protocol: "proxy"
  readonly version: 1 | 2
}

const SIGNATURE_2 = "\r\n\r\n\0\r\nQUIT\n"
const SIGNATURES_1 = ["PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN ", "PROXY UNKNOWN\r"]

/** Sections 2.1 and 2.2 of HAProxy's proxy-protocol.txt. */
export function proxy(bytes: Uint8Array): Proxy | "more" | undefined {
  const second = begins(bytes, SIGNATURE_2)
  if (second === "more") return "more"
  if (second) {
    if (bytes.length === SIGNATURE_2.length) return "more"
    return bytes[SIGNATURE_2.length]! >> 4 === 2 ? { protocol: "proxy", version: 2 } : undefined
  }
  let more = false
  for (const signature of SIGNATURES_1) {
    const first = begins(bytes, signature)
    if (first === true) return { protocol: "proxy", version: 1 }
    more ||= first === "more"
  }
  return more ? "more" : undefined
}
