// HTTP/2 without TLS, started with prior knowledge (RFC 9113 section 3.3). Its names come later, in HPACK.
import { begins } from "./bytes.ts"

/** A client that speaks HTTP/2 in plain text. */
export interface Http2 {
  readonly protocol: "http2"
}

/** RFC 9113 section 3.4. */
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

export function http2(bytes: Uint8Array): Http2 | "more" | undefined {
  const preface = begins(bytes, PREFACE)
  return preface === true ? { protocol: "http2" } : preface || undefined
}
