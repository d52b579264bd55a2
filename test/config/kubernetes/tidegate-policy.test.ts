// TidegatePolicy: the options of tidegate.yaml under the same names, with the same messages.
import { describe, expect, test } from "bun:test"
import { indented, problemsOf, reading, said } from "../../helper/read-objects.ts"

const group = "gateway.networking.k8s.io"

/** The targets are on line 5, the rest begins on line 6. */
function policy(spec: string, target = `{ group: ${group}, kind: Gateway, name: main }`): string {
  return `apiVersion: tidegate.dev/v1alpha1
kind: TidegatePolicy
metadata: { name: p }
spec:
  targetRefs: [${target}]
${indented(spec, 2)}
`
}

const route = `{ group: ${group}, kind: TLSRoute, name: db }`

test("everything at once", () => {
  const { problems, values, warnings } = reading(
    policy(`
clients: { allow: [10.0.0.0/8, "2001:db8::/32"], deny: [10.9.0.0/16] }
listener:
  maxConnections: 1000
  rateLimit: { limit: 20, per: 1 minute }
  concurrencyLimit: { max: 10, key: { ipv4: 24 } }
  bandwidth: { up: 1 MiB }
  proxyProtocol: { from: [192.0.2.0/24], mode: optional }
tls: { minVersion: "1.2", maxVersion: "1.3", ciphers: ECDHE-RSA-AES128-GCM-SHA256, alpn: [postgresql] }
upstream:
  balance: hash
  hashOn: sni
  health: { check: { send: "PING", expect: PONG }, interval: 1 second }
  passive: false
  breaker: { failures: 0.2 }
  retries: 2
  idleTimeout: 1 hour
  maxDuration: 1 day
  proxyProtocol: 2
  queue: { size: 10 }
  rateLimit: { limit: 5, per: 1s }
policy: { module: ./lib/guard.ts, export: office }
`),
  )
  expect({ problems, warnings }).toEqual({ problems: [], warnings: [] })
  expect(values[0]?.body).toMatchObject({ spec: { upstream: { retries: 2 }, policy: { export: "office" } } })
})

describe("what is refused", () => {
  test.each([
    [
      "clients: { allow: [10.0.0.0/33] }",
      '6:22 spec.clients.allow[0]: "10.0.0.0/33" is not a CIDR: the prefix length of an IPv4 address is 0 to 32',
    ],
    ["client: {}", '6:3 spec: there is no option "client"; did you mean "clients"?'],
    [
      "listener: { maxConnection: 5 }",
      '6:15 spec.listener: there is no option "maxConnection"; did you mean "maxConnections"?',
    ],
    [
      "listener: { maxConnections: many }",
      '6:31 spec.listener.maxConnections: expected a whole number from 1 to 1,000,000, found "many"',
    ],
    [
      "listener: { rateLimit: { limit: 1 } }",
      '6:15 spec.listener.rateLimit: per is missing: expected a duration like "5 seconds", from 1 ms to 30 days',
    ],
    [
      "listener: { url: 'tcp://:1' }",
      '6:15 spec.listener: there is no option "url"; known are maxConnections, proxyProtocol, rateLimit, concurrencyLimit, bandwidth',
    ],
    [
      "tls: { minVersion: 1.2 }",
      '6:22 spec.tls.minVersion: expected "1.2" or "1.3", found 1.2 (without quotes this is a number: write it in quotes)',
    ],
    ['tls: { minVersion: "1.3", maxVersion: "1.2" }', "6:41 spec.tls.maxVersion: is below minVersion"],
    ["upstream: { targets: [] }", '6:15 spec.upstream: there is no option "targets"; known are balance, hashOn'],
    [
      "upstream: { balance: round_robin }",
      '6:24 spec.upstream.balance: expected "round-robin", "least-connections", "random-two", "hash", "first" or "latency", found "round_robin"; did you mean "round-robin"?',
    ],
    ["upstream: { hashOn: sni }", '6:23 spec.upstream.hashOn: has no effect without balance: "hash"'],
    [
      "upstream: { connectTimeout: 5 parsecs }",
      '6:31 spec.upstream.connectTimeout: expected a duration like "5 seconds", from 1 ms to 30 days, found "5 parsecs"',
    ],
    [
      "policy: { module: guard.ts }",
      '6:21 spec.policy.module: expected a path from the folder of this file, like "./lib/guard.ts", found "guard.ts"',
    ],
    ["policy: { export: x }", "6:3 spec.policy: module is missing"],
  ])("%s", (spec, problem) => {
    const [found = "", ...more] = problemsOf(policy(spec))
    expect(more).toEqual([])
    expect(found).toStartWith(problem)
  })

  test("senders that are no addresses", () => {
    const [found = ""] = problemsOf(policy("listener: { proxyProtocol: { from: [office] } }"))
    expect(found).toContain("spec.listener.proxyProtocol: from: ")
  })

  test("options of listeners where there are none", () => {
    expect(problemsOf(policy("listener: { maxConnections: 5 }\ntls: {}\nupstream: { retries: 1 }", route))).toEqual([
      "6:3 spec.listener: is for Gateways and ListenerSets: a TLSRoute has no listeners",
      "7:3 spec.tls: is for Gateways and ListenerSets: a TLSRoute has no listeners",
    ])
  })

  test.each([
    [
      "{ group: gateway.networking.k8s.oi, kind: Gateway, name: a }",
      '.group: expected "gateway.networking.k8s.io", found "gateway.networking.k8s.oi"; did you mean "gateway.networking.k8s.io"?',
    ],
    [
      `{ group: ${group}, kind: Service, name: a }`,
      '.kind: expected "Gateway", "ListenerSet", "TCPRoute" or "TLSRoute", found "Service"',
    ],
    [
      `{ group: ${group}, kind: TLSRoute, name: a, sectionName: b }`,
      ".sectionName: is for listeners: a TLSRoute has none",
    ],
    ["{ kind: Gateway, name: a }", ': group is missing: expected "gateway.networking.k8s.io"'],
  ])("the target %s", (target, problem) => {
    const [found = ""] = problemsOf(policy("upstream: { retries: 1 }", target))
    expect(found.replace(/^5:\d+ /, "")).toBe(`spec.targetRefs[0]${problem}`)
  })

  test("one target twice, and none", () => {
    expect(problemsOf(policy("upstream: { retries: 1 }", `${route}, ${route}`))).toHaveLength(1)
    expect(problemsOf(policy("upstream: { retries: 1 }", ""))).toHaveLength(1)
  })
})

test("a policy that says nothing is worth a look", () => {
  expect(said(policy(""))).toEqual({
    problems: [],
    warnings: ["4:1 spec: says nothing but its targets: it has no effect"],
  })
})
