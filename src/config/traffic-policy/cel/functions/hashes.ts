// Checksums and hashes of a text's UTF-8, as functions (`hash.md5(s)`) and as methods (`s.md5()`).
import { celFunc, celMethod, CelScalar, type CelFunc } from "@bufbuild/cel"
import { createHash } from "node:crypto"
import { spend } from "../bounds.ts"
import { Refused } from "./refused.ts"

const { STRING } = CelScalar

/** The polynomial of ISO 3309 in its reversed form, as Go's hash/crc64 has it. */
const ISO = 0xd800000000000000n
const BITS_64 = 0xffffffffffffffffn

const crc64Table = Array.from({ length: 256 }, (_, byte) => {
  let crc = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ ISO : crc >> 1n
  return crc
})

function crc64(text: string): bigint {
  let crc = BITS_64
  for (const byte of Buffer.from(text)) crc = crc64Table[Number(crc & 0xffn) ^ byte]! ^ (crc >> 8n)
  return crc ^ BITS_64
}

const bytesOf = (number: bigint | number, digits: number) =>
  Buffer.from(number.toString(16).padStart(digits, "0"), "hex")
const digest = (algorithm: string) => (text: string) => createHash(algorithm).update(text).digest()

const HASHES: Readonly<Record<string, (text: string) => Buffer>> = {
  crc32: (text) => bytesOf(Bun.hash.crc32(text), 8),
  crc64: (text) => bytesOf(crc64(text), 16),
  md5: digest("md5"),
  sha1: digest("sha1"),
  sha256: digest("sha256"),
  sha512: digest("sha512"),
  xxhash64: (text) => bytesOf(Bun.hash.xxHash64(text), 16),
}

function hashed(name: string, of: (text: string) => Buffer, text: string, format: string): string {
  if (format !== "hex" && format !== "base64") throw new Refused(`${name}: the format of a hash is 'hex' or 'base64'`)
  spend(text.length >> (name === "crc64" ? 0 : 3))
  return of(text).toString(format)
}

export const HASHING: readonly CelFunc[] = Object.entries(HASHES).flatMap(([name, of]) => [
  celFunc(`hash.${name}`, [STRING], STRING, (text) => hashed(name, of, text, "hex")),
  celFunc(`hash.${name}`, [STRING, STRING], STRING, (text, format) => hashed(name, of, text, format)),
  celMethod(name, STRING, [], STRING, function () {
    return hashed(name, of, this, "hex")
  }),
  celMethod(name, STRING, [STRING], STRING, function (format) {
    return hashed(name, of, this, format)
  }),
])
