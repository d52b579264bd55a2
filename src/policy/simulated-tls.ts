// What `terminate` gives on a simulated connection: what the client's hello and the policy's options agree on, and the
// facts for what they leave open. No handshake is done and no certificate is looked at.
import type { ClientHello } from "../protocol/index.ts"
import type { ClientCertificate } from "./client-certificate.ts"
import { checkFacts } from "./first-bytes.ts"
import { HandshakeFailed, type PresentedCertificate, type Terminated, type Termination } from "./terminate.ts"

/** A certificate that the client presents when it is asked for one. */
export interface CertificateFacts extends Partial<Omit<ClientCertificate, "sans">> {
  readonly sans?: Partial<ClientCertificate["sans"]>
  /** Whether the policy's `ca` has signed it, it is valid now and is not revoked. @default when the policy has a `ca` */
  readonly verified?: boolean
  /** @default `UNABLE_TO_VERIFY_LEAF_SIGNATURE` for one that is not verified */
  readonly unverified?: string
}

/** What comes of the handshake, where it is not what the hello and the options say. */
export interface TerminatedFacts extends Partial<Omit<Terminated, "clientCertificate" | "sni">> {
  /** The handshake fails, with this message. */
  readonly fails?: string
}

const CERTIFICATE = [
  "subject",
  "issuer",
  "commonName",
  "sans",
  "serial",
  "notBefore",
  "notAfter",
  "fingerprint",
  "verified",
  "unverified",
] as const
const SANS = ["dns", "ip", "email", "uri"] as const
const TERMINATED = ["version", "cipher", "alpn", "resumed", "fails"] as const

/** @throws FactsInvalid */
export function checkTlsFacts(
  certificate: CertificateFacts | undefined,
  terminated: TerminatedFacts | undefined,
): void {
  if (certificate !== undefined) checkFacts("clientCertificate: ", certificate, CERTIFICATE)
  if (certificate?.sans !== undefined) checkFacts("clientCertificate: sans: ", certificate.sans, SANS)
  if (terminated !== undefined) checkFacts("terminated: ", terminated, TERMINATED)
}

const CIPHERS = { "TLSv1.3": "TLS_AES_128_GCM_SHA256", "TLSv1.2": "ECDHE-ECDSA-AES128-GCM-SHA256" } as const

/**
 * The handshake of a client with this hello.
 * @param alpn the protocols that are offered to it
 * @throws HandshakeFailed
 */
export function handshake(
  hello: ClientHello,
  options: Termination,
  certificate: CertificateFacts | undefined,
  facts: TerminatedFacts = {},
): Terminated {
  if (facts.fails !== undefined) throw new HandshakeFailed(facts.fails)
  const { maxVersion, minVersion } = options
  const version = (["TLSv1.3", "TLSv1.2"] as const).find(
    (known) => known >= minVersion && known <= maxVersion && hello.versions.includes(known),
  )
  if (version === undefined)
    throw new HandshakeFailed(
      `no common version: the client speaks ${hello.versions.join(", ")}, the policy ${minVersion} to ${maxVersion}`,
    )
  const alpn = options.alpn?.find((name) => hello.alpn.includes(name))
  if (options.alpn !== undefined && alpn === undefined && hello.alpn.length > 0)
    throw new HandshakeFailed(
      `no common application protocol: the client speaks ${hello.alpn.join(", ")}, the policy ${options.alpn.join(", ")}`,
    )
  const { cipher, resumed = false } = facts
  const agreed = facts.version ?? version
  return Object.freeze({
    version: agreed,
    cipher: cipher ?? CIPHERS[agreed],
    alpn: "alpn" in facts ? facts.alpn : alpn,
    sni: hello.sni,
    resumed,
    clientCertificate: presented(options, certificate),
  })
}

function presented(
  { ca, clientCertificate: mode }: Termination,
  facts: CertificateFacts | undefined,
): PresentedCertificate | undefined {
  if (mode === undefined) return undefined
  if (facts === undefined) {
    if (mode === "request") return undefined
    throw new HandshakeFailed("the client has no certificate")
  }
  const { commonName = "client", sans, unverified, verified = ca !== undefined && unverified === undefined } = facts
  const why = verified ? undefined : (unverified ?? "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
  if (mode === "require-and-verify" && !verified) throw new HandshakeFailed(`the client's certificate: ${why}`)
  return Object.freeze({
    subject: facts.subject ?? `CN=${commonName}`,
    issuer: facts.issuer ?? "CN=ca",
    commonName: "commonName" in facts || facts.subject === undefined ? commonName : nameIn(facts.subject),
    sans: { dns: [], ip: [], email: [], uri: [], ...sans },
    serial: facts.serial ?? "01",
    notBefore: facts.notBefore ?? new Date(Date.UTC(2020, 0)),
    notAfter: facts.notAfter ?? new Date(Date.UTC(2100, 0)),
    fingerprint: facts.fingerprint ?? "0".repeat(64),
    verified,
    unverified: why,
  })
}

/** The CN of a subject that is written as plain text. */
function nameIn(subject: string): string | undefined {
  return /(?:^|[,+])CN=([^,+\\]*)/.exec(subject)?.[1]
}
