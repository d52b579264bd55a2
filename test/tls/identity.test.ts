// Certificates with their keys: what is read from them, and what is refused with which words.
import { expect, test } from "bun:test"
import { randomBytes, X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import { IdentityInvalid, parseIdentity, type Identity } from "../../src/tls/identity.ts"
import { authority, openssl, type Issued } from "../helper/certificates.ts"
import { CertsFolder } from "./certs-folder.ts"
import { random } from "../helper/random.ts"

const root = authority()

function parse(cert: string, key?: string, now?: Date): Identity {
  return parseIdentity({ file: "a.crt", text: cert }, key === undefined ? undefined : { file: "a.key", text: key }, now)
}

function refusal(cert: string, key?: string, now?: Date): string {
  try {
    parse(cert, key, now)
  } catch (error) {
    if (error instanceof IdentityInvalid) return `${error.file}: ${error.message}`
    throw error
  }
  return "accepted"
}

test("a pair gives its names, dates and numbers", () => {
  const names = ["A.Example.", "*.b.example", "under_score.example", "bad name", "f*.c.example", "1.2.3.4", "a.example"]
  const issued = root.issue({
    names,
    ips: ["2001:DB8:0::1", "10.0.0.1", "::ffff:1.2.3.4"],
    uris: ["spiffe://x/y"],
    subject: "/O=A, B/CN=x",
  })
  const identity = parse(issued.cert, issued.key)
  const certificate = new X509Certificate(issued.leaf)
  expect(identity).toEqual({
    id: identity.id,
    file: "a.crt",
    cert: issued.leaf,
    key: issued.key,
    names: ["a.example", "*.b.example", "under_score.example"],
    addresses: ["2001:db8::1", "10.0.0.1", "1.2.3.4"],
    algorithm: "ecdsa",
    subject: "CN=x,O=A\\, B",
    issuer: "CN=Test root",
    serial: issued.serial.toLowerCase(),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  })
  expect(identity.id).toMatch(/^[0-9a-f]{64}$/)
})

test("the common name counts only without any alternative names", () => {
  const bare = root.issue({ subject: "/CN=Bare.example" })
  expect(parse(bare.cert, bare.key).names).toEqual(["bare.example"])
  const mail = root.issue({ subject: "/CN=mail.example", emails: ["a@mail.example"] })
  expect(parse(mail.cert, mail.key).names).toEqual([])
  const none = root.issue({ subject: "/CN=Not a name" })
  expect(parse(none.cert, none.key).names).toEqual([])
})

test.each(["rsa", "ecdsa", "ed25519"] as const)("%s keys in every encoding make a usable pair", (algorithm) => {
  const { cert, key } = root.issue({ names: ["a.example"], algorithm })
  const forms = [key, key.replaceAll("\n", "\r\n"), `\uFEFFBag Attributes\n  friendlyName: x\n${key}\n# end`]
  if (algorithm === "rsa") forms.push(openssl(["rsa", "-traditional"], key))
  if (algorithm === "ecdsa") {
    const sec1 = openssl(["ec"], key)
    forms.push(sec1, openssl(["ecparam", "-name", "prime256v1"]) + sec1)
  }
  const expected = parse(cert, key)
  expect(expected.algorithm).toBe(algorithm)
  for (const form of forms) {
    expect(parse(cert, form)).toEqual(expected)
    expect(parse(form + cert)).toEqual(expected)
    expect(parse(cert + form, "the key beside it is not looked at")).toEqual(expected)
  }
  createSecureContext(expected)
})

test("a chain in any order, and with doubles, is put in order, and is the same identity", () => {
  const lower = root.intermediate("Upper").intermediate("Lower")
  const { cert, leaf, key } = lower.issue({ names: ["a.example"] })
  const expected = parse(cert, key)
  expect(expected.cert).toBe(cert)
  const [first, second, third] = cert.match(/-----BEGIN[^]*?END CERTIFICATE-----\n/g)!
  expect(first).toBe(leaf)
  expect(parse([third, second, first, second].join(""), key)).toEqual(expected)
  const stray = authority({ name: "Another root" }).cert
  expect(parse([stray, second, first, third].join(""), key).cert).toBe(cert + stray)
})

const good = root.issue({ names: ["a.example"] })
const other = root.issue({ names: ["a.example"], edition: 2 })
const DAY = 24 * 60 * 60 * 1000
const inDays = (days: number) => new Date(Date.now() + days * DAY)

test("dates are checked, and what is not valid yet says from when on it is", () => {
  expect(refusal(good.cert, good.key, inDays(100))).toMatch(
    /^a\.crt: the certificate expired on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
  )
  expect(refusal(good.cert, good.key, inDays(-2))).toMatch(/^a\.crt: the certificate is not valid before \d{4}-/)
  try {
    parse(good.cert, good.key, inDays(-2))
  } catch (error) {
    expect((error as IdentityInvalid).goodFrom).toEqual(new X509Certificate(good.leaf).validFromDate)
  }
  const expired = root.issue({ names: ["a.example"], from: -10, days: 9 })
  expect(refusal(expired.cert, expired.key)).toStartWith("a.crt: the certificate expired on ")
})

/** A certificate that signs itself, for a key that an authority of today would not sign. */
function selfSigned(key: string): string {
  using folder = new CertsFolder({ "odd.key": key })
  return openssl(["req", "-x509", "-new", "-key", folder.at("odd.key"), "-subj", "/CN=odd.example", "-days", "9"])
}

const generated = (...args: string[]) => openssl(["genpkey", "-algorithm", ...args])
const damaged = (pem: string) => pem.replace(/\n(.{30})/, (_, begin: string) => `\n${"A".repeat(begin.length)}`)

test.each<[string, () => [string, string?], string]>([
  ["an empty file", () => ["", good.key], "a.crt: there is no certificate in it; expected"],
  ["a key in place of a certificate", () => [good.key], "a.crt: there is no certificate in it, but PRIVATE KEY;"],
  ["a certificate alone", () => [good.cert], "a.crt: there is no private key in it;"],
  ["a certificate in place of a key", () => [good.cert, good.cert], "a.key: there is no private key in it;"],
  ["another key", () => [good.cert, other.key], "a.crt: the private key in a.key does not belong to the certificate"],
  ["another key inside", () => [good.cert + other.key], "a.crt: the private key in it does not belong"],
  ["two keys", () => [good.cert, good.key + other.key], "a.key: 2 private keys in it; expected one"],
  ["half a certificate", () => [good.cert.slice(0, 300), good.key], 'a.crt: a "BEGIN CERTIFICATE" without its'],
  ["half a key", () => [good.cert, good.key.slice(0, 60)], 'a.key: a "BEGIN PRIVATE KEY" without its'],
  ["a damaged certificate", () => [damaged(good.cert), good.key], "a.crt: the certificate in it cannot be read"],
  ["a damaged issuer", () => [good.cert + damaged(root.cert), good.key], "a.crt: certificate 2 in it cannot be read"],
  ["a damaged key", () => [good.cert, damaged(good.key)], "a.key: the private key cannot be read"],
  ["an encrypted key", () => [good.cert, encrypted("pkcs8", "-topk8")], "a.key: the private key is encrypted;"],
  ["a key encrypted as of old", () => [good.cert, encrypted("ec")], "a.key: the private key is encrypted;"],
  ["an SSH key", () => [good.cert, good.key.replaceAll("PRIVATE", "OPENSSH PRIVATE")], "a.key: an OPENSSH PRIVATE KEY"],
  ["a short RSA key", () => odd("RSA", "-pkeyopt", "rsa_keygen_bits:1024"), "a.key: an RSA key of 1024 bits; clients"],
  ["a curve of little use", () => odd("EC", "-pkeyopt", "ec_paramgen_curve:P-224"), "a.key: an ECDSA key on the curve"],
  [
    "a kind of key without TLS",
    () => odd("ED448"),
    "a.key: the private key cannot be read: it is damaged, or of a kind",
  ],
  [
    "a bundle of authorities",
    () => [root.cert.repeat(101), good.key],
    "a.crt: 101 certificates; a chain has at most 100",
  ],
  ["an authority", () => [root.cert, root.key], "a.crt: the certificate is not for TLS servers: its key usage lacks"],
])("%s is refused", (_, pair, expected) => {
  expect(refusal(...pair())).toStartWith(expected)
})

function encrypted(command: string, ...args: string[]): string {
  const cipher = command === "ec" ? ["-aes256"] : []
  return openssl([command, ...args, ...cipher, "-passout", "pass:secret"], good.key)
}

function odd(...args: string[]): [string, string] {
  const key = generated(...args)
  return [selfSigned(key), key]
}

test("arbitrary bytes, and certificates with arbitrary changes, are read or refused with the one error", () => {
  const { below, pick } = random(11)
  const pairs: Issued[] = [good, root.issue({ names: ["r.example"], algorithm: "rsa" })]
  const now = new Date()
  let accepted = 0
  for (let round = 0; round < 4000; round++) {
    const { cert, key } = pick(pairs)
    const change = (pem: string) => {
      const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64")
      for (let changes = below(3); changes > 0; changes--) der[below(der.length)] = below(256)
      const label = /BEGIN ([^-]+)/.exec(pem)![1]!
      return `-----BEGIN ${label}-----\n${der.subarray(0, der.length - below(2)).toString("base64")}\n-----END ${label}-----\n`
    }
    const text = below(10) === 0 ? randomBytes(below(300)).toString("latin1") : change(cert)
    if (refusal(text, below(4) === 0 ? change(key) : key, now) === "accepted") accepted++
  }
  expect(accepted).toBeGreaterThan(100)
})
