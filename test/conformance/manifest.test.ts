import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Addresses } from "../../conformance/addresses.ts"
import { CLASS, makeCluster } from "../../conformance/cluster.ts"
import { readExpectations, type Test } from "../../conformance/expectations.ts"
import { list, listenersOf, Manifests, record } from "../../conformance/manifest.ts"
import { giveAddresses } from "../../conformance/places.ts"
import { remove } from "../../conformance/removal.ts"
import { rewriteListeners } from "../../conformance/rewrite.ts"

const folder = mkdtempSync(join(tmpdir(), "tidegate-manifests-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const addresses = new Addresses(process.pid + 500_000)

function manifests(text: string): Manifests {
  writeFileSync(join(folder, "some.yaml"), text)
  return Manifests.read(folder, ["some.yaml"], CLASS, "infra")
}

function expectations(text: string) {
  writeFileSync(join(folder, "expectations.yaml"), text)
  return readExpectations(join(folder, "expectations.yaml"))
}

function someTest(fields: string): Test {
  return expectations(`tests: [{name: Some, file: some.yaml, ${fields}}]`).tests[0]!
}

const GATEWAY = `kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: "{GATEWAY_CLASS_NAME}"
`

test("a manifest is given on as it was written, comments too, with the class of the gateway", () => {
  const read = manifests(`# Hello\n${GATEWAY}  listeners: []\n---\nkind: Service\nmetadata: {name: db}\n---\n`)
  expect(read.objects().map(({ kind, name, namespace }) => [kind, name, namespace])).toEqual([
    ["Gateway", "gw", "infra"],
    ["Service", "db", "infra"],
  ])
  const [[file, text]] = read.texts() as [readonly [string, string]]
  expect(file).toBe("some.yaml")
  expect(text).toStartWith("# Hello\n")
  expect(text).toContain(`gatewayClassName: "${CLASS}"`)
})

test("every Gateway gets an address, and placeholders become one that can be had and one that cannot", () => {
  const read = manifests(`${GATEWAY}  listeners: [{name: a, port: 7000, protocol: TCP}]
---
${GATEWAY.replace("name: gw", "name: gw2")}  listeners: [{name: a, port: 7000, protocol: TCP}]
  addresses:
  - {type: example.com/kind, value: x}
  - {value: PLACEHOLDER_UNUSABLE_ADDRS}
  - {value: PLACEHOLDER_USABLE_ADDRS}
`)
  const given = giveAddresses(read, addresses)
  const [one, two] = read.ofKind("Gateway").map(({ value }) => list(record(value["spec"])["addresses"]))
  expect(one).toEqual([{ type: "IPAddress", value: expect.stringMatching(/^127\./) }])
  expect(two!.map(({ value }) => value)).toEqual(["x", "192.0.2.1", given.usable[0]!])
  expect(given.usable[0]).not.toBe(one![0]!["value"])
})

test("what a step takes away", () => {
  const text = `${GATEWAY}  listeners: [{name: a, port: 1, protocol: TCP}, {name: b, port: 2, protocol: TCP}]
  addresses:
  - {type: example.com/kind, value: x}
  - {value: PLACEHOLDER_UNUSABLE_ADDRS}
  - {value: PLACEHOLDER_USABLE_ADDRS}
---
kind: ReferenceGrant
metadata: {name: allow, namespace: infra}
`
  const after = (words: string) => {
    const read = manifests(text)
    remove(words, read, giveAddresses(read, addresses))
    const [gateway] = read.ofKind("Gateway")
    const kept = list(record(gateway!.value["spec"])["addresses"]).map(({ type, value }) => type ?? value)
    return [
      kept.length,
      listenersOf(gateway!)
        .map(({ name }) => name)
        .join(""),
      read.objects().length,
      kept[0],
      kept[1],
    ]
  }
  expect(after("address type example.com/kind")).toEqual([2, "ab", 2, "192.0.2.1", expect.stringMatching(/^127/)])
  expect(after("unusable address")).toEqual([2, "ab", 2, "example.com/kind", expect.stringMatching(/^127/)])
  expect(after("the usable address")).toEqual([2, "ab", 2, "example.com/kind", "192.0.2.1"])
  expect(after("listener b").slice(0, 3)).toEqual([3, "a", 2])
  for (const words of ["ReferenceGrant allow", "the reference grant", "ReferenceGrant", "the grant", "allow"])
    expect(after(words).slice(0, 3)).toEqual([3, "ab", 1])
  expect(() => after("the moon")).toThrow('nothing in the manifests is meant by "the moon"')
  expect(() => after("address type example.org/else")).toThrow("none of the addresses is meant")
})

const HTTP = `${GATEWAY}  listeners:
  - {name: plain, port: 80, protocol: HTTP, hostname: a.example, allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: X}]}}
  - {name: plain2, port: 80, protocol: HTTP, hostname: b.example}
  - {name: secure, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}
  - {name: odd, port: 5, protocol: example.com/odd}
`

test("HTTP listeners become TCP and TLS where nothing is about HTTP", () => {
  const read = manifests(HTTP)
  const { remark, test } = rewriteListeners(someTest("listeners: {gw: {plain: {supportedKinds: [HTTPRoute]}}}"), read)
  expect(remark).toBe("listeners rewritten: HTTP -> TCP, HTTPS -> TLS")
  expect(test.steps[0]!.checks).toMatchObject([{ field: { of: "supportedKinds", kinds: ["TCPRoute"] } }])
  const [gateway] = read.ofKind("Gateway")
  expect(list(record(gateway!.value["spec"])["listeners"])).toEqual([
    { name: "plain", port: 80, protocol: "TCP", allowedRoutes: { kinds: [{ kind: "TCPRoute" }, { kind: "X" }] } },
    { name: "plain2", port: 81, protocol: "TCP" },
    { name: "secure", port: 443, protocol: "TLS", tls: { certificateRefs: [{ name: "c" }], mode: "Terminate" } },
    { name: "odd", port: 5, protocol: "example.com/odd" },
  ])
})

test.each([
  ["a route", `${HTTP}---\nkind: HTTPRoute\nmetadata: {name: r}\n`, "attachedRoutes: {gw: 0}"],
  ["a listener of ours", HTTP.replace("example.com/odd", "TCP"), "attachedRoutes: {gw: 0}"],
  ["a probe", HTTP, "probes: [{port: 80, reject: true}]"],
])("HTTP listeners stay what they are beside %s", (_, text, fields) => {
  const read = manifests(text)
  const before = read.texts()
  expect(rewriteListeners(someTest(fields), read).remark).toBeUndefined()
  expect(read.texts()).toEqual(before)
})

test("an HTTP listener that has to be refused for what it speaks stays one", () => {
  const read = manifests(HTTP)
  rewriteListeners(someTest('listeners: {gw: {plain: {Accepted: ["False", UnsupportedProtocol]}}}'), read)
  expect(
    read
      .ofKind("Gateway")
      .flatMap(listenersOf)
      .map(({ protocol }) => protocol),
  ).toEqual(["HTTP", "TCP", "TLS", "example.com/odd"])
})

const SERVICE = `kind: Service
metadata: {name: shop, namespace: infra}
spec:
  selector: {app: shop}
  ports: [{name: tcp, port: 80, targetPort: 3000}, {name: named, port: 81, targetPort: web}]
---
kind: Deployment
metadata: {name: shop-pods, namespace: infra}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - {name: c, env: [{name: TCP_ECHO_SERVER, value: "1"}], ports: [{name: web, containerPort: 4000}]}
`
const BACKENDS = "backends: {listed: {service: {3000: 3000}, replicas: 2}}\ntests: []\n"

test("Services get pods and an EndpointSlice; listed backends are there too, wherever a route wants them", () => {
  const route =
    "kind: TCPRoute\nmetadata: {name: r}\nspec: {rules: [{backendRefs: [{name: listed, namespace: far}]}]}\n"
  using cluster = makeCluster(manifests(`${SERVICE}---\n${route}`), expectations(BACKENDS), [], addresses)
  expect(cluster.podsOf("shop-pods")).toHaveLength(3)
  expect(cluster.podsOf("shop")).toHaveLength(3)
  expect(cluster.podsOf("shop")[0]!.name).toMatch(/^shop-pods-[a-z0-9]{9}-[a-z0-9]{5}$/)
  expect(cluster.podsOf("listed").map(({ namespace }) => namespace)).toEqual([
    "gateway-conformance-infra",
    "gateway-conformance-infra",
    "far",
    "far",
  ])
  expect(cluster.podsOf("nobody")).toEqual([])
  const objects = cluster.objects.map(record)
  const slices = objects.filter(({ kind }) => kind === "EndpointSlice")
  expect(
    slices.map(({ endpoints, metadata, ports }) => [record(metadata)["namespace"], list(endpoints).length, ports]),
  ).toEqual([
    [
      "infra",
      3,
      [
        { name: "tcp", protocol: "TCP", port: 3000 },
        { name: "named", protocol: "TCP", port: 4000 },
      ],
    ],
    ["gateway-conformance-infra", 2, [{ name: "tcp-3000", protocol: "TCP", port: 3000 }]],
    ["far", 2, [{ name: "tcp-3000", protocol: "TCP", port: 3000 }]],
  ])
  const namespaces = objects.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => record(metadata)["name"])
  expect(namespaces).toContainValues(["infra", "gateway-conformance-web-backend"])
  expect(objects.filter(({ kind }) => kind === "Service")).toHaveLength(2)
})

function service(name: string, app: string): string {
  return `kind: Service\nmetadata: {name: ${name}, namespace: infra}\nspec: {selector: {app: ${app}}, ports: [{port: 80}]}\n`
}

test("a Service that selects a listed backend has its pods; one that selects nobody has one of its own name", () => {
  const text = [service("front", "listed"), service("alone", "alone")].join("---\n")
  using cluster = makeCluster(manifests(text), expectations(BACKENDS), [], addresses)
  expect(cluster.podsOf("front").map(({ deployment }) => deployment)).toEqual(["listed", "listed"])
  expect(cluster.podsOf("alone").map(({ deployment }) => deployment)).toEqual(["alone"])
})

test("addresses differ, and one that is taken is stepped over", () => {
  const own = new Addresses(process.pid + 900_000)
  const first = own.take([4000])
  using held = Bun.listen({
    hostname: new Addresses(process.pid + 900_001).take([4000]),
    port: 4000,
    socket: { data() {} },
  })
  const second = own.take([4000])
  expect(new Set([first, second, held.hostname]).size).toBe(3)
})
