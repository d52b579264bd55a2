import { expect, test } from "bun:test"
import { readGateways } from "../../../src/config/kubernetes/gateways.ts"
import { Policies, type AncestorStatus } from "../../../src/config/kubernetes/policies.ts"
import { authority } from "../../helper/certificates.ts"
import { clusterOf, STILL } from "../../helper/cluster-of-objects.ts"
import { Cluster, gateway, tlsSecret } from "./compiled.ts"

const edge = gateway("edge", ["{ name: a, port: 1000, protocol: TCP }", "{ name: b, port: 1001, protocol: TCP }"])

function policy(name: string, targets: readonly string[], spec: string, metadata = ""): string {
  const refs = targets.map((target) => `{ group: gateway.networking.k8s.io, ${target} }`).join(", ")
  return `apiVersion: tidegate.dev/v1alpha1\nkind: TidegatePolicy\nmetadata: { name: ${name}${metadata} }\nspec:\n  targetRefs: [${refs}]\n  ${spec}\n---\n`
}

/** What is said of each target. */
function accepted(cluster: Cluster, name: string): readonly string[] {
  const { ancestors } = cluster.status("TidegatePolicy", name) as { ancestors: readonly AncestorStatus[] }
  return ancestors.map(({ ancestorRef: { kind, name: of, sectionName }, conditions: [condition] }) => {
    const section = sectionName === undefined ? "" : `#${sectionName}`
    return `${kind} ${of}${section}: ${condition!.status} ${condition!.reason}`
  })
}

function message(cluster: Cluster, name: string): string {
  const { ancestors } = cluster.status("TidegatePolicy", name) as { ancestors: readonly AncestorStatus[] }
  return ancestors.map(({ conditions }) => conditions.map((condition) => condition.message).join()).join("\n")
}

/** An option of each listener of ours. */
function connections(cluster: Cluster): readonly (number | undefined)[] {
  return cluster.rules().flatMap(({ listen }) => (listen ?? []).map(({ maxConnections }) => maxConnections))
}

test("the options of a policy are those of all listeners of its Gateway", () => {
  const cluster = new Cluster(edge + policy("p", ["kind: Gateway, name: edge"], "listener: { maxConnections: 10 }"))
  expect(connections(cluster)).toEqual([10, 10])
  expect(accepted(cluster, "p")).toEqual(["Gateway edge: True Accepted"])
  const { ancestors } = cluster.status("TidegatePolicy", "p") as { ancestors: readonly AncestorStatus[] }
  expect(ancestors).toMatchObject([
    {
      ancestorRef: { group: "gateway.networking.k8s.io", kind: "Gateway", namespace: "default", name: "edge" },
      controllerName: "tidegate.dev/gateway-controller",
      conditions: [{ type: "Accepted", observedGeneration: 1 }],
    },
  ])
})

test("a policy of a section says more than one of the Gateway, and what it does not say is the other's", () => {
  const cluster = new Cluster(
    edge +
      policy("all", ["kind: Gateway, name: edge"], "listener: { maxConnections: 10, bandwidth: { up: 1 MiB } }") +
      policy("one", ["kind: Gateway, name: edge, sectionName: b"], "listener: { maxConnections: 20 }"),
  )
  expect(connections(cluster)).toEqual([10, 20])
  const [, b] = cluster.rules()
  expect(b!.listen![0]!.bandwidth).toBeDefined()
  expect(accepted(cluster, "one")).toEqual(["Gateway edge#b: True Accepted"])
})

test("a policy of a Gateway is that of its ListenerSets too, after theirs", () => {
  const open = gateway(
    "edge",
    ["{ name: a, port: 1000, protocol: TCP }"],
    ["allowedListeners: { namespaces: { from: Same } }"],
  )
  const set = `apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: { name: more }\nspec: { parentRef: { name: edge }, listeners: [{ name: c, port: 1002, protocol: TCP }, { name: d, port: 1003, protocol: TCP }] }\n---\n`
  const cluster = new Cluster(
    open +
      set +
      policy("all", ["kind: Gateway, name: edge"], "listener: { maxConnections: 10 }") +
      policy("one", ["kind: ListenerSet, name: more, sectionName: d"], "listener: { maxConnections: 30 }"),
  )
  expect(connections(cluster)).toEqual([10, 10, 30])
})

test("of two policies for one target the older one applies", () => {
  const cluster = new Cluster(
    edge +
      policy(
        "a",
        ["kind: Gateway, name: edge", "kind: Gateway, name: edge, sectionName: b"],
        "listener: { maxConnections: 10 }",
      ) +
      policy(
        "b",
        ["kind: Gateway, name: edge"],
        "listener: { maxConnections: 20 }",
        ", creationTimestamp: 2025-01-01T00:00:00Z",
      ),
  )
  expect(connections(cluster)).toEqual([20, 10])
  expect(accepted(cluster, "a")).toEqual(["Gateway edge: False Conflicted", "Gateway edge#b: True Accepted"])
  expect(message(cluster, "a")).toContain("TidegatePolicy default/b")
})

test("targets that are nowhere are said to be", () => {
  const cluster = new Cluster(
    edge +
      policy(
        "p",
        ["kind: Gateway, name: egde", "kind: Gateway, name: edge, sectionName: c", "kind: TCPRoute, name: db"],
        "clients: {}",
      ),
  )
  expect(accepted(cluster, "p")).toEqual([
    "Gateway egde: False TargetNotFound",
    "Gateway edge#c: False TargetNotFound",
    "TCPRoute db: False TargetNotFound",
  ])
  expect(message(cluster, "p")).toContain("it has a, b")
  expect(cluster.warnings.get("objects.yaml")).toHaveLength(3)
})

test("a policy of another namespace finds nothing", () => {
  const cluster = new Cluster(edge + policy("p", ["kind: Gateway, name: edge"], "clients: {}", ", namespace: other"))
  const { ancestors } = cluster.status("TidegatePolicy", "p", "other") as { ancestors: readonly AncestorStatus[] }
  expect(ancestors[0]!.conditions[0]!.reason).toBe("TargetNotFound")
})

const pass = "protocol: TLS, tls: { mode: Passthrough }"
test("listeners of one port have one value of an option: whoever comes first says which", () => {
  const cluster = new Cluster(
    gateway("edge", [
      `{ name: a, port: 443, ${pass}, hostname: a.example.com }`,
      `{ name: b, port: 443, ${pass}, hostname: b.example.com }`,
    ]) +
      policy("a", ["kind: Gateway, name: edge, sectionName: a"], "listener: { maxConnections: 10 }") +
      policy(
        "b",
        ["kind: Gateway, name: edge, sectionName: b"],
        "listener: { maxConnections: 20, bandwidth: { up: 1 MiB } }",
      ),
  )
  expect(connections(cluster)).toEqual([10, undefined])
  expect(accepted(cluster, "b")).toEqual(["Gateway edge#b: False Conflicted"])
  expect(cluster.rules()[1]!.listen![0]!.bandwidth).toBeDefined()
})

test("limits by name are for listeners that read names", () => {
  const cluster = new Cluster(
    edge +
      policy(
        "p",
        ["kind: Gateway, name: edge"],
        "listener: { concurrencyLimit: { max: 5, key: sni }, maxConnections: 10 }",
      ),
  )
  expect(connections(cluster)).toEqual([10, 10])
  expect(cluster.rules()[0]!.listen![0]!.concurrencyLimit).toBeUndefined()
  expect(accepted(cluster, "p")).toEqual(["Gateway edge: False Invalid"])
})

test("options that make no sense are said of the policy", () => {
  const cluster = new Cluster(edge + policy("p", ["kind: Gateway, name: edge"], "listener: { maxConnections: 0 }"))
  expect(accepted(cluster, "p")).toEqual(["Gateway edge: False Invalid"])
  expect(connections(cluster)).toEqual([undefined, undefined])
})

test("PROXY headers are believed of whom a policy names", () => {
  const cluster = new Cluster(
    edge + policy("p", ["kind: Gateway, name: edge"], 'listener: { proxyProtocol: { from: ["10.0.0.0/8"] } }'),
  )
  expect(cluster.rules()[0]!.listen![0]!.proxyProtocol).toBeDefined()
})

const site = authority().issue({ names: ["tls.example.com"] })
const terminating = (options = "") =>
  gateway("edge", [
    `{ name: tls, port: 443, protocol: TLS, tls: { mode: Terminate, certificateRefs: [{ name: site }]${options} } }`,
  ]) + tlsSecret("site", site)

function endings(text: string) {
  const objects = clusterOf(text)
  return readGateways(objects, new Policies(objects, STILL), STILL).listeners.map(({ terminate }) =>
    terminate?.(undefined),
  )
}

test("tls of a policy is how TLS ends, after what the listener says itself", () => {
  const tls = policy("p", ["kind: Gateway, name: edge"], 'tls: { minVersion: "1.3", alpn: [h2] }')
  expect(endings(terminating() + tls)).toMatchObject([{ minVersion: "1.3", alpn: ["h2"] }])
  expect(endings(terminating(', options: { tidegate.dev/min-version: "1.2" }') + tls)).toMatchObject([
    { minVersion: "1.2", alpn: ["h2"] },
  ])
})

test("TLS that cannot be ended as a policy wants it is refused, and the policy hears of it", () => {
  const cluster = new Cluster(terminating() + policy("p", ["kind: Gateway, name: edge"], "tls: { ciphers: NONSENSE }"))
  expect(cluster.listener("edge", "tls")).toMatchObject({ Accepted: "False UnsupportedValue" })
  expect(cluster.refuses("tls")).toBe(true)
  expect(accepted(cluster, "p")).toEqual(["Gateway edge: False Invalid"])
})
