// What TLS says went wrong, in words that people read.
import { readable } from "./thrown.ts"

export interface TlsError {
  readonly text: string
  /** The other end gave up: it sent an alert, or went away. */
  readonly byPeer: boolean
}

/** `error:10000418:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA` */
const OF_OPENSSL = /^error:[0-9a-f]{8}:[^:]*:[^:]*:(\w+)$/i
const ALERT = /^(?:SSLV3|TLSV1)_ALERT_(\w+)$/
/** Bun's word for a peer that goes away. */
const GONE = /disconnected before secure TLS connection/

/** Those whose own words mislead, or say less than is known. */
const WORDS: Readonly<Record<string, string>> = {
  // The whole search for a certificate fails with the reason of the first that did not do.
  WRONG_CURVE: "no certificate and cipher suite that both sides can use",
  NO_SHARED_CIPHER: "no certificate and cipher suite that both sides can use",
  NO_COMMON_SIGNATURE_ALGORITHMS: "no signature algorithm that both sides can use",
  NO_SHARED_GROUP: "no key exchange group that both sides can use",
  NO_APPLICATION_PROTOCOL: "no application protocol that both sides speak",
  UNSUPPORTED_PROTOCOL: "no TLS version that both sides speak",
  WRONG_VERSION_NUMBER: "the other end does not speak TLS",
  PEER_DID_NOT_RETURN_A_CERTIFICATE: "the client has no certificate",
}

/** OpenSSL's clients refuse a certificate of TLS 1.3 with an alert that is not encrypted, which cannot be read. */
const UNREADABLE_ALERT = "BAD_PACKET_LENGTH"

export function tlsError(error: unknown): TlsError {
  if (error === null || error === undefined) return { text: "the TLS handshake failed", byPeer: false }
  const { message } = readable(error)
  if (GONE.test(message)) return { text: "the connection was closed during the handshake", byPeer: true }
  const reason = OF_OPENSSL.exec(message)?.[1]
  if (reason === undefined) return { text: message, byPeer: false }
  const alert = ALERT.exec(reason)?.[1]
  if (alert !== undefined) return { text: `the other end sent the alert ${alert.toLowerCase()}`, byPeer: true }
  if (reason === UNREADABLE_ALERT)
    return {
      text: "an unreadable record: a client of OpenSSL sends it when it does not trust the certificate",
      byPeer: true,
    }
  return { text: `${WORDS[reason] ?? reason.toLowerCase().replaceAll("_", " ")} (${reason})`, byPeer: false }
}
