// TLS that ends at an endpoint: `agent_tls_termination` with its PEM texts. What is said of these never shows them.
import { checkTerminate, TerminateInvalid, type TerminateOptions } from "../../policy/terminate.ts"
import { IdentityInvalid, readIdentity } from "../../tls/identity.ts"
import type { WrittenEndpoint } from "./agent-schema.ts"

type Written = NonNullable<WrittenEndpoint["agent_tls_termination"]>

export type TerminationRead =
  | { readonly options: TerminateOptions }
  | { readonly path: readonly string[]; readonly problem: string; readonly hint?: string }

const [CERTIFICATE, KEY, AUTHORITIES] = [
  "server_certificate",
  "server_private_key",
  "mutual_tls_certificate_authorities",
] as const
const INLINE = "write the PEM text itself, with a | and indented; the files that it names are not read"

export function readTermination(written: Written): TerminationRead {
  const { mutual_tls_certificate_authorities: authorities, server_certificate: cert, server_private_key: key } = written
  for (const [name, text] of [
    [CERTIFICATE, cert],
    [KEY, key],
  ] as const)
    if (text !== undefined && !text.includes("-----BEGIN "))
      return { path: [name], problem: 'expected PEM ("-----BEGIN ..."), found another text', hint: INLINE }
  if ((cert === undefined) !== (key === undefined)) {
    const [missing, given] = cert === undefined ? [CERTIFICATE, KEY] : [KEY, CERTIFICATE]
    return { path: [given], problem: `needs ${missing} beside it (ERR_NGROK_14001)` }
  }
  const list = authorities === undefined ? [] : typeof authorities === "string" ? [authorities] : authorities
  const path = list.findIndex((text) => !text.includes("-----BEGIN CERTIFICATE-----"))
  if (path >= 0)
    return {
      path: [AUTHORITIES],
      problem: 'expected PEM ("-----BEGIN CERTIFICATE-----"), found another text (ERR_NGROK_14002)',
      hint: INLINE,
    }
  try {
    const pair =
      cert === undefined || key === undefined
        ? undefined
        : readIdentity({ file: CERTIFICATE, text: cert }, { file: KEY, text: key })
    const options: TerminateOptions = {
      ...(pair === undefined ? {} : { certificates: { cert: pair.cert, key: pair.key } }),
      ...(list.length === 0 ? {} : { clientCertificate: "require-and-verify", ca: list }),
    }
    checkTerminate(options)
    return { options }
  } catch (error) {
    if (error instanceof IdentityInvalid) return { path: [error.file], problem: `${error.message} (ERR_NGROK_14001)` }
    if (error instanceof TerminateInvalid)
      return { path: [AUTHORITIES], problem: error.message.replace(/^terminate: /, "") }
    throw error
  }
}
