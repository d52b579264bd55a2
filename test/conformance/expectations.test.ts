import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Check } from "../../conformance/checks.ts"
import { readExpectations, Unreadable } from "../../conformance/expectations.ts"

const folder = mkdtempSync(join(tmpdir(), "tidegate-expectations-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, "expectations.yaml")

function read(text: string) {
  writeFileSync(path, text)
  return readExpectations(path)
}

/** The checks of a test with these fields. */
function checks(fields: string): readonly Check[] {
  const [test] = read(`tests:\n- name: Some\n  file: some.yaml\n${fields.replaceAll(/^/gm, "  ")}\n`).tests
  expect(test!.faults).toEqual([])
  return test!.steps.flatMap((step) => step.checks)
}

function faults(fields: string): readonly string[] {
  return read(`tests:\n- name: Some\n  file: some.yaml\n${fields.replaceAll(/^/gm, "  ")}\n`).tests[0]!.faults
}

function condition(type: string, status: string | undefined, reason: string) {
  return { of: "condition", type, status, reason } as const
}

test("conditions of routes; a bare True is a status, an empty reason is any", () => {
  expect(checks('routes: {db: {Accepted: ["True", Accepted], ResolvedRefs: [False, ""]}}')).toEqual([
    { about: "object", kind: "*Route", name: "db", part: undefined, field: condition("Accepted", "True", "Accepted") },
    { about: "object", kind: "*Route", name: "db", part: undefined, field: condition("ResolvedRefs", "False", "") },
  ])
})

test("a condition for one parent of a route, for a status alone, and for any", () => {
  expect(checks('routes: {db: {gw/tcp: {Accepted: "True"}}}')).toMatchObject([
    { part: "gw/tcp", field: condition("Accepted", "True", "") },
  ])
  expect(checks('routes: {db: {Accepted: ["", NoMatchingParent]}}')).toMatchObject([
    { field: condition("Accepted", undefined, "NoMatchingParent") },
  ])
})

test("listeners, with kinds and numbers", () => {
  expect(checks("listeners: {gw: {tls: {supportedKinds: [TLSRoute], attachedRoutes: 1}}}")).toEqual([
    {
      about: "object",
      kind: "Gateway",
      name: "gw",
      part: "tls",
      field: { of: "supportedKinds", kinds: ["TLSRoute"] },
    },
    { about: "object", kind: "Gateway", name: "gw", part: "tls", field: { of: "attachedRoutes", count: 1 } },
  ])
  expect(checks("attachedRoutes: {gw: 0}")).toMatchObject([{ name: "gw", part: undefined, field: { count: 0 } }])
  expect(checks("listenerSets: {set: {one: {Conflicted: [True, ProtocolConflict]}}}")).toMatchObject([
    { kind: "ListenerSet", name: "set", part: "one" },
  ])
})

test("all objects of a kind, in steps that take something away", () => {
  const [test] = read(`tests:
- name: Some
  file: some.yaml
  steps:
  - {Gateway: {Accepted: ["False", UnsupportedAddress]}}
  - {remove: "unusable address", Gateway: {Programmed: ["True", Programmed]}, statusAddresses: 1}
`).tests
  expect(test!.steps).toMatchObject([
    { remove: undefined, checks: [{ kind: "Gateway", name: undefined }] },
    { remove: "unusable address", checks: [{ kind: "Gateway" }, { field: { of: "addresses", count: 1 } }] },
  ])
})

test("probes", () => {
  expect(checks("probes: [{gateway: gw, port: 443, sni: a.example, backend: echo, backendTLS: true}]")).toEqual([
    {
      about: "probe",
      gateway: "gw",
      listener: undefined,
      port: 443,
      sni: "a.example",
      backend: "echo",
      backendNamespace: undefined,
      backendTLS: true,
      backendSNI: undefined,
    },
  ])
  expect(checks("probes: [{sni: a.example, reject: true}]")).toMatchObject([{ backend: undefined, sni: "a.example" }])
  expect(faults("probes: [{sni: a.example}]")[0]).toContain("a probe expects a `backend`, or `reject: true`")
})

test("distributions, in parts or in percent", () => {
  const wanted = { connections: 500, parallel: 10, tolerance: 0.05 }
  const parts = new Map([
    ["a", 0.7],
    ["b", 0.3],
    ["c", 0],
  ])
  expect(checks("distribution: {connections: 500, expect: {a: 0.7, b: 0.3, c: 0}}")).toMatchObject([wanted])
  for (const text of ["{a: 0.7, b: 0.3, c: 0}, tolerance: 0.05", "{a: 70, b: 30, c: 0}, tolerance: 5"]) {
    const [check] = checks(`distribution: {connections: 500, expect: ${text}}`)
    expect(check).toMatchObject({ ...wanted, expect: parts })
  }
})

test("a sentence about an object that is made later", () => {
  const text = "TCPRoute newer, created >=1.5s later: parentRef gw/tcp, backend db:5432"
  const [made] = read(`tests: [{name: Some, file: some.yaml, extra: "${text}", statusAddresses: 1}]`).tests
  expect(made!.extra).toEqual({
    after: 1500,
    object: {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "TCPRoute",
      metadata: { name: "newer", namespace: "gateway-conformance-infra" },
      spec: {
        parentRefs: [{ name: "gw", sectionName: "tcp" }],
        rules: [{ backendRefs: [{ name: "db", port: 5432 }] }],
      },
    },
  })
  expect(faults('extra: "something else happens"\nstatusAddresses: 1')[0]).toMatch(
    /^expectations.yaml:4:10: .*expected an/,
  )
})

test.each([
  ["probez: []", 'expectations.yaml:4:3: the key "probez" is not known here; did you mean "probes"?'],
  [
    "probes: [{backend: a, backendTsl: true}]",
    'expectations.yaml:4:25: the key "backendTsl" is not known here; did you mean "backendTLS"?',
  ],
  [
    "listeners: {gw: {tls: {attachedRoute: 1}}}",
    'expectations.yaml:4:26: the key "attachedRoute" is not known here; did you mean "attachedRoutes"?',
  ],
  ["steps: [{add: x, statusAddresses: 1}]", 'expectations.yaml:4:12: the key "add" is not known here'],
  [
    "distribution: {connections: 5, expect: {a: 1}, seed: 3}",
    'expectations.yaml:4:50: the key "seed" is not known here',
  ],
  ["routes: {db: {Accepted: [Perhaps]}}", "expected [status, reason]"],
  ["onlyIfUnsupported: X", "nothing is expected"],
])("%s is a fault of the test that says it", (fields, fault) => {
  expect(faults(`${fields}\n`).join("\n")).toContain(fault)
})

test("keys outside of tests that are unknown are faults of the file", () => {
  const { faults } = read("echo: {plainPort: 1, hello: x}\nthings: 1\ntests: []\n")
  expect(faults).toEqual([
    'expectations.yaml:2:1: the key "things" is not known here',
    'expectations.yaml:1:22: the key "hello" is not known here',
  ])
})

test("certificates and backends", () => {
  const { backends, certificates } = read(`certificates:
- {configMap: ca, key: ca.crt, role: CA}
- {secret: own, ca: ca, sans: [a.example], usedBy: [db], alsoNamespace: other}
- {secret: alone, namespace: web, selfSigned: true, sans: ["*"]}
backends:
  db: {service: {5432: 5432, 443: 8443}, kind: https-json-echo, replicas: 2}
tests: []
`)
  expect(certificates).toMatchObject([
    { kind: "configMap", name: "ca", isAuthority: true, namespaces: ["gateway-conformance-infra"] },
    { name: "own", authority: "ca", usedBy: ["db"], namespaces: ["gateway-conformance-infra", "other"] },
    { name: "alone", authority: undefined, namespaces: ["web"] },
  ])
  const ports = new Map([
    [443, 8443],
    [5432, 5432],
  ])
  expect(backends).toEqual([
    { name: "db", namespace: "gateway-conformance-infra", kind: "https-json-echo", replicas: 2, ports },
  ])
})

test.each([
  ["tests: [", "expectations.yaml:1:9"],
  ["- 1", "expectations.yaml:1:1 expected an object"],
  ["echo: {}\n", "expectations.yaml:1:1 there are no `tests`"],
  ["tests: 5\n", "expectations.yaml:1:8 tests: expected a list, found 5"],
  ["tests:\n- {name: x}\n", "expectations.yaml:2:3 tests.0: a test needs a `name` and a `file`"],
  ["backends: {db: {kind: telnet}}\ntests: []\n", "expectations.yaml:1:12 backends.db: expected a `service`"],
  ["certificates: [{secret: a, sans: 5}]\ntests: []\n", "expectations.yaml:1:34"],
  ["tests: []\n---\ntests: []\n", "there is a second document"],
  ["", "there is nothing in it"],
])("%j cannot be taken at all", (text, message) => {
  expect(() => read(text)).toThrow(Unreadable)
  expect(() => read(text)).toThrow(message)
})
