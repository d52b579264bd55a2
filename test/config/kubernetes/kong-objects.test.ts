// Kong's TCPIngress and KongUpstreamPolicy: what their CRDs refuse, and what means nothing at layer 4.
import { describe, expect, test } from "bun:test"
import { indented, problemsOf, said } from "../../helper/read-objects.ts"

/** The spec begins on line 5. */
function object(kind: string, spec: string): string {
  return `apiVersion: configuration.konghq.com/v1beta1
kind: ${kind}
metadata: { name: db, annotations: { kubernetes.io/ingress.class: kong, konghq.com/protocols: tls_passthrough } }
spec:
${indented(spec, 2)}
`
}

const ingress = (spec: string) => object("TCPIngress", spec)

describe("TCPIngress", () => {
  const backend = "backend: { serviceName: echo, servicePort: 1025 }"

  test("rules by port and by name, with certificates", () => {
    const text = ingress(`
rules:
- { port: 9000, ${backend} }
- { host: tls9443.kong.example, port: 9443, ${backend} }
- { host: "*.kong.example", port: 9443, ${backend} }
tls:
- { hosts: [tls9443.kong.example], secretName: tls9443.kong.example }
- { secretName: other }
`)
    expect(said(text)).toEqual({ problems: [], warnings: [] })
  })

  test.each([
    ["rules: []", "5:3 spec.rules: expected a list of 1 to 1,024 rules, found an empty list"],
    ["tls: []", "4:1 spec: rules is missing: expected a list of 1 to 1,024 rules"],
    [`rules: [{ ${backend} }]`, "5:11 spec.rules[0]: port is missing: expected a whole number from 1 to 65,535"],
    [
      "rules: [{ port: 9000 }]",
      "5:11 spec.rules[0]: backend is missing: expected an object like { serviceName: db, servicePort: 5432 }",
    ],
    [
      "rules: [{ port: 9000, backend: { serviceName: echo, servicePort: '1025' } }]",
      '5:68 spec.rules[0].backend.servicePort: expected a whole number from 1 to 65,535, found "1025" (in quotes this is a text: write it without them)',
    ],
    [
      "rules: [{ port: 9000, backend: { service: { name: echo } } }]",
      '5:25 spec.rules[0].backend: serviceName is missing: expected the name of an object: lower-case letters, digits, "-" and "."',
    ],
    [
      `rules: [{ host: Kong.example, port: 9443, ${backend} }]`,
      '5:19 spec.rules[0].host: expected a host name like "db.example.com" or "*.example.com", found "Kong.example": write it in lower case',
    ],
    [
      `rules: [{ port: 9443, ${backend} }]\ntls: [{ secret: a }]`,
      '6:11 spec.tls[0]: there is no option "secret"; known are hosts, secretName',
    ],
  ])("%s is refused", (spec, problem) => {
    const [found = ""] = problemsOf(ingress(spec))
    expect(found).toBe(problem)
  })
})

const upstreamPolicy = (spec: string) => object("KongUpstreamPolicy", spec)

describe("KongUpstreamPolicy", () => {
  test("what means something at layer 4", () => {
    const text = upstreamPolicy(`
algorithm: consistent-hashing
hashOn: { input: ip }
healthchecks:
  active:
    type: tcp
    timeout: 1
    healthy: { interval: 5, successes: 2 }
    unhealthy: { interval: 1, tcpFailures: 3, timeouts: 3 }
  passive:
    type: tcp
    healthy: { successes: 1 }
    unhealthy: { tcpFailures: 2, timeouts: 0 }
  threshold: 50
`)
    expect(said(text)).toEqual({ problems: [], warnings: [] })
  })

  test("what does not is worth a look", () => {
    const text = upstreamPolicy(`
algorithm: consistent-hashing
slots: 100
hashOn: { header: x-user }
hashOnFallback: { input: ip }
healthchecks:
  active: { type: http, concurrency: 5, httpPath: /health, headers: { x: [a] } }
  passive: { healthy: { httpStatuses: [200] }, unhealthy: { httpFailures: 1, httpStatuses: [500] } }
`)
    expect(said(text)).toEqual({
      problems: [],
      warnings: [
        "7:21 spec.hashOn.header: has no effect at layer 4",
        "8:3 spec.hashOnFallback: has no effect at layer 4",
        "10:62 spec.healthchecks.active.headers: has no effect at layer 4",
        "11:27 spec.healthchecks.passive.healthy.httpStatuses: has no effect at layer 4",
        "11:80 spec.healthchecks.passive.unhealthy.httpStatuses: has no effect at layer 4",
        "11:77 spec.healthchecks.passive.unhealthy.httpFailures: has no effect at layer 4",
        "6:10 spec.slots: has no effect here: it is about how Kong works inside",
        "10:42 spec.healthchecks.active.concurrency: has no effect here: it is about how Kong works inside",
      ].map((warning) => expect.stringContaining(warning.replace(/^\d+:\d+/, ""))),
    })
  })

  test.each([
    [
      "algorithm: least_connections",
      '5:14 spec.algorithm: expected "round-robin", "consistent-hashing", "least-connections", "latency" or "sticky-sessions", found "least_connections"; did you mean "least-connections"?',
    ],
    ["slots: 5", "5:10 spec.slots: expected a whole number from 10 to 65,536, found 5"],
    ["hashOn: { input: ip }", "5:3 spec.hashOn: needs `algorithm: consistent-hashing`"],
    [
      "algorithm: consistent-hashing\nhashOn: { input: ip, header: x }",
      "6:32 spec.hashOn.header: goes against input: only one can be hashed",
    ],
    [
      "algorithm: consistent-hashing\nhashOn: { cookie: x }",
      "6:3 spec.hashOn: cookiePath is missing: it goes with cookie",
    ],
    [
      "algorithm: consistent-hashing\nhashOn: { cookiePath: / }",
      "6:3 spec.hashOn: cookie is missing: it goes with cookiePath",
    ],
    [
      "algorithm: consistent-hashing\nhashOn: { cookie: x, cookiePath: / }\nhashOnFallback: { input: ip }",
      "7:3 spec.hashOnFallback: has no place beside hashOn.cookie",
    ],
    [
      "algorithm: consistent-hashing\nhashOnFallback: { cookie: x, cookiePath: / }",
      "6:29 spec.hashOnFallback.cookie: has no place in a fallback",
    ],
    ["stickySessions: { cookie: a }", "5:3 spec.stickySessions: needs `hashOn: { input: none }`"],
    [
      "healthchecks: { passive: { healthy: { interval: 5 } } }",
      '5:41 spec.healthchecks.passive.healthy: there is no option "interval"; known are httpStatuses, successes',
    ],
    [
      "healthchecks: { active: { httpPath: health } }",
      '5:39 spec.healthchecks.active.httpPath: expected a path like "/health", found "health"',
    ],
    [
      "healthchecks: { threshold: 101 }",
      "5:30 spec.healthchecks.threshold: expected a whole number from 0 to 100, found 101",
    ],
  ])("%s is refused", (spec, problem) => {
    expect(problemsOf(upstreamPolicy(spec))[0]).toBe(problem)
  })

  test("sticky sessions are taken as Kong's manual writes them, and mean nothing here", () => {
    const { problems, warnings } = said(
      upstreamPolicy("algorithm: sticky-sessions\nhashOn: { input: none }\nstickySessions: { cookie: a }"),
    )
    expect(problems).toEqual([])
    expect(warnings).toEqual(["7:3 spec.stickySessions: has no effect at layer 4"])
  })
})
