// SSH's disconnect message, before any key is agreed on: the binary packet protocol without encryption and MAC.
import { line } from "./line.ts"
import { be32, packet } from "./packet.ts"

const IDENTIFICATION = "SSH-2.0-tidegate\r\n"
const DISCONNECT = 1
/** SSH_DISCONNECT_HOST_NOT_ALLOWED_TO_CONNECT (RFC 4253 section 11.1) */
const NOT_ALLOWED = 1
/** RFC 4253 section 6: a packet is a multiple of 8 bytes, of which at least 4 are padding. */
const BLOCK = 8
const LEAST_PADDING = 4

/** Our identification and the message. A client has sent its own, or does without waiting for this. */
export function ssh(reason: string | undefined): Uint8Array {
  const text = packet(line(reason))
  const payload = packet([DISCONNECT], be32(NOT_ALLOWED), be32(text.length), text, be32(0))
  // Behind the length (4) and the length of the padding (1).
  const padding = LEAST_PADDING + ((BLOCK - ((5 + payload.length + LEAST_PADDING) % BLOCK)) % BLOCK)
  return packet(IDENTIFICATION, be32(1 + payload.length + padding), [padding], payload, new Uint8Array(padding))
}
