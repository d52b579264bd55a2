// What the system says of an address, as the rest of the program writes it.
import { ipv4, type Ip } from "../policy/address.ts"
import type { SocketName } from "../native/socket.ts"

/** The address in its one form: an IPv4-mapped one is IPv4. */
export function ipOf(name: SocketName | undefined): Ip | undefined {
  if (name === undefined) return undefined
  // Most are in that form already: nothing has to be made.
  const mapped = name.family === "IPv6" && name.a === 0 && name.b === 0 && name.c === 0xffff
  return mapped ? ipv4(name.d) : name
}
