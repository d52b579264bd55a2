// VNC: a version, and no security types but a reason (RFC 6143 sections 7.1.1 and 7.1.2).
import { line } from "./line.ts"
import { be32, packet } from "./packet.ts"

const VERSION = "RFB 003.008\n"

/** All that a server says until it closes: the client's version, which comes between, changes nothing from 3.7 on. */
export function vnc(reason: string | undefined): Uint8Array {
  const text = packet(line(reason))
  return packet(VERSION, [0], be32(text.length), text)
}
