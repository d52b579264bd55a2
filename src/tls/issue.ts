// Makes certificates: an authority of its own, and what it signs. Never imported statically: the library behind it takes
// 50 ms and 23 MB, which only `--dev-certificates` needs.
import "reflect-metadata"
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type JsonName,
} from "@peculiar/x509"

const EC = { name: "ECDSA", namedCurve: "P-256" } as const
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const
/** 64 characters: the longest common name that X.509 allows (RFC 5280, ub-common-name). */
const LONGEST_COMMON_NAME = 64
/** An hour earlier: the clocks of clients are not ours. */
const SLACK = 60 * 60 * 1000
const DAY = 24 * 60 * 60 * 1000

/** PEM texts. */
export interface CertifiedKey {
  readonly cert: string
  readonly key: string
}

export interface Wanted {
  readonly names: readonly string[]
  readonly addresses: readonly string[]
  readonly days: number
}

/** A new P-256 key as PKCS#8 PEM. */
export function makeKey(): string {
  return pem(generateKeyPairSync("ec", { namedCurve: EC.namedCurve }).privateKey)
}

/** The certificate of an authority for a P-256 key: signs certificates for servers, and no further authorities. */
export async function makeAuthority(key: string, commonName: string, days: number): Promise<string> {
  const now = Date.now()
  const publicKey = spki(createPublicKey(key))
  const name = nameOf(commonName)
  const certificate = await X509CertificateGenerator.create({
    subject: name,
    issuer: name,
    publicKey,
    signingKey: signingKey(key),
    signingAlgorithm: SIGNATURE,
    notBefore: new Date(now - SLACK),
    notAfter: new Date(now + days * DAY),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  })
  return `${certificate.toString("pem")}\n`
}

/** A key and a certificate for servers, signed by the authority; it ends no later than the authority. */
export async function issue(authority: CertifiedKey, { names, addresses, days }: Wanted): Promise<CertifiedKey> {
  const issuer = new X509Certificate(authority.cert)
  const key = makeKey()
  const publicKey = spki(createPublicKey(key))
  const now = Date.now()
  const certificate = await X509CertificateGenerator.create({
    subject: nameOf(names[0] ?? addresses[0] ?? ""),
    issuer: issuer.subjectName,
    publicKey,
    signingKey: signingKey(authority.key),
    signingAlgorithm: SIGNATURE,
    notBefore: new Date(now - SLACK),
    notAfter: new Date(Math.min(now + days * DAY, issuer.notAfter.getTime())),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: "dns", value }) as const),
        ...addresses.map((value) => ({ type: "ip", value }) as const),
      ]),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { cert: `${certificate.toString("pem")}\n`, key }
}

/** As data, so that nothing in the text is taken for the syntax of names. */
function nameOf(commonName: string): JsonName {
  return [{ CN: [commonName.slice(0, LONGEST_COMMON_NAME)] }]
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string
}

function spki(key: KeyObject): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(key.export({ type: "spki", format: "der" }))
}

function signingKey(key: string) {
  return createPrivateKey(key).toCryptoKey(EC, false, ["sign"])
}
