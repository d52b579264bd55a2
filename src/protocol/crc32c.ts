// CRC32c (RFC 4960 appendix B), which PROXY headers may carry.

/** The Castagnoli polynomial, its bits reversed. */
const POLYNOMIAL = 0x82f63b78

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
  return value
})

/** The checksum of the first `length` bytes, four of which, from `field`, are its own place and count as zeros. */
export function crc32c(bytes: Uint8Array, length: number, field: number): number {
  let crc = 0xffffffff
  for (let at = 0; at < length; at++) {
    const byte = at >= field && at < field + 4 ? 0 : (bytes[at] ?? 0)
    crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8)
  }
  return ~crc >>> 0
}
