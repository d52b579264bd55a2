// What the system says of an address, as the rest of the program writes it.
import { ipv4, ipv6, type Ip } from "../policy/address.ts"
import type { SocketName } from "../native/socket.ts"

/** The address in its one form: an IPv4-mapped one is IPv4. */
export function ipOf(name: SocketName | undefined): Ip | undefined {
  if (name === undefined) return undefined
  return name.family === "IPv4" ? ipv4(name.a) : ipv6(name.a, name.b, name.c, name.d)
}
