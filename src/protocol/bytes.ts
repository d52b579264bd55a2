// Reading from the first bytes of a connection. Nothing here throws: what lies past the end reads as zero, and a
// parser asks for the length before it believes a value.

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

export function u16le(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

export function u24(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 16) | u16(bytes, at + 1)
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0
}

export function u32le(bytes: Uint8Array, at: number): number {
  return (u16le(bytes, at) | (u16le(bytes, at + 2) << 16)) >>> 0
}

/** Whether the bytes from `at` begin with `magic` (one character is one byte); `"more"` while they are a prefix of it. */
export function begins(bytes: Uint8Array, magic: string, at = 0): boolean | "more" {
  for (let i = 0; i < magic.length; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) return "more"
    if (byte !== magic.charCodeAt(i)) return false
  }
  return true
}

/** Whether every byte from `from` to `to` is in `low` to `high`. */
export function within(bytes: Uint8Array, from: number, to: number, low: number, high: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0
    if (byte < low || byte > high) return false
  }
  return true
}

/** One character per byte, so that nothing is lost and ASCII compares as it looks. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = ""
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at] ?? 0)
  return text
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** UTF-8, where what is not UTF-8 becomes U+FFFD. */
export function utf8(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, to))
}

export function hex(bytes: Uint8Array, from: number, to: number): string {
  let text = ""
  for (let at = from; at < to; at++) text += (bytes[at] ?? 0).toString(16).padStart(2, "0")
  return text
}
