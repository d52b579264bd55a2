// Whom a target's certificate has to be for, and what is said of one that will not do: the same for connections and for
// health checks.
import { checkServerIdentity, type PeerCertificate } from "node:tls"
import { parseIp } from "../policy/address.ts"
import type { Target } from "../policy/target.ts"
import { tlsError } from "../policy/tls-error.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"

/** 200 characters of names: a certificate has up to thousands. */
const LONGEST_NAMES = 200

/** The name that the certificate has to have. */
export function expectedName(target: Target, tls: UpstreamTls | undefined): string {
  return tls?.sni ?? (target.kind === "unix" ? "localhost" : target.host)
}

/** What is asked for; there is no asking for an address (RFC 6066 section 3). A name whose address is known stays a name. */
export function requestedName(target: Target, tls: UpstreamTls | undefined): string | undefined {
  const name = tls?.sni ?? (target.kind === "unix" || parseIp(target.host) !== undefined ? undefined : target.host)
  return name?.replace(/\.$/, "")
}

/** Why the certificate is not that of the target; `undefined` when it is. */
export function identityProblem(
  target: Target,
  tls: UpstreamTls | undefined,
  certificate: PeerCertificate,
): string | undefined {
  const names = tls?.names
  if (names === undefined) return nameProblem(expectedName(target, tls), certificate)
  return names.some((name) => isFor(name, certificate)) ? undefined : misnamed(names.join(" or "), certificate)
}

function isFor(name: string, certificate: PeerCertificate): boolean {
  if (!name.includes("://") && checkServerIdentity(name, certificate) === undefined) return true
  // Commas inside of a name are escaped.
  const entries = certificate.subjectaltname?.split(", ") ?? []
  return entries.includes(name.includes("://") ? `URI:${name}` : `DNS:${name}`)
}

/** Why the certificate is not for `name`; `undefined` when it is. */
export function nameProblem(name: string, certificate: PeerCertificate): string | undefined {
  if (checkServerIdentity(name, certificate) === undefined) return undefined
  return misnamed(name, certificate)
}

export function misnamed(name: string, { subjectaltname }: PeerCertificate): string {
  if (subjectaltname === undefined) return `the certificate is not for ${name}: it has no names`
  const cut = subjectaltname.length > LONGEST_NAMES
  return `the certificate is not for ${name}: it has ${subjectaltname.slice(0, LONGEST_NAMES)}${cut ? "..." : ""}`
}

export type HandshakeError = (Error & { code?: string }) | null

/** Whether the error is about the certificate, which is judged once keys are agreed on, and not about the handshake. */
export function isVerdict(error: HandshakeError): boolean {
  const code = error?.code
  return code !== undefined && code !== "EPROTO" && code !== "ECONNRESET" && !code.startsWith("ERR_SSL_")
}

/** What went wrong, in words. The code of a verdict is what people search for. */
export function handshakeProblem(error: HandshakeError): string {
  const { text } = tlsError(error)
  return isVerdict(error) ? `TLS: ${error!.code}: ${text}` : `TLS: ${text}`
}
