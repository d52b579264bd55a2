// From what TLS has of a client's certificate to the plain data that policies see.
import { X509Certificate } from "node:crypto"
import type { ClientCertificate } from "../policy/client-certificate.ts"
import { Lru } from "./lru.ts"
import { alternativeNames, CertificateInvalid, commonName, distinguishedName } from "./x509.ts"

/** 1,000 names, all kinds together: one handshake carries up to 10,000, each to be kept and shown to policies. */
export const MOST_ALTERNATIVE_NAMES = 1000
/** 1,000 certificates: clients come again, and each is some kilobytes. */
const CACHED = 1000
/** 16 KiB: what strangers present cannot fill the memory; usual certificates have 1 to 4 KiB. Longer ones are read every time. */
const LARGEST_CACHED = 16 * 1024
/** 100 KiB: BoringSSL takes no longer certificate message. */
const LARGEST = 100 * 1024

type Facts = Omit<ClientCertificate, "notBefore" | "notAfter">
interface Read {
  readonly facts: Facts
  readonly notBefore: number
  readonly notAfter: number
}

const known = new Lru<string, Read>(CACHED)
/** DER, by what every copy of the facts of a certificate shares. */
const bytes = new WeakMap<ClientCertificate["sans"], Uint8Array>()

/**
 * What is in a certificate, given as what `socket.getPeerX509Certificate()` returns or as DER: frozen data, cached by
 * fingerprint. The alternative names stop at 1,000. Rejects with CertificateInvalid for what cannot be read.
 */
export async function clientCertificate(source: X509Certificate | Uint8Array): Promise<ClientCertificate> {
  const size = source instanceof Uint8Array ? source.length : source.raw.length
  if (size > LARGEST)
    throw new CertificateInvalid(`the client's certificate has ${size} bytes; at most ${LARGEST} are read`)
  const certificate = source instanceof Uint8Array ? parse(source) : source
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase()
  const read = known.get(fingerprint) ?? readCertificate(certificate, fingerprint)
  if (size <= LARGEST_CACHED) known.set(fingerprint, read)
  // Dates can be changed in place, so that everyone gets his own.
  return Object.freeze({ ...read.facts, notBefore: new Date(read.notBefore), notAfter: new Date(read.notAfter) })
}

/** The certificate itself; `undefined` for one that was made up. */
export function certificateBytes({ sans }: ClientCertificate): Uint8Array | undefined {
  return bytes.get(sans)
}

function parse(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch {
    throw new CertificateInvalid("the client's certificate cannot be read")
  }
}

function readCertificate(certificate: X509Certificate, fingerprint: string): Read {
  const { dns = [], ip = [], email = [], uri = [] } = alternativeNames(certificate, MOST_ALTERNATIVE_NAMES) ?? {}
  const facts: Facts = {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    commonName: commonName(certificate.subject),
    sans: Object.freeze({
      dns: Object.freeze(dns),
      ip: Object.freeze(ip),
      email: Object.freeze(email),
      uri: Object.freeze(uri),
    }),
    serial: certificate.serialNumber.toLowerCase(),
    fingerprint,
  }
  bytes.set(facts.sans, certificate.raw)
  return { facts, notBefore: certificate.validFromDate.getTime(), notAfter: certificate.validToDate.getTime() }
}
