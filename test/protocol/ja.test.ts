import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  isGrease,
  ja3,
  ja3Text,
  ja4,
  ja4Alpn,
  ja4Hash,
  ja4Original,
  ja4Raw,
  type Fingerprinted,
} from "../../src/protocol/ja.ts"
import { fromHex, vectors } from "./vectors.ts"

const bare: Fingerprinted = {
  legacyVersion: 0x0303,
  supportedVersions: [],
  cipherSuites: [],
  extensions: [],
  groups: [],
  pointFormats: [],
  signatureAlgorithms: [],
  alpn: [],
}
const numbers = (list: string) => (list === "" ? [] : list.split(",").map((value) => Number.parseInt(value, 16)))

test("the example of JA4.md", () => {
  const example: Fingerprinted = {
    ...bare,
    supportedVersions: [0x0303, 0x0304],
    cipherSuites: numbers("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"),
    extensions: numbers("001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"),
    signatureAlgorithms: numbers("0403,0804,0401,0503,0805,0501,0806,0601"),
    alpn: ["h2"],
  }
  expect(ja4(example)).toBe("t13d1516h2_8daaf6152771_e5627efa2ab1")
  expect(ja4Original(example)).toBe("t13d1516h2_acb858a92679_18f69afefd3d")
  expect(ja4Hash(ja4Raw({ ...example, signatureAlgorithms: [] }).split("_")[2]!)).toBe("6d807ffa2a79")
})

test("nothing to hash is zeros, and counts end at 99", () => {
  expect(ja4(bare)).toBe("t12i000000_000000000000_000000000000")
  expect(ja4({ ...bare, extensions: [0, 16] })).toBe("t12d000200_000000000000_000000000000")
  expect(ja4({ ...bare, cipherSuites: Array.from({ length: 100 }, (_, i) => i) })).toStartWith("t12i990000_")
})

test.each([
  [0x0300, "s3"],
  [0x0302, "11"],
  [0x0305, "00"],
])("version %d is %s", (legacyVersion, code) => {
  expect(ja4({ ...bare, legacyVersion }).slice(1, 3)).toBe(code)
})

test("JA3 has five fields, of which any may be empty", () => {
  expect(ja3Text(bare)).toBe("771,,,,")
  expect(ja3({ ...bare, legacyVersion: 769, cipherSuites: [49169, 57, 4] })).toBe("a471a243929edb6640fff17325ed585f")
})

interface Rules {
  readonly alpn: readonly { readonly alpn_first_hex: string | null; readonly expected: string }[]
  readonly hash_steps: readonly { readonly string: string; readonly expected: string }[]
  readonly grease: { readonly grease: readonly number[]; readonly not_grease: readonly number[] }
  readonly raw_to_hash: readonly { readonly raw: string; readonly expected: string }[]
  readonly ja3_string_to_md5: { readonly rows: readonly (readonly [string, string])[] }
}
const rules = vectors<Rules>("ja4-rules.json")

describe.skipIf(rules === undefined)("the rules", () => {
  test("the characters of ALPN", () => {
    for (const { alpn_first_hex: hex, expected } of rules!.alpn) {
      const first = hex === null ? undefined : String.fromCharCode(...fromHex(hex))
      expect([hex, ja4Alpn(first)]).toEqual([hex, expected])
    }
  })

  test("the hashes of lists", () => {
    for (const { string, expected } of rules!.hash_steps) expect(ja4Hash(string)).toBe(expected)
  })

  test("a raw fingerprint and its hash", () => {
    for (const { raw, expected } of rules!.raw_to_hash) {
      const [start, ciphers, ...extensions] = raw.split("_")
      expect(`${start}_${ja4Hash(ciphers!)}_${ja4Hash(extensions.join("_"))}`).toBe(expected)
    }
  })

  test("GREASE", () => {
    expect(rules!.grease.grease.filter((value) => !isGrease(value))).toEqual([])
    expect(rules!.grease.not_grease.filter(isGrease)).toEqual([])
  })

  test("JA3 texts", () => {
    for (const [text, md5] of rules!.ja3_string_to_md5.rows) {
      const [version, ...lists] = text.split(",")
      const [cipherSuites, extensions, groups, pointFormats] = lists.map((list) =>
        list.split("-").filter(Boolean).map(Number),
      )
      const made = { ...bare, legacyVersion: Number(version), cipherSuites, extensions, groups, pointFormats }
      expect(ja3(made as Fingerprinted)).toBe(md5)
      expect(
        createHash("md5")
          .update(ja3Text(made as Fingerprinted))
          .digest("hex"),
      ).toBe(md5)
    }
  })
})
