// Sets of IP addresses in typed arrays: 8 bytes for a range of IPv4, 32 for one of IPv6, asked by binary search. Built
// in small steps, so that whoever builds a large one can do other things in between.
import { formatIp, ipv4, type Ip } from "./address.ts"

/** 32,768 prefixes: a step of the building takes about a millisecond at most. */
const STEP = 32_768
/** 7/8: a table that overlaps have made smaller than that is copied, so that the rest of its memory is free again. */
const WASTE = 7 / 8
/** Room for the first ones; it doubles when it is full. */
const FIRST_ROOM = 16

/** Ranges that do not overlap, in order: range i is the words from i * width on, of the same place in both arrays. */
interface Ranges {
  readonly lows: Uint32Array
  readonly highs: Uint32Array
}

/** What a {@link TableBuilder} makes. */
export class AddressTable {
  private readonly v4: Ranges
  private readonly v6: Ranges

  constructor(v4: Ranges, v6: Ranges) {
    this.v4 = v4
    this.v6 = v6
  }

  contains(ip: Ip): boolean {
    return ip.family === "IPv4" ? containsV4(this.v4, ip.a) : containsV6(this.v6, ip)
  }

  /** The prefixes that the ranges consist of, in order, IPv4 first: as many texts, so nothing for large tables. */
  cidrs(): string[] {
    return [...prefixes(this.v4, 1), ...prefixes(this.v6, 4)]
  }
}

/** Collects prefixes, in any order, and makes a table of them. */
export class TableBuilder {
  private readonly v4 = new Prefixes(1)
  private readonly v6 = new Prefixes(4)

  /** How many were added. */
  get size(): number {
    return this.v4.count + this.v6.count
  }

  /**
   * Adds the addresses that have the first bits of this one. The others may be set and are ignored.
   * @param bits 0 to 32 for IPv4, 0 to 128 for IPv6
   */
  add(ip: Ip, bits: number): void {
    if (ip.family === "IPv4") this.v4.add(ip, bits)
    else this.v6.add(ip, bits)
  }

  /** Makes the table, a step at a time. Nothing may be added meanwhile. */
  *steps(): Generator<void, AddressTable> {
    const v4 = yield* this.v4.ranges()
    return new AddressTable(v4, yield* this.v6.ranges())
  }

  /** Makes the table at once. */
  table(): AddressTable {
    const steps = this.steps()
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  }
}

/** The prefixes of one family. */
class Prefixes {
  count = 0
  /** Words per address. */
  private readonly width: 1 | 4
  private words: Uint32Array
  private bits: Uint8Array

  constructor(width: 1 | 4) {
    this.width = width
    this.words = new Uint32Array(0)
    this.bits = new Uint8Array(0)
  }

  add(ip: Ip, bits: number): void {
    if (this.count === this.bits.length) this.grow()
    const at = this.count * this.width
    this.bits[this.count++] = bits
    this.words[at] = ip.a & mask(bits)
    if (this.width === 1) return
    this.words[at + 1] = ip.b & mask(bits - 32)
    this.words[at + 2] = ip.c & mask(bits - 64)
    this.words[at + 3] = ip.d & mask(bits - 96)
  }

  *ranges(): Generator<void, Ranges> {
    const { count, width } = this
    const order = yield* this.sorted()
    const lows = new Uint32Array(count * width)
    const highs = new Uint32Array(count * width)
    let end = 0
    for (let from = 0; from < count; from += STEP) {
      end = this.merge(order.subarray(from, from + STEP), lows, highs, end)
      yield
    }
    return end > lows.length * WASTE
      ? { lows: lows.subarray(0, end), highs: highs.subarray(0, end) }
      : { lows: lows.slice(0, end), highs: highs.slice(0, end) }
  }

  /** The order of the addresses, by a radix sort: byte by byte, the last one first. */
  private *sorted(): Generator<void, Uint32Array> {
    const { count, width } = this
    let order = new Uint32Array(count)
    for (let i = 0; i < count; i++) order[i] = i
    if (count < 2) return order
    const starts = new Uint32Array(width * 4 * 256)
    for (let from = 0; from < count; from += STEP) {
      this.countBytes(starts, from, Math.min(from + STEP, count))
      yield
    }
    let next = new Uint32Array(count)
    for (let byte = width * 4 - 1; byte >= 0; byte--) {
      const places = starts.subarray(byte * 256, byte * 256 + 256)
      // All alike: as most bytes of IPv6 networks are.
      if (places.includes(count)) continue
      let place = 0
      for (let value = 0; value < 256; value++) {
        const many = places[value]!
        places[value] = place
        place += many
      }
      for (let from = 0; from < count; from += STEP) {
        this.scatter(byte, order.subarray(from, from + STEP), next, places)
        yield
      }
      ;[order, next] = [next, order]
    }
    return order
  }

  private countBytes(counts: Uint32Array, from: number, to: number): void {
    const { width, words } = this
    for (let row = from; row < to; row++) {
      for (let w = 0; w < width; w++) {
        const word = words[row * width + w]!
        const at = w * 1024
        counts[at + (word >>> 24)]!++
        counts[at + 256 + ((word >>> 16) & 255)]!++
        counts[at + 512 + ((word >>> 8) & 255)]!++
        counts[at + 768 + (word & 255)]!++
      }
    }
  }

  private scatter(byte: number, rows: Uint32Array, next: Uint32Array, places: Uint32Array): void {
    const { width, words } = this
    const offset = byte >> 2
    const shift = 24 - (byte & 3) * 8
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      next[places[(words[row * width + offset]! >>> shift) & 255]!++] = row
    }
  }

  /** Appends rows to the ranges, which end at `end`; what overlaps becomes one. Gives the new end. */
  private merge(rows: Uint32Array, lows: Uint32Array, highs: Uint32Array, end: number): number {
    const { bits, width, words } = this
    let to = end
    for (let i = 0; i < rows.length; i++) {
      const at = rows[i]! * width
      const length = bits[rows[i]!]!
      for (let w = 0; w < width; w++) {
        lows[to + w] = words[at + w]!
        highs[to + w] = words[at + w]! | ~mask(length - w * 32)
      }
      if (to === 0 || compare(lows, to, highs, to - width, width) > 0) to += width
      else if (compare(highs, to, highs, to - width, width) > 0) highs.copyWithin(to - width, to, to + width)
    }
    return to
  }

  private grow(): void {
    const room = Math.max(FIRST_ROOM, this.count * 2)
    const { bits, words } = this
    this.bits = new Uint8Array(room)
    this.bits.set(bits)
    this.words = new Uint32Array(room * this.width)
    this.words.set(words)
  }
}

function containsV4({ highs, lows }: Ranges, address: number): boolean {
  let low = 0
  let high = lows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (lows[middle]! > address) high = middle
    else low = middle + 1
  }
  return low > 0 && highs[low - 1]! >= address
}

function containsV6({ highs, lows }: Ranges, ip: Ip): boolean {
  let low = 0
  let high = lows.length >>> 2
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareTo(lows, middle * 4, ip) > 0) high = middle
    else low = middle + 1
  }
  return low > 0 && compareTo(highs, low * 4 - 4, ip) >= 0
}

function compareTo(words: Uint32Array, at: number, ip: Ip): number {
  return words[at]! - ip.a || words[at + 1]! - ip.b || words[at + 2]! - ip.c || words[at + 3]! - ip.d
}

function compare(a: Uint32Array, at: number, b: Uint32Array, bt: number, width: number): number {
  for (let w = 0; w < width; w++) if (a[at + w] !== b[bt + w]) return a[at + w]! - b[bt + w]!
  return 0
}

/** The bits of a word that belong to a prefix of which this many bits are left. */
function mask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0
}

/** A range that came from prefixes which overlapped is one of them: prefixes either nest or are apart. */
function* prefixes({ highs, lows }: Ranges, width: 1 | 4): Generator<string> {
  for (let at = 0; at < lows.length; at += width) {
    let bits = 0
    for (let w = 0; w < width; w++) bits += Math.clz32(lows[at + w]! ^ highs[at + w]!)
    const ip: Ip =
      width === 1
        ? ipv4(lows[at]!)
        : { family: "IPv6", a: lows[at]!, b: lows[at + 1]!, c: lows[at + 2]!, d: lows[at + 3]! }
    yield `${formatIp(ip)}/${bits}`
  }
}
