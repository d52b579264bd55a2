// A page for HTTP/1, and a GOAWAY for HTTP/2.
import { line } from "./line.ts"
import { be16, be32, packet } from "./packet.ts"

/**
 * 403 with the reason as a page, whose length but not whose content HEAD gets. HTTP/1.1 also for a client of HTTP/1.0
 * (RFC 9112 section 2.3). Without a Date, for which an encoder has no clock.
 */
export function http(reason: string | undefined, method: string | undefined): Uint8Array {
  const text = line(reason).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
  const page = packet(
    `<!doctype html><meta charset="utf-8"><title>403 Forbidden</title><h1>403 Forbidden</h1><p>${text}</p>\n`,
  )
  const head = [
    "HTTP/1.1 403 Forbidden",
    "Content-Type: text/html; charset=utf-8",
    `Content-Length: ${page.length}`,
    "Cache-Control: no-store",
    "Connection: close",
  ]
  return packet(`${head.join("\r\n")}\r\n\r\n`, method === "HEAD" ? [] : page)
}

const SETTINGS = 4
const GOAWAY = 7
/** The error of RFC 9113 section 7 for what has none of its own. With NO_ERROR clients would try again. */
const PROTOCOL_ERROR = 1

/**
 * A GOAWAY that no request was looked at, with the reason as its debug data (RFC 9113 section 6.8). No 403, because a
 * client that has sent its preface may not have sent the request that it would answer.
 */
export function http2(reason: string | undefined): Uint8Array {
  return packet(frame(SETTINGS, packet()), frame(GOAWAY, packet(be32(0), be32(PROTOCOL_ERROR), line(reason))))
}

/** Length (3), type, flags, stream 0 (4). */
function frame(type: number, payload: Uint8Array): Uint8Array {
  return packet([0], be16(payload.length), [type, 0], be32(0), payload)
}
