import { expect, test } from "bun:test"
import type { Field, ObjectCheck } from "../../conformance/checks.ts"
import type { Manifested } from "../../conformance/manifest.ts"
import { objectFault, readStatuses, supportedFeatures, titleOf } from "../../conformance/statuses.ts"

const shown = readStatuses(`apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ours}
status: {supportedFeatures: [{name: Gateway}, {name: TCPRoute}]}
---
kind: Gateway
metadata: {name: gw, namespace: infra, generation: 2}
status:
  addresses: [{type: IPAddress, value: 127.0.0.1}]
  attachedListenerSets: 2
  conditions:
  - {type: Accepted, status: "True", reason: Accepted, observedGeneration: 2}
  - {type: Programmed, status: "True", reason: Programmed, observedGeneration: 1}
  listeners:
  - {name: one, attachedRoutes: 1, supportedKinds: [{kind: TCPRoute}], conditions: []}
  - {name: two, attachedRoutes: 2, supportedKinds: [], conditions: []}
---
kind: TCPRoute
metadata: {name: db, namespace: infra, generation: 1}
status:
  parents:
  - parentRef: {name: gw, sectionName: one}
    controllerName: tidegate.dev/gateway-controller
    conditions: [{type: Accepted, status: "True", reason: Accepted, observedGeneration: 1}]
  - parentRef: {name: gw, sectionName: three}
    controllerName: tidegate.dev/gateway-controller
    conditions: [{type: Accepted, status: "False", reason: NoMatchingParent, message: no such section, observedGeneration: 1}]
  - parentRef: {name: elsewhere}
    controllerName: example.com/other
    conditions: []
---
kind: TCPRoute
metadata: {name: db, namespace: other, generation: 1}
status: {parents: []}
`)

function fault(kind: string, name: string | undefined, part: string | undefined, field: Field): string | undefined {
  const check: ObjectCheck = { about: "object", kind, name, part, field }
  const manifests = [{ kind: "Gateway", name: "gw" }] as unknown as readonly Manifested[]
  return objectFault(check, shown, "infra", manifests)
}

function accepted(status: string | undefined, reason: string): Field {
  return { of: "condition", type: "Accepted", status, reason }
}

test("a condition has to have the status and the reason", () => {
  expect(fault("Gateway", "gw", undefined, accepted("True", "Accepted"))).toBeUndefined()
  expect(fault("Gateway", "gw", undefined, accepted("True", ""))).toBeUndefined()
  expect(fault("Gateway", "gw", undefined, accepted("False", ""))).toBe(
    "expected False/any reason, found True/Accepted ()",
  )
  expect(fault("Gateway", undefined, undefined, accepted("True", "Accepted"))).toBeUndefined()
})

test("a condition of an older generation is stale", () => {
  const field: Field = { of: "condition", type: "Programmed", status: "True", reason: "Programmed" }
  expect(fault("Gateway", "gw", undefined, field)).toContain("found True/Programmed of generation 1, not of 2")
})

test("all parents of a route count, except those of others", () => {
  expect(fault("*Route", "db", undefined, accepted("True", "Accepted"))).toBe(
    "expected True/Accepted, found False/NoMatchingParent (no such section)",
  )
  expect(fault("*Route", "db", "one", accepted("True", "Accepted"))).toBeUndefined()
  expect(fault("*Route", "db", "gw/three", accepted("False", "NoMatchingParent"))).toBeUndefined()
  expect(fault("*Route", "other/db", undefined, accepted("True", ""))).toBe("expected True/any reason, found no status")
})

test("what is not there is a fault", () => {
  expect(fault("*Route", "db2", undefined, accepted("True", ""))).toContain("no such object in the status")
  expect(fault("Gateway", "gw", "three", { of: "attachedRoutes", count: 0 })).toBe(
    "expected 0, found nothing about three",
  )
  expect(fault("Gateway", "gw", "one", accepted("True", ""))).toBe(
    "expected True/any reason, found no such condition; there are none",
  )
})

test("kinds of routes: contained, or none at all", () => {
  expect(fault("Gateway", "gw", "one", { of: "supportedKinds", kinds: ["TCPRoute"] })).toBeUndefined()
  expect(fault("Gateway", "gw", "one", { of: "supportedKinds", kinds: [] })).toBe("expected none, found TCPRoute")
  expect(fault("Gateway", "gw", "two", { of: "supportedKinds", kinds: [] })).toBeUndefined()
  expect(fault("Gateway", "gw", "two", { of: "supportedKinds", kinds: ["TLSRoute"] })).toBe(
    "expected TLSRoute, found none",
  )
})

test("numbers; the routes of a Gateway are those of all its listeners", () => {
  expect(fault("Gateway", "gw", "two", { of: "attachedRoutes", count: 2 })).toBeUndefined()
  expect(fault("Gateway", "gw", undefined, { of: "attachedRoutes", count: 3 })).toBeUndefined()
  expect(fault("Gateway", "gw", undefined, { of: "attachedRoutes", count: 0 })).toBe("expected 0, found 1 and 2")
  expect(fault("Gateway", "gw", undefined, { of: "addresses", count: 2 })).toBe("expected 2, found 1")
  expect(fault("Gateway", undefined, undefined, { of: "attachedListenerSets", count: 2 })).toBeUndefined()
})

test("what a class supports", () => {
  expect(supportedFeatures(shown, "ours")).toEqual(["Gateway", "TCPRoute"])
  expect(supportedFeatures(shown, "theirs")).toBeUndefined()
})

test("titles", () => {
  const check = { about: "object", kind: "*Route", name: "db", part: undefined, field: accepted("True", "") } as const
  expect(titleOf(check)).toBe("Route db Accepted")
})
