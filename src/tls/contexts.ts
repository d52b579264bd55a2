// TLS contexts, made once for equal contents and kept across snapshots: they hold the parsed certificates and the keys
// of session tickets. One per server name too, so that no session of one name is taken up under another.
import { constants, createPrivateKey, X509Certificate } from "node:crypto"
import { createSecureContext, getCACertificates, rootCertificates, type SecureContextOptions } from "node:tls"
import { TerminateInvalid, type CertificatePair, type Termination } from "../policy/terminate.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"
import { Lru } from "./lru.ts"
import { distinguishedName } from "./x509.ts"

/** What Bun's sockets take as a context. */
export type TlsContext = NonNullable<unknown>

/** 64 MiB of contexts, by their weight: some 2,500 of them. */
const MOST_WEIGHT = 67_108_864
/** 12 KiB for a context; what it is made of takes 6 times its length as PEM, a list of revoked certificates the most. */
const OWN_WEIGHT = 12_288
const WEIGHT_OF_TEXT = 6
/** PEM texts that are told apart, a few kB each: as many as contexts can have. */
const MOST_TEXTS = 8192
/**
 * 10 minutes: a context that was used since then makes no room for a name that was never asked for. Whoever asks for
 * random names, below a wildcard for example, would end the sessions of all others, and have a context made each time.
 */
const IN_USE = 600_000
/**
 * 1 hour: a session is not verified again when it is taken up, and TLS 1.3 keeps it for two days. So long is a client let
 * in after a list of revoked certificates, or whoever issued its certificate, has expired.
 */
const VERIFIED_FOR = 3_600_000

/** Forward secrecy and authenticated encryption only (RFC 9325 section 4.2); those of TLS 1.3 all are. */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":")

interface Kept {
  readonly context: TlsContext
  readonly weight: number
  usedAt: number
}

export class Contexts {
  /** The one used last is the last. */
  private readonly kept = new Map<string, Kept>()
  private weight = 0
  /** A short name for each PEM text: a key of kilobytes per connection would cost more than the look-up. */
  private readonly texts = new Lru<string, number>(MOST_TEXTS)
  private named = 0
  private readonly now: () => number

  constructor(now: () => number = Date.now) {
    this.now = now
  }

  /** For clients that ask for `sni`. @throws TerminateInvalid for what is no certificate, no cipher, or no pair */
  forClients(wanted: Termination, pairs: readonly CertificatePair[], sni: string | undefined): TlsContext {
    const { alpn, ca, ciphers, clientCertificate, crl, maxVersion, minVersion } = wanted
    let key = `${minVersion} ${maxVersion} ${clientCertificate ?? ""} ${this.name(ca)} ${this.name(crl)}`
    if (ca !== undefined) key += ` ${Math.floor(this.now() / VERIFIED_FOR)}`
    for (const { cert, key: secret } of pairs) key += ` ${this.name(cert)}:${this.name(secret)}`
    if (alpn !== undefined || ciphers !== undefined) key += ` ${JSON.stringify([alpn, ciphers])}`
    const own = `${key} for ${sni ?? ""}`
    const known = this.find(own)
    if (known !== undefined) return known
    const length = pairs.reduce((sum, { cert }) => sum + cert.length, (ca?.length ?? 0) + (crl?.length ?? 0))
    const make = (more: SecureContextOptions = {}) =>
      diagnosed("terminate", { ca, crl, ciphers }, pairs, () =>
        createSecureContext({
          cert: pairs.map(({ cert }) => cert),
          key: pairs.map(({ key: secret }) => secret),
          minVersion,
          maxVersion,
          ciphers: ciphers ?? CIPHERS,
          ...(ca === undefined ? {} : { ca }),
          ...(crl === undefined ? {} : { crl: listsOf(crl) }),
          ...more,
        }),
      )
    if (this.makesRoom(weightOf(length))) return this.keep(own, length, make())
    const shared = `${key} for others`
    // Without sessions: they could be taken up under another name.
    return this.find(shared) ?? this.keep(shared, length, make({ secureOptions: constants.SSL_OP_NO_TICKET }))
  }

  /** For `tls://` targets. @throws TerminateInvalid as above */
  forUpstream(wanted: UpstreamTls | undefined): TlsContext {
    const { ca, certificate, insecureSkipVerify } = wanted ?? {}
    const given = ca as string | undefined
    const pair = certificate === undefined ? "" : `${this.name(certificate.cert)}:${this.name(certificate.key)}`
    const key = `upstream ${this.name(given)} ${insecureSkipVerify === true} ${pair}`
    const known = this.find(key)
    if (known !== undefined) return known
    // With a `ca` those of the system are not trusted.
    const authorities = insecureSkipVerify === true ? undefined : (given ?? systemAuthorities())
    const length = typeof authorities === "string" ? authorities.length : (authorities?.join("").length ?? 0)
    return this.keep(
      key,
      length,
      diagnosed("route: tls", { ca: given }, certificate === undefined ? [] : [certificate], () =>
        createSecureContext({
          minVersion: "TLSv1.2",
          ...(authorities === undefined ? {} : { ca: authorities }),
          ...certificate,
        }),
      ),
    )
  }

  private find(key: string): TlsContext | undefined {
    const found = this.kept.get(key)
    if (found === undefined) return undefined
    found.usedAt = this.now()
    this.kept.delete(key)
    this.kept.set(key, found)
    return found.context
  }

  /** Whether so much fits beside what is in use; what is not, goes. */
  private makesRoom(weight: number): boolean {
    for (const [key, { usedAt }] of this.kept) {
      if (this.weight + weight <= MOST_WEIGHT) return true
      if (this.now() - usedAt < IN_USE) return false
      this.drop(key)
    }
    return this.kept.size === 0 || this.weight + weight <= MOST_WEIGHT
  }

  private keep(key: string, length: number, context: TlsContext): TlsContext {
    const weight = weightOf(length)
    for (const old of this.kept.keys()) {
      if (this.weight + weight <= MOST_WEIGHT) break
      this.drop(old)
    }
    this.kept.set(key, { context, weight, usedAt: this.now() })
    this.weight += weight
    return context
  }

  private drop(key: string): void {
    this.weight -= this.kept.get(key)!.weight
    this.kept.delete(key)
  }

  /** A text that was forgotten gets another name, and with it a context of its own. */
  private name(text: string | undefined): number {
    if (text === undefined) return 0
    let name = this.texts.get(text)
    if (name === undefined) this.texts.set(text, (name = ++this.named))
    return name
  }
}

function weightOf(length: number): number {
  return OWN_WEIGHT + WEIGHT_OF_TEXT * length
}

/** One by one: of several in one text only the first is read. */
function listsOf(crl: string): string[] {
  return crl.split(/(?<=-----END X509 CRL-----)/).filter((list) => list.includes("-----BEGIN X509 CRL-----"))
}

interface Parts {
  readonly ca: string | undefined
  readonly crl?: string | undefined
  readonly ciphers?: string | undefined
}

/** @throws TerminateInvalid that says which part is wrong */
function diagnosed(
  where: string,
  parts: Parts,
  pairs: readonly CertificatePair[],
  make: () => { readonly context: unknown },
): TlsContext {
  let context: TlsContext | undefined
  let problem: unknown
  try {
    context = make().context as TlsContext
  } catch (error) {
    problem = error
  }
  // Of several pairs, one whose key does not fit is left out without a word.
  const wrong =
    context === undefined || pairs.length > 1 ? pairs.map(wrongPair).find((found) => found !== undefined) : undefined
  if (context !== undefined && wrong === undefined) return context
  const why = wrong ?? wrongPart(parts) ?? (problem as Error).message
  throw new TerminateInvalid(`${where}: ${why}`, { cause: problem })
}

function wrongPair({ cert, key }: CertificatePair, at: number, { length }: { readonly length: number }) {
  const which = length === 1 ? "certificate" : `certificate ${at + 1} of ${length}`
  const leaf = attempt(() => new X509Certificate(cert))
  if (leaf === undefined) return `${which}: cert cannot be read`
  const name = `the certificate (${distinguishedName(leaf.subject) || "without a subject"})`
  const secret = attempt(() => createPrivateKey(key))
  if (secret === undefined) return `${which}: the private key for ${name} cannot be read, or is encrypted`
  return leaf.checkPrivateKey(secret) ? undefined : `${which}: the private key does not belong to ${name}`
}

function wrongPart({ ca, crl, ciphers }: Parts): string | undefined {
  if (ca !== undefined && unreadable({ ca })) return "ca cannot be read"
  if (crl !== undefined && unreadable({ crl: listsOf(crl) })) return "crl cannot be read"
  if (ciphers !== undefined && unreadable({ ciphers })) return `ciphers: none is known of ${JSON.stringify(ciphers)}`
  return undefined
}

function unreadable(options: SecureContextOptions): boolean {
  return attempt(() => createSecureContext(options)) === undefined
}

function attempt<Value>(make: () => Value): Value | undefined {
  try {
    return make()
  } catch {
    return undefined
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
