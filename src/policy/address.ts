// IP addresses as values: parsed strictly, normalised once, compared as numbers.
// Pure: runs on Bun and Deno, does no I/O.
import { formatIpv4, formatIpv6, ipv6Groups, parseIpv4, word } from "../protocol/ip.ts"

export { parseIpv4 }

/** An IP address. IPv4 uses `a` alone; IPv6 is four unsigned 32-bit words, most significant first. */
export interface Ip {
  readonly family: "IPv4" | "IPv6"
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

export function ipv4(a: number): Ip {
  return { family: "IPv4", a: a >>> 0, b: 0, c: 0, d: 0 }
}

/** An IPv6 address, or the IPv4 address that it maps (`::ffff:0:0/96`, RFC 4291 section 2.5.5.2). */
export function ipv6(a: number, b: number, c: number, d: number): Ip {
  if (a === 0 && b === 0 && c === 0xffff) return ipv4(d)
  return { family: "IPv6", a: a >>> 0, b: b >>> 0, c: c >>> 0, d: d >>> 0 }
}

/** Reads the text forms of RFC 4291 section 2.2, without brackets and without a zone. */
export function parseIpv6(text: string): Ip | undefined {
  const groups = ipv6Groups(text)
  return groups === undefined ? undefined : ipv6(word(groups, 0), word(groups, 1), word(groups, 2), word(groups, 3))
}

/** Reads an address literal of either family; `undefined` for anything else, a name or a zone included. */
export function parseIp(text: string): Ip | undefined {
  if (text.includes(":")) return parseIpv6(text)
  const address = parseIpv4(text)
  return address === undefined ? undefined : ipv4(address)
}

/** Writes an address in its one normal form: dotted quad, or RFC 5952 lower case. */
export function formatIp(ip: Ip): string {
  if (ip.family === "IPv4") return formatIpv4(ip.a)
  return formatIpv6(ip.a, ip.b, ip.c, ip.d)
}

/** `address:port` as in a URL: IPv6 in brackets. */
export function formatHostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

/** Link-local: 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291 section 2.5.6). */
export function isLinkLocal(ip: Ip): boolean {
  return ip.family === "IPv4" ? ip.a >>> 16 === 0xa9fe : ip.a >>> 22 === 0x3fa
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(ip: Ip): boolean {
  return ip.family === "IPv4" ? ip.a >>> 24 === 127 : ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 1
}

/** 0.0.0.0 and ::, which connect to this machine. */
export function isUnspecified(ip: Ip): boolean {
  return ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 0
}
