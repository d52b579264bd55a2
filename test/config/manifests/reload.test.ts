// Manifests as the loader sees them: which files are ours, what a bad document takes with it, what depends on what.
import { servingOf, withListeners } from "../../../src/config/manifests/status.ts"
import { expect, test } from "bun:test"
import { chmodSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { parseListen } from "../../../src/policy/listen.ts"
import { PolicyFolder, policy, problems, states } from "../policy-folder.ts"

const gateway = (port = 9100, name = "edge") => `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ${name}}
spec:
  gatewayClassName: tidegate
  addresses: [{value: 127.0.0.1}]
  listeners: [{name: tcp, port: ${port}, protocol: TCP}]
`
const route = (name: string, service = "db") => `apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: ${name}}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: ${service}, port: 5432}]}]
`
const service = (name = "db", address = "10.0.0.1") => `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
endpoints: [{addresses: [${address}]}]
ports: [{port: 5432}]
`
const trafficPolicy = (body: string, port = 9200) =>
  `listen: tcp://127.0.0.1:${port}\non_tcp_connect:\n  - actions: [{type: custom-response, config: {body: ${body}}}]\n`

type Loaded = Awaited<ReturnType<ReturnType<PolicyFolder["loader"]>["load"]>>

function listeners(loaded: Loaded): string[] {
  return [...loaded.snapshot.listeners.keys()]
}

function titles(loaded: Loaded): string[] {
  return loaded.snapshot.policies.map(({ file, title }) => `${file}: ${title ?? ""}`)
}

function targets(loaded: Loaded): string[] {
  return [...loaded.snapshot.pools.values()].flatMap(({ name, targets }) => targets.map(({ url }) => `${name} ${url}`))
}

function versionOf(loaded: Loaded, file: string): string | undefined {
  return loaded.snapshot.files.find((one) => one.file === file)?.version
}

function objectOf(loaded: Loaded, kind: string): Loaded["snapshot"]["objects"][number] {
  return loaded.snapshot.objects.find((one) => one.kind === kind)!
}

test("manifests lie beside policies, whatever file their objects are in", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1"),
    "gateway.yaml": gateway(),
    "routes.yml": `${route("one")}---\n${service()}`,
    "policy.json": JSON.stringify({
      listen: "tcp://127.0.0.1:9200",
      on_tcp_connect: [{ actions: [{ type: "deny" }] }],
    }),
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(states(loaded)).toEqual({
    "a.ts": "good",
    "gateway.yaml": "good",
    "policy.json": "good",
    "routes.yml": "good",
  })
  expect(listeners(loaded).sort()).toEqual(["tcp:127.0.0.1:9000", "tcp:127.0.0.1:9100", "tcp:127.0.0.1:9200"])
  expect(titles(loaded)).toContain("routes.yml: TCPRoute default/one")
  expect(targets(loaded)).toEqual(["default/db:5432 tcp://10.0.0.1:5432"])
})

test("data files, hidden ones and those of other tools are left alone, whatever they hold", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1"),
    "data.json": "[1, 2",
    "countries.yaml": "DE: [\nFR: 2\n",
    "tsconfig.json": '{"apiVersion": 1}',
    ".hidden.yaml": "apiVersion: 7\n",
    "sub/x.yaml": "apiVersion: 7\n",
  })
  folder.write("big.json", `{"a": "${"x".repeat(5 * 1024 * 1024)}"}`)
  folder.write("open.json", "{}")
  chmodSync(folder.at("open.json"), 0o666)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(states(loaded)).toEqual({ "a.ts": "good" })
})

test("at start a bad document is a problem at its place; what others may write to, or is too large, is not read", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1"),
    "bad.yaml": `${service()}---\napiVersion: gateway.networking.k8s.io/v1\nkind: TCPRout\nmetadata: {name: x}\n`,
    "open.yaml": gateway(),
    "large.yaml": `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: ${"x".repeat(5 * 1024 * 1024)}\n`,
  })
  chmodSync(folder.at("open.yaml"), 0o666)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    expect.stringMatching(/^bad\.yaml:14:7 .*did you mean "TCPRoute"/),
    expect.stringMatching(/^large\.yaml 52\d+ bytes; such a file has at most/),
    expect.stringMatching(/^open\.yaml not loaded, because everyone may write to it/),
  ])
})

test("a bad document keeps what it was, and its neighbours go on", async () => {
  await using folder = new PolicyFolder({ "all.yaml": `${gateway()}---\n${route("one")}---\n${service()}` })
  const loader = folder.loader()
  const first = await loader.reload()
  expect(targets(first)).toEqual(["default/db:5432 tcp://10.0.0.1:5432"])
  // The route is misspelt while its Service moves.
  folder.write(
    "all.yaml",
    `${gateway()}---\n${route("one").replace("backendRefs", "backendRef")}---\n${service("db", "10.0.0.2")}`,
  )
  const second = await loader.reload()
  expect(problems(second, folder).at(-1)).toMatch(/^all\.yaml:14:\d+ .*did you mean "backendRefs"/)
  expect(states(second)).toEqual({ "all.yaml": "kept" })
  expect(titles(second)).toContain("all.yaml: TCPRoute default/one")
  expect(targets(second)).toEqual(["default/db:5432 tcp://10.0.0.2:5432"])
  // A text that cannot be read at all changes nothing, its version included.
  folder.write("all.yaml", "apiVersion: [\n\t")
  const third = await loader.reload()
  expect(versionOf(third, "all.yaml")).toBe(versionOf(second, "all.yaml"))
  expect(third.snapshot.listeners.get("tcp:127.0.0.1:9100")).toBe(second.snapshot.listeners.get("tcp:127.0.0.1:9100")!)
  expect(states(third)).toEqual({ "all.yaml": "kept" })
  expect(targets(third)).toEqual(targets(second))
  // Emptied by a slip, or half written.
  folder.write("all.yaml", "")
  const fourth = await loader.reload()
  expect(problems(fourth, folder)).toEqual(["all.yaml there is no manifest in this file any more"])
  expect(listeners(fourth)).toEqual(["tcp:127.0.0.1:9100"])
  folder.write("all.yaml", `${gateway(9101)}---\n${service()}`)
  const fifth = await loader.reload()
  expect(states(fifth)).toEqual({ "all.yaml": "good" })
  expect(listeners(fifth)).toEqual(["tcp:127.0.0.1:9101"])
  expect(targets(fifth)).toEqual([])
})

test("a new file that is bad is absent, and one that goes takes what it had", async () => {
  await using folder = new PolicyFolder({
    "gateway.yaml": gateway(),
    "routes.yaml": `${route("one")}---\n${service()}`,
  })
  const loader = folder.loader()
  await loader.reload()
  folder.write("new.yaml", "apiVersion: v1\nkind: Service\n")
  const second = await loader.reload()
  expect(states(second)).toEqual({ "gateway.yaml": "good", "new.yaml": "bad", "routes.yaml": "good" })
  folder.remove("new.yaml")
  folder.remove("routes.yaml")
  const third = await loader.reload()
  expect(states(third)).toEqual({ "gateway.yaml": "good" })
  expect(titles(third)).toEqual([expect.stringContaining("gateway.yaml: ")])
})

test("an object stands in one file: the one that was saved last gives way", async () => {
  await using folder = new PolicyFolder({ "a.yaml": gateway(), "b.yaml": gateway(9101, "other") })
  const loader = folder.loader()
  await loader.reload()
  folder.write("b.yaml", gateway(9102))
  const second = await loader.reload()
  expect(problems(second, folder)).toEqual(["b.yaml:3:18 metadata.name: Gateway default/edge stands in a.yaml already"])
  expect(listeners(second)).toEqual(["tcp:127.0.0.1:9100"])
})

test("what did not change is the same snapshot, and only files that depend on a change are made anew", async () => {
  await using folder = new PolicyFolder({
    "gateway.yaml": gateway(),
    "routes.yaml": route("one"),
    "service.yaml": service(),
    "own.yaml": trafficPolicy("hello"),
  })
  const loader = folder.loader()
  const first = await loader.reload()
  expect((await loader.reload()).snapshot).toBe(first.snapshot)
  folder.write("service.yaml", service("db", "10.0.0.2"))
  const second = await loader.reload()
  expect(second.snapshot).not.toBe(first.snapshot)
  expect(versionOf(second, "routes.yaml")).not.toBe(versionOf(first, "routes.yaml"))
  for (const file of ["gateway.yaml", "own.yaml"]) expect(versionOf(second, file)).toBe(versionOf(first, file))
})

test("generations count changes of a spec; ages and conditions that stay have their time", async () => {
  await using folder = new PolicyFolder({ "a.yaml": `${gateway()}---\n${route("one")}---\n${service()}` })
  const loader = folder.loader()
  const first = await loader.reload()
  expect(objectOf(first, "Gateway").generation).toBe(1)
  folder.write("a.yaml", `# a comment\n${gateway()}---\n${route("one")}---\n${service()}`)
  expect(objectOf(await loader.reload(), "Gateway").generation).toBe(1)
  folder.write("a.yaml", `${gateway(9101)}---\n${route("one")}---\n${service()}`)
  const third = await loader.reload()
  expect(objectOf(third, "Gateway").generation).toBe(2)
  expect(objectOf(third, "TCPRoute").generation).toBe(1)
  expect(JSON.stringify(objectOf(third, "Gateway").status)).toContain('"observedGeneration":2')
  // One that was away is another one.
  folder.write("a.yaml", `${route("one")}---\n${service()}`)
  await loader.reload()
  folder.write("a.yaml", `${gateway(9101)}---\n${route("one")}---\n${service()}`)
  expect(objectOf(await loader.reload(), "Gateway").generation).toBe(1)
})

test("a listener that a policy and a Gateway would open differently is the later file's fault", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `export const listen = "tls://x.example:9443"\nexport const on_tcp_connect = () => 1\n`,
  })
  const loader = folder.loader()
  await loader.reload()
  folder.write("gateway.yaml", gateway(9443).replace("  addresses: [{value: 127.0.0.1}]\n", ""))
  const second = await loader.reload()
  expect(problems(second, folder)).toEqual([
    expect.stringMatching(/^gateway\.yaml:\d+:\d+ .*a listener has one scheme/),
  ])
  expect(second.snapshot.listeners.get("tcp:*:9443")?.scheme).toBe("tls")
  expect(parseListen("tls://x.example:9443")[0]!.scheme).toBe("tls")
  const [shown] = withListeners(
    second.snapshot.objects.filter(({ kind }) => kind === "Gateway"),
    servingOf(second.snapshot.listeners, () => false),
  )
  const programmed = { type: "Programmed", status: "False", reason: "Pending", message: expect.any(String) }
  const message = "not served: tcp:*:9443; the problems of gateway.yaml say why"
  expect(shown?.status).toMatchObject({
    conditions: expect.arrayContaining([expect.objectContaining({ ...programmed, message })]),
    listeners: [{ conditions: expect.arrayContaining([expect.objectContaining({ ...programmed, message })]) }],
  })
})

test("a Kong TCPIngress is served as what it is in Gateway API, and shown as itself", async () => {
  await using folder = new PolicyFolder({
    "kong.yaml": `apiVersion: configuration.konghq.com/v1beta1
kind: TCPIngress
metadata: {name: echo}
spec:
  rules: [{port: 9300, backend: {serviceName: db, servicePort: 5432}}]
---
${service()}`,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(listeners(loaded)).toEqual(["tcp:*:9300"])
  expect(targets(loaded)).toEqual(["default/db:5432 tcp://10.0.0.1:5432"])
  const [ingress, ...others] = loaded.snapshot.objects.filter(({ kind }) => kind !== "Service")
  expect(others).toEqual([])
  expect(ingress).toMatchObject({ kind: "TCPIngress", name: "echo", file: "kong.yaml" })
  expect(JSON.stringify(ingress!.status)).toContain('"type":"Programmed","status":"True"')
})

test("objects of others need no metadata, and have names of their own", async () => {
  await using folder = new PolicyFolder({
    "all.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:node"}
---
apiVersion: batch/v1
kind: Job
metadata: {generateName: job-}
---
${gateway()}`,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(listeners(loaded)).toEqual(["tcp:127.0.0.1:9100"])
})

test("templates that nobody has written out, and UTF-16, are told what they are", async () => {
  await using folder = new PolicyFolder({
    "policy.ts": policy("tcp://127.0.0.1:9101"),
    "chart.yaml": "{{- if .Values.edge }}\n" + gateway() + "{{- end }}\n",
    "name.yaml": gateway().replace("name: edge", "name: {{ .Release.Name }}"),
  })
  writeFileSync(join(folder.path, "shell.yaml"), Buffer.from(`\uFEFF${gateway()}`, "utf16le"))
  const loaded = await folder.loader().load()
  const told = loaded.problems.map(({ file, hint, message }) => ({ file: basename(file), hint, message }))
  const template = { hint: expect.stringContaining("helm template") }
  expect(told).toContainEqual(expect.objectContaining({ file: "chart.yaml", ...template }))
  expect(told).toContainEqual(expect.objectContaining({ file: "name.yaml", ...template }))
  expect(told).toContainEqual({
    file: "shell.yaml",
    hint: expect.stringContaining("utf8"),
    message: "this file is UTF-16; expected UTF-8",
  })
})
