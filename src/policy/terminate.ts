// `connection.terminate(options)`: what a policy may ask for when it ends TLS, checked before anything is done.
import type { ClientCertificate } from "./client-certificate.ts"
import { describe } from "./describe.ts"
import { didYouMean } from "./suggest.ts"

/** TLS 1.2 and 1.3; what is older is broken (RFC 8996). */
export type TlsVersion = "TLSv1.2" | "TLSv1.3"

/** A certificate with its chain, leaf first, and its private key: PEM texts. */
export interface CertificatePair {
  readonly cert: string
  readonly key: string
}

/** How `terminate` treats certificates of clients. */
export type ClientCertificateMode = "require-and-verify" | "require-any" | "request"

export interface TerminateOptions {
  /**
   * The certificate to present, or an RSA and an ECDSA one side by side.
   * @default those of the certificate store (`--certs`) for the name that the client asked for
   */
  readonly certificates?: CertificatePair | readonly CertificatePair[]
  /** @default "TLSv1.2" */
  readonly minVersion?: TlsVersion | "1.2" | "1.3" | 1.2 | 1.3
  /** @default "TLSv1.3" */
  readonly maxVersion?: TlsVersion | "1.2" | "1.3" | 1.2 | 1.3
  /**
   * Application protocols, preferred first (RFC 7301). A client that offers some, and none of these, is refused with
   * `no_application_protocol`.
   * @default none; on a `postgres://` listener `["postgresql"]`
   */
  readonly alpn?: readonly string[]
  /**
   * - `require-and-verify`: a certificate that `ca` has signed, valid now and not revoked by `crl`.
   * - `require-any`: a certificate; who signed it is for the policy to judge.
   * - `request`: a certificate or none.
   * @default clients are not asked for one
   */
  readonly clientCertificate?: ClientCertificateMode
  /** Who may have signed a client's certificate: PEM. Needed for `require-and-verify`. */
  readonly ca?: string | readonly string[]
  /** Lists of revoked certificates: PEM. With one there must be a current one of every authority in the client's chain. */
  readonly crl?: string | readonly string[]
  /** Cipher suites of TLS 1.2 in OpenSSL's notation. @default ECDHE with AES-GCM or ChaCha20-Poly1305 */
  readonly ciphers?: string
}

/** A client's certificate, and what came of checking it against `ca` and `crl`. */
export interface PresentedCertificate extends ClientCertificate {
  readonly verified: boolean
  /** Why it is not verified, like `CERT_HAS_EXPIRED` or `SELF_SIGNED_CERT_IN_CHAIN`. */
  readonly unverified: string | undefined
}

/** What `terminate` returns once the handshake is done. */
export interface Terminated {
  readonly version: TlsVersion
  /** IANA or OpenSSL name, like `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string
  /** The protocol that was agreed on. */
  readonly alpn: string | undefined
  readonly sni: string | undefined
  /** Whether the client took up an earlier session. Its certificate is that of then, checked again. */
  readonly resumed: boolean
  readonly clientCertificate: PresentedCertificate | undefined
}

/** Options of `terminate` that make no sense; the message says what was found and what is expected. */
export class TerminateInvalid extends Error {
  override readonly name = "TerminateInvalid"
}

/** `terminate` failed; every decision about the connection ends as `tls-handshake-failed`. */
export class HandshakeFailed extends Error {
  override readonly name = "HandshakeFailed"
  readonly closeReason = "tls-handshake-failed"
}

/** Options with every default in place; a value that decides how a TLS context is made. */
export interface Termination {
  /** `undefined`: the store's. */
  readonly certificates: readonly CertificatePair[] | undefined
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  readonly alpn: readonly string[] | undefined
  readonly clientCertificate: ClientCertificateMode | undefined
  readonly ca: string | undefined
  readonly crl: string | undefined
  readonly ciphers: string | undefined
}

const OPTIONS = [
  "certificates",
  "minVersion",
  "maxVersion",
  "alpn",
  "clientCertificate",
  "ca",
  "crl",
  "ciphers",
] as const
const PAIR = ["cert", "key"] as const
const MODES: readonly unknown[] = ["require-and-verify", "require-any", "request"] satisfies ClientCertificateMode[]

const DEFAULTS: Termination = Object.freeze({
  certificates: undefined,
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  alpn: undefined,
  clientCertificate: undefined,
  ca: undefined,
  crl: undefined,
  ciphers: undefined,
})

/** Checks what a policy passed to `terminate`. @throws TerminateInvalid */
export function checkTerminate(options: unknown): Termination {
  if (options === undefined) return DEFAULTS
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new TerminateInvalid(`terminate: expected options, found ${describe(options)}`)
  checkNames("terminate", options, OPTIONS)
  const given = options as { readonly [Name in (typeof OPTIONS)[number]]?: unknown }
  const minVersion = version("minVersion", given.minVersion) ?? DEFAULTS.minVersion
  const maxVersion = version("maxVersion", given.maxVersion) ?? DEFAULTS.maxVersion
  if (minVersion > maxVersion)
    throw new TerminateInvalid(`terminate: minVersion ${minVersion} is above maxVersion ${maxVersion}`)
  const mode = given.clientCertificate
  if (mode !== undefined && !MODES.includes(mode))
    throw new TerminateInvalid(
      `terminate: clientCertificate: expected ${MODES.map((known) => JSON.stringify(known)).join(", ")}, found ${describe(mode)}${typeof mode === "string" ? didYouMean(mode, MODES as string[]) : ""}`,
    )
  const ca = pem("ca", given.ca, "CERTIFICATE")
  const crl = pem("crl", given.crl, "X509 CRL")
  if (mode === "require-and-verify" && ca === undefined)
    throw new TerminateInvalid(
      'terminate: clientCertificate "require-and-verify" needs ca: who may have signed a client\'s certificate',
    )
  if (mode === undefined && (ca ?? crl) !== undefined)
    throw new TerminateInvalid(
      `terminate: ${ca === undefined ? "crl" : "ca"} has no effect without clientCertificate: "require-and-verify"`,
    )
  if (crl !== undefined && ca === undefined)
    throw new TerminateInvalid("terminate: crl has no effect without ca: nothing is verified")
  return {
    certificates: given.certificates === undefined ? undefined : pairs("certificates", given.certificates),
    minVersion,
    maxVersion,
    alpn: checkAlpn("terminate: alpn", given.alpn),
    clientCertificate: mode as ClientCertificateMode | undefined,
    ca,
    crl,
    ciphers: text("ciphers", given.ciphers),
  }
}

function checkNames(where: string, value: object, names: readonly string[]): void {
  for (const name of Object.keys(value)) {
    if (!names.includes(name))
      throw new TerminateInvalid(
        `${where}: there is no option ${JSON.stringify(name)}${didYouMean(name, names) || `; known are ${names.join(", ")}`}`,
      )
  }
}

function version(name: string, value: unknown): TlsVersion | undefined {
  if (value === undefined) return undefined
  const found = /^(?:TLSv?)?(1\.[23])$/i.exec(String(value))?.[1]
  if (found === undefined)
    throw new TerminateInvalid(`terminate: ${name}: expected "TLSv1.2" or "TLSv1.3", found ${describe(value)}`)
  return found === "1.2" ? "TLSv1.2" : "TLSv1.3"
}

function text(name: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === "string" && value !== "")) return value
  throw new TerminateInvalid(`terminate: ${name}: expected a text, found ${describe(value)}`)
}

/** 255 bytes: the length of a name is one byte; all of them go into two (RFC 7301 section 3.1). */
const LONGEST_ALPN = 255
/** 16 names: a server that speaks more protocols on one port is a slip. */
const MOST_ALPN = 16

/** Names of application protocols; none is `undefined`. @throws TerminateInvalid */
export function checkAlpn(where: string, value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length > MOST_ALPN)
    throw new TerminateInvalid(`${where}: expected a list of at most ${MOST_ALPN} names, found ${describe(value)}`)
  for (const name of value) {
    if (typeof name !== "string" || !/^[\x21-\x7e]+$/.test(name) || name.length > LONGEST_ALPN)
      throw new TerminateInvalid(`${where}: expected names like "h2" or "postgresql", found ${describe(name)}`)
  }
  return value.length === 0 ? undefined : (value as readonly string[])
}

/** A certificate of an RSA key and one of an ECDSA key, and one to spare. */
const MOST_PAIRS = 3

function pairs(where: string, value: unknown): readonly CertificatePair[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.length > MOST_PAIRS)
    throw new TerminateInvalid(`terminate: ${where}: ${list.length} certificates; expected 1 to ${MOST_PAIRS}`)
  return list.map((entry) => checkPair(`terminate: ${where}`, entry))
}

/** @throws TerminateInvalid */
export function checkPair(where: string, value: unknown): CertificatePair {
  if (typeof value !== "object" || value === null)
    throw new TerminateInvalid(`${where}: expected { cert, key } with PEM texts, found ${describe(value)}`)
  checkNames(where, value, PAIR)
  const { cert, key } = value as { cert?: unknown; key?: unknown }
  return {
    cert: checkPem(`${where}: cert`, cert, "CERTIFICATE"),
    key: checkPem(`${where}: key`, key, "PRIVATE KEY"),
  }
}

function pem(name: string, value: unknown, label: string): string | undefined {
  if (value === undefined) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new TerminateInvalid(`terminate: ${name} is an empty list`)
  return list.map((entry) => checkPem(`terminate: ${name}`, entry, label)).join("\n")
}

/** Texts that were found good: a policy passes the same ones for every connection. As many as contexts are kept. */
const MOST_CHECKED = 4096
const checked = new Map<string, string>()

/** Only that it is PEM of the right kind, so that a path in its place is told from a text. @throws TerminateInvalid */
export function checkPem(where: string, value: unknown, label: string): string {
  if (typeof value === "string") {
    if (checked.get(value) === label) return value
    if (value.includes("-----BEGIN ") && value.includes(`${label}-----`)) {
      if (checked.size >= MOST_CHECKED) checked.delete(checked.keys().next().value!)
      checked.set(value, label)
      return value
    }
  }
  // What was found is not shown where it may be a key.
  const found = typeof value === "string" ? "a text without that" : describe(value)
  throw new TerminateInvalid(
    `${where}: expected PEM ("-----BEGIN ${label}-----"), found ${found}; a policy reads files by an import: import ca from "./ca.txt" with { type: "text" }`,
  )
}
