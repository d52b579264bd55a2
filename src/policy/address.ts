// IP addresses as values: parsed strictly, normalised once, compared as numbers.
// Pure: runs on Bun and Deno, does no I/O.

/** An IP address. IPv4 uses `a` alone; IPv6 is four unsigned 32-bit words, most significant first. */
export interface Ip {
  readonly family: "IPv4" | "IPv6"
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

const DOT = 46
const COLON = 58

export function ipv4(a: number): Ip {
  return { family: "IPv4", a: a >>> 0, b: 0, c: 0, d: 0 }
}

/** An IPv6 address, or the IPv4 address that it maps (`::ffff:0:0/96`, RFC 4291 section 2.5.5.2). */
export function ipv6(a: number, b: number, c: number, d: number): Ip {
  if (a === 0 && b === 0 && c === 0xffff) return ipv4(d)
  return { family: "IPv6", a: a >>> 0, b: b >>> 0, c: c >>> 0, d: d >>> 0 }
}

/** Reads a strict dotted quad: four decimal parts without leading zeros. `127.1`, `010.0.0.1` and `2130706433` are not addresses. */
export function parseIpv4(text: string): number | undefined {
  const length = text.length
  if (length < 7 || length > 15) return undefined
  let address = 0
  let part = -1
  let parts = 0
  for (let i = 0; i <= length; i++) {
    const code = i === length ? 46 : text.charCodeAt(i)
    if (code === 46) {
      if (part < 0 || ++parts > 4) return undefined
      address = address * 256 + part
      part = -1
    } else {
      const digit = code - 48
      if (digit < 0 || digit > 9 || part === 0) return undefined
      part = part < 0 ? digit : part * 10 + digit
      if (part > 255) return undefined
    }
  }
  return parts === 4 ? address : undefined
}

/** The groups of the address that is being read: one at a time is, and a list has millions. */
const groups = new Uint16Array(8)

/** Reads the text forms of RFC 4291 section 2.2, without brackets and without a zone. */
export function parseIpv6(text: string): Ip | undefined {
  const length = text.length
  if (length < 2 || length > 45) return undefined
  let count = 0
  /** How many groups stand before "::". */
  let gap = -1
  let at = 0
  if (text.startsWith("::")) {
    gap = 0
    at = 2
  }
  while (at < length) {
    const start = at
    let value = 0
    let digit = 0
    while (at < length && (digit = hexDigit(text.charCodeAt(at))) >= 0) {
      value = value * 16 + digit
      at++
    }
    if (at === start || count === 8) return undefined
    const ended = at === length ? -1 : text.charCodeAt(at)
    if (ended === DOT) {
      const address = parseIpv4(text.slice(start))
      if (address === undefined || count > 6) return undefined
      groups[count++] = address >>> 16
      groups[count++] = address & 0xffff
      break
    }
    if (at - start > 4) return undefined
    groups[count++] = value
    if (ended < 0) break
    if (ended !== COLON || ++at === length) return undefined
    if (text.charCodeAt(at) !== COLON) continue
    if (gap >= 0) return undefined
    gap = count
    at++
  }
  if (gap < 0 ? count !== 8 : count > 7) return undefined
  if (gap >= 0) {
    groups.copyWithin(8 - count + gap, gap, count)
    groups.fill(0, gap, 8 - count + gap)
  }
  return ipv6(word(0), word(2), word(4), word(6))
}

function word(group: number): number {
  return ((groups[group]! << 16) | groups[group + 1]!) >>> 0
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** Reads an address literal of either family; `undefined` for anything else, a name or a zone included. */
export function parseIp(text: string): Ip | undefined {
  if (text.includes(":")) return parseIpv6(text)
  const address = parseIpv4(text)
  return address === undefined ? undefined : ipv4(address)
}

/** Writes an address in its one normal form: dotted quad, or RFC 5952 lower case. */
export function formatIp(ip: Ip): string {
  if (ip.family === "IPv4") return `${ip.a >>> 24}.${(ip.a >>> 16) & 255}.${(ip.a >>> 8) & 255}.${ip.a & 255}`
  const words = [
    ip.a >>> 16,
    ip.a & 0xffff,
    ip.b >>> 16,
    ip.b & 0xffff,
    ip.c >>> 16,
    ip.c & 0xffff,
    ip.d >>> 16,
    ip.d & 0xffff,
  ]
  // The longest run of at least two zero groups becomes "::", the first one on a tie (RFC 5952 section 4.2).
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && words[end] === 0) end++
    if (end - i > length) {
      start = i
      length = end - i
    }
    if (end > i) i = end
  }
  const hex = words.map((word) => word.toString(16))
  if (start < 0) return hex.join(":")
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`
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
