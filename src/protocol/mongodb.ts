// MongoDB: the first message of a client, OP_MSG or, of old drivers, OP_QUERY (MongoDB Wire Protocol).
import { latin1, u32le, within } from "./bytes.ts"

/** The first command of a MongoDB client. */
export interface Mongodb {
  readonly protocol: "mongodb"
  /** As sent: `"hello"`, `"isMaster"`. */
  readonly command: string
}

const OP_QUERY = 2004
const OP_MSG = 2013
/** Length, request, response to, operation: four numbers. */
const HEADER = 16
/** A header, the flags and the smallest document. */
const SHORTEST = 26
/** 16 KiB: a first message is a handshake of some 300 bytes; `maxMessageSizeBytes` would be 48 MB. */
const LONGEST = 16_384
/** 64 bytes each: `admin.$cmd`, and the names of the handshake's commands. */
const LONGEST_NAME = 64
/** Types of BSON that a command's value has: double, string, int32, int64, boolean. */
const VALUE_TYPES = new Set([0x01, 0x02, 0x10, 0x12, 0x08])

export function mongodb(bytes: Uint8Array): Mongodb | "more" | undefined {
  if (bytes.length > 3 || bytes[2] !== undefined) {
    // The length's upper half is zero below LONGEST.
    if (bytes[2] !== 0 || (bytes[3] ?? 0) !== 0) return undefined
  }
  if (bytes.length < 4) return "more"
  const length = u32le(bytes, 0)
  if (length < SHORTEST || length > LONGEST) return undefined
  // No first message answers another.
  if (!within(bytes, 8, Math.min(bytes.length, 12), 0, 0)) return undefined
  if (bytes.length < HEADER) return "more"
  const operation = u32le(bytes, 12)
  if (operation !== OP_MSG && operation !== OP_QUERY) return undefined
  // OP_MSG: flags (4), kind of section (1). OP_QUERY: flags (4), collection, zero byte, skip (4), limit (4).
  let document = HEADER + 5
  if (operation === OP_QUERY) {
    const collectionEnd = nameEnd(bytes, HEADER + 4)
    if (typeof collectionEnd !== "number") return collectionEnd
    document = collectionEnd + 9
  } else if (bytes.length > HEADER + 4 && bytes[HEADER + 4] !== 0) return undefined
  return firstName(bytes, document, length)
}

/** A document is its length (4), then elements of type (1), name, zero byte and value. */
function firstName(bytes: Uint8Array, document: number, length: number): Mongodb | "more" | undefined {
  if (bytes.length < document + 5) return "more"
  const size = u32le(bytes, document)
  if (size < 5 || document + size > length || !VALUE_TYPES.has(bytes[document + 4]!)) return undefined
  const end = nameEnd(bytes, document + 5)
  if (typeof end !== "number") return end
  return { protocol: "mongodb", command: latin1(bytes, document + 5, end) }
}

/** The end of a name in printable ASCII. */
function nameEnd(bytes: Uint8Array, from: number): number | "more" | undefined {
  const end = bytes.indexOf(0, from)
  const to = end < 0 ? bytes.length : end
  if (to - from > LONGEST_NAME || !within(bytes, from, to, 0x21, 0x7e)) return undefined
  if (end < 0) return "more"
  return end > from ? end : undefined
}
