// TCPRoute, TLSRoute, ReferenceGrant and BackendTLSPolicy: what their CRDs and the CEL in them refuse, and where.
import { describe, expect, test } from "bun:test"
import { indented, problemsOf, reading, said } from "../../helper/read-objects.ts"

/** The spec begins on line 5. */
function route(kind: string, version: string, spec: string): string {
  return `apiVersion: gateway.networking.k8s.io/${version}
kind: ${kind}
metadata: { name: db }
spec:
${indented(spec, 2)}
`
}

const tcp = (spec: string) => route("TCPRoute", "v1", spec)
const tls = (spec: string) => route("TLSRoute", "v1", spec)
const rules = "rules: [{ backendRefs: [{ name: db, port: 5432 }] }]"

/** Without the places. */
function messages(text: string): readonly string[] {
  return problemsOf(text).map((problem) => problem.replace(/^\d+:\d+ /, ""))
}

const parents = (...refs: string[]) => tcp(`parentRefs:\n${refs.map((ref) => `- ${ref}`).join("\n")}\n${rules}`)

const manyParents = (count: number) => parents(...Array.from({ length: count }, (_, i) => `{ name: a${i} }`))

describe("parentRefs", () => {
  test.each([
    [["{ name: a }", "{ name: b }"]],
    [["{ name: a }", "{ name: a, namespace: other }"]],
    [["{ name: a }", "{ name: a, kind: ListenerSet }"]],
    [["{ name: a, sectionName: x }", "{ name: a, sectionName: y }"]],
    [["{ name: a, port: 1 }", "{ name: a, port: 2 }"]],
    [["{ name: a, sectionName: x, port: 1 }", "{ name: a, sectionName: x, port: 2 }"]],
    [["{ name: a, group: '', kind: Service }"]],
  ])("%p are taken", (refs) => {
    expect(problemsOf(parents(...refs))).toEqual([])
  })

  test.each([
    [
      ["{ name: a }", "{ name: a }"],
      "7:5 spec.parentRefs[1]: is parentRefs[0] once more: name another sectionName or port",
    ],
    [
      ["{ name: a }", "{ name: a, group: gateway.networking.k8s.io, kind: Gateway }"],
      "7:5 spec.parentRefs[1]: is parentRefs[0] once more: name another sectionName or port",
    ],
    [
      ["{ name: a, sectionName: x }", "{ name: a, sectionName: x }"],
      "7:5 spec.parentRefs[1]: is parentRefs[0] once more: name another sectionName or port",
    ],
    [
      ["{ name: a, sectionName: x }", "{ name: a }"],
      "7:5 spec.parentRefs[1]: parentRefs[0] is the same parent: give both a sectionName, or neither",
    ],
    [
      ["{ name: a }", "{ name: a, port: 1 }"],
      "7:22 spec.parentRefs[1].port: parentRefs[0] is the same parent: give both a port, or neither",
    ],
    [["{ name: a, ports: 1 }"], '6:7 spec.parentRefs[0]: there is no option "ports"; did you mean "port"?'],
    [
      ["{ name: a, port: '1' }"],
      '6:24 spec.parentRefs[0].port: expected a whole number from 1 to 65,535, found "1" (in quotes this is a text: write it without them)',
    ],
    [
      ["{ name: My_Gateway }"],
      '6:13 spec.parentRefs[0].name: expected the name of an object: lower-case letters, digits, "-" and ".", found "My_Gateway"',
    ],
    [
      ["{ name: a, namespace: a.b }"],
      '6:29 spec.parentRefs[0].namespace: expected the name of a namespace: at most 63 lower-case letters, digits and "-", found "a.b"',
    ],
    [
      ["{ name: 7 }"],
      '6:13 spec.parentRefs[0].name: expected the name of an object: lower-case letters, digits, "-" and ".", found 7 (without quotes this is a number: write it in quotes)',
    ],
  ])("%p are refused", (refs, problem) => {
    const found = problemsOf(parents(...refs))
    expect(found.at(0)?.replace(/^(\d+):\d+/, "$1")).toBe(problem.replace(/^(\d+):\d+/, "$1"))
  })

  test("there are at most 32", () => {
    expect(problemsOf(manyParents(32))).toEqual([])
    expect(messages(manyParents(33))).toEqual(["spec.parentRefs: expected a list of at most 32 parentRefs, found 33"])
  })

  test("those of routes that are not served are read, and nothing else is", () => {
    const text = route(
      "HTTPRoute",
      "v1",
      "parentRefs: [{ name: a }]\nrules: [{ filters: [{ type: Whatever }] }]\nhostnames: []",
    )
    const { problems, values } = reading(text)
    expect(problems).toEqual([])
    expect(values[0]?.body).toMatchObject({ spec: { parentRefs: [{ name: "a" }] } })
  })
})

const backends = (...refs: string[]) => tcp(`rules:\n- backendRefs:\n${refs.map((ref) => `  - ${ref}`).join("\n")}`)

const manyBackends = (count: number) => backends(...Array(count).fill("{ name: db, port: 1 }"))

describe("rules and backendRefs", () => {
  test.each([
    "{ name: db, port: 5432 }",
    "{ name: db, port: 5432, weight: 0 }",
    "{ name: db, port: 5432, weight: 1000000 }",
    "{ name: db, namespace: other, port: 5432 }",
    "{ name: db, group: multicluster.x-k8s.io, kind: ServiceImport }",
    "{ name: db, group: example.com, kind: NonExistent }",
    "{ name: db, kind: Nonexistent, port: 1 }",
  ])("%s is taken", (ref) => {
    expect(problemsOf(backends(ref))).toEqual([])
  })

  const weight = "expected a whole number from 0 to 1,000,000"
  test.each([
    ["{ name: db }", ": port is missing: a Service is reached at one of its ports"],
    ["{ name: db, kind: Service, group: '' }", ": port is missing: a Service is reached at one of its ports"],
    ["{ port: 5432 }", ': name is missing: expected the name of an object: lower-case letters, digits, "-" and "."'],
    ["{ name: db, port: 5432, weight: -1 }", `.weight: ${weight}, found -1`],
    ["{ name: db, port: 5432, weight: 1000001 }", `.weight: ${weight}, found 1000001`],
    [
      "{ name: db, port: 5432, weight: '70' }",
      `.weight: ${weight}, found "70" (in quotes this is a text: write it without them)`,
    ],
    ["{ name: db, port: 5432, weight: 0.5 }", `.weight: ${weight}, found 0.5`],
    ["{ name: db, port: 5432, weigth: 70 }", ': there is no option "weigth"; did you mean "weight"?'],
    ["{ name: db, port: postgres }", '.port: expected a whole number from 1 to 65,535, found "postgres"'],
    [
      "{ name: db, port: 5432, filters: [] }",
      ': there is no option "filters"; known are group, kind, name, namespace, port, weight',
    ],
    ["db:5432", ': expected a reference like { name: db, port: 5432 }, found "db:5432"'],
  ])("%s is refused", (ref, problem) => {
    const [found = ""] = problemsOf(backends(ref))
    expect(found.replace(/^7:\d+ /, "")).toBe(`spec.rules[0].backendRefs[0]${problem}`)
  })

  test("how many there are", () => {
    expect(problemsOf(manyBackends(16))).toEqual([])
    expect(messages(manyBackends(17))).toEqual([
      "spec.rules[0].backendRefs: expected a list of 1 to 16 backendRefs, found 17",
    ])
    expect(messages(tcp("rules: [{ backendRefs: [] }]"))).toEqual([
      "spec.rules[0].backendRefs: expected a list of 1 to 16 backendRefs, found an empty list",
    ])
    expect(messages(tcp("rules: [{}]"))).toEqual([
      "spec.rules[0]: backendRefs is missing: expected a list of 1 to 16 backendRefs",
    ])
    expect(messages(tcp("rules: []"))).toEqual(["spec.rules: expected a list of exactly 1 rule, found an empty list"])
    expect(messages(tcp("parentRefs: []"))).toEqual(["spec: rules is missing: expected a list of exactly 1 rule"])
    expect(messages(tcp(rules.replace(/\[(.*)\]/, "[$1, $1]")))).toEqual([
      "spec.rules: expected a list of exactly 1 rule, found 2",
    ])
  })

  test("TCP has no hostnames", () => {
    expect(problemsOf(tcp(`hostnames: [a.example.com]\n${rules}`))).toEqual([
      '5:3 spec: there is no option "hostnames"; known are parentRefs, useDefaultGateways, rules',
    ])
  })

  test("default Gateways are worth a look", () => {
    expect(said(tcp(`useDefaultGateways: All\n${rules}`))).toEqual({
      problems: [],
      warnings: [
        "5:23 spec.useDefaultGateways: has no effect here: there are no default Gateways; name the Gateway in parentRefs",
      ],
    })
  })
})

const manyHostnames = (count: number) =>
  tls(`hostnames: [${Array.from({ length: count }, (_, i) => `h${i}`).join(", ")}]\n${rules}`)

describe("hostnames of a TLSRoute", () => {
  test.each(["[a.example.com]", '["*.example.com", b.example.com]', "\n  - a.example.com"])("%s", (hostnames) => {
    expect(problemsOf(tls(`hostnames: ${hostnames}\n${rules}`))).toEqual([])
  })

  const like = 'expected a host name like "db.example.com" or "*.example.com", found'
  test.each([
    [
      "a.example.com",
      ': expected a list of 1 to 1,024 hostnames, found "a.example.com" (it is a list also where it has one entry: write "- " before it)',
    ],
    ["[]", ": expected a list of 1 to 1,024 hostnames, found an empty list"],
    [
      "",
      ": expected a list of 1 to 1,024 hostnames, found null (nothing is written here: give it a value, or leave the name out)",
    ],
    ["[192.0.2.1]", `[0]: ${like} "192.0.2.1": an address is no name, and TLS sends names only`],
    ["[a.example.com, B.example.com]", `[1]: ${like} "B.example.com": write it in lower case`],
    [
      "[7]",
      '[0]: expected a host name like "db.example.com" or "*.example.com", found 7 (without quotes this is a number: write it in quotes)',
    ],
    ["[a.*.com]", `[0]: ${like} "a.*.com": "*" stands for whole first parts only, as in "*.example.com"`],
  ])("%s is refused", (hostnames, problem) => {
    const [found = ""] = problemsOf(tls(`hostnames: ${hostnames}\n${rules}`))
    expect(found.replace(/^5:\d+ /, "")).toBe(`spec.hostnames${problem}`)
  })

  test("v1 and v1alpha3 need them, and have one rule; v1alpha2 did not", () => {
    const two = rules.replace(/\[(.*)\]/, "[$1, $1]")
    const missing = "4:1 spec: hostnames is missing: expected a list of 1 to 1,024 hostnames"
    expect(problemsOf(route("TLSRoute", "v1", rules))).toEqual([missing])
    expect(problemsOf(route("TLSRoute", "v1alpha3", rules))).toEqual([missing])
    expect(problemsOf(route("TLSRoute", "v1alpha2", two))).toEqual([])
    expect(problemsOf(route("TCPRoute", "v1alpha2", two))).toEqual([])
    expect(messages(route("TLSRoute", "v1alpha2", two.replaceAll("{ backend", "{ name: x, backend")))).toEqual([
      "spec.rules[1].name: is the name of rules[0] already",
    ])
  })

  test("there are at most 1,024", () => {
    expect(problemsOf(manyHostnames(1024))).toEqual([])
    expect(problemsOf(manyHostnames(1025))).toHaveLength(1)
  })
})

const grant = (spec: string) => route("ReferenceGrant", "v1", spec)

const linesOf = (all: readonly string[]) => all.map((one) => one.replace(/^(\d+):\d+ /, "$1 "))

describe("ReferenceGrant", () => {
  const from = "from: [{ group: gateway.networking.k8s.io, kind: TCPRoute, namespace: apps }]"
  const to = 'to: [{ group: "", kind: Service }]'

  test("the core group is an empty text, and has to be written", () => {
    expect(problemsOf(grant(`${from}\n${to}`))).toEqual([])
    expect(messages(grant(`${from}\nto: [{ kind: Service }]`))).toEqual([
      'spec.to[0]: group is missing: expected a group like "gateway.networking.k8s.io", or "" for the core group',
    ])
    expect(messages(grant(`${from}\nto: [{ group:, kind: Service }]`))).toEqual([
      'spec.to[0].group: expected a group like "gateway.networking.k8s.io", or "" for the core group, found null (nothing is written here: give it a value, or leave the name out)',
    ])
  })

  test.each([
    [
      to,
      [
        "4:1 spec: from is missing: expected a list of 1 to 16 objects like { group: gateway.networking.k8s.io, kind: TCPRoute, namespace: apps }",
      ],
    ],
    [from, ['4:1 spec: to is missing: expected a list of 1 to 16 objects like { group: "", kind: Service }']],
    [
      `from: [{ group: gateway.networking.k8s.io, kind: TCPRoute }]\n${to}`,
      [
        '5:10 spec.from[0]: namespace is missing: expected the name of a namespace: at most 63 lower-case letters, digits and "-"',
      ],
    ],
    [
      `${from}\nto: []`,
      ['6:3 spec.to: expected a list of 1 to 16 objects like { group: "", kind: Service }, found an empty list'],
    ],
    [
      `${from}\nto: [{ group: core, kind: Service, name: a, namespace: b }]`,
      ['6:44 spec.to[0]: there is no option "namespace"; did you mean "name"?'],
    ],
  ])("%s is refused", (spec, problems) => {
    const found = problemsOf(grant(spec)).map((one) => one.replace(/; (known|did).*$/, ""))
    expect(linesOf(found)).toEqual(linesOf(problems.map((one) => one.replace(/; (known|did).*$/, ""))))
  })

  test("a spec is needed", () => {
    expect(messages("apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: { name: a }")).toEqual([
      "spec is missing: expected an object like { from: [...], to: [...] }",
    ])
  })
})

describe("BackendTLSPolicy", () => {
  const target = '{ group: "", kind: Service, name: db }'
  const policy = (validation: string, targets = target) =>
    route("BackendTLSPolicy", "v1", `targetRefs: [${targets}]\nvalidation: ${validation}`)
  const ca = '{ group: "", kind: ConfigMap, name: ca }'

  test.each([
    `{ hostname: a.example.com, caCertificateRefs: [${ca}] }`,
    "{ hostname: a.example.com, wellKnownCACertificates: System }",
    "{ hostname: a.example.com, caCertificateRefs: [], wellKnownCACertificates: System }",
    `{ hostname: a.example.com, caCertificateRefs: [${ca}], wellKnownCACertificates: "" }`,
    `{ hostname: a.example.com, caCertificateRefs: [${ca}], subjectAltNames: [{ type: Hostname, hostname: "*.example.com" }, { type: URI, uri: "spiffe://a/b" }] }`,
  ])("%s is taken", (validation) => {
    expect(problemsOf(policy(validation))).toEqual([])
  })

  const system = "wellKnownCACertificates: System"
  test.each([
    [
      "{ hostname: a.example.com }",
      ": caCertificateRefs is missing: say who may have signed the certificate, or write `wellKnownCACertificates: System`",
    ],
    [
      `{ hostname: a.example.com, caCertificateRefs: [${ca}], ${system} }`,
      ".wellKnownCACertificates: goes against caCertificateRefs: one of the two says who may have signed the certificate",
    ],
    [`{ ${system} }`, ': hostname is missing: expected a host name like "db.example.com"'],
    [
      `{ hostname: "*.example.com", ${system} }`,
      '.hostname: expected a host name like "db.example.com", found "*.example.com": one name, no "*"',
    ],
    [
      "{ hostname: a.example.com, wellKnownCACertificates: system }",
      '.wellKnownCACertificates: expected "System", found "system"; did you mean "System"?',
    ],
    [
      `{ hostname: a, ${system}, subjectAltNames: [{ type: URI }] }`,
      ".subjectAltNames[0]: uri is missing: it goes with `type: URI`",
    ],
    [
      `{ hostname: a, ${system}, subjectAltNames: [{ type: Hostname, hostname: b, uri: "c:d" }] }`,
      ".subjectAltNames[0].uri: has no place with `type: Hostname`",
    ],
    [
      `{ hostname: a, caCertificateRefs: [{ name: ca }] }`,
      '.caCertificateRefs[0]: group is missing: expected a group like "gateway.networking.k8s.io", or "" for the core group',
    ],
  ])("%s is refused", (validation, problem) => {
    const [found = ""] = messages(policy(validation))
    expect(found).toBe(`spec.validation${problem}`)
  })

  test("two references to one Service name ports of it", () => {
    const valid = `{ hostname: a, ${system} }`
    const section = (name: string) => target.replace(" }", `, sectionName: ${name} }`)
    expect(problemsOf(policy(valid, `${section("a")}, ${section("b")}`))).toEqual([])
    expect(messages(policy(valid, `${target}, ${target}`))).toEqual(["spec.targetRefs[1]: is targetRefs[0] once more"])
    expect(messages(policy(valid, `${target}, ${section("b")}`))).toEqual([
      "spec.targetRefs[1]: targetRefs[0] is the same object: give both a sectionName, or neither",
    ])
  })
})
