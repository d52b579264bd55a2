// Minecraft, Java edition: the handshake of 1.7 and later, and the server list ping of 1.6 (minecraft.wiki, "Java Edition
// protocol" and "Server List Ping").
import { begins, u16, u32, utf8 } from "./bytes.ts"

/** The handshake of a Minecraft client. */
export interface Minecraft {
  readonly protocol: "minecraft"
  /** As typed by the player, in lower case, without a trailing dot and without what mods put behind a zero byte. */
  readonly serverAddress: string
  readonly serverPort: number
  readonly nextState: "status" | "login" | "transfer"
  /** The protocol's number, 763 for 1.20.1. */
  readonly protocolVersion: number
  /** Whether it is the ping of 1.6, which takes another answer. */
  readonly legacy: boolean
}

const STATES: Record<number, Minecraft["nextState"]> = { 1: "status", 2: "login", 3: "transfer" }
/** Id (1), version (5), an address of 255 characters, which mods make longer, port (2), state (1). */
const LONGEST_PACKET = 1100

export function minecraft(bytes: Uint8Array): Minecraft | "more" | undefined {
  if (bytes[0] === 0xfe) return legacyPing(bytes)
  const size = variableNumber(bytes, 0)
  if (size === "more" || size === undefined) return size
  if (size.value < 7 || size.value > LONGEST_PACKET) return undefined
  const end = size.end + size.value
  // Id 0 is the handshake.
  if (bytes.length > size.end && bytes[size.end] !== 0) return undefined
  const version = variableNumber(bytes, size.end + 1)
  if (version === "more" || version === undefined) return version
  const address = variableNumber(bytes, version.end)
  if (address === "more" || address === undefined) return address
  // Port and state fill the rest: a state of one byte.
  if (address.value === 0 || address.end + address.value + 3 !== end) return undefined
  if (bytes.length < end) return "more"
  const nextState = STATES[bytes[end - 1]!]
  if (nextState === undefined) return undefined
  return {
    protocol: "minecraft",
    serverAddress: plain(utf8(bytes, address.end, address.end + address.value)),
    serverPort: u16(bytes, end - 3),
    nextState,
    protocolVersion: version.value | 0,
    legacy: false,
  }
}

function plain(address: string): string {
  return address.split("\0", 1)[0]!.replace(/\.$/, "").toLowerCase()
}

const PING_1_6 = "\xfe\x01\xfa\0\x0b\0M\0C\0|\0P\0i\0n\0g\0H\0o\0s\0t"

/** Behind the marker: length (2), version (1), length of the address in characters (2), address in UTF-16, port (4). */
function legacyPing(bytes: Uint8Array): Minecraft | "more" | undefined {
  const start = begins(bytes, PING_1_6)
  if (start !== true) return start || undefined
  const at = PING_1_6.length
  if (bytes.length < at + 5) return "more"
  const characters = u16(bytes, at + 3)
  if (u16(bytes, at) !== 7 + 2 * characters || characters > 255) return undefined
  const end = at + 5 + 2 * characters
  if (bytes.length < end + 4) return "more"
  let address = ""
  for (let i = at + 5; i < end; i += 2) address += String.fromCharCode(u16(bytes, i))
  return {
    protocol: "minecraft",
    serverAddress: plain(address),
    serverPort: u32(bytes, end),
    nextState: "status",
    protocolVersion: bytes[at + 2]!,
    legacy: true,
  }
}

/** Seven bits per byte, at most five bytes. */
function variableNumber(bytes: Uint8Array, from: number): { value: number; end: number } | "more" | undefined {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[from + i]
    if (byte === undefined) return "more"
    value += (byte & 0x7f) * 128 ** i
    if (byte < 0x80) return { value, end: from + i + 1 }
  }
  return undefined
}
