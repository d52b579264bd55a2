// OpenVPN over TCP: the client's first packet, P_CONTROL_HARD_RESET_CLIENT, with its length in front. It has no magic
// number; its exact length and the fixed numbers in it are what is recognised.
import { u16, u32, within } from "./bytes.ts"

/** The first packet of an OpenVPN client. */
export interface Openvpn {
  readonly protocol: "openvpn"
  readonly mode: "plain" | "tls-auth" | "tls-crypt" | "tls-crypt-v2"
}

/** Operation 7 and, for tls-crypt-v2, 10, with key 0. */
const RESET_V2 = 0x38
const RESET_V3 = 0x50
/** Operation (1), session (8), no acknowledgements (1), packet 0 (4). */
const PLAIN = 14
/** Packet number 1 and a time, with which tls-auth and tls-crypt guard against replays. */
const REPLAY = 8
/** Sizes of the digests that `--auth` knows, MD5 to SHA-512. */
const DIGESTS = new Set([16, 20, 24, 28, 32, 36, 48, 64])
/** Operation, session, replay, digest of SHA-256, five encrypted bytes. */
const CRYPT = 9 + REPLAY + 32 + 5
/** A wrapped client key is a digest (32), a key (256), metadata and its own length (2); 1,024 bytes at most. */
const WRAPPED_KEY = { least: 290, most: 1024 }

export function openvpn(bytes: Uint8Array): Openvpn | "more" | undefined {
  if (bytes.length > 0 && bytes[0]! > (CRYPT + WRAPPED_KEY.most) >> 8) return undefined
  if (bytes.length < 2) return "more"
  const length = u16(bytes, 0)
  if (length < PLAIN || length > CRYPT + WRAPPED_KEY.most) return undefined
  const operation = bytes[2]
  if (operation !== undefined && operation !== RESET_V2 && operation !== RESET_V3) return undefined
  if (bytes.length < 2 + length) return "more"
  const mode = operation === RESET_V3 ? modeV3(bytes, length) : modeV2(bytes, length)
  return mode === undefined ? undefined : { protocol: "openvpn", mode }
}

function modeV2(bytes: Uint8Array, length: number): Openvpn["mode"] | undefined {
  const end = 2 + length
  if (length === PLAIN) return isZero(bytes, end - 5, end) ? "plain" : undefined
  const digest = length - PLAIN - REPLAY
  if (DIGESTS.has(digest) && u32(bytes, 11 + digest) === 1 && isZero(bytes, end - 5, end)) return "tls-auth"
  return length === CRYPT && u32(bytes, 11) === 1 ? "tls-crypt" : undefined
}

/** The packet number's top byte tells that the server may answer without keeping state (0x0f). */
function modeV3(bytes: Uint8Array, length: number): Openvpn["mode"] | undefined {
  const key = length - CRYPT
  if (key < WRAPPED_KEY.least || u16(bytes, length) !== key) return undefined
  return (u32(bytes, 11) & 0xf0ff_ffff) === 1 ? "tls-crypt-v2" : undefined
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  return within(bytes, from, to, 0, 0)
}
