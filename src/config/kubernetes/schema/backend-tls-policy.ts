// BackendTLSPolicy: how the gateway speaks TLS to a Service. v1alpha3 has the shape of v1.
import { Schema } from "effect"
import { word } from "../../schema/field.ts"
import { strict, type Shape } from "../shape.ts"
import type { BackendTLSPolicyBody } from "../types.ts"
import {
  domainOptions,
  hostname,
  like,
  listOf,
  preciseHostname,
  sectionName,
  textUpTo,
  wholeReference,
  type Issue,
} from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** What the CRD allows. */
const MOST_TARGETS = 16
const MOST_AUTHORITIES = 8
const MOST_NAMES = 5
const LONGEST_URI = 253

interface Target {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly sectionName?: string
}

/** Two references to one object name sections of it, and different ones. Also of other policies. */
export function sameTargets(all: readonly Target[]): readonly Issue[] {
  const objects = new Map<string, number>()
  const sections = new Map<string, number>()
  return all.flatMap(({ group, kind, name, sectionName: section }, i) => {
    const key = JSON.stringify([group, kind, name])
    const exact = JSON.stringify([key, section ?? ""])
    const first = objects.get(key)
    const same = sections.get(exact)
    if (first === undefined) objects.set(key, i)
    if (same === undefined) sections.set(exact, i)
    if (same !== undefined) return [{ path: [i], issue: `is targetRefs[${same}] once more` }]
    if (first === undefined || (section === undefined) === (all[first]?.sectionName === undefined)) return []
    return [{ path: [i], issue: `targetRefs[${first}] is the same object: give both a sectionName, or neither` }]
  })
}

const targetRefs = listOf(
  Struct({ ...wholeReference, sectionName: optionalKey(sectionName) }).annotate({
    expected: 'an object like { group: "", kind: Service, name: db }',
  }),
  1,
  MOST_TARGETS,
  "targetRefs",
  sameTargets,
)

const alternativeName = Struct({
  type: word(["Hostname", "URI"]),
  hostname: optionalKey(hostname),
  uri: optionalKey(like(/^[a-zA-Z][a-zA-Z0-9+.-]*:.+$/u, LONGEST_URI, 'a URI like "spiffe://example.com/db"')),
})
  .check(
    Schema.makeFilter(({ hostname: name, type, uri }: { type: string; hostname?: string; uri?: string }) => {
      const [needed, other] = type === "URI" ? (["uri", "hostname"] as const) : (["hostname", "uri"] as const)
      const values = { hostname: name, uri }
      if (values[needed] === undefined) return `${needed} is missing: it goes with \`type: ${type}\``
      return values[other] === undefined || { path: [other], issue: `has no place with \`type: ${type}\`` }
    }),
  )
  .annotate({ expected: "a name like { type: Hostname, hostname: db.example.com }" })

const SYSTEM = /^(System|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9.-]+)$/u

const validation = Struct({
  hostname: preciseHostname,
  caCertificateRefs: optionalKey(
    listOf(
      Struct(wholeReference).annotate({ expected: 'a reference like { group: "", kind: ConfigMap, name: ca }' }),
      0,
      MOST_AUTHORITIES,
      "caCertificateRefs",
    ),
  ),
  wellKnownCACertificates: optionalKey(
    Schema.Union([textUpTo(0), like(SYSTEM, LONGEST_URI, '"System"')]).annotate({
      expected: '"System"',
      words: ["System"],
    }),
  ),
  subjectAltNames: optionalKey(listOf(alternativeName, 0, MOST_NAMES, "subjectAltNames")),
})
  .check(
    Schema.makeFilter((written: { caCertificateRefs?: readonly unknown[]; wellKnownCACertificates?: string }) => {
      const listed = (written.caCertificateRefs?.length ?? 0) > 0
      const known = (written.wellKnownCACertificates ?? "") !== ""
      if (!listed && !known)
        return "caCertificateRefs is missing: say who may have signed the certificate, or write `wellKnownCACertificates: System`"
      return (
        !(listed && known) || {
          path: ["wellKnownCACertificates"],
          issue: "goes against caCertificateRefs: one of the two says who may have signed the certificate",
        }
      )
    }),
  )
  .annotate({ expected: "an object like { hostname: db.example.com, caCertificateRefs: [...] }" })

export const backendTlsPolicy: Shape<BackendTLSPolicyBody> = strict(
  withSpec(Struct({ targetRefs, validation, options: optionalKey(domainOptions) })),
)
