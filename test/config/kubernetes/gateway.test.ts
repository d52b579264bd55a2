import { expect, test } from "bun:test"
import { Cluster, gateway } from "./compiled.ts"

const tcp = "{ name: db, port: 5432, protocol: TCP }"
const served = {
  Accepted: "True Accepted",
  Conflicted: "False NoConflicts",
  ResolvedRefs: "True ResolvedRefs",
  Programmed: "True Programmed",
}

test("a Gateway without addresses binds all of them, and shows the one that clients would use", () => {
  const cluster = new Cluster(gateway("edge", [tcp]))
  expect(cluster.bound()).toEqual(["tcp://:5432 at *"])
  expect(cluster.status("Gateway", "edge")["addresses"]).toEqual([{ type: "IPAddress", value: "192.0.2.1" }])
  expect(cluster.said("Gateway", "edge")).toEqual({
    Accepted: "True Accepted",
    Programmed: "True Programmed",
    ResolvedRefs: "True ResolvedRefs",
  })
  expect(cluster.listener("edge", "db")).toEqual(served)
  expect(cluster.kinds("edge", "db")).toEqual(["TCPRoute"])
  expect([...cluster.state("Gateway", "edge").serves!]).toEqual([["db", ["tcp:*:5432"]]])
})

test("every listener binds to every address", () => {
  const addresses = "addresses: [{ value: 127.0.0.2 }, { type: IPAddress, value: 127.0.0.3 }]"
  const listeners = [
    tcp,
    "{ name: pass, port: 443, protocol: TLS, hostname: A.example.com, tls: { mode: Passthrough } }",
  ]
  const cluster = new Cluster(gateway("edge", listeners, [addresses]))
  expect(cluster.bound()).toEqual([
    "tcp://127.0.0.2:5432 at 127.0.0.2",
    "tcp://127.0.0.3:5432 at 127.0.0.3",
    "tls://a.example.com:443 at 127.0.0.2",
    "tls://a.example.com:443 at 127.0.0.3",
  ])
  expect(cluster.state("Gateway", "edge").serves!.get("pass")).toEqual(["tcp:127.0.0.2:443", "tcp:127.0.0.3:443"])
})

test("an address of a type that is not supported keeps the Gateway from being accepted, and nothing is served", () => {
  const addresses = "addresses: [{ type: test/fake, value: x }, { value: 127.0.0.2 }]"
  const cluster = new Cluster(gateway("edge", [tcp], [addresses]))
  expect(cluster.said("Gateway", "edge")).toMatchObject({
    Accepted: "False UnsupportedAddress",
    Programmed: "False Invalid",
  })
  expect(cluster.listener("edge", "db")).toMatchObject({ Accepted: "True Accepted", Programmed: "False Pending" })
  expect(cluster.bound()).toEqual([])
  expect(cluster.status("Gateway", "edge")["addresses"]).toBeUndefined()
})

test("an address of another machine is accepted and not usable; the others are bound", () => {
  const addresses = "addresses: [{ value: 198.51.100.7 }, { value: 127.0.0.2 }]"
  const cluster = new Cluster(gateway("edge", [tcp], [addresses]))
  expect(cluster.said("Gateway", "edge")).toMatchObject({
    Accepted: "True Accepted",
    Programmed: "False AddressNotUsable",
  })
  expect(cluster.message("Programmed", "Gateway", "edge")).toContain('"198.51.100.7" is no address of this machine')
  expect(cluster.bound()).toEqual(["tcp://127.0.0.2:5432 at 127.0.0.2"])
  expect(cluster.status("Gateway", "edge")["addresses"]).toEqual([{ type: "IPAddress", value: "127.0.0.2" }])
})

test("without a usable address no listener is programmed", () => {
  const cluster = new Cluster(gateway("edge", [tcp], ["addresses: [{ value: 198.51.100.7 }]"]))
  expect(cluster.listener("edge", "db")).toMatchObject({ Accepted: "True Accepted", Programmed: "False Pending" })
  expect(cluster.bound()).toEqual([])
})

test("an address without a value is given one", () => {
  const cluster = new Cluster(gateway("edge", [tcp], ["addresses: [{ type: IPAddress }]"]))
  expect(cluster.said("Gateway", "edge")["Programmed"]).toBe("True Programmed")
  expect(cluster.bound()).toEqual(["tcp://:5432 at *"])
  expect(cluster.status("Gateway", "edge")["addresses"]).toEqual([{ type: "IPAddress", value: "192.0.2.1" }])
})

test("an address is bound in its normal form", () => {
  const cluster = new Cluster(gateway("edge", [tcp], ['addresses: [{ value: "0:0::1" }]']))
  expect(cluster.bound()).toEqual(["tcp://[::1]:5432 at ::1"])
})

test("a Gateway with an address of its own has it, whoever binds all of them", () => {
  const cluster = new Cluster(gateway("all", [tcp]) + gateway("one", [tcp], ["addresses: [{ value: 127.0.0.2 }]"]))
  expect(cluster.listener("all", "db")).toEqual(served)
  expect(cluster.listener("one", "db")).toEqual(served)
})

test("parameters of a Gateway are refused, and nothing is served", () => {
  const infrastructure = "infrastructure: { parametersRef: { group: example.com, kind: Sizes, name: small } }"
  const cluster = new Cluster(gateway("edge", [tcp], [infrastructure]))
  expect(cluster.said("Gateway", "edge")).toMatchObject({ Accepted: "False InvalidParameters" })
  expect(cluster.message("Accepted", "Gateway", "edge")).toContain("Sizes small")
  expect(cluster.bound()).toEqual([])
})

test("what is not TCP or TLS is not accepted, and disturbs nobody", () => {
  const cluster = new Cluster(
    gateway("edge", [
      tcp,
      "{ name: web, port: 80, protocol: HTTP }",
      "{ name: dns, port: 53, protocol: UDP }",
      "{ name: own, port: 81, protocol: example.com/Own }",
      "{ name: tpyo, port: 82, protocol: TCPP }",
    ]),
  )
  for (const name of ["web", "dns", "own", "tpyo"]) {
    expect(cluster.listener("edge", name)).toEqual({
      Accepted: "False UnsupportedProtocol",
      Conflicted: "False NoConflicts",
      ResolvedRefs: "True ResolvedRefs",
      Programmed: "False Invalid",
    })
    expect(cluster.kinds("edge", name)).toEqual([])
  }
  expect(cluster.message("Accepted", "Gateway", "edge", "web")).toContain("TCPRoute")
  expect(cluster.message("Accepted", "Gateway", "edge", "tpyo")).toContain("did you mean")
  expect(cluster.said("Gateway", "edge")).toMatchObject({
    Accepted: "True ListenersNotValid",
    Programmed: "True Programmed",
  })
  expect(cluster.bound()).toEqual(["tcp://:5432 at *"])
})

test("a Gateway of HTTP alone is accepted: its listeners say that they are not served", () => {
  const cluster = new Cluster(gateway("edge", ["{ name: web, port: 80, protocol: HTTP }"]))
  expect(cluster.said("Gateway", "edge")).toMatchObject({ Accepted: "True Accepted", Programmed: "True Programmed" })
  expect(cluster.listener("edge", "web")).toMatchObject({ Accepted: "False UnsupportedProtocol" })
  expect(cluster.bound()).toEqual([])
})

test("a Gateway without any listener that could be accepted is not", () => {
  const cluster = new Cluster(gateway("edge", ["{ name: own, port: 81, protocol: INVALID }"]))
  expect(cluster.said("Gateway", "edge")).toMatchObject({
    Accepted: "False ListenersNotValid",
    Programmed: "False Invalid",
  })
})

const kinds = (list: string) => `allowedRoutes: { kinds: [${list}] }`

test("kinds that a protocol does not take are named, and the others stay", () => {
  const pass = "protocol: TLS, tls: { mode: Passthrough }"
  const cluster = new Cluster(
    gateway("edge", [
      `{ name: both, port: 443, ${pass}, ${kinds("{ kind: TCPRoute }, { kind: TLSRoute }")} }`,
      `{ name: none, port: 444, ${pass}, ${kinds("{ kind: HTTPRoute }")} }`,
      `{ name: fine, port: 445, protocol: TCP, ${kinds("{ group: gateway.networking.k8s.io, kind: TCPRoute }")} }`,
      `{ name: group, port: 446, protocol: TCP, ${kinds("{ group: example.com, kind: TCPRoute }")} }`,
      `{ name: web, port: 80, protocol: HTTP, ${kinds("{ kind: HTTPRoute }")} }`,
      `{ name: odd, port: 81, protocol: HTTP, ${kinds("{ kind: InvalidRoute }, { kind: HTTPRoute }")} }`,
    ]),
  )
  const found = ["both", "none", "fine", "group", "web", "odd"].map((name) => [
    name,
    cluster.listener("edge", name)["ResolvedRefs"],
    ...cluster.kinds("edge", name),
  ])
  expect(found).toEqual([
    ["both", "False InvalidRouteKinds", "TLSRoute"],
    ["none", "False InvalidRouteKinds"],
    ["fine", "True ResolvedRefs", "TCPRoute"],
    ["group", "False InvalidRouteKinds"],
    ["web", "True ResolvedRefs"],
    ["odd", "False InvalidRouteKinds"],
  ])
  expect(cluster.message("ResolvedRefs", "Gateway", "edge", "both")).toContain("TCPRoute")
  expect(cluster.said("Gateway", "edge")["ResolvedRefs"]).toBe("False ListenersNotResolved")
  // A kind too many keeps nothing from being served.
  expect(cluster.listener("edge", "both")["Programmed"]).toBe("True Programmed")
})

test("warnings say where the same is written", () => {
  const cluster = new Cluster(gateway("edge", [tcp, "{ name: web, port: 80, protocol: HTTP }"]))
  expect(cluster.warnings.get("objects.yaml")).toEqual([
    expect.stringContaining("spec.listeners[1].protocol: The protocol HTTP is not served"),
  ])
})
