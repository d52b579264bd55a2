// GatewayClass, Gateway and ListenerSet (gateway.networking.k8s.io).
import { Schema } from "effect"
import { word } from "../../schema/field.ts"
import { strict, type Shape } from "../shape.ts"
import type { GatewayBody, GatewayClassBody, ListenerSetBody } from "../types.ts"
import { addresses } from "./addresses.ts"
import { ignoredSelector, listenerNotes, listeners, namespaces, withProtocols } from "./listeners.ts"
import {
  annotations,
  labels,
  like,
  listOf,
  namespaceName,
  objectName,
  port,
  reference,
  secretReference,
  textUpTo,
  wholeReference,
  type Issue,
} from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** What the CRDs allow. */
const MOST_AUTHORITIES = 16
const MOST_PORTS = 64
const MOST_LABELS = 8
const MOST_ANNOTATIONS = 16
const LONGEST_DESCRIPTION = 64
const LONGEST_CONTROLLER = 253

const CONTROLLER_NAME =
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/u

const controllerName = like(
  CONTROLLER_NAME,
  LONGEST_CONTROLLER,
  'a domain and a path, like "tidegate.dev/gateway-controller"',
)

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

const frontend = Struct({
  validation: optionalKey(
    Struct({
      caCertificateRefs: listOf(Struct(parameters), 1, MOST_AUTHORITIES, "caCertificateRefs"),
      mode: optionalKey(word(["AllowValidOnly", "AllowInsecureFallback"])),
    }),
  ),
}).annotate({ expected: "an object like { validation: { caCertificateRefs: [...] } }" })

function samePorts(all: readonly { readonly port: number }[]): readonly Issue[] {
  const seen = new Map<number, number>()
  return all.flatMap(({ port: number }, i) => {
    const first = seen.get(number)
    if (first === undefined) seen.set(number, i)
    return first === undefined ? [] : [{ path: [i, "port"], issue: `${number} is that of perPort[${first}] already` }]
  })
}

const perPort = listOf(
  Struct({ port, tls: frontend }).annotate({ expected: "an object like { port: 443, tls: {...} }" }),
  0,
  MOST_PORTS,
  "entries",
  samePorts,
)

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
        labels: optionalKey(labels.check(few(MOST_LABELS, "labels")).annotate({ expected: "labels like { app: db }" })),
        annotations: optionalKey(
          annotations
            .check(few(MOST_ANNOTATIONS, "annotations"))
            .annotate({ expected: "annotations like { example.com/name: text }" }),
        ),
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
