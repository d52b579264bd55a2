// Writes MaxMind DB files (https://maxmind.github.io/MaxMind-DB/, version 2.0): a search tree over the bits of addresses,
// whose leaves point to records. Only what the tests need of the format, and nothing checked: wrong files are of use too.
import type { Ip } from "../../src/policy/address.ts"
import { parseCidr } from "../../src/policy/cidr.ts"

/** What a record may hold; numbers are unsigned and have up to 32 bits. */
export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value } | Uint8Array

export interface Database {
  /** As `GeoLite2-City`. */
  readonly type: string
  /** Records by network, later ones within or in place of earlier ones. */
  readonly networks: Readonly<Record<string, Value>>
  /** 6: a tree for both families, with IPv4 at ::/96. @default 6 */
  readonly ipVersion?: 4 | 6
  /** Bits. @default 28 */
  readonly recordSize?: 24 | 28 | 32
  readonly builtAt?: Date
  /** Put in place of what belongs there. */
  readonly metadata?: Readonly<Record<string, Value>>
}

const MARKER = Buffer.from("abcdef4d61784d696e642e636f6d", "hex")
const SEPARATOR = Buffer.alloc(16)

export function mmdb(database: Database): Buffer {
  const { builtAt = new Date(0), ipVersion = 6, networks, recordSize = 28, type } = database
  const tree = new Tree(ipVersion)
  const data = new Data()
  for (const [network, value] of Object.entries(networks)) {
    const { bits, ip } = parseCidr(network)
    tree.insert(ip, bits, data.offsetOf(value))
  }
  const metadata = encode({
    binary_format_major_version: uint(5, 2, 2),
    binary_format_minor_version: uint(5, 0, 2),
    build_epoch: uint(9, Math.floor(builtAt.getTime() / 1000), 8),
    database_type: type,
    description: { en: "made by a test" },
    ip_version: uint(5, ipVersion, 2),
    languages: ["en"],
    node_count: tree.size,
    record_size: uint(5, recordSize, 2),
    ...database.metadata,
  })
  return Buffer.concat([tree.bytes(recordSize), SEPARATOR, data.bytes(), MARKER, metadata])
}

/** Nodes have two sides each: what follows a 0 bit, and a 1 bit. */
class Tree {
  /** Of each side: a node's number, -1 for nothing, or -2 - offset of a record. */
  private readonly sides: number[] = [-1, -1]
  private readonly ipVersion: 4 | 6

  constructor(ipVersion: 4 | 6) {
    this.ipVersion = ipVersion
  }

  get size(): number {
    return this.sides.length / 2
  }

  insert(ip: Ip, bits: number, record: number): void {
    const short = ip.family === "IPv4"
    const words = short ? (this.ipVersion === 4 ? [ip.a] : [0, 0, 0, ip.a]) : [ip.a, ip.b, ip.c, ip.d]
    const depth = short && this.ipVersion === 6 ? bits + 96 : bits
    let node = 0
    for (let bit = 0; bit < depth - 1; bit++) node = this.below(node * 2 + bitAt(words, bit))
    if (depth > 0) this.sides[node * 2 + bitAt(words, depth - 1)] = -2 - record
  }

  bytes(recordSize: 24 | 28 | 32): Buffer {
    const bytes = Buffer.alloc((this.size * recordSize) / 4)
    const record = (side: number) => (side >= 0 ? side : side === -1 ? this.size : this.size + 16 - 2 - side)
    for (let node = 0; node < this.size; node++) {
      const at = (node * recordSize) / 4
      const [left, right] = [record(this.sides[node * 2]!), record(this.sides[node * 2 + 1]!)]
      if (recordSize === 32) {
        bytes.writeUInt32BE(left, at)
        bytes.writeUInt32BE(right, at + 4)
        continue
      }
      bytes.writeUIntBE(left & 0xffffff, at, 3)
      bytes.writeUIntBE(right & 0xffffff, at + (recordSize === 24 ? 3 : 4), 3)
      if (recordSize === 28) bytes[at + 3] = ((left >>> 24) << 4) | (right >>> 24)
    }
    return bytes
  }

  /** The node on this side; a record that was there is on both of its sides then. */
  private below(side: number): number {
    const found = this.sides[side]!
    if (found >= 0) return found
    this.sides.push(found, found)
    return (this.sides[side] = this.size - 1)
  }
}

class Data {
  private readonly offsets = new Map<string, number>()
  private readonly parts: Buffer[] = []
  private length = 0

  /** What is equal is written once, names and texts too: the others point to it. */
  offsetOf(value: Value): number {
    const bytes = this.pointing(value)
    const id = bytes.toString("latin1")
    const known = this.offsets.get(id)
    if (known !== undefined) return known
    const offset = this.length
    this.offsets.set(id, offset)
    this.parts.push(bytes)
    this.length += bytes.length
    return offset
  }

  bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  private pointing(value: Value): Buffer {
    if (typeof value !== "object" || value instanceof Uint8Array) return encode(value)
    const inner = (one: Value) =>
      typeof one === "object" || typeof one === "string" ? pointer(this.offsetOf(one)) : encode(one)
    if (isList(value)) return Buffer.concat([control(11, value.length), ...value.map(inner)])
    const entries = Object.entries(value)
    return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, one]) => [inner(key), inner(one)])])
  }
}

/** A value; bytes are one that is encoded already. */
export function encode(value: Value): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value === "string") return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === "number") return uint(6, value, 4)
  if (typeof value === "boolean") return control(14, Number(value))
  if (isList(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, one]) => [encode(key), encode(one)])])
}

/** A pointer into the data section, of the longest kind. */
export function pointer(offset: number): Buffer {
  const bytes = Buffer.from([0b00111000, 0, 0, 0, 0])
  bytes.writeUInt32BE(offset, 1)
  return bytes
}

/** A number of a type that has `width` bytes at most. */
export function uint(type: number, value: number, width: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  const used = bytes.subarray(8 - width)
  const from = used.findIndex((byte) => byte !== 0)
  const digits = from < 0 ? Buffer.alloc(0) : used.subarray(from)
  return Buffer.concat([control(type, digits.length), digits])
}

function control(type: number, size: number): Buffer {
  const [code, ...more] = type > 7 ? [0, type - 7] : [type]
  if (size < 29) return Buffer.from([(code! << 5) | size, ...more])
  if (size < 285) return Buffer.from([(code! << 5) | 29, ...more, size - 29])
  const rest = size - 285
  return Buffer.from([(code! << 5) | 30, ...more, rest >> 8, rest & 255])
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function bitAt(words: readonly number[], bit: number): number {
  return (words[bit >> 5]! >>> (31 - (bit & 31))) & 1
}
