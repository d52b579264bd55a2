// ngrok's endpoints in a running gateway: agent configurations and manifests, as they are dropped into the folder.
import { expect, setDefaultTimeout, test } from "bun:test"
import { authority } from "../helper/certificates.ts"
import { freePort } from "../helper/ports.ts"
import { serve } from "../helper/serve.ts"
import { connectTls } from "../helper/tls-wire.ts"
import { upstream, type Serve } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

/** Says who it is. */
function named(name: string): Serve {
  return async (wire) => {
    await wire.write(`${name}\n`)
    wire.end()
  }
}

async function greeted(port: number): Promise<string> {
  const wire = await connect(port)
  const said = await wire.text()
  wire.end()
  return said.trim()
}

/** As a block of YAML, six steps deep. */
function block(pem: string): string {
  return pem.trim().replaceAll("\n", "\n        ")
}

function agent(...endpoints: readonly string[]): string {
  return `version: 3\nendpoints:\n${endpoints.map((one) => `- ${one}`).join("\n")}\n`
}

const forward = (name: string, onError: string) =>
  `{type: forward-internal, config: {url: "tcp://${name}.internal:1", on_error: ${onError}}}`

test("a connection goes past the policy to the upstream, with a PROXY header", async () => {
  using target = upstream(async (wire) => {
    await wire.write(await wire.atLeast(1))
    await wire.bytes()
    wire.end()
  })
  await using gateway = await serve({
    "ngrok.yml": agent(
      `{name: db, url: tcp://127.0.0.1:0, upstream: {url: ${target.port}, proxy_protocol: 1}, traffic_policy: {on_tcp_connect: [{expressions: ["conn.client_ip == '192.0.2.1'"], actions: [{type: deny}]}, {actions: [{type: log, config: {metadata: {at: "\${endpoint.protocol}"}}}]}]}}`,
    ),
  })
  const port = await gateway.port("ngrok.yml")
  const client = await connect(port)
  client.end()
  expect(await client.text()).toMatch(/^PROXY TCP4 127.0.0.1 127.0.0.1 \d+ \d+\r\n$/)
  const [event] = await gateway.until(() => gateway.events.length === 1 && gateway.events)
  expect(event).toMatchObject({
    traffic_policy: { logs: [{ at: "tcp" }] },
    upstream: { target: `tcp://localhost:${target.port}` },
    policy: { decision: "route" },
  })
})

test("a chain of internal endpoints goes on past those that are down, and where all are, to the upstream", async () => {
  using second = upstream(named("second"))
  using own = upstream(named("own"))
  const gone = freePort()
  const chain = `{on_tcp_connect: [{actions: [${forward("first", "continue")}, {type: log, config: {metadata: {code: "\${actions.ngrok.forward_internal.error.code}"}}}, ${forward("nobody", "continue")}, ${forward("second", "continue")}]}]}`
  const edge = `{name: edge, url: tcp://127.0.0.1:0, upstream: {url: ${own.port}}, traffic_policy: ${chain}}`
  await using gateway = await serve({
    "edge.yml": agent(edge),
    "inside.yml": agent(
      `{name: first, url: tcp://first.internal:1, upstream: {url: ${gone}}}`,
      `{name: second, url: tcp://second.internal:1, upstream: {url: ${second.port}}}`,
    ),
  })
  const port = await gateway.port("edge.yml")
  expect(await greeted(port)).toBe("second")
  const [event] = await gateway.until(() => gateway.events.length === 1 && gateway.events)
  expect(event).toMatchObject({ traffic_policy: { logs: [{ code: "ERR_NGROK_3210" }] } })
  gateway.write("inside.yml", agent(`{name: first, url: tcp://first.internal:1, upstream: {url: ${gone}}}`))
  let heard = ""
  while ((heard = await greeted(port)) === "second");
  expect(heard).toBe("own")
})

test("members of a pool take turns, and one that is added is among them", async () => {
  using a = upstream(named("a"))
  using b = upstream(named("b"))
  const port = freePort()
  const member = (name: string, to: number) =>
    agent(`{name: ${name}, url: tcp://127.0.0.1:${port}, pooling_enabled: true, upstream: {url: ${to}}}`)
  await using gateway = await serve({ "a.yml": member("a", a.port), "b.yml": member("b", b.port) })
  const heard: string[] = []
  for (let i = 0; i < 6; i++) heard.push(await greeted(port))
  expect(heard.toSorted().join("")).toBe("aaabbb")
  using c = upstream(named("c"))
  gateway.write("c.yml", member("c", c.port))
  while ((await greeted(port)) !== "c");
  const next: string[] = []
  for (let i = 0; i < 6; i++) next.push(await greeted(port))
  expect(next.toSorted().join("")).toBe("aabbcc")
})

test("tls:// endpoints are told apart by name; TLS passes through, or ends at the agent", async () => {
  const ca = authority()
  const own = ca.issue({ names: ["ends.example.com"] })
  using plain = upstream(named("plain"))
  using passed = upstream(async (wire) => {
    await wire.atLeast(1)
    wire.reset()
  })
  const port = freePort()
  await using gateway = await serve({
    "ngrok.yml": `version: 3
endpoints:
  - name: ends
    url: tls://ends.example.com:${port}
    upstream: { url: ${plain.port} }
    agent_tls_termination:
      server_certificate: |
        ${block(own.cert)}
      server_private_key: |
        ${block(own.key)}
  - name: passes
    url: tls://*.example.com:${port}
    upstream: { url: ${passed.port} }
`,
  })
  const secure = await connectTls(port, { servername: "ends.example.com", ca: ca.cert })
  expect(await secure.text()).toBe("plain\n")
  secure.end()
  await gateway.until(() => gateway.events.length === 1)
  const through = await connectTls(port, { servername: "other.example.com", ca: ca.cert })
  const first = await (await passed.connection()).atLeast(1)
  // A TLS record of a handshake (RFC 8446 section 5.1).
  expect(first[0]).toBe(0x16)
  await through.closes()
  expect(await gateway.until(() => gateway.events.length === 2 && gateway.events)).toEqual([
    expect.objectContaining({ tls: expect.objectContaining({ version: "TLSv1.3" }) }),
    expect.objectContaining({ tls: null }),
  ])
})

test("TLS ends at the agent also for what could not be forwarded", async () => {
  const ca = authority()
  const own = ca.issue({ names: ["db.example.com"] })
  using target = upstream(named("own"))
  const port = freePort()
  const chain = `{on_tcp_connect: [{actions: [{type: forward-internal, config: {url: "tls://gone.internal", on_error: continue}}]}]}`
  await using gateway = await serve({
    "ngrok.yml": `version: 3
endpoints:
  - name: gone
    url: tls://gone.internal
    upstream: { url: ${freePort()} }
  - name: db
    url: tls://db.example.com:${port}
    upstream: { url: ${target.port} }
    traffic_policy: ${chain}
    agent_tls_termination:
      server_certificate: |
        ${block(own.cert)}
      server_private_key: |
        ${block(own.key)}
`,
  })
  const client = await connectTls(port, { servername: "db.example.com", ca: ca.cert })
  expect(await client.text()).toBe("own\n")
  client.end()
  const [event] = await gateway.until(() => gateway.events.length === 1 && gateway.events)
  expect(event).toMatchObject({ tls: { version: "TLSv1.3" }, policy: { decision: "route" } })
})

test("endpoints of an operator serve, and lead to a Service's endpoints", async () => {
  using target = upstream(named("pod"))
  const port = freePort()
  await using gateway = await serve({
    "edge.yaml": `
apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: CloudEndpoint
metadata: {name: edge}
spec:
  url: tcp://127.0.0.1:${port}
  trafficPolicy: {targetRef: {name: forward}}
---
apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: NgrokTrafficPolicy
metadata: {name: forward}
spec:
  policy: {on_tcp_connect: [{actions: [{type: forward-internal, config: {url: "tcp://db.internal:5432"}}]}]}
`,
    "db.yaml": `
apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: AgentEndpoint
metadata: {name: db}
spec: {url: "tcp://db.internal:5432", upstream: {url: "tcp://db.default:5432"}}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: ${target.port}}]
endpoints: [{addresses: [127.0.0.1]}]
`,
  })
  expect(await greeted(port)).toBe("pod")
  const [event] = await gateway.until(() => gateway.events.length === 1 && gateway.events)
  expect(event).toMatchObject({ upstream: { pool: "default/db:5432" } })
})

test("an endpoint whose Service has no endpoint refuses, and one that forwards to it goes on", async () => {
  using other = upstream(named("other"))
  const port = freePort()
  await using gateway = await serve({
    "a.yaml": `
apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: AgentEndpoint
metadata: {name: db}
spec: {url: "tcp://first.internal:1", upstream: {url: "tcp://db.default:5432"}}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: 5432}]
endpoints: []
`,
    "b.yml": agent(
      `{name: goes-on, url: tcp://127.0.0.1:0, upstream: {url: ${other.port}}, traffic_policy: {on_tcp_connect: [{actions: [${forward("first", "continue")}]}]}}`,
      `{name: halts, url: tcp://127.0.0.1:${port}, upstream: {url: ${other.port}}, traffic_policy: {on_tcp_connect: [{actions: [${forward("first", "halt")}]}]}}`,
    ),
  })
  expect(await greeted(port)).toBe("")
  const [event] = await gateway.until(() => gateway.events.length === 1 && gateway.events)
  expect(event).toMatchObject({ close: { reason: "no-target", by: "gateway" } })
  const open = gateway.log.find(({ message }) => message.includes(" is open: ") && !message.includes(`:${port}`))
  expect(await greeted(Number(/nc \S+ (\d+)/.exec(open?.message ?? "")?.[1]))).toBe("other")
})
