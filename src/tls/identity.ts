// A certificate with its private key, as a server presents it: read from PEM texts and checked once, so that no
// connection has to.
import { createHash, createPrivateKey, X509Certificate, type KeyObject } from "node:crypto"
import { createSecureContext } from "node:tls"
import { isHostName } from "../policy/target.ts"
import { PemInvalid, pemBlocks, type PemBlock } from "./pem.ts"
import { alternativeNames, CertificateInvalid, commonName, distinguishedName } from "./x509.ts"

export type KeyAlgorithm = "rsa" | "ecdsa" | "ed25519"

export interface Identity {
  /** Hash of the chain. */
  readonly id: string
  /** The file of the certificate, relative to its folder. */
  readonly file: string
  /** The chain as PEM, leaf first. */
  readonly cert: string
  /** The private key as PEM, PKCS#8. */
  readonly key: string
  /** Host names, also as `*.name`: lower case, without a trailing dot. The CN only if there are no alternative names at all. */
  readonly names: readonly string[]
  /** IP addresses in their normal form. */
  readonly addresses: readonly string[]
  readonly algorithm: KeyAlgorithm
  /** RFC 4514. */
  readonly subject: string
  readonly issuer: string
  /** Lower case hexadecimal. */
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** SHA-256 of the leaf, lower case hexadecimal. */
  readonly fingerprint: string
}

/** A pair that cannot be presented; the message says what was found and what is expected. */
export class IdentityInvalid extends Error {
  override readonly name = "IdentityInvalid"
  /** The file to look at. */
  readonly file: string
  readonly hint: string | undefined
  /** The pair is good from then on. */
  readonly goodFrom: Date | undefined

  constructor(file: string, message: string, more: { readonly hint?: string; readonly goodFrom?: Date } = {}) {
    super(message)
    this.file = file
    this.hint = more.hint
    this.goodFrom = more.goodFrom
  }
}

/** A file of PEM blocks, and the name that people know it by. */
export interface PemText {
  readonly file: string
  readonly text: string
}

/** 2048 bits: clients refuse shorter RSA keys (CA/Browser Forum baseline requirements, section 6.1.5). */
const SHORTEST_RSA = 2048
/** The curves that TLS clients offer (RFC 8446 section 4.2.3). */
const CURVES: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" }
/** 100 certificates: OpenSSL follows no longer chain. */
const LONGEST_CHAIN = 100
/** 1,000 names: more than any authority puts into one certificate, and each is an entry of the store. */
const MOST_NAMES = 1000

/**
 * Reads a certificate with its chain, in any order, and its key, which may be in the same file; it must be valid now.
 * @throws IdentityInvalid
 */
export function parseIdentity(cert: PemText, key: PemText | undefined, now: Date = new Date()): Identity {
  const identity = readIdentity(cert, key)
  checkDates(identity, now)
  return identity
}

/** @throws IdentityInvalid when it has expired, or is not valid yet */
export function checkDates({ file, notBefore, notAfter }: Identity, now: Date): void {
  if (!(notAfter > now)) throw new IdentityInvalid(file, `the certificate expired on ${date(notAfter)}`)
  if (notBefore > now)
    throw new IdentityInvalid(file, `the certificate is not valid before ${date(notBefore)}`, { goodFrom: notBefore })
}

/** As {@link parseIdentity}, whatever its dates. @throws IdentityInvalid */
export function readIdentity(cert: PemText, key: PemText | undefined): Identity {
  const blocks = blocksOf(cert)
  const certificates = certificatesOf(cert.file, blocks)
  if (certificates.length > LONGEST_CHAIN)
    throw new IdentityInvalid(cert.file, `${certificates.length} certificates; a chain has at most ${LONGEST_CHAIN}`)
  const inside = key === undefined || blocks.some(isKey)
  const keyFile = inside ? cert.file : key.file
  const secret = keyOf(keyFile, inside ? blocks : blocksOf(key))
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(secret))
  if (leaf === undefined) {
    const which = inside ? "the private key in it" : `the private key in ${keyFile}`
    const hint = "both parts of a pair come from one request; were they replaced one after the other?"
    throw new IdentityInvalid(cert.file, `${which} does not belong to the certificate`, { hint })
  }
  const algorithm = algorithmOf(keyFile, secret)
  const chain = chainOf(leaf, certificates)
  const identity: Identity = Object.freeze({
    id: chain.reduce((hash, { raw }) => hash.update(raw), createHash("sha256")).digest("hex"),
    file: cert.file,
    cert: chain.map(String).join(""),
    key: secret.export({ type: "pkcs8", format: "pem" }) as string,
    ...namesOf(cert.file, leaf),
    algorithm,
    subject: distinguishedName(leaf.subject),
    issuer: distinguishedName(leaf.issuer),
    serial: leaf.serialNumber.toLowerCase(),
    notBefore: leaf.validFromDate,
    notAfter: leaf.validToDate,
    fingerprint: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
  })
  checkUsable(identity)
  return identity
}

/** Whether the text has a private key in it, and whether it has a certificate. @throws IdentityInvalid */
export function contentsOf(pem: PemText): { readonly certificate: boolean; readonly key: boolean } {
  const blocks = blocksOf(pem)
  return { certificate: blocks.some(isCertificate), key: blocks.some(isKey) }
}

/** Whether all certificates in the text are of authorities. @throws IdentityInvalid */
export function isAuthority(pem: PemText): boolean {
  return certificatesOf(pem.file, blocksOf(pem)).every(({ ca }) => ca)
}

function blocksOf({ file, text }: PemText): readonly PemBlock[] {
  try {
    return pemBlocks(text)
  } catch (error) {
    if (error instanceof PemInvalid) throw new IdentityInvalid(file, error.message)
    throw error
  }
}

function isKey({ label }: PemBlock): boolean {
  return label.endsWith("PRIVATE KEY")
}

function isCertificate({ label }: PemBlock): boolean {
  return label === "CERTIFICATE" || label === "X509 CERTIFICATE"
}

function certificatesOf(file: string, blocks: readonly PemBlock[]): readonly X509Certificate[] {
  const found = blocks.filter(isCertificate)
  if (found.length === 0) {
    const labels = blocks.length === 0 ? "" : `, but ${[...new Set(blocks.map(({ label }) => label))].join(" and ")}`
    throw new IdentityInvalid(file, `there is no certificate in it${labels}; expected "-----BEGIN CERTIFICATE-----"`)
  }
  return found.map(({ der }, i) => {
    try {
      return new X509Certificate(der)
    } catch {
      // OpenSSL's reasons name its functions.
      const which = found.length === 1 ? "the certificate" : `certificate ${i + 1}`
      throw new IdentityInvalid(file, `${which} in it cannot be read: its content is damaged`)
    }
  })
}

function keyOf(file: string, blocks: readonly PemBlock[]): KeyObject {
  const [block, ...more] = blocks.filter(isKey)
  if (block === undefined)
    throw new IdentityInvalid(file, 'there is no private key in it; expected "-----BEGIN PRIVATE KEY-----"')
  if (more.length > 0) throw new IdentityInvalid(file, `${more.length + 1} private keys in it; expected one`)
  if (block.encrypted || block.label.startsWith("ENCRYPTED")) {
    const hint = "`openssl pkey -in encrypted.key -out site.key` writes it without its passphrase"
    throw new IdentityInvalid(file, "the private key is encrypted; expected one without a passphrase", { hint })
  }
  const { label, der } = block
  const type = label === "RSA PRIVATE KEY" ? "pkcs1" : label === "EC PRIVATE KEY" ? "sec1" : "pkcs8"
  if (type === "pkcs8" && label !== "PRIVATE KEY")
    throw new IdentityInvalid(file, `${article(label)} is not for TLS; expected PKCS#8, PKCS#1 or SEC1`)
  try {
    return createPrivateKey({ key: der, format: "der", type })
  } catch {
    throw new IdentityInvalid(file, "the private key cannot be read: it is damaged, or of a kind that TLS does not use")
  }
}

function article(label: string): string {
  return /^[AEIO]/.test(label) ? `an ${label}` : `a ${label}`
}

function algorithmOf(file: string, key: KeyObject): KeyAlgorithm {
  const kind = key.asymmetricKeyType
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {}
  if (kind === "rsa") {
    if (modulusLength >= SHORTEST_RSA) return "rsa"
    throw new IdentityInvalid(file, `an RSA key of ${modulusLength} bits; clients accept ${SHORTEST_RSA} and more`)
  }
  if (kind === "ec") {
    if (CURVES[namedCurve] !== undefined) return "ecdsa"
    const curves = Object.values(CURVES).join(", ")
    throw new IdentityInvalid(file, `an ECDSA key on the curve ${namedCurve}; clients accept ${curves}`)
  }
  if (kind === "ed25519") return kind
  throw new IdentityInvalid(file, `a key of kind ${kind}; expected RSA, ECDSA or Ed25519`)
}

/** Like `2026-01-31 12:00:00 UTC`. */
export function date(of: Date): string {
  return Number.isNaN(of.getTime()) ? "an unknown date" : `${of.toISOString().slice(0, 19).replace("T", " ")} UTC`
}

/** Leaf first, each followed by its issuer; then what is left, such as another way up, in the order of the file. */
function chainOf(leaf: X509Certificate, all: readonly X509Certificate[]): readonly X509Certificate[] {
  const rest = new Map(all.map((certificate) => [certificate.fingerprint256, certificate]))
  rest.delete(leaf.fingerprint256)
  const chain = [leaf]
  for (const last of chain) {
    const issuer = [...rest.values()].find((other) => last.checkIssued(other))
    if (issuer === undefined) continue
    rest.delete(issuer.fingerprint256)
    chain.push(issuer)
  }
  return [...chain, ...rest.values()]
}

function namesOf(file: string, leaf: X509Certificate): Pick<Identity, "names" | "addresses"> {
  try {
    const found = alternativeNames(leaf, MOST_NAMES)
    const names = found?.dns ?? [commonName(leaf.subject) ?? ""]
    return {
      names: Object.freeze([...new Set(names.map(normalName).filter(isServerName))]),
      addresses: Object.freeze([...new Set(found?.ip)]),
    }
  } catch (error) {
    if (error instanceof CertificateInvalid) throw new IdentityInvalid(file, error.message)
    throw error
  }
}

/** Lower case, without a trailing dot. */
export function normalName(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase()
}

/** A wildcard is a whole label, the first one (RFC 9525 section 6.3). */
function isServerName(name: string): boolean {
  return isHostName(name.startsWith("*.") ? name.slice(2) : name)
}

/** What every connection would fail with otherwise. */
function checkUsable({ file, cert, key }: Identity): void {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const message = why.includes("KEY_USAGE")
      ? "the certificate is not for TLS servers: its key usage lacks digitalSignature"
      : `TLS does not take this certificate and key: ${why}`
    throw new IdentityInvalid(file, message)
  }
}
