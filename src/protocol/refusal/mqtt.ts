// MQTT's CONNACK that refuses (MQTT 3.1.1 and 5.0 section 3.2).
import { line } from "./line.ts"
import { be16, packet, variable } from "./packet.ts"

const CONNACK = 0x20
/** Connection refused, not authorized: the same number in 3.1. */
const NOT_AUTHORIZED = 5
/** Not authorized, of version 5. */
const NOT_AUTHORIZED_5 = 0x87
const REASON_STRING = 0x1f

/** Of versions 3.1 and 3.1.1: a number. */
export function mqtt3(): Uint8Array {
  return packet([CONNACK, 2, 0, NOT_AUTHORIZED])
}

/** Of version 5: with the reason, unless the packet would be longer than the client takes (section 3.2.2.3.9). */
export function mqtt5(reason: string | undefined, longest: number | undefined): Uint8Array {
  const text = packet(line(reason))
  const full = connack(packet([REASON_STRING], be16(text.length), text))
  return longest === undefined || full.length <= longest ? full : connack(packet())
}

function connack(properties: Uint8Array): Uint8Array {
  const body = packet([0, NOT_AUTHORIZED_5], variable(properties.length), properties)
  return packet([CONNACK], variable(body.length), body)
}
