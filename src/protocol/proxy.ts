// The PROXY protocol, by its signature alone: the header has its own parser.
import { begins } from "./bytes.ts"

/** A client, or a proxy before it, that starts with a PROXY header. */
export interface Proxy {
  readonly protocol: "proxy"
  readonly version: 1 | 2
}

/** How a header of version 1 begins (section 2.1 of HAProxy's proxy-protocol.txt). */
export const SIGNATURE_1 = "PROXY "
/** How one of version 2 begins (section 2.2): bytes that no other protocol begins with. */
export const SIGNATURE_2 = "\r\n\r\n\0\r\nQUIT\n"
const FAMILIES_1 = ["TCP4 ", "TCP6 ", "UNKNOWN ", "UNKNOWN\r"].map((family) => SIGNATURE_1 + family)

/** The version whose signature the bytes begin with; `"more"` while they are a prefix of one. */
export function proxySignature(bytes: Uint8Array): 1 | 2 | "more" | undefined {
  const second = begins(bytes, SIGNATURE_2)
  if (second === true) return 2
  const first = begins(bytes, SIGNATURE_1)
  if (first === true) return 1
  return first === "more" || second === "more" ? "more" : undefined
}

/** Sections 2.1 and 2.2 of HAProxy's proxy-protocol.txt. */
export function proxy(bytes: Uint8Array): Proxy | "more" | undefined {
  const version = proxySignature(bytes)
  if (version === 2) {
    if (bytes.length === SIGNATURE_2.length) return "more"
    return bytes[SIGNATURE_2.length]! >> 4 === 2 ? { protocol: "proxy", version: 2 } : undefined
  }
  if (version !== 1) return version
  let more = false
  for (const family of FAMILIES_1) {
    const first = begins(bytes, family)
    if (first === true) return { protocol: "proxy", version: 1 }
    more ||= first === "more"
  }
  return more ? "more" : undefined
}
