// What is seldom asked of a certificate: its text, who signs how, its extensions. Read from DER with bounds, as strangers
// present certificates too.
import { X509Certificate } from "node:crypto"

export interface CertificateExtension {
  /** `"2.5.29.17"` */
  readonly id: string
  readonly critical: boolean
  /** DER, without the OCTET STRING around it. */
  readonly value: Uint8Array
}

export interface CertificateDetails {
  readonly pem: string
  /** As Go names it, whose programs ngrok's are: `"SHA256-RSA"`, `"ECDSA-SHA256"`; OpenSSL's name for rare ones. */
  readonly signatureAlgorithm: string
  readonly extensions: readonly CertificateExtension[]
}

const NAMES: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.5": "SHA1-RSA",
  "1.2.840.113549.1.1.11": "SHA256-RSA",
  "1.2.840.113549.1.1.12": "SHA384-RSA",
  "1.2.840.113549.1.1.13": "SHA512-RSA",
  "1.2.840.10045.4.1": "ECDSA-SHA1",
  "1.2.840.10045.4.3.2": "ECDSA-SHA256",
  "1.2.840.10045.4.3.3": "ECDSA-SHA384",
  "1.2.840.10045.4.3.4": "ECDSA-SHA512",
  "1.3.101.112": "Ed25519",
}
/** 100 extensions: certificates have some ten. */
const MOST_EXTENSIONS = 100
const BOOLEAN = 0x01
const OCTET_STRING = 0x04
const OBJECT_IDENTIFIER = 0x06
const SEQUENCE = 0x30
/** `[3] extensions` of a TBSCertificate (RFC 5280, 4.1). */
const EXTENSIONS = 0xa3

interface Element {
  readonly tag: number
  readonly content: Uint8Array
  /** Where what comes next begins. */
  readonly end: number
}

/** `undefined` for what is no certificate. */
export function certificateDetails(source: Uint8Array | string): CertificateDetails | undefined {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(source)
  } catch {
    // Whoever asks has it from a handshake: what cannot be read has no details.
    return undefined
  }
  const { raw, signatureAlgorithm = "", signatureAlgorithmOid = "" } = certificate
  return {
    pem: certificate.toString(),
    signatureAlgorithm: NAMES[signatureAlgorithmOid] ?? signatureAlgorithm,
    extensions: extensionsIn(raw),
  }
}

/** Those that stand in a certificate, in order; what is damaged ends the list. */
export function extensionsIn(der: Uint8Array): readonly CertificateExtension[] {
  const certificate = elementAt(der, 0)
  const signed = certificate?.tag === SEQUENCE ? elementAt(certificate.content, 0) : undefined
  if (signed?.tag !== SEQUENCE) return []
  const wrapped = elementsIn(signed.content).find(({ tag }) => tag === EXTENSIONS)
  const list = wrapped === undefined ? undefined : elementAt(wrapped.content, 0)
  if (list?.tag !== SEQUENCE) return []
  const found: CertificateExtension[] = []
  for (const { content, tag } of elementsIn(list.content)) {
    const [id, second, third] = elementsIn(content)
    const value = second?.tag === BOOLEAN ? third : second
    if (tag !== SEQUENCE || id?.tag !== OBJECT_IDENTIFIER || value?.tag !== OCTET_STRING) break
    const critical = second?.tag === BOOLEAN && second.content[0] !== undefined && second.content[0] !== 0
    found.push({ id: identifier(id.content), critical, value: value.content })
  }
  return found
}

function elementsIn(bytes: Uint8Array): Element[] {
  const found: Element[] = []
  for (let at = 0; at < bytes.length && found.length < MOST_EXTENSIONS;) {
    const element = elementAt(bytes, at)
    if (element === undefined) break
    found.push(element)
    at = element.end
  }
  return found
}

/** `undefined` where none begins, or it goes beyond the end. */
function elementAt(bytes: Uint8Array, at: number): Element | undefined {
  const tag = bytes[at]
  const first = bytes[at + 1]
  if (tag === undefined || first === undefined) return undefined
  let length = first
  let from = at + 2
  if (first >= 0x80) {
    // 3 bytes of length are 16 MiB; DER has no length without end.
    const count = first & 0x7f
    if (count === 0 || count > 3) return undefined
    length = 0
    for (const end = from + count; from < end; from++) {
      const byte = bytes[from]
      if (byte === undefined) return undefined
      length = (length << 8) | byte
    }
  }
  const end = from + length
  return end > bytes.length ? undefined : { tag, content: bytes.subarray(from, end), end }
}

/** 7 bits a byte, the first two numbers in one (X.690, 8.19). */
function identifier(bytes: Uint8Array): string {
  const numbers: number[] = []
  let number = 0
  for (const byte of bytes) {
    number = number * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    if (numbers.length === 0) {
      const first = Math.min(2, Math.floor(number / 40))
      numbers.push(first, number - first * 40)
    } else numbers.push(number)
    number = 0
  }
  return numbers.join(".")
}
