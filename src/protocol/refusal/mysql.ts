// MySQL's ERR packet, which a server sends in place of its greeting to a host that it does not let in.
import { line } from "./line.ts"
import { packet } from "./packet.ts"

const ERR = 0xff
/** ER_HOST_NOT_PRIVILEGED, 1130. Without an SQLSTATE: a client has not yet said that it reads one. */
const CODE = [0x6a, 0x04]

/** The first packet of a connection: a client waits for it in silence. */
export function mysql(reason: string | undefined): Uint8Array {
  // Clients take what begins with # for an SQLSTATE.
  const body = packet([ERR, ...CODE], line(reason).replace(/^#/, " #"))
  return packet([body.length & 255, body.length >> 8, 0, 0], body)
}
