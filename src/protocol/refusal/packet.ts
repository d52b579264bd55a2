// Writing what refusals consist of.

const encoder = new TextEncoder()

/** The parts one after another: text as UTF-8, numbers as one byte each. */
export function packet(...parts: readonly (string | readonly number[] | Uint8Array)[]): Uint8Array {
  const pieces = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part))
  const bytes = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

export function be16(value: number): number[] {
  return [(value >>> 8) & 255, value & 255]
}

export function be32(value: number): number[] {
  return [...be16(value >>> 16), ...be16(value)]
}

/** Seven bits per byte, the lowest first, as MQTT and Minecraft write lengths. */
export function variable(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...variable(value >>> 7)]
}
