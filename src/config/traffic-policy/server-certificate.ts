// The certificates of a handshake, the gateway's and the client's, as expressions see them.
import { X509Certificate } from "node:crypto"
import type { ClientCertificate } from "../../policy/client-certificate.ts"
import type { TerminateOptions } from "../../policy/terminate.ts"
import { certificateDetails, type CertificateDetails } from "../../tls/certificate-details.ts"
import { certificateBytes } from "../../tls/client-certificate.ts"
import { alternativeNames, commonName, distinguishedName } from "../../tls/x509.ts"
import type { CertificateFacts } from "./cel/index.ts"

/** 1,000, as for those of clients. */
const MOST_NAMES = 1000
/** 100: one per action that has a certificate. */
const CACHED = 100
const known = new Map<string, CertificateFacts | undefined>()

/** `undefined` where it is the store's: which one that was, is not told. Read when an expression asks for it. */
export function serverCertificateOf({
  certificates,
}: TerminateOptions): (() => CertificateFacts | undefined) | undefined {
  if (certificates === undefined) return undefined
  const [first] = isPairs(certificates) ? certificates : [certificates]
  return first === undefined ? undefined : () => read(first.cert)
}

function isPairs(
  value: NonNullable<TerminateOptions["certificates"]>,
): value is Extract<typeof value, readonly unknown[]> {
  return Array.isArray(value)
}

function read(pem: string): CertificateFacts | undefined {
  if (known.has(pem)) return known.get(pem)
  const facts = factsOf(pem)
  if (known.size >= CACHED) known.delete(known.keys().next().value!)
  known.set(pem, facts)
  return facts
}

function factsOf(pem: string): CertificateFacts | undefined {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(pem)
  } catch {
    // It was presented, so that it can be read; if not, nothing is known of it.
    return undefined
  }
  const { dns = [], email = [], ip = [], uri = [] } = alternativeNames(certificate, MOST_NAMES) ?? {}
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    commonName: commonName(certificate.subject),
    sans: { dns, email, ip, uri },
    serial: certificate.serialNumber.toLowerCase(),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    ...certificateDetails(pem),
  }
}

const details = new WeakMap<ClientCertificate["sans"], CertificateDetails>()

/** All of a client's certificate. What is seldom asked for is read when it is, and once. */
export function clientCertificateOf(certificate: ClientCertificate | undefined): CertificateFacts | undefined {
  const der = certificate === undefined ? undefined : certificateBytes(certificate)
  if (certificate === undefined || der === undefined) return certificate
  const read = () => {
    const found = details.get(certificate.sans) ?? certificateDetails(der)
    if (found !== undefined) details.set(certificate.sans, found)
    return found
  }
  return {
    ...certificate,
    get pem() {
      return read()?.pem
    },
    get signatureAlgorithm() {
      return read()?.signatureAlgorithm
    },
    get extensions() {
      return read()?.extensions
    },
  }
}
