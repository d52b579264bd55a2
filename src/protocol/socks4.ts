// SOCKS 4 and 4a: the request, which is all that a client says before the proxied bytes.
import { latin1, u16, u32, within } from "./bytes.ts"

/** The request of a SOCKS 4 client. */
export interface Socks4 {
  readonly protocol: "socks4"
  readonly command: "connect" | "bind"
  /** An IPv4 address, or the name that SOCKS 4a sends in its place, in lower case. */
  readonly host: string
  readonly port: number
  readonly user: string
}

const COMMANDS: Record<number, Socks4["command"]> = { 1: "connect", 2: "bind" }
/** 255 bytes: the longest name that DNS has; the user's name has no limit of its own. */
const LONGEST_TEXT = 255

/** Version, command, port (2), address (4), user, zero byte; with an address of 0.0.0.x also a name and a zero byte. */
export function socks4(bytes: Uint8Array): Socks4 | "more" | undefined {
  if (bytes.length > 0 && bytes[0] !== 4) return undefined
  if (bytes.length < 2) return "more"
  const command = COMMANDS[bytes[1]!]
  if (command === undefined) return undefined
  if (bytes.length < 9) return "more"
  const userEnd = textEnd(bytes, 8, 0x20)
  if (typeof userEnd !== "number") return userEnd
  const user = latin1(bytes, 8, userEnd)
  const port = u16(bytes, 2)
  const address = u32(bytes, 4)
  if (address === 0 || address > 255) {
    const host = `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`
    return { protocol: "socks4", command, host, port, user }
  }
  const nameEnd = textEnd(bytes, userEnd + 1, 0x21)
  if (typeof nameEnd !== "number") return nameEnd
  if (nameEnd === userEnd + 1) return undefined
  return { protocol: "socks4", command, host: latin1(bytes, userEnd + 1, nameEnd).toLowerCase(), port, user }
}

/** The end of a text of bytes from `least`, ended by a zero byte. */
function textEnd(bytes: Uint8Array, from: number, least: number): number | "more" | undefined {
  const end = bytes.indexOf(0, from)
  const to = end < 0 ? bytes.length : end
  if (to - from > LONGEST_TEXT || !within(bytes, from, to, least, 0xff)) return undefined
  return end < 0 ? "more" : end
}
