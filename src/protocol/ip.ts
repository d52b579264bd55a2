// IP addresses as text: strict dotted quads, and the forms of RFC 4291. A word is unsigned and has 32 bits; IPv4 is one,
// IPv6 is four, most significant first.

const DOT = 46
const COLON = 58

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

/**
 * Reads the text forms of RFC 4291 section 2.2, without brackets and without a zone, as eight groups. They are there
 * until the next call.
 */
export function ipv6Groups(text: string): Uint16Array | undefined {
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
  return groups
}

/** The nth word of an address in groups. */
export function word(groups: Uint16Array, nth: number): number {
  return ((groups[nth * 2]! << 16) | groups[nth * 2 + 1]!) >>> 0
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** A dotted quad. */
export function formatIpv4(a: number): string {
  return `${a >>> 24}.${(a >>> 16) & 255}.${(a >>> 8) & 255}.${a & 255}`
}

/** RFC 5952: lower case, the longest run of zeros left out; an IPv4-mapped address ends in a dotted quad (section 5). */
export function formatIpv6(a: number, b: number, c: number, d: number): string {
  if (a === 0 && b === 0 && c === 0xffff) return `::ffff:${formatIpv4(d)}`
  const words = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff, c >>> 16, c & 0xffff, d >>> 16, d & 0xffff]
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
