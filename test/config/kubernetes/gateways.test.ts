// GatewayClass, Gateway and ListenerSet: what their CRDs and the CEL in them refuse, where, and what they let through.
import { describe, expect, test } from "bun:test"
import { indented, problemsOf, reading, said } from "../../helper/read-objects.ts"

/** A Gateway; the listeners begin on line 7, below `listeners:`. */
function gateway(listeners: string, spec = ""): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: main }
spec:
  gatewayClassName: tidegate
  listeners:
${indented(listeners, 4)}
${indented(spec, 2)}
`
}

function listenerSet(listeners: string): string {
  return gateway(listeners)
    .replace("kind: Gateway", "kind: ListenerSet")
    .replace("gatewayClassName: tidegate", "parentRef: { name: main }")
}

/** The addresses begin on line 8, as `addresses[0]`. */
function addresses(...lines: string[]): string {
  return gateway("- { name: a, port: 1, protocol: TCP }", `addresses:\n${lines.map((line) => `- ${line}`).join("\n")}`)
}

describe("listeners: tls by protocol", () => {
  const cert = "certificateRefs: [{ name: c }]"
  test.each([
    ["HTTPS without tls", "- { name: a, port: 1, protocol: HTTPS }"],
    ["HTTPS with certificates and no mode", `- { name: a, port: 1, protocol: HTTPS, tls: { ${cert} } }`],
    ["HTTPS terminated", `- { name: a, port: 1, protocol: HTTPS, tls: { mode: Terminate, ${cert} } }`],
    ["TLS terminated", `- { name: a, port: 1, protocol: TLS, tls: { mode: Terminate, ${cert} } }`],
    ["TLS passed through", "- { name: a, port: 1, protocol: TLS, tls: { mode: Passthrough } }"],
    ["HTTP without tls", "- { name: a, port: 1, protocol: HTTP }"],
    ["UDP without tls", "- { name: a, port: 1, protocol: UDP }"],
    ["a protocol of somebody", "- { name: a, port: 1, protocol: example.com/mqtt, tls: { mode: Passthrough } }"],
    ["a protocol that is not served", "- { name: a, port: 1, protocol: SCTP }"],
    [
      "HTTPS by options",
      "- { name: a, port: 1, protocol: HTTPS, tls: { mode: Terminate, options: { example.com/v: x } } }",
    ],
    [
      "TLS by options",
      "- { name: a, port: 1, protocol: TLS, tls: { mode: Terminate, options: { example.com/v: x } } }",
    ],
  ])("%s is taken", (_name, listeners) => {
    expect(problemsOf(gateway(listeners))).toEqual([])
    expect(problemsOf(listenerSet(listeners))).toEqual([])
  })

  const needs = "needs a certificate, like certificateRefs: [{ name: certificate }]"
  test.each([
    [
      "HTTP",
      "{}",
      "7:41 spec.listeners[0].tls: has no place with protocol HTTP; write `protocol: TLS`, or leave tls out",
    ],
    [
      "http",
      "{}",
      "7:41 spec.listeners[0].tls: has no place with protocol HTTP; write `protocol: TLS`, or leave tls out",
    ],
    [
      "TCP",
      "{}",
      "7:40 spec.listeners[0].tls: has no place with protocol TCP; write `protocol: TLS`, or leave tls out",
    ],
    [
      "udp",
      "{}",
      "7:40 spec.listeners[0].tls: has no place with protocol UDP; write `protocol: TLS`, or leave tls out",
    ],
    [
      "HTTPS",
      "{ mode: Passthrough }",
      "7:55 spec.listeners[0].tls.mode: HTTPS is always terminated; write `protocol: TLS` to pass it through",
    ],
    [
      "https",
      "{ mode: Passthrough }",
      "7:55 spec.listeners[0].tls.mode: HTTPS is always terminated; write `protocol: TLS` to pass it through",
    ],
    [
      "HTTPS",
      "{ mode: Terminate }",
      `7:47 spec.listeners[0].tls: certificateRefs is missing: \`mode: Terminate\` ${needs}`,
    ],
    [
      "TLS",
      "{ mode: Terminate }",
      `7:45 spec.listeners[0].tls: certificateRefs is missing: \`mode: Terminate\` ${needs}`,
    ],
    [
      "TLS",
      "{}",
      "7:45 spec.listeners[0].tls: mode is missing: with protocol TLS, write `mode: Passthrough` or `mode: Terminate`",
    ],
    [
      "TLS",
      `{ ${cert} }`,
      "7:45 spec.listeners[0].tls: mode is missing: with protocol TLS, write `mode: Passthrough` or `mode: Terminate`",
    ],
    [
      "TLS",
      "{ mode: passthrough }",
      '7:53 spec.listeners[0].tls.mode: expected "Terminate" or "Passthrough", found "passthrough"; did you mean "Passthrough"?',
    ],
  ])("%s with tls: %s is refused", (protocol, tls, problem) => {
    const listeners = `- { name: a, protocol: ${protocol}, port: 1, tls: ${tls} }`
    const [found = ""] = problemsOf(gateway(listeners))
    expect(problemsOf(listenerSet(listeners))).toEqual([found])
    expect(found.replace(/^7:\d+/, "")).toBe(problem.replace(/^7:\d+/, ""))
    expect(found).toStartWith("7:")
  })

  test("TLS without tls is refused", () => {
    const problem =
      "7:7 spec.listeners[0]: tls.mode is missing: with protocol TLS, write `mode: Passthrough` or `mode: Terminate`"
    expect(problemsOf(gateway("- name: a\n  port: 1\n  protocol: TLS"))).toEqual([problem])
    expect(problemsOf(listenerSet("- name: a\n  port: 1\n  protocol: TLS"))).toEqual([problem])
  })

  test("protocols are the same in lower case, and are read in upper case", () => {
    const { values } = reading(
      gateway("- { name: a, port: 1, protocol: tcp }\n- { name: b, port: 2, protocol: example.com/tcp }"),
    )
    expect(values[0]?.body).toMatchObject({
      spec: { listeners: [{ protocol: "TCP" }, { protocol: "example.com/tcp" }] },
    })
  })
})

describe("listeners: hostnames", () => {
  test.each(["TCP", "UDP", "tcp"])("%s has none", (protocol) => {
    expect(problemsOf(gateway(`- name: a\n  hostname: foo\n  port: 1\n  protocol: ${protocol}`))).toEqual([
      `8:17 spec.listeners[0].hostname: ${protocol.toUpperCase()} sends no name; leave hostname out, or listen for TLS`,
    ])
  })

  const like = 'expected a host name like "db.example.com" or "*.example.com", found'
  test.each([
    ["Db.Example.com", `${like} "Db.Example.com": write it in lower case`],
    ["192.0.2.1", `${like} "192.0.2.1": an address is no name, and TLS sends names only`],
    ['"2001:db8::1"', `${like} "2001:db8::1": an address is no name, and TLS sends names only`],
    ['"*"', `${like} "*": "*" stands for whole first parts only, as in "*.example.com"`],
    ["a.*.example.com", `${like} "a.*.example.com": "*" stands for whole first parts only, as in "*.example.com"`],
    ['"*a.example.com"', `${like} "*a.example.com": "*" stands for whole first parts only, as in "*.example.com"`],
    ['"*.*.com"', `${like} "*.*.com": "*" stands for whole first parts only, as in "*.example.com"`],
    ["a.example.com.", `${like} "a.example.com.": without the dot at the end`],
    ["a.example.com:443", `${like} "a.example.com:443": without the port`],
    ["tls://a.example.com", `${like} "tls://a.example.com": write the name alone, without "://"`],
    ["-a.example.com", `${like} "-a.example.com"`],
    ["a_b.example.com", `${like} "a_b.example.com"`],
    ['""', `${like} ""`],
    [`${"a".repeat(64)}.com`, `${like} "${"a".repeat(64)}.com": a part of it is longer than 63 characters`],
    [
      "8443",
      `expected a host name like "db.example.com" or "*.example.com", found 8443 (without quotes this is a number: write it in quotes)`,
    ],
  ])("%s is none", (host, message) => {
    const text = gateway(`- name: a\n  hostname: ${host}\n  port: 1\n  protocol: TLS\n  tls: { mode: Passthrough }`)
    expect(problemsOf(text)).toEqual([`8:17 spec.listeners[0].hostname: ${message}`])
  })

  test.each(["a", "a.example.com", '"*.example.com"', "xn--bcher-kva.example", "1a.2"])("%s is one", (host) => {
    const text = gateway(`- { name: a, hostname: ${host}, port: 1, protocol: TLS, tls: { mode: Passthrough } }`)
    expect(problemsOf(text)).toEqual([])
  })
})

const manyListeners = (count: number) =>
  Array.from({ length: count }, (_, i) => `- { name: a${i}, port: ${i + 1}, protocol: TCP }`).join("\n")

const bareGateway = (body: string) =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: a }\n${body}`

describe("listeners: names, ports and fields", () => {
  test.each([
    ["bad>name", 'found "bad>name"'],
    ["Upper", 'found "Upper"'],
    ["a_b", 'found "a_b"'],
    ["5432", "found 5432 (without quotes this is a number: write it in quotes)"],
    ["true", "found true (without quotes this is a boolean: write it in quotes)"],
  ])("the name %s is none", (name, found) => {
    const expected = 'expected a name of lower-case letters, digits, "-" and ".", like "tls" (RFC 1123)'
    expect(problemsOf(gateway(`- name: ${name}\n  port: 1\n  protocol: TCP`))).toEqual([
      `7:13 spec.listeners[0].name: ${expected}, ${found}`,
    ])
  })

  test.each([
    ["0", "found 0"],
    ["65536", "found 65536"],
    ["1.5", "found 1.5"],
    ['"443"', 'found "443" (in quotes this is a text: write it without them)'],
    ["https", 'found "https"'],
    ["", "found null (nothing is written here: give it a value, or leave the name out)"],
  ])("the port %s is none", (port, found) => {
    const [problem] = problemsOf(gateway(`- name: a\n  protocol: TCP\n  port: ${port}`))
    expect(problem).toEndWith(`spec.listeners[0].port: expected a whole number from 1 to 65,535, ${found}`)
    expect(problem).toStartWith("9:")
  })

  test("equal names, and equal port, protocol and hostname, are refused", () => {
    expect(
      problemsOf(
        gateway(`
- { name: a, port: 1, protocol: TCP }
- { name: a, port: 2, protocol: TCP }
- { name: c, port: 2, protocol: tcp }
- { name: d, port: 443, protocol: TLS, hostname: x.example.com, tls: { mode: Passthrough } }
- { name: e, port: 443, protocol: TLS, hostname: x.example.com, tls: { mode: Terminate, certificateRefs: [{ name: c }] } }
- { name: f, port: 443, protocol: TLS, tls: { mode: Passthrough } }
- { name: g, port: 443, protocol: TLS, hostname: y.example.com, tls: { mode: Passthrough } }
`),
      ),
    ).toEqual([
      '8:15 spec.listeners[1].name: "a" is the name of listeners[0] already',
      "9:24 spec.listeners[2].port: port 2 with protocol TCP is that of listeners[1] already",
      '11:24 spec.listeners[4].port: port 443 with protocol TLS and hostname "x.example.com" is that of listeners[3] already',
    ])
  })

  test.each([
    [
      "port and hostname",
      "- { name: a, port: 1, protocol: HTTP, hostname: x.com }\n- { name: b, port: 1, protocol: HTTPS, hostname: x.com }",
    ],
    [
      "protocol and hostname",
      "- { name: a, port: 1, protocol: HTTP, hostname: x.com }\n- { name: b, port: 2, protocol: HTTP, hostname: x.com }",
    ],
    [
      "port and protocol",
      "- { name: a, port: 1, protocol: HTTP, hostname: x.com }\n- { name: b, port: 1, protocol: HTTP }",
    ],
  ])("equal %s alone are fine", (_what, listeners) => {
    expect(problemsOf(gateway(listeners))).toEqual([])
  })

  test("there are 1 to 64", () => {
    expect(problemsOf(gateway(manyListeners(64)))).toEqual([])
    expect(problemsOf(gateway(manyListeners(65)))).toEqual([
      "6:3 spec.listeners: expected a list of 1 to 64 listeners, found 65",
    ])
    expect(problemsOf(gateway("[]"))).toEqual([
      "6:3 spec.listeners: expected a list of 1 to 64 listeners, found an empty list",
    ])
  })

  test("what is no field is refused where it stands, with the one that was meant", () => {
    expect(
      problemsOf(
        gateway(
          `
- name: a
  port: 1
  protocol: TCP
  allowedRoute: {}
- name: b
  port: 2
  protocol: TLS
  tls: { mode: Terminate, certificateRef: [{ name: c }] }
`,
          "address: []",
        ),
      ),
    ).toEqual([
      '10:7 spec.listeners[0]: there is no option "allowedRoute"; did you mean "allowedRoutes"?',
      '14:31 spec.listeners[1].tls: there is no option "certificateRef"; did you mean "certificateRefs"?',
      '15:3 spec: there is no option "address"; did you mean "addresses"?',
    ])
  })

  test("what is missing is told at what it is missing from", () => {
    expect(problemsOf(bareGateway(""))).toEqual(["1:1 spec is missing: expected an object"])
    expect(problemsOf(bareGateway("spec: {}"))).toEqual([
      '4:1 spec: gatewayClassName is missing: expected the name of an object: lower-case letters, digits, "-" and "."',
      "4:1 spec: listeners is missing: expected a list of 1 to 64 listeners",
    ])
    expect(problemsOf(bareGateway("spec: { gatewayClassName: a, listeners: [{}] }"))).toHaveLength(3)
    expect(problemsOf(bareGateway("specs: {}"))).toEqual([
      "1:1 spec is missing: expected an object",
      '4:1 there is no option "specs"; did you mean "spec"?',
    ])
    expect(problemsOf(bareGateway("spec: [a]"))).toEqual(["4:1 spec: expected an object, found a list"])
  })
})

const allowing = (text: string) =>
  gateway(`- name: a\n  port: 1\n  protocol: TCP\n  allowedRoutes:\n${indented(text, 4)}`)

describe("allowedRoutes and allowedListeners", () => {
  test.each([
    ["namespaces: { from: All }"],
    ["namespaces: { from: Selector, selector: { matchLabels: { a: b } } }"],
    ["namespaces: { from: Selector, selector: { matchExpressions: [{ key: a, operator: In, values: [b] }] } }"],
    ["namespaces: { from: Selector, selector: {} }"],
    ["kinds: [{ kind: TCPRoute }, { group: example.com, kind: Other }]"],
    ["kinds: []"],
  ])("%s", (text) => {
    expect(said(allowing(text))).toEqual({ problems: [], warnings: [] })
  })

  test.each([
    ["namespaces: { from: Any }", '.namespaces.from: expected "All", "Selector" or "Same", found "Any"'],
    ["namespaces: { from: None }", '.namespaces.from: expected "All", "Selector" or "Same", found "None"'],
    [
      "namespaces: { from: all }",
      '.namespaces.from: expected "All", "Selector" or "Same", found "all"; did you mean "All"?',
    ],
    ["namespaces: { from: Selector }", ".namespaces: selector is missing: `from: Selector` chooses by it"],
    [
      "namespaces: { from: Selector, selector: { matchExpressions: [{ key: a, operator: In }] } }",
      ".namespaces.selector.matchExpressions[0]: values is missing: In needs one or more",
    ],
    [
      "namespaces: { from: Selector, selector: { matchExpressions: [{ key: a, operator: Exists, values: [b] }] } }",
      ".namespaces.selector.matchExpressions[0].values: Exists takes no values",
    ],
    [
      "kinds: TCPRoute",
      '.kinds: expected a list of at most 8 kinds, found "TCPRoute" (it is a list also where it has one entry: write "- " before it)',
    ],
    [
      "kinds: { kind: TCPRoute }",
      '.kinds: expected a list of at most 8 kinds, found an object (it is a list also where it has one entry: begin the entry with "- ")',
    ],
    ["kinds: [{ group: x }]", '.kinds[0]: kind is missing: expected a kind like "Service"'],
  ])("%s is refused", (text, problem) => {
    const [found = ""] = problemsOf(allowing(text))
    expect(found.replace(/^\d+:\d+ /, "")).toBe(`spec.listeners[0].allowedRoutes${problem}`)
    expect(found).toStartWith("11:")
  })

  test("a selector that does not choose is worth a look", () => {
    const text = allowing("namespaces: { selector: { matchLabels: { a: b } } }")
    expect(said(text)).toEqual({
      problems: [],
      warnings: [
        "11:23 spec.listeners[0].allowedRoutes.namespaces.selector: has no effect with `from: Same`; write `from: Selector`",
      ],
    })
  })

  test("ListenerSets may be kept out", () => {
    const spec = "allowedListeners: { namespaces: { from: None } }"
    expect(problemsOf(gateway("- { name: a, port: 1, protocol: TCP }", spec))).toEqual([])
  })
})

const manyAddresses = (count: number) =>
  addresses(...Array.from({ length: count }, (_, i) => `{ value: 127.0.0.${i} }`))

describe("addresses", () => {
  test("addresses, names, and types of somebody are taken; an empty one asks for any", () => {
    expect(
      problemsOf(
        addresses(
          "{ type: IPAddress, value: 192.0.2.1 }",
          '{ value: "1111:2222:3333:4444::" }',
          "{ type: Hostname, value: foo.bar }",
          '{ type: Hostname, value: "*.foo.bar" }',
          "{ type: example.com/custom, value: anything goes }",
          "{ type: test/fake-invalid-type, value: 'fake address teehee!' }",
          "{ type: IPAddress }",
          "{ type: IPAddress }",
          '{ value: "" }',
          "{ type: Hostname }",
          "{ type: NamedAddress, value: Mine }",
          "{ type: NamedAddress, value: Mine }",
        ),
      ),
    ).toEqual([])
  })

  const ip = 'expected an IP address like "192.0.2.10" or "2001:db8::10", found'
  test.each([
    ["{ value: 1.2.3.4:8080 }", `value: ${ip} "1.2.3.4:8080"`],
    ['{ value: "010.0.0.1" }', `value: ${ip} "010.0.0.1"`],
    ["{ value: db.example.com }", `value: ${ip} "db.example.com"; a name needs \`type: Hostname\``],
    ["{ type: Hostname, value: '*foo/bar' }", 'value: expected a host name like "db.example.com", found "*foo/bar"'],
    [
      "{ type: Hostname, value: '12:34:56::' }",
      'value: expected a host name like "db.example.com", found "12:34:56::"',
    ],
    [
      "{ type: Host, value: a }",
      'type: expected "IPAddress", "Hostname", or a type like "example.com/name", found "Host"',
    ],
    [
      "{ value: 1.5 }",
      "value: expected a text of at most 253 characters, found 1.5 (without quotes this is a number: write it in quotes)",
    ],
  ])("%s is refused", (address, problem) => {
    const [found = ""] = problemsOf(addresses(address))
    expect(found.replace(/^\d+:\d+ /, "")).toBe(`spec.addresses[0].${problem}`)
  })

  test("each is asked for once", () => {
    expect(
      problemsOf(
        addresses(
          "{ type: IPAddress, value: 1.2.3.4 }",
          "{ value: 1.2.3.4 }",
          "{ type: Hostname, value: foo.bar }",
          "{ type: Hostname, value: foo.bar }",
        ),
      ).map((problem) => problem.replace(/^\d+:\d+ /, "")),
    ).toEqual([
      'spec.addresses[1].value: "1.2.3.4" is addresses[0] already',
      'spec.addresses[3].value: "foo.bar" is addresses[2] already',
    ])
  })

  test("there are at most 16", () => {
    expect(problemsOf(manyAddresses(16))).toEqual([])
    expect(problemsOf(manyAddresses(17))).toHaveLength(1)
  })
})

const ca = '{ group: "", kind: ConfigMap, name: ca }'

const frontendOf = (ports: string) =>
  `tls: { frontend: { default: { validation: { caCertificateRefs: [${ca}], mode: AllowInsecureFallback } }, perPort: ${ports} }, backend: { clientCertificateRef: { name: c } } }`

const optionProblems = (text: string) =>
  problemsOf(gateway(`- name: a\n  port: 1\n  protocol: TLS\n  tls:\n    mode: Passthrough\n    options: ${text}`))

describe("tls of a Gateway, and the rest", () => {
  const one = "- { name: a, port: 1, protocol: TCP }"

  test("clients' certificates by port", () => {
    expect(problemsOf(gateway(one, frontendOf("[{ port: 1, tls: {} }, { port: 2, tls: {} }]")))).toEqual([])
    const [same = ""] = problemsOf(gateway(one, frontendOf("[{ port: 1, tls: {} }, { port: 1, tls: {} }]")))
    expect(same).toEndWith("spec.tls.frontend.perPort[1].port: 1 is that of perPort[0] already")
  })

  test.each([
    [
      "tls: { frontend: {} }",
      "spec.tls.frontend: default is missing: expected an object like { validation: { caCertificateRefs: [...] } }",
    ],
    [
      "tls: { frontend: { default: { validation: { caCertificateRefs: [] } } } }",
      "spec.tls.frontend.default.validation.caCertificateRefs: expected a list of 1 to 16 caCertificateRefs, found an empty list",
    ],
    [
      "tls: { frontend: { default: { validation: { caCertificateRefs: [{ name: ca }] } } } }",
      'spec.tls.frontend.default.validation.caCertificateRefs[0]: group is missing: expected a group like "gateway.networking.k8s.io", or "" for the core group',
    ],
    [
      "infrastructure: { parametersRef: { kind: A, name: a } }",
      'spec.infrastructure.parametersRef: group is missing: expected a group like "gateway.networking.k8s.io", or "" for the core group',
    ],
    [
      `infrastructure: { labels: { ${Array.from({ length: 9 }, (_, i) => `a${i}: b`).join(", ")} } }`,
      "spec.infrastructure.labels: 9 labels; at most 8",
    ],
  ])("%s is refused", (spec, problem) => {
    const [found = ""] = problemsOf(gateway(one, spec))
    expect(found.replace(/^\d+:\d+ /, "")).toBe(problem)
  })

  test("options have a domain, and texts", () => {
    expect(optionProblems("{ tidegate.dev/alpn: h2 }")).toEqual([])
    expect(optionProblems("{ alpn: h2 }")).toEqual([
      '12:26 spec.listeners[0].tls.options.alpn: "alpn" is no key: expected one with a domain, like "example.com/name"',
    ])
    expect(optionProblems("{ tidegate.dev/min-version: 1.2 }")).toEqual([
      '12:46 spec.listeners[0].tls.options["tidegate.dev/min-version"]: expected a text of at most 4,096 characters, found 1.2 (without quotes this is a number: write it in quotes)',
    ])
    expect(optionProblems(`{ ${Array.from({ length: 17 }, (_, i) => `a.b/c${i}: d`).join(", ")} }`)).toEqual([
      "12:9 spec.listeners[0].tls.options: 17 options; at most 16",
    ])
  })

  test("what has no effect is worth a look", () => {
    const { problems, warnings } = reading(
      gateway(
        "- { name: a, port: 1, protocol: TLS, tls: { mode: Passthrough, certificateRefs: [{ name: c }] } }",
        "defaultScope: All",
      ),
    )
    expect({ problems, warnings: warnings.map((warning) => warning.replace(/^\d+:\d+ /, "")) }).toEqual({
      problems: [],
      warnings: [
        "spec.listeners[0].tls.certificateRefs: has no effect: TLS passes through here",
        "spec.defaultScope: has no effect here: routes attach by their parentRefs",
      ],
    })
  })

  test.each([
    ["example.com/gateway", []],
    ["tidegate.dev/gateway-controller", []],
    ["example.com", ['found "example.com"']],
    ["example.com/", ['found "example.com/"']],
    ["/gateway", ['found "/gateway"']],
    ["Example.com/x", ['found "Example.com/x"']],
  ])("the controller %s", (name, found) => {
    const text = `apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: a }\nspec: { controllerName: ${name} }`
    const expected = 'expected a domain and a path, like "tidegate.dev/gateway-controller"'
    expect(problemsOf(text)).toEqual(found.map((what) => `4:25 spec.controllerName: ${expected}, ${what}`))
  })

  test("a description has at most 64 characters", () => {
    const text = `apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: a }\nspec: { controllerName: a.b/c, description: ${"x".repeat(65)} }`
    expect(problemsOf(text)).toHaveLength(1)
  })

  test("a ListenerSet has a parent", () => {
    const text = listenerSet(one).replace("  parentRef: { name: main }\n", "")
    expect(problemsOf(text)).toEqual(["4:1 spec: parentRef is missing: expected an object"])
  })
})
