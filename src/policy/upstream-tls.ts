// `tls` of a route: how to speak TLS to `tls://` targets.
import { checkAlpn, checkPair, checkPem, TerminateInvalid, type CertificatePair } from "./terminate.ts"
import { describe } from "./describe.ts"
import { didYouMean } from "./suggest.ts"
import { isHostName } from "./target.ts"

export interface UpstreamTls {
  /** The name to ask for and to verify. @default the host of the target */
  readonly sni?: string
  /**
   * Names of which the certificate has to have one, instead of `sni`: host names, or URIs as `spiffe://` ones are, exactly
   * as it has them. At most 16. @default the name that is asked for
   */
  readonly names?: readonly string[]
  /** Application protocols to offer, preferred first. @default none; for PostgreSQL `["postgresql"]` */
  readonly alpn?: readonly string[]
  /** Who may have signed the target's certificate: PEM. @default the authorities that the system trusts */
  readonly ca?: string | readonly string[]
  /** Shown to targets that ask for one. */
  readonly certificate?: CertificatePair
  /** Take any certificate for any name: encrypted, but to nobody in particular. @default false */
  readonly insecureSkipVerify?: boolean
}

const OPTIONS = ["sni", "names", "alpn", "ca", "certificate", "insecureSkipVerify"] as const

/** @throws TerminateInvalid */
export function checkUpstreamTls(value: unknown): UpstreamTls {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("options", value)
  for (const name of Object.keys(value)) {
    if (!(OPTIONS as readonly string[]).includes(name))
      throw new TerminateInvalid(
        `route: tls: there is no option ${JSON.stringify(name)}${didYouMean(name, OPTIONS) || `; known are ${OPTIONS.join(", ")}`}`,
      )
  }
  const { sni, names, alpn, ca, certificate, insecureSkipVerify } = value as {
    [Name in (typeof OPTIONS)[number]]?: unknown
  }
  if (sni !== undefined && !(typeof sni === "string" && isHostName(sni))) throw invalid("sni: a host name", sni)
  if (insecureSkipVerify !== undefined && typeof insecureSkipVerify !== "boolean")
    throw invalid("insecureSkipVerify: true or false", insecureSkipVerify)
  if (insecureSkipVerify === true && ca !== undefined)
    throw new TerminateInvalid("route: tls: ca has no effect with insecureSkipVerify")
  const offered = checkAlpn("route: tls: alpn", alpn)
  const wanted = checkNames(names)
  if (insecureSkipVerify === true && wanted !== undefined)
    throw new TerminateInvalid("route: tls: names has no effect with insecureSkipVerify")
  const authorities = ca === undefined ? undefined : Array.isArray(ca) ? ca : [ca]
  return Object.freeze({
    ...(sni === undefined ? {} : { sni: (sni as string).replace(/\.$/, "").toLowerCase() }),
    ...(wanted === undefined ? {} : { names: wanted }),
    ...(offered === undefined ? {} : { alpn: Object.freeze([...offered]) }),
    ...(authorities === undefined
      ? {}
      : { ca: authorities.map((text) => checkPem("route: tls: ca", text, "CERTIFICATE")).join("\n") }),
    ...(certificate === undefined
      ? {}
      : { certificate: Object.freeze(checkPair("route: tls: certificate", certificate)) }),
    ...(insecureSkipVerify === true ? { insecureSkipVerify } : {}),
  })
}

/** 16: more are looked for by mistake. */
export const MOST_NAMES = 16
const URI = /^[a-z][a-z0-9+.-]*:\/\/[\x21\x23-\x7e]+$/i

/** Whether a certificate may have the name: that of a host, `*.` included, or a URI. */
export function isCertificateName(name: unknown): name is string {
  return typeof name === "string" && (URI.test(name) || isHostName(name.replace(/^\*\./, "")))
}

function checkNames(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_NAMES)
    throw invalid(`names: a list of 1 to ${MOST_NAMES} names`, value)
  for (const name of value)
    if (!isCertificateName(name)) throw invalid('names: host names, or URIs like "spiffe://example.com/db"', name)
  return Object.freeze(value.map((name: string) => (URI.test(name) ? name : name.replace(/\.$/, "").toLowerCase())))
}

function invalid(expected: string, found: unknown): TerminateInvalid {
  return new TerminateInvalid(`route: tls: expected ${expected}, found ${describe(found)}`)
}
