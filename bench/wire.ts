// What load and upstream say to each other. It looks like HTTP, so that programs that route by the first bytes can
// take part; a path asks for bytes down, up or both.

/** A small request. */
export const REQUEST = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n")

const BODY = "Hello from the upstream."

/** The answer to it; its last byte names the upstream. */
export function answerOf(name: "A" | "B"): Uint8Array {
  const body = `${BODY} ${name}`
  return new TextEncoder().encode(
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

export const ANSWER_LENGTH = answerOf("A").length

/** What a gateway answers by itself. */
export const OWN_ANSWER = "closed for maintenance, come back at noon\n"

export type Direction = "down" | "up" | "both"

/** Asks for a transfer: the upstream confirms it by {@link DONE} after its last byte. */
export function transferRequest(direction: Direction, bytes: number): Uint8Array {
  return new TextEncoder().encode(`GET /${direction}/${bytes} HTTP/1.1\r\nHost: bench\r\n\r\n`)
}

/** The first byte of a TLS record with a part of a handshake (RFC 8446 section 5.1). */
const HANDSHAKE = 0x16

/** Reads a {@link transferRequest}; `length` is its own. `undefined` for a small request or a ClientHello. */
export function parseTransfer(chunk: Uint8Array): { direction: Direction; bytes: number; length: number } | undefined {
  if (chunk[5] === 0x20 || chunk[0] === HANDSHAKE) return undefined
  const text = new TextDecoder("latin1").decode(chunk.subarray(0, 200))
  const match = /^GET \/(down|up|both)\/(\d+) /.exec(text)
  const end = text.indexOf("\r\n\r\n")
  if (match === null || end < 0) return undefined
  return { direction: match[1] as Direction, bytes: Number(match[2]), length: end + 4 }
}

export const DONE = new TextEncoder().encode("ok")

/** 256 KiB per write, of bytes that nothing on the way could take for all alike. */
export const BLOCK = new Uint8Array(262_144).map((_, i) => (i * 2654435761) >>> 24)
