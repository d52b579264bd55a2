// Which documents are read, in which versions, and what is said of those that are nearly one of them.
import { describe, expect, test } from "bun:test"
import { problemsOf, reading } from "../../helper/read-objects.ts"

function object(apiVersion: string, kind: string, rest = ""): string {
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: x\n${rest}`
}

const GATEWAY = "gateway.networking.k8s.io"
const tcp = "spec:\n  rules: [{ backendRefs: [{ name: db, port: 5432 }] }]\n"
const tls = "spec:\n  hostnames: [a.example.com]\n  rules: [{ backendRefs: [{ name: db, port: 5432 }] }]\n"
const grant = 'spec:\n  from: [{ group: "", kind: Service, namespace: a }]\n  to: [{ group: "", kind: Service }]\n'
const backendTls =
  'spec:\n  targetRefs: [{ group: "", kind: Service, name: db }]\n  validation: { hostname: a.example.com, wellKnownCACertificates: System }\n'
const listener = "spec:\n  gatewayClassName: x\n  listeners: [{ name: a, port: 1, protocol: TCP }]\n"

describe("what is read", () => {
  test.each([
    [`${GATEWAY}/v1`, "GatewayClass", "spec: { controllerName: example.com/x }"],
    [`${GATEWAY}/v1beta1`, "GatewayClass", "spec: { controllerName: example.com/x }"],
    [`${GATEWAY}/v1`, "Gateway", listener],
    [`${GATEWAY}/v1beta1`, "Gateway", listener],
    [
      `${GATEWAY}/v1`,
      "ListenerSet",
      "spec: { parentRef: { name: a }, listeners: [{ name: a, port: 1, protocol: TCP }] }",
    ],
    [`${GATEWAY}/v1`, "TCPRoute", tcp],
    [`${GATEWAY}/v1`, "TLSRoute", tls],
    [
      `${GATEWAY}/v1`,
      "HTTPRoute",
      "spec: { parentRefs: [{ name: a }], rules: [{ matches: [{ path: { value: / } }] }] }",
    ],
    [`${GATEWAY}/v1beta1`, "HTTPRoute", "spec: {}"],
    [`${GATEWAY}/v1`, "GRPCRoute", "spec: { hostnames: [] }"],
    [`${GATEWAY}/v1alpha2`, "UDPRoute", "spec: { rules: [] }"],
    [`${GATEWAY}/v1`, "ReferenceGrant", grant],
    [`${GATEWAY}/v1beta1`, "ReferenceGrant", grant],
    [`${GATEWAY}/v1`, "BackendTLSPolicy", backendTls],
    ["v1", "Service", "spec: { ports: [{ port: 1 }] }"],
    ["v1", "Endpoints", "subsets: []"],
    ["v1", "Secret", "data: {}"],
    ["v1", "ConfigMap", "data: {}"],
    ["v1", "Namespace", ""],
    ["discovery.k8s.io/v1", "EndpointSlice", "addressType: IPv4\nendpoints: null\nports: null"],
    [
      "tidegate.dev/v1alpha1",
      "TidegatePolicy",
      `spec: { targetRefs: [{ group: ${GATEWAY}, kind: TCPRoute, name: x }], upstream: { retries: 1 } }`,
    ],
    [
      "configuration.konghq.com/v1beta1",
      "TCPIngress",
      "spec: { rules: [{ port: 1, backend: { serviceName: a, servicePort: 1 } }] }",
    ],
    ["configuration.konghq.com/v1beta1", "KongUpstreamPolicy", "spec: { algorithm: latency }"],
    [
      "ngrok.k8s.ngrok.com/v1alpha1",
      "AgentEndpoint",
      "spec: { url: tcp://a.internal:1, upstream: { url: tcp://b:1 } }",
    ],
    ["ngrok.k8s.ngrok.com/v1alpha1", "CloudEndpoint", "spec: { url: tcp://a.internal:1 }"],
    ["ngrok.k8s.ngrok.com/v1alpha1", "NgrokTrafficPolicy", "spec: { policy: { on_tcp_connect: [] } }"],
    ["ingress.k8s.ngrok.com/v1alpha1", "IPPolicy", "spec: { rules: [{ cidr: 10.0.0.0/8, action: allow }] }"],
  ])("%s %s", (apiVersion, kind, rest) => {
    const { problems, values, warnings } = reading(object(apiVersion, kind, rest))
    expect({ problems, warnings, kinds: values.map((value) => String(value.kind)) }).toEqual({
      problems: [],
      warnings: [],
      kinds: [kind],
    })
  })

  test("versions that are deprecated are read, and say what to write", () => {
    const said = reading(
      [
        object(`${GATEWAY}/v1alpha2`, "TCPRoute", tcp),
        object(`${GATEWAY}/v1alpha2`, "TLSRoute", tcp),
        object(`${GATEWAY}/v1alpha3`, "TLSRoute", tls),
        object(`${GATEWAY}/v1alpha2`, "ReferenceGrant", grant),
        object(`${GATEWAY}/v1alpha3`, "BackendTLSPolicy", backendTls),
      ].join("---\n"),
    )
    expect(said.problems).toEqual([])
    expect(said.values).toHaveLength(5)
    expect(said.warnings.map((warning) => warning.replace(/^\d+:/, ""))).toEqual([
      `13 apiVersion: v1alpha2 of TCPRoute is deprecated; write "${GATEWAY}/v1" (in v1, there is exactly one rule)`,
      `13 apiVersion: v1alpha2 of TLSRoute is deprecated; write "${GATEWAY}/v1" (in v1, there are hostnames and exactly one rule)`,
      `13 apiVersion: v1alpha3 of TLSRoute is deprecated; write "${GATEWAY}/v1" (it is written the same way)`,
      `13 apiVersion: v1alpha2 of ReferenceGrant is deprecated; write "${GATEWAY}/v1" (it is written the same way)`,
      `13 apiVersion: v1alpha3 of BackendTLSPolicy is deprecated; write "${GATEWAY}/v1" (it is written the same way)`,
    ])
  })
})

describe("what is none of ours", () => {
  test.each([
    ["apps/v1", "Deployment"],
    ["networking.k8s.io/v1", "Ingress"],
    ["networking.k8s.io/v1", "NetworkPolicy"],
    ["v1", "Pod"],
    ["v1", "ServiceAccount"],
    ["v1", "List"],
    ["networking.istio.io/v1", "Gateway"],
    ["serving.knative.dev/v1", "Service"],
    ["mesh.consul.hashicorp.com/v2beta1", "TCPRoute"],
    ["traefik.io/v1alpha1", "IngressRouteTCP"],
    ["gateway.networking.x-k8s.io/v1alpha1", "XBackendTrafficPolicy"],
    ["gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy"],
    ["bindings.k8s.ngrok.com/v1alpha1", "BoundEndpoint"],
  ])("%s %s is let alone", (apiVersion, kind) => {
    expect(reading(object(apiVersion, kind, "spec: { anything: [1] }"))).toEqual({
      problems: [],
      values: [],
      warnings: [],
    })
  })

  test.each([
    [
      "configuration.konghq.com/v1",
      "KongPlugin",
      "a KongPlugin has no effect here (which clients may come in, and how many, is said by a TidegatePolicy)",
    ],
    ["configuration.konghq.com/v1beta1", "UDPIngress", "a UDPIngress has no effect here (there is no UDP here)"],
    ["ngrok.k8s.ngrok.com/v1alpha1", "KubernetesOperator", "a KubernetesOperator has no effect here"],
    [
      "ingress.k8s.ngrok.com/v1alpha1",
      "TCPEdge",
      "a TCPEdge has no effect here (ngrok has no edges any more; write an AgentEndpoint or a CloudEndpoint)",
    ],
  ])("%s %s has no effect, and says so", (apiVersion, kind, message) => {
    const { problems, warnings } = reading(object(apiVersion, kind))
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [`2:7 kind: ${message}`] })
  })
})

describe("what is nearly one of ours", () => {
  test.each([
    [
      `${GATEWAY}/v1`,
      "TCPRout",
      '2:7 kind: there is no kind "TCPRout" in gateway.networking.k8s.io; did you mean "TCPRoute"?',
    ],
    [
      `${GATEWAY}/v1`,
      "tlsroute",
      '2:7 kind: there is no kind "tlsroute" in gateway.networking.k8s.io; did you mean "TLSRoute"?',
    ],
    [
      "discovery.k8s.io/v1",
      "Slices",
      '2:7 kind: there is no kind "Slices" in discovery.k8s.io; known are EndpointSlice',
    ],
    ["v1", "Secrets", '2:7 kind: there is no kind "Secrets" in the core group; did you mean "Secret"?'],
    ["v1", "Endpoint", '2:7 kind: there is no kind "Endpoint" in the core group; did you mean "Endpoints"?'],
    [
      "configuration.konghq.com/v1beta1",
      "TCPIngres",
      '2:7 kind: there is no kind "TCPIngres" in configuration.konghq.com; did you mean "TCPIngress"?',
    ],
    [
      "v1",
      "Gateway",
      '1:13 apiVersion: Gateway is a kind of gateway.networking.k8s.io, found "v1"; write "gateway.networking.k8s.io/v1"',
    ],
    [
      "networking.x-k8s.io/v1alpha1",
      "TCPRoute",
      '1:13 apiVersion: TCPRoute is a kind of gateway.networking.k8s.io, found "networking.x-k8s.io/v1alpha1"; write "gateway.networking.k8s.io/v1"',
    ],
    [
      "gateway.networking.k8s.oi/v1",
      "TCPRoute",
      '1:13 apiVersion: TCPRoute is a kind of gateway.networking.k8s.io, found "gateway.networking.k8s.oi/v1"; write "gateway.networking.k8s.io/v1"',
    ],
    [
      "gateway.networking.k8s.oi/v1",
      "TCPRout",
      '1:13 apiVersion: there is no group "gateway.networking.k8s.oi"; did you mean "gateway.networking.k8s.io"?',
    ],
    [
      "k8s.ngrok.com/v1alpha1",
      "AgentEndpoint",
      '1:13 apiVersion: AgentEndpoint is a kind of ngrok.k8s.ngrok.com, found "k8s.ngrok.com/v1alpha1"; write "ngrok.k8s.ngrok.com/v1alpha1"',
    ],
    ["apps/v1", "Service", '1:13 apiVersion: Service is a kind of the core group, found "apps/v1"; write "v1"'],
    [
      `${GATEWAY}/v1alpha2`,
      "Gateway",
      '1:13 apiVersion: expected "gateway.networking.k8s.io/v1" or "gateway.networking.k8s.io/v1beta1" for a Gateway, found "gateway.networking.k8s.io/v1alpha2"',
    ],
    ["v2", "Service", '1:13 apiVersion: expected "v1" for a Service, found "v2"'],
    [
      "gateway.networking.x-k8s.io/v1alpha1",
      "XListenerSet",
      "2:7 kind: XListenerSet has become ListenerSet; write `apiVersion: gateway.networking.k8s.io/v1` and `kind: ListenerSet`",
    ],
  ])("%s %s", (apiVersion, kind, problem) => {
    expect(problemsOf(object(apiVersion, kind))).toEqual([problem])
  })
})

describe("metadata", () => {
  test("takes all that kubectl writes, and a status is nobody's but ours", () => {
    const { problems, values, warnings } = reading(`
apiVersion: v1
kind: Namespace
metadata:
  annotations: { example.com/a: "1" }
  creationTimestamp: 2026-01-31T12:00:00Z
  finalizers: [a]
  generation: 3
  labels: { app: db, kubernetes.io/metadata.name: apps }
  managedFields: [{ manager: kubectl, fieldsV1: { "f:a": {} } }]
  name: apps
  ownerReferences: []
  resourceVersion: "12"
  uid: 7f
spec: { finalizers: [kubernetes] }
status: { phase: Active }
`)
    expect({ problems, warnings, metadata: values[0]?.metadata }).toEqual({
      problems: [],
      warnings: [],
      metadata: {
        name: "apps",
        namespace: "",
        labels: { app: "db", "kubernetes.io/metadata.name": "apps" },
        annotations: { "example.com/a": "1" },
        generation: 3,
        creationTimestamp: "2026-01-31T12:00:00Z",
      },
    })
  })

  test("what Go leaves empty is nothing", () => {
    const { problems, values } = reading(
      "apiVersion: v1\nkind: Namespace\nmetadata: { name: a, creationTimestamp: null, labels: null, annotations: null }",
    )
    expect(problems).toEqual([])
    expect(values[0]?.metadata).toMatchObject({ labels: {}, annotations: {}, creationTimestamp: undefined })
  })

  test.each([
    ["anotations: {}", '5:3 metadata: there is no option "anotations"; did you mean "annotations"?'],
    [
      "annotations: { konghq.com/retries: 5 }",
      '5:38 metadata.annotations["konghq.com/retries"]: expected a text, found 5 (without quotes this is a number: write it in quotes)',
    ],
    [
      "annotations: { a b: x }",
      '5:23 metadata.annotations["a b"]: "a b" is no key: expected letters, digits, "-", "_" and ".", or the same after a domain and "/"',
    ],
    [
      "labels: { app: a/b }",
      '5:18 metadata.labels.app: expected the value of a label: at most 63 letters, digits, "-", "_" and ".", found "a/b"',
    ],
    [
      "creationTimestamp: yesterday",
      '5:22 metadata.creationTimestamp: expected a time like "2026-01-31T12:00:00Z", found "yesterday"',
    ],
    ["generation: -1", "5:15 metadata.generation: expected a whole number, found -1"],
  ])("%s", (line, problem) => {
    expect(problemsOf(`apiVersion: v1\nkind: Namespace\nmetadata:\n  name: apps\n  ${line}\n`)).toEqual([problem])
  })

  test("its problems and those of the body are told together", () => {
    expect(
      problemsOf(`
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: a, lables: {} }
spec: { controllerName: example.com }
`),
    ).toEqual([
      '4:22 metadata: there is no option "lables"; did you mean "labels"?',
      '5:25 spec.controllerName: expected a domain and a path, like "tidegate.dev/gateway-controller", found "example.com"',
    ])
  })
})
