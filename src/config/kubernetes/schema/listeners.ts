// The listeners of Gateways and ListenerSets, with the rules that their CRDs have in CEL.
import { Schema } from "effect"
import { word } from "../../schema/field.ts"
import type { Note, Shape } from "../shape.ts"
import type { GatewayListener, NamespaceFilter } from "../types.ts"
import {
  domainOptions,
  groupName,
  hostname,
  kindName,
  labelSelector,
  like,
  listOf,
  port,
  secretReference,
  sectionName,
  type Issue,
} from "./names.ts"

const { Struct, optionalKey } = Schema

/** What the CRDs allow. */
const MOST_LISTENERS = 64
const MOST_CERTIFICATES = 64
const MOST_KINDS = 8

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

const tls = Struct({
  mode: optionalKey(word(["Terminate", "Passthrough"])),
  certificateRefs: optionalKey(listOf(secretReference, 0, MOST_CERTIFICATES, "certificateRefs")),
  options: optionalKey(domainOptions),
}).annotate({ expected: "an object like { mode: Terminate, certificateRefs: [{ name: certificate }] }" })

/** `from: None` is for ListenerSets. */
export function namespaces<const Words extends readonly string[]>(words: Words) {
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

function listenerFaults({ hostname: host, protocol: written, tls: options }: GatewayListener): readonly Issue[] {
  const known = protocolOf(written)
  const faults: Issue[] = []
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

export const listeners = listOf(listener, 1, MOST_LISTENERS, "listeners", sameListeners)

function sameListeners(all: readonly GatewayListener[]): readonly Issue[] {
  const names = new Map<string, number>()
  const places = new Map<string, number>()
  return all.flatMap(({ hostname: host = "", name, port: number, protocol: written }, i) => {
    const faults: Issue[] = []
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

/** Core protocols are the same in upper and lower case: whoever looks at them later need not think of it. */
export function withProtocols<Body extends { readonly spec: { readonly listeners: readonly GatewayListener[] } }>(
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

export function listenerNotes(all: readonly GatewayListener[]): readonly Note[] {
  return all.flatMap(({ allowedRoutes: allowed, tls: options }, i) => {
    const at = ["spec", "listeners", i]
    const notes = [...ignoredSelector(allowed?.namespaces, "Same", [...at, "allowedRoutes", "namespaces"])]
    if (options?.mode === "Passthrough" && (options.certificateRefs?.length ?? 0) > 0)
      notes.push({ path: [...at, "tls", "certificateRefs"], message: "has no effect: TLS passes through here" })
    return notes
  })
}

export function ignoredSelector(
  filter: NamespaceFilter | undefined,
  otherwise: string,
  at: readonly PropertyKey[],
): Note[] {
  const { from = otherwise, selector } = filter ?? {}
  if (selector === undefined || from === "Selector") return []
  return [{ path: [...at, "selector"], message: `has no effect with \`from: ${from}\`; write \`from: Selector\`` }]
}
