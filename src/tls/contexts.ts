// TLS contexts, made once for equal contents and kept across snapshots: they hold the parsed certificates and the keys
// of session tickets. One per server name too, so that no session of one name is taken up under another.
import { createSecureContext, getCACertificates, rootCertificates, type SecureContextOptions } from "node:tls"
import type { CertificatePair, Termination } from "../policy/terminate.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"

/** What Bun's sockets take as a context. */
export type TlsContext = NonNullable<unknown>

/** Contexts at one time: 10 kB each. A client that asks for random names below a wildcard makes others' sessions end. */
const MOST_CONTEXTS = 2048
/** PEM texts that are told apart, a few kB each: as many as contexts can have. */
const MOST_TEXTS = 4096

/** Forward secrecy and authenticated encryption only (RFC 9325 section 4.2); those of TLS 1.3 all are. */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":")

export class Contexts {
  /** The one used last is the last. */
  private readonly contexts = new Map<string, TlsContext>()
  /** A short name for each PEM text: a key of kilobytes per connection would cost more than the look-up. */
  private readonly texts = new Map<string, number>()
  private named = 0

  /** For clients that ask for `sni`. @throws Error of OpenSSL for what is no certificate, no cipher, or no pair */
  forClients(wanted: Termination, pairs: readonly CertificatePair[], sni: string | undefined): TlsContext {
    const { alpn, ca, ciphers, clientCertificate, crl, maxVersion, minVersion } = wanted
    let key = `${sni ?? ""} ${minVersion} ${maxVersion} ${clientCertificate ?? ""} ${this.name(ca)} ${this.name(crl)}`
    for (const { cert, key: secret } of pairs) key += ` ${this.name(cert)}:${this.name(secret)}`
    if (alpn !== undefined || ciphers !== undefined) key += ` ${JSON.stringify([alpn, ciphers])}`
    return this.get(key, () => ({
      cert: pairs.map(({ cert }) => cert),
      key: pairs.map(({ key: secret }) => secret),
      minVersion,
      maxVersion,
      ciphers: ciphers ?? CIPHERS,
      ...(ca === undefined ? {} : { ca }),
      ...(crl === undefined ? {} : { crl }),
    }))
  }

  /** For `tls://` targets. @throws Error of OpenSSL, as above */
  forUpstream(wanted: UpstreamTls | undefined): TlsContext {
    const { ca, certificate, insecureSkipVerify } = wanted ?? {}
    const authorities = ca as string | undefined
    const pair = certificate === undefined ? "" : `${this.name(certificate.cert)}:${this.name(certificate.key)}`
    return this.get(`upstream ${this.name(authorities)} ${insecureSkipVerify === true} ${pair}`, () => ({
      minVersion: "TLSv1.2",
      // With a `ca` those of the system are not trusted.
      ...(insecureSkipVerify === true ? {} : { ca: authorities ?? systemAuthorities() }),
      ...certificate,
    }))
  }

  private get(key: string, make: () => SecureContextOptions): TlsContext {
    let context = this.contexts.get(key)
    if (context === undefined) {
      context = createSecureContext(make()).context as TlsContext
      if (this.contexts.size >= MOST_CONTEXTS) this.contexts.delete(this.contexts.keys().next().value!)
    } else this.contexts.delete(key)
    this.contexts.set(key, context)
    return context
  }

  /** A text that was forgotten gets another name, and with it a context of its own. */
  private name(text: string | undefined): number {
    if (text === undefined) return 0
    let name = this.texts.get(text)
    if (name === undefined) {
      name = ++this.named
      if (this.texts.size >= MOST_TEXTS) this.texts.delete(this.texts.keys().next().value!)
      this.texts.set(text, name)
    }
    return name
  }
}

let authorities: string[] | undefined

/** What the system trusts; what Mozilla does, as Bun brings it, where the system says nothing (a bare container image). */
function systemAuthorities(): string[] {
  if (authorities === undefined) {
    const system = getCACertificates("system")
    authorities = [...(system.length > 0 ? system : rootCertificates), ...getCACertificates("extra")]
  }
  return authorities
}
