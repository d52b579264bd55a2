// What is asked before a route: clients, code, the end of TLS; and what TidegatePolicies make of Services.
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { Connection } from "../../../src/policy/connection.ts"
import { deny, next, respond } from "../../../src/policy/decision.ts"
import { authority } from "../../helper/certificates.ts"
import { objectsOf, STILL } from "../../helper/cluster-of-objects.ts"
import { compileKubernetes } from "../../../src/config/kubernetes/compile.ts"
import { gateway, tlsSecret } from "./compiled.ts"
import { CLASS, route, service, Traffic } from "./traffic.ts"

const root = authority()
const EDGE = gateway("edge", ["{ name: tcp, port: 9000, protocol: TCP }", "{ name: more, port: 9001, protocol: TCP }"])
const DB =
  route("TCPRoute", "db", "parentRefs: [{ name: edge }]\nrules: [{ backendRefs: [{ name: db, port: 5432 }] }]") +
  service("db", 5432, ["10.0.0.1"])
const TLS =
  gateway("edge", [
    "{ name: end, port: 9443, protocol: TLS, hostname: end.test, tls: { mode: Terminate, certificateRefs: [{ name: pair }] } }",
    "{ name: pass, port: 9443, protocol: TLS, hostname: pass.test, tls: { mode: Passthrough } }",
  ]) +
  route(
    "TLSRoute",
    "db",
    "parentRefs: [{ name: edge }]\nhostnames: ['*.test']\nrules: [{ backendRefs: [{ name: db, port: 5432 }] }]",
  ) +
  service("db", 5432, ["10.0.0.1"]) +
  tlsSecret("pair", root.issue({ names: ["end.test"] }))

function policy(name: string, spec: string, target = "kind: Gateway, name: edge"): string {
  return `apiVersion: tidegate.dev/v1alpha1
kind: TidegatePolicy
metadata: { name: ${name} }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, ${target} }]
  ${spec}
---
`
}
const ON_ROUTE = "kind: TCPRoute, name: db"
const CODE = "policy: { module: ./guard.ts }"

describe("clients", () => {
  test("are let in by allow and kept out by deny, which goes first; the reason names the policy", async () => {
    const clients = "clients: { allow: [10.0.0.0/8, '2001:db8::/32'], deny: [10.6.6.0/24] }"
    const traffic = new Traffic(EDGE + DB + policy("office", clients))
    expect(await traffic.goes(9000, { from: "10.1.2.3" })).toBe("default/db:5432")
    expect(await traffic.goes(9000, { from: "[2001:db8::1]:4711" })).toBe("default/db:5432")
    expect(await traffic.goes(9000, { from: "[::ffff:10.1.2.3]:4711" })).toBe("default/db:5432")
    expect(await traffic.goes(9000, { from: "10.6.6.6" })).toBe(
      "refused: TidegatePolicy default/office: among clients.deny",
    )
    expect(await traffic.goes(9000, { from: "203.0.113.9" })).toBe(
      "refused: TidegatePolicy default/office: not among clients.allow",
    )
  })

  test("are judged by the most specific policy that says something, list by list", async () => {
    const traffic = new Traffic(
      EDGE +
        DB +
        policy("edge", "clients: { allow: [10.0.0.0/8], deny: [10.6.6.6/32, 192.0.2.0/24] }") +
        policy(
          "more",
          "clients: { allow: [10.2.0.0/16, 192.0.2.0/24] }",
          "kind: Gateway, name: edge, sectionName: more",
        ),
    )
    expect(await traffic.goes(9000, { from: "10.1.1.1" })).toBe("default/db:5432")
    expect(await traffic.goes(9001, { from: "10.1.1.1" })).toContain("TidegatePolicy default/more")
    expect(await traffic.goes(9001, { from: "10.2.1.1" })).toBe("default/db:5432")
    expect(await traffic.goes(9001, { from: "192.0.2.1" })).toContain("TidegatePolicy default/edge: among clients.deny")
    const own = new Traffic(
      EDGE + DB + policy("edge", "clients: { deny: [10.0.0.0/8] }") + policy("own", "clients: { deny: [] }", ON_ROUTE),
    )
    expect(await own.goes(9000, { from: "10.1.1.1" })).toBe("default/db:5432")
  })

  test("of a TLSRoute are refused before the handshake", async () => {
    const traffic = new Traffic(TLS + policy("office", "clients: { allow: [10.0.0.0/8] }", "kind: TLSRoute, name: db"))
    for (const sni of ["end.test", "pass.test"]) {
      expect(await traffic.goes(9443, { sni, from: "10.1.1.1" })).toBe("default/db:5432")
      expect(await traffic.goes(9443, { sni, terminated: { fails: "never seen" } })).toContain(
        "not among clients.allow",
      )
    }
  })
})

describe("upstream options", () => {
  const POOL = "default/db:5432"

  test("make another pool of the Service, named by the policies that they come from", async () => {
    const traffic = new Traffic(
      EDGE +
        DB +
        policy(
          "edge",
          "upstream: { balance: least-connections, maxDuration: 1 hour, retries: 1, connectTimeout: 1s }",
        ) +
        policy("own", "upstream: { retries: 3, health: { check: tcp, interval: 1s }, proxyProtocol: 2 }", ON_ROUTE),
    )
    const name = `${POOL} (TidegatePolicy default/own, TidegatePolicy default/edge)`
    expect(await traffic.goes(9000)).toBe(name)
    expect(traffic.pool(name)).toMatchObject({
      balance: "least-connections",
      retries: 3,
      maxDuration: 3_600_000,
      connectTimeout: 1000,
      proxyProtocol: 2,
      health: { interval: 1000 },
    })
  })

  test("of one listener leave the others alone", async () => {
    const traffic = new Traffic(
      EDGE + DB + policy("more", "upstream: { retries: 1 }", "kind: Gateway, name: edge, sectionName: more"),
    )
    expect(await traffic.goes(9000)).toBe(POOL)
    expect(await traffic.goes(9001)).toBe(`${POOL} (TidegatePolicy default/more)`)
    expect(traffic.pools().toSorted()).toEqual([POOL, `${POOL} (TidegatePolicy default/more)`])
  })
})

const never = () => new Promise(() => undefined)

const guardedBy = (module: Readonly<Record<string, unknown>>, code = CODE) =>
  new Traffic(EDGE + DB + policy("guard", code), {}, { "./guard.ts": module }).goes(9000)

const problemsOf = (module: Readonly<Record<string, unknown>>, code = CODE) => {
  const { parts } = compileKubernetes(objectsOf(CLASS + EDGE + DB + policy("guard", code)), STILL)
  const contents = parts.get("objects.yaml")!.contents(new Map([["./guard.ts", module]]))
  return "rules" in contents ? [] : contents.map(({ line, message }) => `${line! > 1} ${message}`)
}

const guarded = (on_tcp_connect: (connection: Connection) => unknown, text = EDGE + DB, code = CODE) =>
  new Traffic(text + policy("guard", code), {}, { "./guard.ts": { on_tcp_connect } })

describe("code", () => {
  test("is asked first, and next goes on to the route: at once, as a Promise and as an Effect", async () => {
    for (const answer of [() => next, async () => next, () => Effect.succeed(next)]) {
      const traffic = guarded(answer)
      expect(await traffic.goes(9000)).toBe("default/db:5432")
      expect((await traffic.asked(9000))!.said.map(({ file }) => file)).toEqual([
        "Gateway default/edge, listener tcp",
        "TidegatePolicy default/guard",
        "TCPRoute default/db",
      ])
    }
    for (const answer of [() => deny("no"), async () => deny("no"), () => Effect.succeed(deny("no"))])
      expect(await guarded(answer).goes(9000)).toBe("refused: no")
    expect(await guarded(() => respond("hello")).goes(9000)).toBe("answered")
    expect(await guarded(() => undefined).goes(9000)).toStartWith("policy-failed: ")
    expect(await guarded(async () => Promise.reject(new Error("broken"))).goes(9000)).toBe("policy-failed: broken")
  })

  test("is not asked about clients that are not let in", async () => {
    let asked = 0
    const count = () => {
      asked++
      return next
    }
    const traffic = guarded(count, EDGE + DB, `${CODE}\n  clients: { deny: [203.0.113.0/24] }`)
    expect(await traffic.goes(9000)).toContain("among clients.deny")
    expect(await traffic.goes(9000, { from: "10.0.0.1" })).toBe("default/db:5432")
    expect(asked).toBe(1)
  })

  test("may be any export, a default one, and has its own deadline", async () => {
    expect(await guardedBy({ strict: () => deny("strict") }, "policy: { module: ./guard.ts, export: strict }")).toBe(
      "refused: strict",
    )
    expect(await guardedBy({ default: () => deny("default") })).toBe("refused: default")
    expect(await guardedBy({ on_tcp_connect: never, deadline: "20ms" })).toBe("policy-timeout: no answer within 20 ms")
  })

  test("that cannot be asked is a problem of the file, at the policy that names it", () => {
    expect(problemsOf({ strict: () => next }, "policy: { module: ./guard.ts, export: strickt }")).toEqual([
      'true spec.policy.export: "./guard.ts": expected a function strickt, it has none; did you mean "strict"?',
    ])
    expect(problemsOf({ other: 5 })).toEqual([
      'true spec.policy.module: "./guard.ts": expected a function on_tcp_connect, or a default export, it has none',
    ])
    expect(problemsOf({ on_tcp_connect: 5 })[0]).toContain("found 5")
    expect(problemsOf({ on_tcp_connect: () => next, setup: () => 1 })[0]).toContain("exports setup")
    expect(problemsOf({ on_tcp_connect: () => next, deadline: "soon" })[0]).toContain(
      'deadline: "soon" is not a duration',
    )
  })

  test("is named by the file's part, once", () => {
    const { parts } = compileKubernetes(objectsOf(CLASS + EDGE + DB + policy("guard", CODE)), STILL)
    expect(parts.get("objects.yaml")!.modules.map(({ specifier }) => specifier)).toEqual(["./guard.ts"])
  })
})

const endingTwice = async (connection: Connection) => {
  await connection.terminate()
  await connection.terminate()
}

describe("TLS", () => {
  test("passes through at once, and ends by a handshake, whose failure is the connection's", async () => {
    const traffic = new Traffic(TLS)
    const rules = traffic.contents.get("objects.yaml")!.rules.filter(({ title }) => title === "TLSRoute default/db")
    expect(rules.map(({ listen, route: only }) => [listen!.map(({ url }) => url), only?.pool])).toEqual([
      [["tls://end.test:9443"], undefined],
      [["tls://pass.test:9443"], "default/db:5432"],
    ])
    expect(rules[1]!.connect(undefined as never, undefined)).toBe(rules[1]!.route)
    expect(await traffic.goes(9443, { sni: "end.test" })).toBe("default/db:5432")
    expect(await traffic.goes(9443, { sni: "end.test", terminated: { fails: "bad" } })).toBe(
      "tls-handshake-failed: bad",
    )
    expect(await traffic.goes(9443, { sni: "pass.test", terminated: { fails: "bad" } })).toBe("default/db:5432")
  })

  test("is not ended for a client that is refused", async () => {
    const traffic = new Traffic(TLS.replaceAll("name: db, port: 5432 }", "name: none, port: 5432 }"))
    expect(await traffic.goes(9443, { sni: "end.test", terminated: { fails: "never seen" } })).toContain(
      "refused: There is no",
    )
  })

  test("may be ended by code that is asked first: with the listener's certificate, and once", async () => {
    const seen: unknown[] = []
    const guard = async (connection: Connection) => {
      const { sni } = await connection.terminate()
      seen.push(sni, connection.client.address, connection.listener.name)
      return new TextDecoder().decode(await connection.peek(2)) === "no" ? deny("said no") : next
    }
    const text = TLS + policy("guard", "policy: { module: ./guard.ts }")
    const traffic = new Traffic(text, {}, { "./guard.ts": { on_tcp_connect: guard } })
    expect(await traffic.goes(9443, { sni: "end.test", plain: "hello" })).toBe("default/db:5432")
    expect(await traffic.goes(9443, { sni: "end.test", plain: "no" })).toBe("refused: said no")
    expect(seen.slice(0, 2)).toEqual(["end.test", "203.0.113.9"])
    expect(await traffic.goes(9443, { sni: "end.test", terminated: { fails: "bad" } })).toBe(
      "tls-handshake-failed: bad",
    )
    const failing = new Traffic(text, {}, { "./guard.ts": { on_tcp_connect: endingTwice } })
    expect(await failing.goes(9443, { sni: "end.test" })).toStartWith("policy-failed: ")
  })
})
