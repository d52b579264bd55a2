import { expect, test } from "bun:test"
import { Cluster, gateway } from "./compiled.ts"

const PASS = "protocol: TLS, tls: { mode: Passthrough }"
const protocolConflict = {
  Accepted: "False ProtocolConflict",
  Conflicted: "True ProtocolConflict",
  ResolvedRefs: "True ResolvedRefs",
  Programmed: "False ProtocolConflict",
}
const hostnameConflict = {
  Accepted: "False HostnameConflict",
  Conflicted: "True HostnameConflict",
  ResolvedRefs: "True ResolvedRefs",
  Programmed: "False HostnameConflict",
}

test("of two TCP listeners on one port of a Gateway neither is served, and the others are", () => {
  const cluster = new Cluster(
    gateway("edge", [
      "{ name: a, port: 1000, protocol: TCP }",
      "{ name: b, port: 1000, protocol: TCP }",
      "{ name: c, port: 1001, protocol: TCP }",
    ]),
  )
  expect(cluster.listener("edge", "a")).toEqual(protocolConflict)
  expect(cluster.listener("edge", "b")).toEqual(protocolConflict)
  expect(cluster.listener("edge", "c")["Programmed"]).toBe("True Programmed")
  expect(cluster.said("Gateway", "edge")).toMatchObject({ Accepted: "True ListenersNotValid" })
  expect(cluster.message("Accepted", "Gateway", "edge", "a")).toContain("the listener b of Gateway default/edge")
  expect(cluster.bound()).toEqual(["tcp://:1001 at *"])
})

test("a Gateway of conflicts alone is not accepted", () => {
  const cluster = new Cluster(
    gateway("edge", ["{ name: a, port: 1000, protocol: TCP }", "{ name: b, port: 1000, protocol: HTTP }"]),
  )
  expect(cluster.listener("edge", "a")).toEqual(protocolConflict)
  expect(cluster.listener("edge", "b")).toEqual(protocolConflict)
  expect(cluster.said("Gateway", "edge")).toMatchObject({
    Accepted: "False ListenersNotValid",
    Programmed: "False Invalid",
  })
  expect(cluster.bound()).toEqual([])
})

test.each(["HTTP", "HTTPS", "TLS"])("TCP and %s on one port: all lose", (protocol) => {
  const tls = protocol === "TLS" ? ", tls: { mode: Passthrough }" : ""
  const cluster = new Cluster(
    gateway("edge", [
      "{ name: a, port: 1000, protocol: TCP }",
      `{ name: b, port: 1000, protocol: ${protocol}${tls}, hostname: a.example.com }`,
      `{ name: c, port: 1000, protocol: ${protocol}${tls}, hostname: b.example.com }`,
    ]),
  )
  for (const name of ["a", "b", "c"]) expect(cluster.listener("edge", name)).toEqual(protocolConflict)
})

test("UDP has ports of its own", () => {
  const cluster = new Cluster(
    gateway("edge", ["{ name: a, port: 53, protocol: TCP }", "{ name: b, port: 53, protocol: UDP }"]),
  )
  expect(cluster.listener("edge", "a")["Programmed"]).toBe("True Programmed")
  expect(cluster.listener("edge", "b")["Accepted"]).toBe("False UnsupportedProtocol")
})

test("TLS listeners share a port under different hostnames, and not under one", () => {
  const cluster = new Cluster(
    gateway("edge", [
      `{ name: a, port: 443, ${PASS}, hostname: a.example.com }`,
      `{ name: b, port: 443, ${PASS}, hostname: b.example.com }`,
      `{ name: a2, port: 443, ${PASS}, hostname: A.example.com }`,
      `{ name: other, port: 444, ${PASS}, hostname: a.example.com }`,
    ]),
  )
  expect(cluster.listener("edge", "a")).toEqual(hostnameConflict)
  expect(cluster.listener("edge", "a2")).toEqual(hostnameConflict)
  expect(cluster.bound()).toEqual(["tls://b.example.com:443 at *", "tls://a.example.com:444 at *"])
})

test("TLS and HTTPS without names on one port exclude each other; under different names they do not", () => {
  const cluster = new Cluster(
    gateway("edge", [
      "{ name: a, port: 8443, protocol: HTTPS }",
      `{ name: b, port: 8443, ${PASS} }`,
      "{ name: c, port: 8444, protocol: HTTPS, hostname: c.example.com }",
      `{ name: d, port: 8444, ${PASS}, hostname: d.example.com }`,
    ]),
  )
  expect(cluster.listener("edge", "a")).toEqual(protocolConflict)
  expect(cluster.listener("edge", "b")).toEqual(protocolConflict)
  expect(cluster.listener("edge", "c")["Accepted"]).toBe("False UnsupportedProtocol")
  expect(cluster.listener("edge", "d")["Programmed"]).toBe("True Programmed")
})

test("hostnames that cover others are told to both, on one port alone", () => {
  const cluster = new Cluster(
    gateway("edge", [
      `{ name: foo, port: 443, ${PASS}, hostname: foo.example.com }`,
      `{ name: deep, port: 443, ${PASS}, hostname: a.b.example.com }`,
      `{ name: wild, port: 443, ${PASS}, hostname: "*.example.com" }`,
      `{ name: bare, port: 443, ${PASS}, hostname: example.com }`,
      `{ name: org, port: 443, ${PASS}, hostname: foo.example.org }`,
      `{ name: port, port: 444, ${PASS}, hostname: foo.example.com }`,
    ]),
  )
  const overlap = (name: string) => cluster.listener("edge", name)["OverlappingTLSConfig"]
  expect(["foo", "deep", "wild"].map(overlap)).toEqual(Array<string>(3).fill("True OverlappingHostnames"))
  expect(["bare", "org", "port"].map(overlap)).toEqual([undefined, undefined, undefined])
  expect(cluster.listener("edge", "foo")["Programmed"]).toBe("True Programmed")
})

test("a listener without a hostname overlaps with all on its port", () => {
  const cluster = new Cluster(
    gateway("edge", [`{ name: all, port: 443, ${PASS} }`, `{ name: a, port: 443, ${PASS}, hostname: a.example.com }`]),
  )
  expect(cluster.listener("edge", "all")["OverlappingTLSConfig"]).toBe("True OverlappingHostnames")
  expect(cluster.listener("edge", "a")["OverlappingTLSConfig"]).toBe("True OverlappingHostnames")
})

test("of two Gateways on one address and port the older one has it", () => {
  const younger = gateway("a", ["{ name: db, port: 1000, protocol: TCP }"]).replace(
    "{ name: a }",
    "{ name: a, creationTimestamp: 2026-03-01T00:00:00Z }",
  )
  const older = gateway("b", ["{ name: db, port: 1000, protocol: TCP }"]).replace(
    "{ name: b }",
    "{ name: b, creationTimestamp: 2026-02-01T00:00:00Z }",
  )
  const cluster = new Cluster(younger + older)
  expect(cluster.listener("b", "db")["Programmed"]).toBe("True Programmed")
  expect(cluster.listener("a", "db")).toEqual({
    Accepted: "False PortUnavailable",
    Conflicted: "False NoConflicts",
    ResolvedRefs: "True ResolvedRefs",
    Programmed: "False PortUnavailable",
  })
  expect(cluster.message("Accepted", "Gateway", "a", "db")).toContain("the listener db of Gateway default/b")
  expect(cluster.said("Gateway", "a")["Accepted"]).toBe("False ListenersNotValid")
  expect(cluster.rules()).toHaveLength(1)
})

test("of two equally old ones the first by name has it", () => {
  const cluster = new Cluster(
    gateway("b", ["{ name: db, port: 1000, protocol: TCP }"]) +
      gateway("a", [`{ name: db, port: 1000, ${PASS} }`, "{ name: more, port: 1001, protocol: TCP }"]),
  )
  expect(cluster.listener("a", "db")["Programmed"]).toBe("True Programmed")
  expect(cluster.listener("b", "db")["Accepted"]).toBe("False PortUnavailable")
})

test("Gateways share a port under different hostnames, and keep their names to themselves", () => {
  const cluster = new Cluster({
    "a.yaml": gateway("a", [
      `{ name: one, port: 443, ${PASS}, hostname: a.example.com }`,
      `{ name: wild, port: 443, ${PASS}, hostname: "*.example.com" }`,
    ]),
    "b.yaml": gateway("b", [
      `{ name: one, port: 443, ${PASS}, hostname: b.example.com }`,
      `{ name: same, port: 443, ${PASS}, hostname: a.example.com }`,
    ]),
  })
  expect(cluster.listener("b", "one")["Programmed"]).toBe("True Programmed")
  expect(cluster.listener("b", "same")["Accepted"]).toBe("False PortUnavailable")
  expect(cluster.bound("a.yaml")).toEqual(["tls://a.example.com:443 at *", "tls://*.example.com:443 at *"])
  expect(cluster.bound("b.yaml")).toEqual(["tls://b.example.com:443 at *"])
})
