// `tls` of a route: how to speak TLS to `tls://` targets.
import { checkAlpn, checkPair, checkPem, TerminateInvalid, type CertificatePair } from "./terminate.ts"
import { describe } from "./describe.ts"
import { didYouMean } from "./suggest.ts"
import { isHostName } from "./target.ts"

export interface UpstreamTls {
  /** The name to ask for and to verify. @default the host of the target */
  readonly sni?: string
  /** Application protocols to offer, preferred first. @default none; for PostgreSQL `["postgresql"]` */
  readonly alpn?: readonly string[]
  /** Who may have signed the target's certificate: PEM. @default the authorities that the system trusts */
  readonly ca?: string | readonly string[]
  /** Shown to targets that ask for one. */
  readonly certificate?: CertificatePair
  /** Take any certificate for any name: encrypted, but to nobody in particular. @default false */
  readonly insecureSkipVerify?: boolean
}

const OPTIONS = ["sni", "alpn", "ca", "certificate", "insecureSkipVerify"] as const

/** @throws TerminateInvalid */
export function checkUpstreamTls(value: unknown): UpstreamTls {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("options", value)
  for (const name of Object.keys(value)) {
    if (!(OPTIONS as readonly string[]).includes(name))
      throw new TerminateInvalid(
        `route: tls: there is no option ${JSON.stringify(name)}${didYouMean(name, OPTIONS) || `; known are ${OPTIONS.join(", ")}`}`,
      )
  }
  const { sni, alpn, ca, certificate, insecureSkipVerify } = value as { [Name in (typeof OPTIONS)[number]]?: unknown }
  if (sni !== undefined && !(typeof sni === "string" && isHostName(sni))) throw invalid("sni: a host name", sni)
  if (insecureSkipVerify !== undefined && typeof insecureSkipVerify !== "boolean")
    throw invalid("insecureSkipVerify: true or false", insecureSkipVerify)
  if (insecureSkipVerify === true && ca !== undefined)
    throw new TerminateInvalid("route: tls: ca has no effect with insecureSkipVerify")
  const names = checkAlpn("route: tls: alpn", alpn)
  const authorities = ca === undefined ? undefined : Array.isArray(ca) ? ca : [ca]
  return Object.freeze({
    ...(sni === undefined ? {} : { sni: (sni as string).replace(/\.$/, "").toLowerCase() }),
    ...(names === undefined ? {} : { alpn: Object.freeze([...names]) }),
    ...(authorities === undefined
      ? {}
      : { ca: authorities.map((text) => checkPem("route: tls: ca", text, "CERTIFICATE")).join("\n") }),
    ...(certificate === undefined
      ? {}
      : { certificate: Object.freeze(checkPair("route: tls: certificate", certificate)) }),
    ...(insecureSkipVerify === true ? { insecureSkipVerify } : {}),
  })
}

function invalid(expected: string, found: unknown): TerminateInvalid {
  return new TerminateInvalid(`route: tls: expected ${expected}, found ${describe(found)}`)
}
