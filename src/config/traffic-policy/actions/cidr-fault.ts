// What is wrong with a range of an IP policy or of `restrict-ips`: as strict as ngrok is, since a range that was written
// differently than it is read is a slip.
import { formatIp, parseIp, ipv4, ipv6, type Ip } from "../../../policy/address.ts"
import { CidrInvalid, parseCidr } from "../../../policy/cidr.ts"

export interface CidrFault {
  readonly message: string
  /** ngrok's number, without `ERR_NGROK_`. */
  readonly code: number
}

/** `undefined` for a range that is right: its lowest address, and the length of its prefix. */
export function cidrFault(text: string): CidrFault | undefined {
  const bare = parseIp(text)
  if (bare !== undefined) {
    const right = `${formatIp(bare)}/${width(bare)}`
    const message = `${JSON.stringify(text)} is an address, and no range; for this address alone write ${JSON.stringify(right)}`
    return { message, code: 1413 }
  }
  try {
    const { bits, ip } = parseCidr(text)
    const lowest = masked(ip, bits)
    if (isSame(lowest, ip)) return undefined
    const right = `${formatIp(lowest)}/${bits}`
    const message = `${JSON.stringify(text)} does not begin with the lowest address of its range; did you mean ${JSON.stringify(right)}?`
    return { message, code: 1409 }
  } catch (error) {
    if (!(error instanceof CidrInvalid)) throw error
    return { message: error.message, code: 2217 }
  }
}

/** The lowest address with these first bits. */
export function masked(ip: Ip, bits: number): Ip {
  if (ip.family === "IPv4") return ipv4(ip.a & mask(bits))
  return ipv6(ip.a & mask(bits), ip.b & mask(bits - 32), ip.c & mask(bits - 64), ip.d & mask(bits - 96))
}

function isSame(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.a === b.a && a.b === b.b && a.c === b.c && a.d === b.d
}

function width({ family }: Ip): number {
  return family === "IPv4" ? 32 : 128
}

function mask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}
