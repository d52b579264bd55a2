// The texts that Kubernetes objects are made of: names, hosts, ports, maps. The patterns are those of the CRDs; where these
// let through what can never be anything, they are narrower.
import { Schema } from "effect"
import { parseIp } from "../../../policy/address.ts"
import { complaint, grouped, whole, word } from "../../schema/field.ts"
import { parseCidr } from "../../../policy/cidr.ts"

/** 253 characters, as a name of the DNS. */
const LONGEST_NAME = 253
/** 63 characters, as a label of the DNS. */
const LONGEST_LABEL = 63

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`
const DNS_LABEL = new RegExp(`^${LABEL}$`, "u")
const DNS_SUBDOMAIN = new RegExp(`^${SUBDOMAIN}$`, "u")

/** What two fields say against each other. */
export interface Issue {
  readonly path: readonly PropertyKey[]
  readonly issue: string
}

/** A text of at most so many characters that looks like this. */
export function like(pattern: RegExp, longest: number, expected: string) {
  return Schema.String.check(
    Schema.makeFilter((value: string) => value.length <= longest && pattern.test(value), { expected }),
  ).annotate({ expected })
}

/** A text of at most so many characters. */
export function textUpTo(longest: number) {
  const expected = `a text of at most ${grouped(longest)} characters`
  return Schema.String.check(Schema.isMaxLength(longest, { expected })).annotate({ expected })
}

/** The name of an object (RFC 1123 subdomain): another one cannot be there. */
export const objectName = like(
  DNS_SUBDOMAIN,
  LONGEST_NAME,
  'the name of an object: lower-case letters, digits, "-" and "."',
)

export const namespaceName = like(
  DNS_LABEL,
  LONGEST_LABEL,
  'the name of a namespace: at most 63 lower-case letters, digits and "-"',
)

/** The name of a listener, a rule or a port of a Service. */
export const sectionName = like(
  DNS_SUBDOMAIN,
  LONGEST_NAME,
  'a name of lower-case letters, digits, "-" and ".", like "tls" (RFC 1123)',
)

/** `""` is the core group. */
export const groupName = like(
  new RegExp(`^$|^${SUBDOMAIN}$`, "u"),
  LONGEST_NAME,
  'a group like "gateway.networking.k8s.io", or "" for the core group',
)

export const kindName = like(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/u, LONGEST_LABEL, 'a kind like "Service"')

export const port = whole(1, 65_535)

/** What may stand before the first dot only, or nowhere. */
function hostFault(host: string, wildcard: boolean): string | undefined {
  const example = wildcard ? '"db.example.com" or "*.example.com"' : '"db.example.com"'
  const found = `expected a host name like ${example}, found ${JSON.stringify(host.slice(0, LONGEST_NAME))}`
  if (host === "") return found
  if (host.length > LONGEST_NAME) return `${found}: longer than ${LONGEST_NAME} characters`
  if (parseIp(host.replace(/^\[(.*)\]$/u, "$1")) !== undefined)
    return `${found}: an address is no name, and TLS sends names only`
  if (/^[a-z][a-z0-9+.-]*:\/\//iu.test(host)) return `${found}: write the name alone, without "://"`
  const name = wildcard && host.startsWith("*.") ? host.slice(2) : host
  if (DNS_SUBDOMAIN.test(name))
    return name.split(".").some((label) => label.length > LONGEST_LABEL)
      ? `${found}: a part of it is longer than ${LONGEST_LABEL} characters`
      : undefined
  if (name.includes("*"))
    return wildcard
      ? `${found}: "*" stands for whole first parts only, as in "*.example.com"`
      : `${found}: one name, no "*"`
  if (/[A-Z]/u.test(name)) return `${found}: write it in lower case`
  if (name.endsWith(".")) return `${found}: without the dot at the end`
  if (/:\d+$/u.test(name)) return `${found}: without the port`
  return found
}

/** A name, or `*.` and a name: any number of labels before it. */
export const hostname = Schema.String.check(Schema.makeFilter((value: string) => hostFault(value, true))).annotate({
  expected: 'a host name like "db.example.com" or "*.example.com"',
})

export const preciseHostname = Schema.String.check(
  Schema.makeFilter((value: string) => hostFault(value, false)),
).annotate({ expected: 'a host name like "db.example.com"' })

export const cidr = Schema.String.check(
  Schema.makeFilter((value: string) => complaint(() => parseCidr(value))),
).annotate({ expected: 'an address range like "10.0.0.0/8"' })

/** Lists of so many entries; `what` as in "1 to 16 targetRefs". What the entries say against each other is a check. */
export function listOf<S extends Schema.Top>(
  entry: S,
  least: number,
  most: number,
  what: string,
  against: (all: readonly S["Type"][]) => readonly Issue[] = () => [],
) {
  const bounds = least === 0 ? "at most" : least === most ? "exactly" : `${grouped(least)} to`
  const expected = `a list of ${bounds} ${grouped(most)} ${what}`
  return Schema.Array(entry)
    .check(
      Schema.makeFilter((all: readonly S["Type"][]) => {
        if (all.length >= least && all.length <= most) return against(all)
        return `expected ${expected}, found ${all.length === 0 ? "an empty list" : grouped(all.length)}`
      }),
    )
    .annotate({ expected })
}

/** The key of a label or annotation: `[domain/]name`. */
const QUALIFIED = new RegExp(`^(${SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`, "u")
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/u

export const labelValue = like(
  LABEL_VALUE,
  LONGEST_LABEL,
  'the value of a label: at most 63 letters, digits, "-", "_" and "."',
)
export const labelKey = like(
  QUALIFIED,
  LONGEST_NAME + 1 + LONGEST_LABEL,
  'the key of a label, like "app" or "example.com/app"',
)

function keysLike(expected: string, takes: (key: string) => boolean) {
  return Schema.makeFilter((map: Readonly<Record<string, unknown>>) =>
    Object.keys(map)
      .filter((key) => !takes(key))
      .map((key) => ({ path: [key], issue: `${JSON.stringify(key)} is no key: expected ${expected}` })),
  )
}

const qualified = keysLike('letters, digits, "-", "_" and ".", or the same after a domain and "/"', (key) =>
  QUALIFIED.test(key),
)

export const labels = Schema.Record(Schema.String, labelValue)
  .check(qualified)
  .annotate({ expected: "labels like { app: db }" })

export const annotations = Schema.Record(Schema.String, Schema.String)
  .check(qualified)
  .annotate({ expected: 'annotations like { example.com/name: "text" }' })

/** 16 keys of at most 4,096 characters, as the CRDs have it. */
const MOST_OPTIONS = 16
const LONGEST_OPTION = 4096

/** `tls.options` and the like: names without a domain are kept for Gateway API itself. */
export const domainOptions = Schema.Record(Schema.String, textUpTo(LONGEST_OPTION))
  .check(
    keysLike('one with a domain, like "example.com/name"', (key) => key.includes("/") && QUALIFIED.test(key)),
    Schema.makeFilter((map: object) => {
      const count = Object.keys(map).length
      return count <= MOST_OPTIONS || `${count} options; at most ${MOST_OPTIONS}`
    }),
  )
  .annotate({ expected: 'options like { example.com/name: "text" }' })

const requirement = Schema.Struct({
  key: labelKey,
  operator: word(["In", "NotIn", "Exists", "DoesNotExist"]),
  values: Schema.optionalKey(Schema.Array(labelValue)),
})
  .check(
    Schema.makeFilter(({ operator, values = [] }: { operator: string; values?: readonly string[] }) => {
      const needs = operator === "In" || operator === "NotIn"
      if (needs && values.length === 0) return { path: [], issue: `values is missing: ${operator} needs one or more` }
      return needs || values.length === 0 || { path: ["values"], issue: `${operator} takes no values` }
    }),
  )
  .annotate({ expected: "an object like { key: env, operator: In, values: [prod] }" })

export const labelSelector = Schema.Struct({
  matchLabels: Schema.optionalKey(labels),
  matchExpressions: Schema.optionalKey(Schema.Array(requirement)),
}).annotate({ expected: "a selector like { matchLabels: { app: db } }" })

/** A reference whose group and kind have a default. */
export const reference = {
  group: Schema.optionalKey(groupName),
  kind: Schema.optionalKey(kindName),
  name: objectName,
}

/** To a Secret where nothing else is said. */
export const secretReference = Schema.Struct({
  ...reference,
  namespace: Schema.optionalKey(namespaceName),
}).annotate({ expected: "a reference like { name: certificate }" })

/** A reference that says everything. */
export const wholeReference = { group: groupName, kind: kindName, name: objectName }
