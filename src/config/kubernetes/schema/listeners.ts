// GatewayClass, Gateway and ListenerSet (gateway.networking.k8s.io), with the rules that their CRDs have in CEL.
import { Schema } from "effect"
import { parseIp } from "../../../policy/address.ts"
import { word } from "../../schema/field.ts"
import { strict, type Note, type Shape } from "../shape.ts"
import type { GatewayBody, GatewayClassBody, GatewayListener, ListenerSetBody, NamespaceFilter } from "../types.ts"
import {
  annotations,
  domainOptions,
  groupName,
  hostname,
  kindName,
  labels,
  labelSelector,
  like,
  listOf,
  namespaceName,
  objectName,
  port,
  reference,
  secretReference,
  sectionName,
  textUpTo,
  wholeReference,
} from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** What the CRDs allow. */
const MOST_LISTENERS = 64
const MOST_CERTIFICATES = 64
const MOST_KINDS = 8
const MOST_ADDRESSES = 16
const MOST_AUTHORITIES = 16
const MOST_PORTS = 64
const LONGEST_DESCRIPTION = 64
const LONGEST_ADDRESS = 253

const CONTROLLER_NAME =
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/u

const controllerName = like(CONTROLLER_NAME, 253, 'a domain and a path, like "tidegate.dev/gateway-controller"')

const parameters = { ...wholeReference, namespace: optionalKey(namespaceName) }

export const gatewayClass: Shape<GatewayClassBody> = strict(
  withSpec(
    Struct({
      controllerName,
      parametersRef: optionalKey(Struct(parameters)),
      description: optionalKey(textUpTo(LONGEST_DESCRIPTION)),
    }),
  ),
)

/** The protocols that have a name of their own; upper and lower case are the same. */
const PROTOCOLS = ["HTTP", "HTTPS", "TLS", "TCP", "UDP"]
const PROTOCOL =
  /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$/u

/** One that is not served is no fault of the object: its status says so. */
const protocol = like(
  PROTOCOL,
  255,
  `${PROTOCOLS.map((one) => JSON.stringify(one)).join(", ")}, or one like "example.com/name"`,
)

function protocolOf(written: string): string {
  const upper = written.toUpperCase()
  return PROTOCOLS.includes(upper) ? upper : written
}

type Fault = { readonly path: readonly PropertyKey[]; readonly issue: string }

const tls = Struct({
  mode: optionalKey(word(["Terminate", "Passthrough"])),
  certificateRefs: optionalKey(listOf(secretReference, 0, MOST_CERTIFICATES, "certificateRefs")),
  options: optionalKey(domainOptions),
}).annotate({ expected: "an object like { mode: Terminate, certificateRefs: [{ name: certificate }] }" })

/** `from: None` is for ListenerSets. */
function namespaces<const Words extends readonly string[]>(words: Words) {
  return Struct({ from: optionalKey(word(words)), selector: optionalKey(labelSelector) })
    .check(
      Schema.makeFilter(
        ({ from, selector }: { from?: string; selector?: unknown }) =>
          from !== "Selector" || selector !== undefined || "selector is missing: `from: Selector` chooses by it",
      ),
    )
    .annotate({ expected: "an object like { from: Same }" })
}

const allowedRoutes = Struct({
  namespaces: optionalKey(namespaces(["All", "Selector", "Same"])),
  kinds: optionalKey(
    listOf(
      Struct({ group: optionalKey(groupName), kind: kindName }).annotate({
        expected: "an object like { kind: TLSRoute }",
      }),
      0,
      MOST_KINDS,
      "kinds",
    ),
  ),
}).annotate({ expected: "an object like { namespaces: { from: Same } }" })

const listener = Struct({
  name: sectionName,
  hostname: optionalKey(hostname),
  port,
  protocol,
  tls: optionalKey(tls),
  allowedRoutes: optionalKey(allowedRoutes),
})
  .check(Schema.makeFilter(listenerFaults))
  .annotate({ expected: "a listener like { name: db, protocol: TCP, port: 5432 }" })

function listenerFaults({ hostname: host, protocol: written, tls: options }: GatewayListener): readonly Fault[] {
  const known = protocolOf(written)
  const faults: Fault[] = []
  if (host !== undefined && (known === "TCP" || known === "UDP"))
    faults.push({ path: ["hostname"], issue: `${known} sends no name; leave hostname out, or listen for TLS` })
  if (known === "HTTP" || known === "TCP" || known === "UDP") {
    if (options !== undefined)
      faults.push({
        path: ["tls"],
        issue: `has no place with protocol ${known}; write \`protocol: TLS\`, or leave tls out`,
      })
    return faults
  }
  if (known === "TLS" && options?.mode === undefined) {
    const issue = "mode is missing: with protocol TLS, write `mode: Passthrough` or `mode: Terminate`"
    faults.push({ path: options === undefined ? [] : ["tls"], issue: options === undefined ? `tls.${issue}` : issue })
    return faults
  }
  if (options === undefined) return faults
  const { certificateRefs = [], mode = "Terminate", options: more = {} } = options
  if (known === "HTTPS" && mode === "Passthrough")
    faults.push({
      path: ["tls", "mode"],
      issue: "HTTPS is always terminated; write `protocol: TLS` to pass it through",
    })
  if (mode === "Terminate" && certificateRefs.length === 0 && Object.keys(more).length === 0)
    faults.push({
      path: ["tls"],
      issue:
        "certificateRefs is missing: `mode: Terminate` needs a certificate, like certificateRefs: [{ name: certificate }]",
    })
  return faults
}

const listeners = listOf(listener, 1, MOST_LISTENERS, "listeners").check(Schema.makeFilter(sameListeners))

function sameListeners(all: readonly GatewayListener[]): readonly Fault[] {
  const names = new Map<string, number>()
  const places = new Map<string, number>()
  return all.flatMap(({ hostname: host = "", name, port: number, protocol: written }, i) => {
    const faults: Fault[] = []
    const place = JSON.stringify([number, protocolOf(written), host])
    const named = names.get(name)
    const placed = places.get(place)
    if (named !== undefined)
      faults.push({ path: [i, "name"], issue: `${JSON.stringify(name)} is the name of listeners[${named}] already` })
    if (placed !== undefined) {
      const what = host === "" ? "" : ` and hostname ${JSON.stringify(host)}`
      faults.push({
        path: [i, "port"],
        issue: `port ${number} with protocol ${protocolOf(written)}${what} is that of listeners[${placed}] already`,
      })
    }
    if (named === undefined) names.set(name, i)
    if (placed === undefined) places.set(place, i)
    return faults
  })
}

const ADDRESS_TYPE =
  /^(Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+)$/u
const ADDRESS_NAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u

interface Address {
  readonly type?: string
  readonly value?: string
}

const address = Struct({
  type: optionalKey(like(ADDRESS_TYPE, LONGEST_ADDRESS, '"IPAddress", "Hostname", or a type like "example.com/name"')),
  value: optionalKey(textUpTo(LONGEST_ADDRESS)),
})
  .check(Schema.makeFilter(addressFault))
  .annotate({ expected: 'an address like { value: "192.0.2.10" }' })

/** An empty one asks for any. */
function addressFault({ type = "IPAddress", value = "" }: Address): Fault | undefined {
  if (value === "") return undefined
  const found = JSON.stringify(value)
  if (type === "IPAddress" && parseIp(value) === undefined) {
    const hint = ADDRESS_NAME.test(value) && /[a-z]/u.test(value) ? "; a name needs `type: Hostname`" : ""
    return {
      path: ["value"],
      issue: `expected an IP address like "192.0.2.10" or "2001:db8::10", found ${found}${hint}`,
    }
  }
  if (type === "Hostname" && !ADDRESS_NAME.test(value))
    return { path: ["value"], issue: `expected a host name like "db.example.com", found ${found}` }
  return undefined
}

const addresses = listOf(address, 0, MOST_ADDRESSES, "addresses").check(
  Schema.makeFilter((all: readonly Address[]) => {
    const seen = new Map<string, number>()
    return all.flatMap(({ type = "IPAddress", value = "" }, i) => {
      const key = `${type} ${value}`
      const first = seen.get(key)
      if (first === undefined) seen.set(key, i)
      if (first === undefined || value === "" || (type !== "IPAddress" && type !== "Hostname")) return []
      return [{ path: [i, "value"], issue: `${JSON.stringify(value)} is addresses[${first}] already` }]
    })
  }),
)

const frontend = Struct({
  validation: optionalKey(
    Struct({
      caCertificateRefs: listOf(Struct(parameters), 1, MOST_AUTHORITIES, "caCertificateRefs"),
      mode: optionalKey(word(["AllowValidOnly", "AllowInsecureFallback"])),
    }),
  ),
}).annotate({ expected: "an object like { validation: { caCertificateRefs: [...] } }" })

const perPort = listOf(Struct({ port, tls: frontend }), 0, MOST_PORTS, "entries").check(
  Schema.makeFilter((all: readonly { readonly port: number }[]) => {
    const seen = new Map<number, number>()
    return all.flatMap(({ port: number }, i) => {
      const first = seen.get(number)
      if (first === undefined) seen.set(number, i)
      return first === undefined ? [] : [{ path: [i, "port"], issue: `${number} is that of perPort[${first}] already` }]
    })
  }),
)

/** What the CRDs allow, as is said of them in their CEL. */
function few(most: number, what: string) {
  return Schema.makeFilter((map: object) => {
    const count = Object.keys(map).length
    return count <= most || `${count} ${what}; at most ${most}`
  })
}

const gatewaySchema = withSpec(
  Struct({
    gatewayClassName: objectName,
    listeners,
    addresses: optionalKey(addresses),
    infrastructure: optionalKey(
      Struct({
        labels: optionalKey(labels.check(few(8, "labels"))),
        annotations: optionalKey(annotations.check(few(16, "annotations"))),
        parametersRef: optionalKey(Struct(wholeReference)),
      }),
    ),
    allowedListeners: optionalKey(Struct({ namespaces: optionalKey(namespaces(["All", "Selector", "Same", "None"])) })),
    tls: optionalKey(
      Struct({
        frontend: optionalKey(Struct({ default: frontend, perPort: optionalKey(perPort) })),
        backend: optionalKey(Struct({ clientCertificateRef: optionalKey(secretReference) })),
      }),
    ),
    defaultScope: optionalKey(word(["All", "None"])),
  }),
)

const readGateway = strict(gatewaySchema, ({ spec }) => [
  ...listenerNotes(spec.listeners),
  ...ignoredSelector(spec.allowedListeners?.namespaces, "None", ["spec", "allowedListeners", "namespaces"]),
  ...(spec.defaultScope === "All"
    ? [{ path: ["spec", "defaultScope"], message: "has no effect here: routes attach by their parentRefs" }]
    : []),
])

export const gateway: Shape<GatewayBody> = withProtocols(readGateway)

const listenerSetSchema = withSpec(
  Struct({
    parentRef: Struct({ ...reference, namespace: optionalKey(namespaceName) }),
    listeners,
  }),
)

export const listenerSet: Shape<ListenerSetBody> = withProtocols(
  strict(listenerSetSchema, ({ spec }) => listenerNotes(spec.listeners)),
)

/** Core protocols are the same in upper and lower case: whoever looks at them later need not think of it. */
function withProtocols<Body extends { readonly spec: { readonly listeners: readonly GatewayListener[] } }>(
  shape: Shape<Body>,
): Shape<Body> {
  return (written) => {
    const taken = shape(written)
    if ("faults" in taken) return taken
    const { notes, value } = taken
    const all = value.spec.listeners.map((one) => ({ ...one, protocol: protocolOf(one.protocol) }))
    return { notes, value: { ...value, spec: { ...value.spec, listeners: all } } }
  }
}

function listenerNotes(all: readonly GatewayListener[]): readonly Note[] {
  return all.flatMap(({ allowedRoutes: allowed, tls: options }, i) => {
    const at = ["spec", "listeners", i]
    const notes = [...ignoredSelector(allowed?.namespaces, "Same", [...at, "allowedRoutes", "namespaces"])]
    if (options?.mode === "Passthrough" && (options.certificateRefs?.length ?? 0) > 0)
      notes.push({ path: [...at, "tls", "certificateRefs"], message: "has no effect: TLS passes through here" })
    return notes
  })
}

function ignoredSelector(filter: NamespaceFilter | undefined, otherwise: string, at: readonly PropertyKey[]): Note[] {
  const { from = otherwise, selector } = filter ?? {}
  if (selector === undefined || from === "Selector") return []
  return [{ path: [...at, "selector"], message: `has no effect with \`from: ${from}\`; write \`from: Selector\`` }]
}
