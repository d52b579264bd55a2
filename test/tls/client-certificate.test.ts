// What policies see of the certificates that clients present.
import { expect, test } from "bun:test"
import { X509Certificate } from "node:crypto"
import { clientCertificate, MOST_ALTERNATIVE_NAMES } from "../../src/tls/client-certificate.ts"
import { CertificateInvalid } from "../../src/tls/x509.ts"
import { authority, openssl } from "../helper/certificates.ts"
import { random } from "../helper/random.ts"

const root = authority()
const workload = root.issue({
  subject: "/C=DE/O=Example, Inc/OU=db/CN=amy",
  names: ["amy.example", "x.example, DNS:evil"],
  ips: ["2001:DB8::1", "10.0.0.1"],
  emails: ["amy@example.com"],
  uris: ["spiffe://example.org/ns/a/sa/amy", "https://x.example/?a, DNS:evil"],
  usage: "client",
})
const der = (pem: string) => new Uint8Array(new X509Certificate(pem).raw)

test("a workload's certificate is plain, frozen data", async () => {
  const certificate = new X509Certificate(workload.leaf)
  const seen = await clientCertificate(certificate)
  expect(seen).toEqual({
    subject: "CN=amy,OU=db,O=Example\\, Inc,C=DE",
    issuer: "CN=Test root",
    commonName: "amy",
    sans: {
      dns: ["amy.example", "x.example, DNS:evil"],
      ip: ["2001:db8::1", "10.0.0.1"],
      email: ["amy@example.com"],
      uri: ["spiffe://example.org/ns/a/sa/amy", "https://x.example/?a, DNS:evil"],
    },
    serial: workload.serial.toLowerCase(),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint: openssl(["x509", "-noout", "-fingerprint", "-sha256"], workload.leaf)
      .replace(/^.*=/, "")
      .replaceAll(/[:\n]/g, "")
      .toLowerCase(),
  })
  for (const part of [seen, seen.sans, ...Object.values(seen.sans)]) expect(Object.isFrozen(part)).toBe(true)
  expect(await clientCertificate(der(workload.leaf))).toEqual(seen)
  expect(JSON.parse(JSON.stringify(seen))).toEqual({
    ...seen,
    notBefore: seen.notBefore.toISOString(),
    notAfter: seen.notAfter.toISOString(),
  })
})

test("what one policy does to a date, no other sees", async () => {
  const { notAfter } = await clientCertificate(der(workload.leaf))
  const expected = notAfter.getTime()
  notAfter.setFullYear(2100)
  expect((await clientCertificate(der(workload.leaf))).notAfter.getTime()).toBe(expected)
})

test("a certificate without alternative names has none", async () => {
  const { sans, commonName } = await clientCertificate(der(root.issue({ subject: "/CN=bob" }).leaf))
  expect({ sans, commonName }).toEqual({ sans: { dns: [], ip: [], email: [], uri: [] }, commonName: "bob" })
})

test("ten thousand alternative names are cut", async () => {
  const names = Array.from({ length: 7000 }, (_, i) => `n${i}.x`)
  const { sans } = await clientCertificate(der(root.issue({ names }).leaf))
  expect(sans.dns).toEqual(names.slice(0, MOST_ALTERNATIVE_NAMES))
})

test("what cannot be read is a rejection that says so", async () => {
  const unreadable = root.issue({ subject: "/CN=x", extensions: "subjectAltName=DER:30:05:82:03:61" })
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(), "the client's certificate cannot be read"],
    [new Uint8Array(50).fill(0x30), "the client's certificate cannot be read"],
    [new Uint8Array(200_000), "the client's certificate has 200000 bytes; at most 102400 are read"],
    [der(unreadable.leaf), "the subject alternative names of the certificate cannot be read"],
  ]
  for (const [bytes, message] of cases) {
    const error = await clientCertificate(bytes).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(CertificateInvalid)
    expect((error as Error).message).toBe(message)
  }
})

test("certificates with arbitrary changes are read or rejected with the one error", async () => {
  const { below } = random(13)
  const original = der(workload.leaf)
  let read = 0
  for (let round = 0; round < 5000; round++) {
    const bytes = original.slice(0, original.length - (below(10) === 0 ? below(original.length) : 0))
    for (let changes = 1 + below(4); changes > 0; changes--) bytes[below(bytes.length)] = below(256)
    try {
      JSON.stringify(await clientCertificate(bytes))
      read++
    } catch (error) {
      expect(error).toBeInstanceOf(CertificateInvalid)
    }
  }
  expect(read).toBeGreaterThan(100)
})

test("what a TLS socket has of its client is taken as it is", async () => {
  const server = root.issue({ names: ["localhost"] })
  const { promise, resolve } = Promise.withResolvers<X509Certificate>()
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: server.cert, key: server.key, ca: root.cert, requestCert: true },
    socket: {
      handshake: (socket) => resolve((socket as unknown as PeerSocket).getPeerX509Certificate()),
      data() {},
    },
  })
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    tls: { cert: workload.cert, key: workload.key, ca: root.cert, serverName: "localhost" },
    socket: { data() {} },
  })
  const seen = await clientCertificate(await promise)
  expect(seen).toEqual(await clientCertificate(der(workload.leaf)))
  client.terminate()
  listener.stop(true)
})

interface PeerSocket {
  getPeerX509Certificate(): X509Certificate
}
