import { expect, test } from "bun:test"
import { Cluster, gateway } from "./compiled.ts"

const PASS = "protocol: TLS, tls: { mode: Passthrough }"
const http = (name: string) => `{ name: ${name}, port: 80, protocol: HTTP, hostname: ${name}.example.com }`
const tcp = (name: string, port: number) => `{ name: ${name}, port: ${port}, protocol: TCP }`

function set(name: string, listeners: readonly string[], parent = "{ name: edge }", metadata = ""): string {
  const head = `apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: { name: ${name}${metadata} }`
  return `${head}\nspec:\n  parentRef: ${parent}\n  listeners:\n${listeners.map((one) => `    - ${one}\n`).join("")}---\n`
}

function open(from: string, listeners: readonly string[] = [tcp("own", 1000)]): string {
  return gateway("edge", listeners, [`allowedListeners: { namespaces: ${from} }`])
}

const served = {
  Accepted: "True Accepted",
  Conflicted: "False NoConflicts",
  ResolvedRefs: "True ResolvedRefs",
  Programmed: "True Programmed",
}

test("a ListenerSet that its Gateway lets in is served by it", () => {
  const cluster = new Cluster({
    "gateway.yaml": open("{ from: Same }"),
    "set.yaml": set("more", [tcp("db", 2000)]),
  })
  expect(cluster.said("ListenerSet", "more")).toEqual({ Accepted: "True Accepted", Programmed: "True Programmed" })
  expect(cluster.listener("more", "db", "ListenerSet")).toEqual(served)
  expect(cluster.status("Gateway", "edge")["attachedListenerSets"]).toBe(1)
  expect(cluster.bound("set.yaml")).toEqual(["tcp://:2000 at *"])
  expect([...cluster.state("ListenerSet", "more").serves!]).toEqual([["db", ["tcp:*:2000"]]])
})

test.each([
  ["", "False NotAllowed"],
  ["{ from: None }", "False NotAllowed"],
  ["{ from: Same }", "False NotAllowed"],
  ["{ from: All }", "True Accepted"],
  ["{ from: Selector, selector: { matchLabels: { team: blue } } }", "True Accepted"],
  [
    "{ from: Selector, selector: { matchExpressions: [{ key: team, operator: NotIn, values: [blue] }] } }",
    "False NotAllowed",
  ],
  [
    "{ from: Selector, selector: { matchExpressions: [{ key: kubernetes.io/metadata.name, operator: In, values: [apps] }] } }",
    "True Accepted",
  ],
])("with allowedListeners %p a set of another namespace is %s", (from, accepted) => {
  const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: apps, labels: { team: blue } }\n---\n"
  const own = from === "" ? gateway("edge", [tcp("own", 1000)]) : open(from)
  const cluster = new Cluster(
    namespace + own + set("more", [tcp("db", 2000)], "{ name: edge, namespace: default }", ", namespace: apps"),
  )
  expect(cluster.said("ListenerSet", "more", "apps")["Accepted"]).toBe(accepted)
  const isIn = accepted.startsWith("True")
  expect(cluster.said("ListenerSet", "more", "apps")["Programmed"]).toBe(isIn ? "True Programmed" : "False NotAllowed")
  expect(cluster.status("Gateway", "edge")["attachedListenerSets"]).toBe(isIn ? 1 : 0)
  expect(cluster.bound()).toEqual(isIn ? ["tcp://:1000 at *", "tcp://:2000 at *"] : ["tcp://:1000 at *"])
})

test("of a conflict the earlier one wins: the Gateway, older sets, sets by name, the order in a set", () => {
  const cluster = new Cluster(
    set("c", [tcp("young", 2000), tcp("new", 3000)]) +
      set("b", [tcp("first", 2000), tcp("twice", 2000), tcp("gateway", 1000)]) +
      set("d", [tcp("old", 3000)], "{ name: edge }", ", creationTimestamp: 2025-01-01T00:00:00Z") +
      open("{ from: Same }"),
  )
  const lost = {
    Accepted: "False ProtocolConflict",
    Conflicted: "True ProtocolConflict",
    ResolvedRefs: "True ResolvedRefs",
    Programmed: "False ProtocolConflict",
  }
  expect(cluster.listener("edge", "own")).toEqual(served)
  expect(cluster.listener("d", "old", "ListenerSet")).toEqual(served)
  expect(cluster.listener("b", "first", "ListenerSet")).toEqual(served)
  expect(cluster.listener("b", "twice", "ListenerSet")).toEqual(lost)
  expect(cluster.listener("b", "gateway", "ListenerSet")).toEqual(lost)
  expect(cluster.listener("c", "young", "ListenerSet")).toEqual(lost)
  expect(cluster.listener("c", "new", "ListenerSet")).toEqual(lost)
  expect(cluster.said("ListenerSet", "b")).toEqual({
    Accepted: "True ListenersNotValid",
    Programmed: "True Programmed",
  })
  expect(cluster.said("ListenerSet", "c")).toEqual({
    Accepted: "False ListenersNotValid",
    Programmed: "False ListenersNotValid",
  })
  expect(cluster.status("Gateway", "edge")["attachedListenerSets"]).toBe(2)
})

test("TLS listeners of sets share a port under different hostnames", () => {
  const cluster = new Cluster(
    open("{ from: Same }", [`{ name: own, port: 443, ${PASS}, hostname: a.example.com }`]) +
      set("more", [
        `{ name: b, port: 443, ${PASS}, hostname: b.example.com }`,
        `{ name: a, port: 443, ${PASS}, hostname: a.example.com }`,
      ]),
  )
  expect(cluster.listener("more", "b", "ListenerSet")).toEqual(served)
  expect(cluster.listener("more", "a", "ListenerSet")).toMatchObject({
    Accepted: "False HostnameConflict",
    Conflicted: "True HostnameConflict",
  })
})

test("an HTTP listener has its port as well, and its set is as good as without it", () => {
  const cluster = new Cluster(
    open("{ from: Same }", [http("own")]) + set("a", [http("more"), tcp("raw", 80)]) + set("b", [tcp("raw", 80)]),
  )
  expect(cluster.said("Gateway", "edge")["Accepted"]).toBe("True Accepted")
  expect(cluster.said("ListenerSet", "a")).toEqual({
    Accepted: "True ListenersNotValid",
    Programmed: "True Programmed",
  })
  expect(cluster.listener("a", "raw", "ListenerSet")["Conflicted"]).toBe("True ProtocolConflict")
  expect(cluster.said("ListenerSet", "b")["Accepted"]).toBe("False ListenersNotValid")
  expect(cluster.status("Gateway", "edge")["attachedListenerSets"]).toBe(1)
})

test("a set waits for its Gateway: what is wrong with its entries is said all the same", () => {
  const kinds = `{ name: tls, port: 443, ${PASS}, allowedRoutes: { kinds: [{ kind: HTTPRoute }] } }`
  const refused = open("{ from: Same }", [tcp("own", 1000)]).replace("spec:", "spec:\n  addresses: [{ type: x.y/z }]")
  for (const text of [refused + set("more", [kinds]), set("more", [kinds])]) {
    const cluster = new Cluster(text)
    expect(cluster.said("ListenerSet", "more")).toEqual({
      Accepted: "False ParentNotAccepted",
      Programmed: "False ParentNotProgrammed",
    })
    expect(cluster.listener("more", "tls", "ListenerSet")).toMatchObject({
      Accepted: "False ParentNotAccepted",
      ResolvedRefs: "False InvalidRouteKinds",
      Programmed: "False Invalid",
    })
    expect(cluster.bound()).toEqual([])
  }
  expect(new Cluster(set("more", [kinds])).message("Accepted", "ListenerSet", "more")).toContain("default/edge")
})

test("a parent that is no Gateway is said to be none", () => {
  const cluster = new Cluster(open("{ from: All }") + set("more", [tcp("db", 2000)], "{ kind: Mesh, name: edge }"))
  expect(cluster.said("ListenerSet", "more")["Accepted"]).toBe("False Invalid")
})

test("port 0 is any free one, once for each file", () => {
  const cluster = new Cluster({
    "gateway.yaml": open("{ from: Same }"),
    "a.yaml": set("a", [tcp("any", 0), tcp("again", 0)]),
    "b.yaml": set("b", [tcp("any", 0)]),
  })
  expect(cluster.listener("a", "any", "ListenerSet")).toEqual(served)
  expect(cluster.listener("b", "any", "ListenerSet")).toEqual(served)
  expect(cluster.listener("a", "again", "ListenerSet")["Accepted"]).toBe("False PortUnavailable")
  expect(cluster.message("Accepted", "ListenerSet", "a", "any")).toContain("tidegate status")
  expect(cluster.state("ListenerSet", "b").serves!.get("any")).toEqual(["tcp:*:0#b.yaml"])
})

test("listeners of another Gateway have their ports", () => {
  const cluster = new Cluster(gateway("a", [tcp("db", 2000)]) + open("{ from: Same }") + set("more", [tcp("db", 2000)]))
  expect(cluster.said("ListenerSet", "more")).toEqual({
    Accepted: "False ListenersNotValid",
    Programmed: "False PortUnavailable",
  })
  expect(cluster.listener("more", "db", "ListenerSet")).toMatchObject({
    Accepted: "False PortUnavailable",
    Programmed: "False PortUnavailable",
  })
})
