// What is wrong with an authority that may have signed certificates of clients.
import { X509Certificate } from "node:crypto"
import { PemInvalid, pemBlocks, type PemBlock } from "../../../tls/pem.ts"

export interface AuthorityFault {
  readonly message: string
  /** ngrok's number, without `ERR_NGROK_`. */
  readonly code: number
  readonly hint?: string
}

/** `undefined` for PEM of one authority or several. */
export function authorityFault(text: string): AuthorityFault | undefined {
  if (/^\s*ca_\w+\s*$/.test(text))
    return {
      message: "ids of ngrok's certificate authorities are known to ngrok alone",
      code: 1672,
      hint: 'write the certificate of the authority itself: "-----BEGIN CERTIFICATE-----..."',
    }
  let blocks: readonly PemBlock[]
  try {
    blocks = pemBlocks(text)
  } catch (error) {
    if (!(error instanceof PemInvalid)) throw error
    return { message: error.message, code: 1695 }
  }
  const certificates = blocks.filter(({ label }) => label === "CERTIFICATE")
  if (certificates.length === 0)
    return { message: 'expected PEM ("-----BEGIN CERTIFICATE-----"), found another text', code: 1695 }
  for (const { der } of certificates) {
    let certificate: X509Certificate
    try {
      certificate = new X509Certificate(der)
    } catch {
      return { message: "the certificate cannot be read", code: 1695 }
    }
    if (!certificate.ca)
      return {
        message: "the certificate is not one of an authority (its basic constraints say CA:FALSE, or nothing)",
        code: 1696,
        hint: "write the certificate of whoever signed those of the clients",
      }
  }
  return undefined
}
