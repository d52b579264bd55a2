import { expect, test } from "bun:test"
import { Cluster, gateway } from "./compiled.ts"

const ours = (more = "") => `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: tidegate }
spec:
  controllerName: tidegate.dev/gateway-controller
${more}
---
`
const listener = "{ name: db, port: 5432, protocol: TCP }"

test("a class of ours is accepted, with the features that we have in the order of their names", () => {
  const cluster = new Cluster(ours() + gateway("edge", [listener]))
  const status = cluster.status("GatewayClass", "tidegate", "")
  expect(cluster.said("GatewayClass", "tidegate", "")).toEqual({
    Accepted: "True Accepted",
    SupportedVersion: "True SupportedVersion",
  })
  const features = (status["supportedFeatures"] as readonly { readonly name: string }[]).map(({ name }) => name)
  expect(features).toEqual(features.toSorted())
  expect(features).toContain("TLSRouteModeMixed")
  expect(features.length).toBeLessThanOrEqual(64)
  expect(cluster.message("Accepted", "Gateway", "edge")).toBe("The Gateway is accepted")
})

test("a class of another controller is accepted, and says that its Gateways are served all the same", () => {
  const foreign = ours().replace("tidegate.dev/gateway-controller", "gateway.envoyproxy.io/gatewayclass-controller")
  const cluster = new Cluster(foreign + gateway("edge", [listener]))
  expect(cluster.said("GatewayClass", "tidegate", "")["Accepted"]).toBe("True Accepted")
  expect(cluster.message("Accepted", "Gateway", "edge")).toContain("gateway.envoyproxy.io/gatewayclass-controller")
  expect(cluster.bound()).toEqual(["tcp://:5432 at *"])
})

test("a Gateway whose class is no object is served, and says so", () => {
  const cluster = new Cluster(gateway("edge", [listener]))
  expect(cluster.said("Gateway", "edge")["Accepted"]).toBe("True Accepted")
  expect(cluster.message("Accepted", "Gateway", "edge")).toContain("GatewayClass tidegate is in no file")
  expect(cluster.bound()).toEqual(["tcp://:5432 at *"])
})

test("parameters of a class are refused, and its Gateways are served all the same", () => {
  const parameters = "  parametersRef: { group: gateway.envoyproxy.io, kind: EnvoyProxy, name: custom }"
  const cluster = new Cluster(ours(parameters) + gateway("edge", [listener]))
  expect(cluster.said("GatewayClass", "tidegate", "")["Accepted"]).toBe("False InvalidParameters")
  expect(cluster.bound()).toEqual(["tcp://:5432 at *"])
})

test("conditions carry the generation of their object", () => {
  const counted = new Cluster(gateway("edge", [listener]), { generation: () => 7 })
  const given = new Cluster(gateway("edge", [listener]).replace("{ name: edge }", "{ name: edge, generation: 3 }"), {
    generation: () => 7,
  })
  for (const [cluster, generation] of [
    [counted, 7],
    [given, 3],
  ] as const) {
    expect(cluster.state("Gateway", "edge").generation).toBe(generation)
    const status = cluster.status("Gateway", "edge") as { conditions: readonly { observedGeneration: number }[] }
    const all = [...status.conditions, ...cluster.listenerStatus("Gateway", "edge", "db").conditions]
    expect(new Set(all.map(({ observedGeneration }) => observedGeneration))).toEqual(new Set([generation]))
  }
})
