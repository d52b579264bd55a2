// `tidegate convert`: what it prints is served as the original is.
import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { readYaml } from "../../src/config/yaml.ts"
import { folder, tidegate } from "../helper/cli.ts"

setDefaultTimeout(60_000)

const SERVICE = `apiVersion: v1
kind: Service
metadata:
  name: echo
  annotations: {konghq.com/retries: "3", konghq.com/connect-timeout: "2000", konghq.com/upstream-policy: hash}
spec: {ports: [{port: 2701}]}
---
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: hash}
spec: {algorithm: consistent-hashing, hashOn: {input: ip}}
`
const INGRESS = `apiVersion: configuration.konghq.com/v1beta1
kind: TCPIngress
metadata: {name: echo}
spec:
  tls: [{hosts: ["*.kong.example"], secretName: cert}]
  rules:
    - {port: 9000, backend: {serviceName: echo, servicePort: 2701}}
    - {host: a.kong.example, port: 9443, backend: {serviceName: echo, servicePort: 2701}}
    - {host: b.other.example, port: 9443, backend: {serviceName: echo, servicePort: 2701}}
    - {port: 9000, backend: {serviceName: echo, servicePort: 2701}}
`
const AGENT = `apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: AgentEndpoint
metadata: {name: pg, namespace: apps}
spec:
  url: tcp://1.tcp.ngrok.io:12345
  upstream: {url: "tcp://db.data:5432", proxyProtocolVersion: "2"}
  trafficPolicy:
    inline:
      on_tcp_connect:
        - actions: [{type: restrict-ips, config: {allow: [10.0.0.0/8]}}]
        - expressions: ["conn.client_port > 1"]
          actions: [{type: deny}]
---
apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: AgentEndpoint
metadata: {name: inner}
spec: {url: "tls://app.internal:443", upstream: {url: "tls://10.0.0.9:8443"}}
---
apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: CloudEndpoint
metadata: {name: app}
spec:
  url: tls://app.example.com
  trafficPolicy:
    inline:
      on_tcp_connect:
        - actions: [{type: terminate-tls}, {type: forward-internal, config: {url: "tls://app.internal:443"}}]
`

interface Printed {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly spec: Record<string, any>
}

function objects(text: string): Printed[] {
  const { documents, problems } = readYaml("/out.yaml", text)
  expect(problems).toEqual([])
  return documents.map(({ value }) => value as Printed)
}

const kinds = (all: readonly Printed[]) => all.map(({ kind, metadata }) => `${kind} ${metadata.name}`)

/** The URLs that `check` lists. */
function listeners(text: string): (string | undefined)[] {
  const lines = text.split("\n").filter((line) => /^ {2}t(cp|ls):/.test(line))
  return lines.map((line) => line.split("  ")[1])
}

test.concurrent("a TCPIngress: a Gateway, a route for each rule, and what Kong's annotations say", async () => {
  await using dir = await folder({ "kong.yaml": `${INGRESS}---\n${SERVICE}` })
  const { code, stderr, stdout } = await tidegate(["convert", dir.path])
  expect(code).toBe(0)
  expect(stderr).toContain("spec.rules[3]: takes no connections: rules[0] is for the same port")
  const all = objects(stdout)
  expect(kinds(all)).toEqual([
    "GatewayClass tidegate",
    "Gateway echo",
    "TCPRoute echo-9000",
    "TLSRoute echo-9443-1",
    "TLSRoute echo-9443-2",
    "TidegatePolicy echo-9000",
    "TidegatePolicy echo-9443-1",
    "TidegatePolicy echo-9443-2",
  ])
  expect(all[1]!.spec["listeners"]).toEqual([
    { name: "tcp-9000", port: 9000, protocol: "TCP" },
    {
      name: "tls-9443-1",
      port: 9443,
      protocol: "TLS",
      hostname: "a.kong.example",
      tls: { mode: "Terminate", certificateRefs: [{ name: "cert" }] },
    },
    {
      name: "tls-9443-2",
      port: 9443,
      protocol: "TLS",
      hostname: "b.other.example",
      tls: { mode: "Terminate", options: { "tidegate.dev/certificates": "store" } },
    },
  ])
  expect(all[5]!.spec["upstream"]).toEqual({ connectTimeout: 2000, retries: 3, balance: "hash", hashOn: "client" })
})

test.concurrent("endpoints of ngrok's operator: routes, grants, encryption, and notes on what has no equal", async () => {
  await using dir = await folder({ "ngrok.yaml": AGENT })
  const { code, stderr, stdout } = await tidegate(["convert", join(dir.path, "ngrok.yaml")])
  expect(code).toBe(0)
  expect(stderr).toContain("deny behind an expression is not converted")
  expect(stderr).toContain("leads to the Service data/db, which is in none of these files")
  const all = objects(stdout)
  const of = (kind: string, name: string) => all.find((one) => one.kind === kind && one.metadata.name === name)!
  expect(of("TCPRoute", "pg").spec["rules"]).toEqual([{ backendRefs: [{ name: "db", port: 5432, namespace: "data" }] }])
  expect(of("ReferenceGrant", "db-from-apps").metadata.namespace).toBe("data")
  expect(of("TidegatePolicy", "pg").spec).toMatchObject({
    clients: { allow: ["10.0.0.0/8"] },
    upstream: { proxyProtocol: 2 },
  })
  expect(of("TLSRoute", "app").spec).toMatchObject({
    hostnames: ["app.example.com"],
    rules: [{ backendRefs: [{ name: "inner-upstream", port: 8443 }] }],
  })
  expect(of("BackendTLSPolicy", "inner-upstream").spec["validation"]).toMatchObject({
    wellKnownCACertificates: "System",
  })
})

test.concurrent("what is printed is good, and serves the same listeners as what it was made of", async () => {
  await using dir = await folder({ "kong.yaml": `${INGRESS}---\n${SERVICE}` })
  const { stdout } = await tidegate(["convert", dir.path])
  await using converted = await folder({ "gateway.yaml": stdout, "service.yaml": SERVICE })
  const [before, after] = await Promise.all([dir, converted].map(({ path }) => tidegate(["check", path])))
  expect([before!.code, after!.code]).toEqual([0, 0])
  expect(listeners(after!.stdout)).toEqual(listeners(before!.stdout))
  expect(listeners(after!.stdout)).toHaveLength(2)
})

test.concurrent("nothing to convert, files that are bad, and what has no form are told apart", async () => {
  await using dir = await folder({
    "a.yaml": SERVICE,
    "agent.yaml": "version: 3\nendpoints: []\n",
    "bad.yaml": "apiVersion: configuration.konghq.com/v1beta1\nkind: TCPIngres\nmetadata: {name: x}\n",
  })
  const runs = ["a.yaml", "agent.yaml", "bad.yaml", "none.yaml"].map((name) =>
    tidegate(["convert", join(dir.path, name)]),
  )
  const [nothing, agent, bad, none] = await Promise.all(runs)
  for (const { code, stdout } of [nothing!, agent!, bad!, none!])
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(nothing!.stderr).toContain("there is nothing to convert")
  expect(agent!.stderr).toContain("agent.yaml: served as it is, but has no form in Gateway API")
  expect(bad!.stderr).toMatch(/bad\.yaml:2:7 .*did you mean "TCPIngress"/)
  expect(none!.stderr).toContain("none.yaml")
})
