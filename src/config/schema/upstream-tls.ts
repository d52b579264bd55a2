// How to speak TLS to targets, as configuration: `tls` of a pool and of a route.
import { Schema } from "effect"
import { isHostName } from "../../policy/target.ts"
import { checkPem, TerminateInvalid } from "../../policy/terminate.ts"
import { isCertificateName, MOST_NAMES } from "../../policy/upstream-tls.ts"
import { flag, optional, required } from "./field.ts"

/** 16 names: as `tls` of a route. */
const MOST_ALPN = 16
/** 255 bytes: the length of a name is one byte (RFC 7301 section 3.1). */
const ALPN = /^[!-~]{1,255}$/u

const pem = (label: string) => {
  const expected = `PEM text ("-----BEGIN ${label}-----")`
  return Schema.String.check(Schema.makeFilter((value: string) => isPem(value, label), { expected })).annotate({
    // What was found is not shown where it may be a key.
    expected,
    secret: true,
    kind: "PEM text",
  })
}

function isPem(value: string, label: string): boolean {
  try {
    checkPem("", value, label)
    return true
  } catch (error) {
    if (error instanceof TerminateInvalid) return false
    throw error
  }
}

const certificate = pem("CERTIFICATE")

const pair = Schema.Struct({
  cert: required(certificate, { description: "The certificate, and those between it and an authority." }),
  key: required(pem("PRIVATE KEY"), { description: "Its key." }),
}).annotate({
  identifier: "CertificatePair",
  title: "Certificate",
  description: "A certificate and its key.",
  expected: "{ cert, key } with PEM texts",
})

export const upstreamTls = Schema.Struct({
  sni: optional(
    Schema.String.check(Schema.makeFilter((name: string) => isHostName(name), { expected: "a host name" })).annotate({
      expected: "a host name",
      kind: "host name",
    }),
    { description: "The name to ask for and to verify.", otherwise: "the host of the target" },
  ),
  names: optional(
    Schema.Array(
      Schema.String.check(
        Schema.makeFilter((name: string) => isCertificateName(name), { expected: "a host name, or a URI" }),
      ).annotate({ expected: "a host name, or a URI", kind: "name" }),
    )
      .check(
        Schema.isMinLength(1, { expected: `a list of 1 to ${MOST_NAMES} names` }),
        Schema.isMaxLength(MOST_NAMES, { expected: `a list of 1 to ${MOST_NAMES} names` }),
      )
      .annotate({ expected: `a list of 1 to ${MOST_NAMES} names`, range: `1 to ${MOST_NAMES} entries` }),
    {
      description:
        "Names of which the certificate has to have one, instead of `sni`: host names, or URIs, exactly as it has them.",
      otherwise: "the name that is asked for",
      examples: [["db.internal", "spiffe://example.com/db"]],
    },
  ),
  alpn: optional(
    Schema.Array(
      Schema.String.check(
        Schema.isPattern(ALPN, { expected: 'the name of a protocol, like "h2" or "postgresql"' }),
      ).annotate({ expected: 'the name of a protocol, like "h2" or "postgresql"', kind: "name" }),
    )
      .check(Schema.isMaxLength(MOST_ALPN, { expected: `a list of at most ${MOST_ALPN} names` }))
      .annotate({ expected: `a list of at most ${MOST_ALPN} names`, range: `at most ${MOST_ALPN} entries` }),
    {
      description: "Application protocols to offer, preferred first.",
      otherwise: 'none; for PostgreSQL `["postgresql"]`',
      examples: [["h2", "http/1.1"]],
    },
  ),
  ca: optional(Schema.Union([certificate, Schema.Array(certificate)]).annotate({ expected: "PEM text, or a list" }), {
    description: "Who may have signed the target's certificate.",
    otherwise: "the authorities that the system trusts",
  }),
  certificate: optional(pair, { description: "Shown to targets that ask for one.", otherwise: "none" }),
  insecureSkipVerify: optional(flag, {
    description: "Take any certificate for any name: encrypted, but to nobody in particular.",
    default: false,
  }),
}).annotate({
  identifier: "UpstreamTls",
  title: "TLS to targets",
  description: "How to speak TLS to targets that are to be encrypted.",
  expected: "options like { sni, ca }",
})
