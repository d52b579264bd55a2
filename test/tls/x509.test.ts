// Alternative names and distinguished names: what node:crypto writes is read back as what is in the certificate, held
// against a parser of the bytes themselves.
import "reflect-metadata"
import { expect, test } from "bun:test"
import { generateKeyPairSync, X509Certificate } from "node:crypto"
import { Extension, SubjectAlternativeNameExtension, X509CertificateGenerator, type JsonName } from "@peculiar/x509"
import { formatIp, parseIp } from "../../src/policy/address.ts"
import {
  alternativeNames,
  CertificateInvalid,
  commonName,
  distinguishedName,
  parseAlternativeNames,
} from "../../src/tls/x509.ts"
import { openssl } from "../helper/certificates.ts"
import { random } from "../helper/random.ts"

const EC = { name: "ECDSA", namedCurve: "P-256" } as const
const pair = generateKeyPairSync("ec", { namedCurve: "P-256" })
const publicKey = Uint8Array.from(pair.publicKey.export({ type: "spki", format: "der" }))
const signingKey = pair.privateKey.toCryptoKey(EC, false, ["sign"])

async function forge(extensions: Extension[], subject: JsonName = []): Promise<X509Certificate> {
  const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" }
  const made = await X509CertificateGenerator.create({ subject, publicKey, signingKey, signingAlgorithm, extensions })
  return new X509Certificate(new Uint8Array(made.rawData))
}

const bare = (hex: string) => new Extension("2.5.29.17", false, Buffer.from(hex, "hex"))

test("names with commas, quotes, line breaks and whatever else stay one name each", async () => {
  const { below, pick, text } = random(3)
  const pieces = [
    "a",
    "DNS:evil",
    ", ",
    ",",
    '"',
    "\\",
    "'",
    "\n",
    "\0",
    "\\u002c",
    "\u00e9",
    ".",
    ": ",
    "IP Address:1.1.1.1",
  ]
  const kinds = { dns: "dns", url: "uri", email: "email" } as const
  for (let round = 0; round < 400; round++) {
    const entries = Array.from({ length: below(5) }, () => {
      const type = pick(Object.keys(kinds) as (keyof typeof kinds)[])
      return { type, value: text(pieces, 5).replaceAll(/[\u0100-\uffff]/g, "?") }
    })
    const certificate = await forge([new SubjectAlternativeNameExtension(entries)])
    const expected = { dns: [] as string[], ip: [], email: [] as string[], uri: [] as string[] }
    for (const { type, value } of entries) expected[kinds[type]].push(value)
    expect(alternativeNames(certificate, 1000)).toEqual(expected)
  }
})

test("addresses are in their normal form, and names of other kinds are left out", async () => {
  const addresses = ["10.0.0.1", "2001:db8::1", "::", "::ffff:102:304", "fe80::1:0:0:1"]
  const certificate = await forge([
    new SubjectAlternativeNameExtension([
      { type: "upn", value: "DNS:evil" },
      ...addresses.map((value) => ({ type: "ip", value }) as const),
      { type: "id", value: "1.2.3" },
      { type: "dn", value: "CN=a\\, DNS:evil" },
      { type: "dns", value: "last.example" },
    ]),
  ])
  const ip = addresses.map((address) => formatIp(parseIp(address)!))
  expect(alternativeNames(certificate, 1000)).toEqual({ dns: ["last.example"], ip, email: [], uri: [] })
  expect(alternativeNames(certificate, 3)?.ip).toHaveLength(2)
})

test("no alternative names, an empty list, and names that are no address", async () => {
  expect(alternativeNames(await forge([]), 9)).toBeUndefined()
  const none = { dns: [], ip: [], email: [], uri: [] }
  expect(alternativeNames(await forge([bare("3000")]), 9)).toEqual(none)
  expect(alternativeNames(await forge([bare("3003870101")]), 9)).toEqual(none)
})

test("alternative names that BoringSSL cannot read, or that are there twice, are no names at all, and refused", async () => {
  for (const hex of ["30", "ff", "3005820361", "300382ff61", "30038200", "3007a0050603550403"]) {
    const certificate = await forge([bare(hex)])
    expect(() => alternativeNames(certificate, 9)).toThrow(CertificateInvalid)
  }
  const twice = await forge([bare("3003820161"), bare("3003820162")])
  expect(() => alternativeNames(twice, 9)).toThrow(CertificateInvalid)
})

test.each(['DNS:"a', "DNS:a,DNS:b", "DNS:a, ", 'DNS:a"b"', ", DNS:a", "DNS", 'DNS:"\\x"', "DNS:a\\", 'DNS:"a" b'])(
  "the text %j is refused or has no second name",
  (text) => {
    try {
      expect(parseAlternativeNames(text, 9).dns).toEqual(["a\\"])
    } catch (error) {
      expect(error).toBeInstanceOf(CertificateInvalid)
    }
  },
)

test("distinguished names are as OpenSSL writes them", async () => {
  const { below, text } = random(5)
  const pieces = ["a", "=", ",", "+", " ", " + ", "\n", "\\", '"', "#", "<", ">", ";", "\u00e9", "\u4e2d", "CN=evil"]
  const value = () => `${text(pieces, 5).replaceAll(/[\ud800-\udfff]/g, "?")}.`
  for (let round = 0; round < 60; round++) {
    const last = [`${below(9)}${value()}`]
    const certificate = await forge([], [
      { C: ["DE"] },
      { O: [{ utf8String: value() }], OU: [{ utf8String: value() }] },
      { CN: [{ utf8String: value() }] },
      { CN: [{ utf8String: last[0]! }] },
    ] as unknown as JsonName)
    const form = ["x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8"]
    const expected = openssl(form, certificate.toString())
      .replace(/^subject=/, "")
      .replace(/\n$/, "")
    expect(distinguishedName(certificate.subject)).toBe(expected)
    expect(commonName(certificate.subject)).toBe(last[0])
  }
})

test("a certificate without a subject has an empty name", async () => {
  const { subject } = await forge([])
  expect([distinguishedName(subject), commonName(subject)]).toEqual(["", undefined])
})
