// ngrok's AgentEndpoint, CloudEndpoint, NgrokTrafficPolicy and IPPolicy: what the CRDs refuse, and what is old in them.
import { describe, expect, test } from "bun:test"
import { indented, problemsOf, reading, said } from "../../helper/read-objects.ts"

/** The spec begins on line 5. */
function object(kind: string, spec: string): string {
  const group = kind === "IPPolicy" ? "ingress.k8s.ngrok.com" : "ngrok.k8s.ngrok.com"
  return `apiVersion: ${group}/v1alpha1\nkind: ${kind}\nmetadata: { name: db }\nspec:\n${indented(spec, 2)}\n`
}

const agent = (spec: string) => object("AgentEndpoint", spec)

describe("AgentEndpoint", () => {
  const upstream = "upstream: { url: tcp://db:5432 }"

  test("everything at once", () => {
    const text = agent(`
url: tls://db.internal:443
upstream: { url: "tcp://db:5432", proxyProtocolVersion: "2" }
trafficPolicy: { inline: { on_tcp_connect: [{ actions: [{ type: deny }] }] } }
description: The database
metadata: { owner: apps }
bindings: [internal]
clientCertificateRefs: [{ name: client }, { name: other, namespace: apps }]
tlsTermination: { serverCertificateRef: { name: c }, mutualTLS: { clientCAsRef: { name: ca }, mode: request } }
`)
    expect(said(text)).toEqual({ problems: [], warnings: [] })
    expect(reading(text).values[0]?.body).toMatchObject({
      spec: { trafficPolicy: { inline: { on_tcp_connect: [{ actions: [{ type: "deny" }] }] } } },
    })
  })

  test.each([
    [`url: tcp://a.internal:1`, "4:1 spec: upstream is missing: expected an object like { url: tcp://db:5432 }"],
    [
      "url: tcp://a.internal:1\nupstream: { url: 5432 }",
      "6:20 spec.upstream.url: expected a URL of 1 to 2,048 characters, found 5432 (without quotes this is a number: write it in quotes)",
    ],
    [
      "url: tcp://a.internal:1\nupstream: { url: a:1, proxyProtocolVersion: 2 }",
      '6:47 spec.upstream.proxyProtocolVersion: expected "1" or "2", found 2 (without quotes this is a number: write it in quotes)',
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\ntrafficPolicy: {}`,
      "7:3 spec.trafficPolicy: inline or targetRef is missing: the policy itself, or the name of an NgrokTrafficPolicy",
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\ntrafficPolicy: { inline: {}, targetRef: { name: p } }`,
      "7:3 spec.trafficPolicy.targetRef: goes against inline: one of the two is the policy",
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\ntrafficPolicy: { inline: "on_tcp_connect: []" }`,
      '7:28 spec.trafficPolicy.inline: expected a traffic policy like { on_tcp_connect: [...] }, found "on_tcp_connect: []"',
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\nbindings: [public, internal]`,
      "7:3 spec.bindings: expected a list of at most 1 binding, found 2",
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\nbindings: [private]`,
      '7:14 spec.bindings[0]: expected "public", "internal" or "kubernetes", found "private"',
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\ntlsTermination: { serverCertificateRef: { name: c } }`,
      '7:3 spec.tlsTermination: needs a url that begins with tls://, found "tcp://a.internal:1"',
    ],
    [
      `url: tls://a.internal:1\n${upstream}\ntlsTermination: { serverCertificateRef: { name: c }, mutualTLS: { mode: require } }`,
      "7:56 spec.tlsTermination.mutualTLS: clientCAsRef is missing: expected a reference like { name: certificate }",
    ],
    [
      `url: tcp://a.internal:1\n${upstream}\ntrafficpolicy: {}`,
      '7:3 spec: there is no option "trafficpolicy"; did you mean "trafficPolicy"?',
    ],
  ])("%s is refused", (spec, problem) => {
    const [found = ""] = problemsOf(agent(spec))
    expect(found.replace(/^(\d+):\d+/, "$1")).toBe(problem.replace(/^(\d+):\d+/, "$1"))
  })

  test("what has no effect is worth a look", () => {
    const text = agent(
      "url: tcp://a.internal:1\nupstream: { url: a:1, protocol: http2 }\ntrafficPolicy: { type: targetRef, targetRef: { name: p } }",
    )
    expect(said(text)).toEqual({
      problems: [],
      warnings: [
        "7:26 spec.trafficPolicy.type: has no effect any more: inline or targetRef says it",
        "6:35 spec.upstream.protocol: has no effect at layer 4",
      ],
    })
  })
})

const cloud = (spec: string) => object("CloudEndpoint", spec)

const oldCloud = (spec: string) => said(cloud(`url: tls://db.example.com\n${spec}`))

describe("CloudEndpoint", () => {
  test.each([
    "trafficPolicy: { targetRef: { name: p } }\npoolingEnabled: true",
    "trafficPolicy: { inline: {} }\nbindings: [public]",
  ])("%s", (spec) => {
    expect(said(cloud(`url: tls://db.example.com\n${spec}`))).toEqual({ problems: [], warnings: [] })
  })

  test("old ways to name a policy say the new one", () => {
    expect(oldCloud("trafficPolicyName: p")).toEqual({
      problems: [],
      warnings: ["6:22 spec.trafficPolicyName: is deprecated; write trafficPolicy: { targetRef: { name: p } }"],
    })
    expect(oldCloud("trafficPolicy: { policy: { on_tcp_connect: [] } }")).toEqual({
      problems: [],
      warnings: ["6:20 spec.trafficPolicy.policy: is deprecated; write inline instead of policy"],
    })
    expect(oldCloud("trafficPolicyName: p\ntrafficPolicy: { inline: {} }").problems).toEqual([
      "6:22 spec.trafficPolicyName: goes against trafficPolicy: one of the two is the policy",
    ])
  })

  test("has no upstream", () => {
    expect(problemsOf(cloud("url: a\nupstream: { url: b }"))).toHaveLength(1)
  })
})

test("an NgrokTrafficPolicy is an object", () => {
  expect(problemsOf(object("NgrokTrafficPolicy", "policy: { on_tcp_connect: [] }"))).toEqual([])
  expect(problemsOf(object("NgrokTrafficPolicy", "policy: |\n  on_tcp_connect: []"))).toHaveLength(1)
  expect(problemsOf(object("NgrokTrafficPolicy", "on_tcp_connect: []"))).toHaveLength(2)
})

describe("IPPolicy", () => {
  test.each([
    ["rules: [{ cidr: 10.0.0.0/8, action: allow, description: office }, { cidr: '2001:db8::/32', action: deny }]", []],
    [
      "rules: [{ cidr: 10.0.0.0/40, action: allow }]",
      ['5:19 spec.rules[0].cidr: "10.0.0.0/40" is not a CIDR: the prefix length of an IPv4 address is 0 to 32'],
    ],
    [
      "rules: [{ cidr: 10.0.0.0/8, action: permit }]",
      ['5:39 spec.rules[0].action: expected "allow" or "deny", found "permit"'],
    ],
    ["rules: [{ cidr: 10.0.0.0/8 }]", ['5:11 spec.rules[0]: action is missing: expected "allow" or "deny"']],
  ])("%s", (spec, problems) => {
    expect(problemsOf(object("IPPolicy", spec))).toEqual(problems)
  })
})
