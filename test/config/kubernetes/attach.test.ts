// Where routes attach, what is said of it, and who gets the traffic.
import { describe, expect, test } from "bun:test"
import type { Hostname } from "../../../src/config/kubernetes/hostnames.ts"
import { random } from "../../helper/random.ts"
import { gateway } from "./compiled.ts"
import { CLASS, route, service, Traffic } from "./traffic.ts"

const TCP = "{ name: tcp, port: 9000, protocol: TCP }"
const PASS = "{ name: tls, port: 9443, protocol: TLS, tls: { mode: Passthrough } }"
const tls = (name: string, hostname: string, port = 9443) =>
  `{ name: ${name}, port: ${port}, protocol: TLS, hostname: "${hostname}", tls: { mode: Passthrough } }`
const to = (name: string, port = 5432) => `rules: [{ backendRefs: [{ name: ${name}, port: ${port} }] }]`
const parent = (ref = "name: edge") => `parentRefs: [{ ${ref} }]`
const DB = service("db", 5432, ["127.0.0.1"])
const OTHER = service("other", 5432, ["127.0.0.2"])

const tlsRoute = (name: string, hostnames: readonly string[], ref = "name: edge", meta = {}) =>
  route("TLSRoute", name, `hostnames: ${JSON.stringify(hostnames)}\n${parent(ref)}\n${to(name)}`, meta) +
  service(name, 5432, ["127.0.0.1"])

describe("a parent", () => {
  test("is a Gateway of the route's own namespace, and its status says whose", async () => {
    const traffic = new Traffic(gateway("edge", [TCP]) + DB + route("TCPRoute", "db", `${parent()}\n${to("db")}`))
    expect(traffic.parents("TCPRoute", "db")).toMatchObject([
      {
        parentRef: { group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" },
        controllerName: "tidegate.dev/gateway-controller",
      },
    ])
    expect(traffic.said("TCPRoute", "db")).toEqual({ Accepted: "True Accepted", ResolvedRefs: "True ResolvedRefs" })
    expect(traffic.parents("TCPRoute", "db")[0]!.conditions.map((each) => each.observedGeneration)).toEqual([1, 1])
    expect(traffic.attached("edge", "tcp")).toBe(1)
    expect(await traffic.goes(9000)).toBe("default/db:5432")
    expect(traffic.targets("default/db:5432")).toEqual(["tcp://127.0.0.1:5432"])
    expect(traffic.contents.get("objects.yaml")!.rules.map(({ title }) => title)).toEqual([
      "Gateway default/edge, listener tcp",
      "TCPRoute default/db",
    ])
  })

  test("is every listener that takes the route, without sectionName and port", async () => {
    const listeners = [9001, 9002, 9003].map((port) => `{ name: p${port}, port: ${port}, protocol: TCP }`)
    const traffic = new Traffic(gateway("edge", listeners) + DB + route("TCPRoute", "db", `${parent()}\n${to("db")}`))
    for (const port of [9001, 9002, 9003]) expect(await traffic.goes(port)).toBe("default/db:5432")
  })

  test("is matched by sectionName and by port, and by both where both are given", async () => {
    const listeners = ["{ name: one, port: 9001, protocol: TCP }", "{ name: two, port: 9002, protocol: TCP }"]
    const of = (ref: string) =>
      new Traffic(gateway("edge", listeners) + DB + route("TCPRoute", "db", `${parent(ref)}\n${to("db")}`))
    expect(await of("name: edge, sectionName: one").goes(9001)).toBe("default/db:5432")
    expect(await of("name: edge, sectionName: one").goes(9002)).toStartWith("refused: no route")
    expect(await of("name: edge, port: 9002").goes(9002)).toBe("default/db:5432")
    const both = of("name: edge, sectionName: one, port: 9002")
    expect(both.said("TCPRoute", "db")["Accepted"]).toBe("False NoMatchingParent")
    expect(both.message("Accepted", "TCPRoute", "db")).toBe(
      'No listener of Gateway default/edge has the name "one" and port 9002; it has one (port 9001), two (port 9002)',
    )
    const slip = of("name: edge, sectionName: tow")
    expect(slip.message("Accepted", "TCPRoute", "db")).toContain('did you mean "two"?')
    expect(slip.warnings()[0]).toContain("spec.parentRefs[0]: NoMatchingParent: No listener of Gateway default/edge")
  })

  test("has an entry of its own in the status, and a listener that two lead to counts once", () => {
    const refs = "parentRefs: [{ name: edge }, { name: edge, sectionName: tcp }, { name: edge, sectionName: none }]"
    const traffic = new Traffic(gateway("edge", [TCP]) + DB + route("TCPRoute", "db", `${refs}\n${to("db")}`))
    expect([0, 1, 2].map((i) => traffic.said("TCPRoute", "db", i)["Accepted"])).toEqual([
      "True Accepted",
      "True Accepted",
      "False NoMatchingParent",
    ])
    expect(traffic.attached("edge", "tcp")).toBe(1)
  })

  test("that is no Gateway gets no status; one that is not there, or not attached itself, is a warning", () => {
    const set = `apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: lost }
spec: { parentRef: { name: missing }, listeners: [{ name: extra, port: 9100, protocol: TCP }] }
---
`
    const refs =
      "parentRefs: [{ group: '', kind: Service, name: db }, { name: missing }, { kind: ListenerSet, name: lost }]"
    const traffic = new Traffic(gateway("edge", [TCP]) + set + DB + route("TCPRoute", "db", `${refs}\n${to("db")}`))
    expect(traffic.parents("TCPRoute", "db")).toEqual([])
    expect(traffic.warnings().filter((warning) => warning.includes("parentRefs"))).toEqual([
      "spec.parentRefs[1]: there is no Gateway default/missing",
      "spec.parentRefs[2]: ListenerSet default/lost is part of no Gateway, so nothing attaches to it",
    ])
  })

  test("may be a ListenerSet", async () => {
    const set = `apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: more }
spec: { parentRef: { name: edge }, listeners: [{ name: extra, port: 9100, protocol: TCP }] }
---
`
    const traffic = new Traffic(
      gateway("edge", [TCP], ["allowedListeners: { namespaces: { from: All } }"]) +
        set +
        DB +
        route("TCPRoute", "db", `${parent("kind: ListenerSet, name: more")}\n${to("db")}`),
    )
    expect(traffic.said("TCPRoute", "db")["Accepted"]).toBe("True Accepted")
    expect(await traffic.goes(9100)).toBe("default/db:5432")
    expect(await traffic.goes(9000)).toStartWith("refused: no route")
    expect(traffic.attached("edge", "tcp")).toBe(0)
  })
})

const crossing = (from: string) =>
  gateway("edge", [`{ name: tcp, port: 9000, protocol: TCP, allowedRoutes: { namespaces: { from: ${from} } } }`]) +
  service("db", 5432, ["127.0.0.1"], "far") +
  route("TCPRoute", "db", `${parent("name: edge, namespace: default")}\n${to("db")}`, { namespace: "far" })

test("any free port is that of the file of its listener, wherever the route stands", () => {
  const set = `apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: any }
spec: { parentRef: { name: edge }, listeners: [{ name: free, port: 0, protocol: TCP }] }
---
`
  const traffic = new Traffic({
    "a.yaml": CLASS + gateway("edge", [TCP], ["allowedListeners: { namespaces: { from: All } }"]),
    "b.yaml": set,
    "c.yaml": DB + route("TCPRoute", "db", `${parent("kind: ListenerSet, name: any")}\n${to("db")}`),
  })
  expect(traffic.contents.get("b.yaml")!.rules.map(({ title }) => title)).toEqual([
    "ListenerSet default/any, listener free",
    "TCPRoute default/db",
  ])
  expect(traffic.contents.get("c.yaml")?.rules ?? []).toEqual([])
})

describe("a route is not allowed", () => {
  test.each([
    ["TCPRoute", "{ name: web, port: 80, protocol: HTTP }", "listener web (HTTP) takes no TCPRoute"],
    ["TLSRoute", "{ name: web, port: 80, protocol: HTTP }", "listener web (HTTP) takes no TLSRoute"],
    ["TCPRoute", PASS, "listener tls (TLS, Passthrough) takes no TCPRoute"],
    ["TLSRoute", TCP, "listener tcp (TCP) takes no TLSRoute"],
  ] as const)("%s on %s", (kind, listener, message) => {
    const spec = `${kind === "TLSRoute" ? "hostnames: [a.test]\n" : ""}${parent()}\n${to("db")}`
    const traffic = new Traffic(gateway("edge", [listener]) + DB + route(kind, "db", spec))
    expect(traffic.said(kind, "db")["Accepted"]).toBe("False NotAllowedByListeners")
    expect(traffic.message("Accepted", kind, "db")).toContain(message)
    expect(traffic.attached("edge", listener.includes("web") ? "web" : listener.includes("tls") ? "tls" : "tcp")).toBe(
      0,
    )
  })

  test("from another namespace, unless the listener allows it", async () => {
    const same = new Traffic(crossing("Same"))
    expect(same.said("TCPRoute", "db", 0, "far")["Accepted"]).toBe("False NotAllowedByListeners")
    expect(await same.goes(9000)).toStartWith("refused")
    const all = new Traffic(crossing("All"))
    expect(all.said("TCPRoute", "db", 0, "far")["Accepted"]).toBe("True Accepted")
    expect(await all.goes(9000)).toBe("far/db:5432")
  })

  test("whatever it is, when it is none of layer 4", () => {
    for (const kind of ["HTTPRoute", "GRPCRoute", "UDPRoute"]) {
      const other = route("TCPRoute", "web", parent()).replace("kind: TCPRoute", `kind: ${kind}`)
      const traffic = new Traffic(gateway("edge", [TCP]) + other)
      expect(traffic.said(kind, "web")).toEqual({ Accepted: "False NotAllowedByListeners" })
      expect(traffic.message("Accepted", kind, "web")).toContain("layer 4")
    }
  })
})

test("a route counts on a listener that does not serve, and is told", () => {
  const broken = "{ name: tls, port: 9443, protocol: TLS, tls: { mode: Terminate, certificateRefs: [{ name: none }] } }"
  const traffic = new Traffic(
    gateway("edge", [broken]) + DB + route("TLSRoute", "db", `hostnames: [a.test]\n${parent()}\n${to("db")}`),
  )
  expect(traffic.said("TLSRoute", "db")["Accepted"]).toBe("True Accepted")
  expect(traffic.message("Accepted", "TLSRoute", "db")).toBe(
    "Attached to listener tls; it does not serve, see its conditions",
  )
  expect(traffic.attached("edge", "tls")).toBe(1)
})

const competing = (first: string, second: string) => gateway("edge", [TCP]) + DB + OTHER + first + second

describe("of several routes on a TCP listener", () => {
  const old = { creationTimestamp: "2026-01-01T00:00:00Z" }
  const young = { creationTimestamp: "2026-02-01T00:00:00Z" }

  test("the oldest gets the traffic; the other stays accepted, and its status says who", async () => {
    const traffic = new Traffic(
      competing(
        route("TCPRoute", "aaa", `${parent()}\n${to("db")}`, young),
        route("TCPRoute", "zzz", `${parent()}\n${to("other")}`, old),
      ),
    )
    expect(await traffic.goes(9000)).toBe("default/other:5432")
    expect(traffic.attached("edge", "tcp")).toBe(2)
    expect(traffic.said("TCPRoute", "zzz")).toEqual({ Accepted: "True Accepted", ResolvedRefs: "True ResolvedRefs" })
    expect(traffic.said("TCPRoute", "aaa")).toEqual({
      Accepted: "True Accepted",
      ResolvedRefs: "True ResolvedRefs",
      "tidegate.dev/Superseded": "True AnotherRouteGoesBefore",
    })
    expect(traffic.message("Accepted", "TCPRoute", "aaa")).toBe(
      "Attached to listener tcp; TCPRoute default/zzz goes before it and gets the traffic",
    )
    expect(traffic.pools()).toEqual(["default/other:5432"])
  })

  test("the first by namespace and name does, when they are equally old", async () => {
    const traffic = new Traffic(
      competing(
        route("TCPRoute", "zzz", `${parent()}\n${to("other")}`, old),
        route("TCPRoute", "aaa", `${parent()}\n${to("db")}`, old),
      ),
    )
    expect(await traffic.goes(9000)).toBe("default/db:5432")
  })
})

describe("hostnames", () => {
  test("that no listener has in common: not accepted", () => {
    const traffic = new Traffic(
      gateway("edge", [tls("tls", "*.example.com")]) + tlsRoute("a", ["a.test", "example.com"]),
    )
    expect(traffic.said("TLSRoute", "a")["Accepted"]).toBe("False NoMatchingListenerHostname")
    expect(traffic.message("Accepted", "TLSRoute", "a")).toBe(
      "No listener has a hostname in common with a.test, example.com; listeners have tls: *.example.com",
    )
    expect(traffic.attached("edge", "tls")).toBe(0)
  })

  test("a listener's name alone is served of a route's wildcard, and the other way round", async () => {
    const exact = new Traffic(gateway("edge", [tls("tls", "abc.example.com")]) + tlsRoute("a", ["*.example.com"]))
    expect(await exact.goes(9443, { sni: "abc.example.com" })).toBe("default/a:5432")
    expect(await exact.goes(9443, { sni: "other.example.com" })).toBe("nobody")
    const wild = new Traffic(
      gateway("edge", [tls("tls", "*.example.com")]) + tlsRoute("a", ["abc.example.com", "x.test"]),
    )
    expect(await wild.goes(9443, { sni: "abc.example.com" })).toBe("default/a:5432")
    expect(await wild.goes(9443, { sni: "def.example.com" })).toStartWith("refused: no route")
    expect(await wild.goes(9443, { sni: "x.test" })).toBe("nobody")
  })

  test("the more specific one goes before an older route", async () => {
    const traffic = new Traffic(
      gateway("edge", [PASS]) +
        tlsRoute("wide", ["*.example.com"], "name: edge", { creationTimestamp: "2020-01-01T00:00:00Z" }) +
        tlsRoute("exact", ["a.example.com"]),
    )
    expect(await traffic.goes(9443, { sni: "a.example.com" })).toBe("default/exact:5432")
    expect(await traffic.goes(9443, { sni: "b.example.com" })).toBe("default/wide:5432")
    expect(await traffic.goes(9443, { sni: "b.c.example.com" })).toBe("default/wide:5432")
    expect(await traffic.goes(9443, { sni: "example.com" })).toStartWith("refused: no route")
  })

  test("a listener keeps its names for itself, also those that it has no route for", async () => {
    const traffic = new Traffic(
      gateway("edge", [tls("foo", "foo.example.com"), tls("wide", "*.example.com"), PASS]) +
        tlsRoute("w", ["*.example.com", "foo.example.com", "bar.example.com"], "name: edge, sectionName: wide") +
        tlsRoute("any", ["*.com", "baz.example.com", "x.test"], "name: edge, sectionName: tls"),
    )
    expect(await traffic.goes(9443, { sni: "foo.example.com" })).toStartWith("refused: no route of")
    expect(await traffic.goes(9443, { sni: "bar.example.com" })).toBe("default/w:5432")
    expect(await traffic.goes(9443, { sni: "baz.example.com" })).toBe("default/w:5432")
    expect(await traffic.goes(9443, { sni: "other.com" })).toBe("default/any:5432")
    expect(await traffic.goes(9443, { sni: "x.test" })).toBe("default/any:5432")
    expect(traffic.message("Accepted", "TLSRoute", "any")).toBe(
      "Attached to listener tls; baz.example.com is left to listeners with a more specific hostname",
    )
  })

  test("part of a route's names may be another's", () => {
    const traffic = new Traffic(
      gateway("edge", [PASS]) +
        tlsRoute("first", ["a.test"], "name: edge", { creationTimestamp: "2020-01-01T00:00:00Z" }) +
        tlsRoute("second", ["a.test", "b.test"]),
    )
    expect(traffic.message("tidegate.dev/Superseded", "TLSRoute", "second")).toBe(
      "listener tls: TLSRoute default/first goes before it and gets the traffic of a.test",
    )
  })

  test("a route without any has those of its listener (v1alpha2)", async () => {
    const bare = route("TLSRoute", "a", `${parent()}\n${to("a")}`).replace("k8s.io/v1\n", "k8s.io/v1alpha2\n")
    const traffic = new Traffic(gateway("edge", [PASS]) + bare + service("a", 5432, ["127.0.0.1"]))
    expect(await traffic.goes(9443, { sni: "what.ever" })).toBe("default/a:5432")
    expect(await traffic.goes(9443, { tls: {} })).toBe("default/a:5432")
  })

  test("rules behind the first are dropped, and said to be (v1alpha2)", async () => {
    const spec = `${parent()}\nrules: [{ backendRefs: [{ name: a, port: 5432 }] }, { backendRefs: [{ name: b, port: 1 }] }]`
    const two = route("TLSRoute", "a", spec).replace("k8s.io/v1\n", "k8s.io/v1alpha2\n")
    const traffic = new Traffic(gateway("edge", [PASS]) + two + service("a", 5432, ["127.0.0.1"]))
    expect(traffic.said("TLSRoute", "a")["PartiallyInvalid"]).toBe("True UnsupportedValue")
    expect(traffic.message("PartiallyInvalid", "TLSRoute", "a")).toStartWith("Dropped Rule: ")
    expect(await traffic.goes(9443, { sni: "what.ever" })).toBe("default/a:5432")
  })
})

// The specification, word for word: first the listener, then the route, then age.
const matches = (pattern: Hostname, name: string) =>
  pattern === undefined ||
  (pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) && name !== pattern.slice(2) : name === pattern)

const specificity = (pattern: Hostname) =>
  pattern === undefined ? -1 : pattern.startsWith("*.") ? pattern.split(".").length : 100 + pattern.length

const meet = (a: Hostname, b: Hostname) =>
  a === undefined ||
  b === undefined ||
  a === b ||
  matches(a, b.replace("*.", "x.")) ||
  matches(b, a.replace("*.", "x."))

describe("random listeners and routes", () => {
  const HOSTNAMES = ["a.test", "b.test", "x.a.test", "*.test", "*.a.test", "*.x.a.test", "y.x.a.test", "*.b.test"]
  const NAMES = ["a.test", "b.test", "x.a.test", "y.a.test", "y.x.a.test", "z.x.a.test", "q.b.test", "c.test", "else"]

  test("serve each name as the specification says", async () => {
    const { below, pick } = random(42)
    for (let round = 0; round < 60; round++) {
      const hostnames = [...new Set(Array.from({ length: 1 + below(4) }, () => pick([undefined, ...HOSTNAMES])))]
      const routes = Array.from({ length: 1 + below(5) }, (_, i) => ({
        name: `r${i}`,
        created: below(4),
        hostnames: [...new Set(Array.from({ length: 1 + below(3) }, () => pick(HOSTNAMES)))],
        listener: pick([undefined, below(hostnames.length)]),
      }))
      const text =
        gateway(
          "edge",
          hostnames.map((hostname, i) =>
            hostname === undefined ? PASS.replace("name: tls", `name: l${i}`) : tls(`l${i}`, hostname),
          ),
        ) +
        routes
          .map(({ created, hostnames: own, listener, name }) =>
            tlsRoute(name, own, listener === undefined ? "name: edge" : `name: edge, sectionName: l${listener}`, {
              creationTimestamp: `2026-01-0${created + 1}T00:00:00Z`,
            }),
          )
          .join("")
      const traffic = new Traffic({ "z.yaml": CLASS + text })
      for (const sni of NAMES) {
        const serving = hostnames
          .map((hostname, i) => ({ hostname, i }))
          .filter(({ hostname }) => matches(hostname, sni))
          .toSorted((a, b) => specificity(b.hostname) - specificity(a.hostname))[0]
        const best = routes
          .filter(({ listener }) => serving !== undefined && (listener ?? serving.i) === serving.i)
          .flatMap((each) => each.hostnames.map((hostname) => ({ ...each, hostname })))
          .filter(({ hostname }) => matches(hostname, sni) && meet(serving!.hostname, hostname))
          .toSorted(
            (a, b) =>
              specificity(b.hostname) - specificity(a.hostname) || a.created - b.created || (a.name < b.name ? -1 : 1),
          )[0]
        const expected = best === undefined ? /^(nobody|refused: no route)/ : `default/${best.name}:5432`
        const found = await traffic.goes(9443, { sni })
        if (typeof expected === "string" ? found !== expected : !expected.test(found))
          throw new Error(`${sni} goes to ${found} and not to ${String(expected)}:\n${text}`)
      }
    }
  })
})
