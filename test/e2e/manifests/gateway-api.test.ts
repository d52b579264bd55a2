// The examples of Envoy Gateway's documentation of TCP and TLS, in our own words: two ports told apart by sectionName, TLS
// that passes through, TLS that ends at the gateway; and what files can do that a cluster's example does not show.
import { rmSync } from "node:fs"
import { join } from "node:path"
import { expect, setDefaultTimeout, test } from "bun:test"
import { Addresses } from "../../../conformance/addresses.ts"
import { authority } from "../../helper/certificates.ts"
import { tidegate } from "../../helper/cli.ts"
import { eventually } from "../../helper/eventually.ts"
import { documents, GATEWAY_CLASS, greeter, service, tlsSecret, visit, visitTls } from "../../helper/manifests.ts"
import { RUNTIME, serve } from "../../helper/serve.ts"
import { secureUpstream } from "../../helper/tls-wire.ts"
import { connect } from "../../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const ca = authority()
/** The ports of the examples are kept: each Gateway has an address of its own. */
const addresses = new Addresses(process.pid * 7)

function gateway(address: string, listeners: string): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: eg }
spec:
  gatewayClassName: tidegate
  addresses: [{ value: ${address} }]
  listeners:
${listeners}`
}

function route(kind: "TCPRoute" | "TLSRoute", name: string, parent: string, rest: string, version = "v1"): string {
  return `apiVersion: gateway.networking.k8s.io/${version}
kind: ${kind}
metadata: { name: ${name} }
spec:
  parentRefs: [{ name: eg, sectionName: ${parent} }]
${rest}`
}

const to = (service: string, port: number) => `  rules: [{ backendRefs: [{ name: ${service}, port: ${port} }] }]\n`

const TWO_PORTS = `  - { name: foo, protocol: TCP, port: 8088, allowedRoutes: { kinds: [{ kind: TCPRoute }] } }
  - { name: bar, protocol: TCP, port: 8089, allowedRoutes: { kinds: [{ kind: TCPRoute }] } }
`

async function greeting(hostname: string, port: number): Promise<string> {
  using client = await connect({ hostname, port })
  return await visit(client)
}

test("foo and bar on 8088 and 8089, each to its own Service by sectionName", async () => {
  using foo = greeter("foo")
  using bar = greeter("bar")
  const hostname = addresses.take([8088, 8089])
  await using served = await serve({
    "gateway.yaml": documents(GATEWAY_CLASS, gateway(hostname, TWO_PORTS)),
    // As the documentation has it to this day.
    "routes.yaml": documents(
      route("TCPRoute", "tcp-app-1", "foo", to("foo", 3001), "v1alpha2"),
      route("TCPRoute", "tcp-app-2", "bar", to("bar", 3002)),
    ),
    "services.yaml": documents(service("foo", 3001, [foo]), service("bar", 3002, [bar])),
  })
  expect(await greeting(hostname, 8088)).toBe("foo")
  expect(await greeting(hostname, 8089)).toBe("bar")
  const warned = served.log.filter(({ message }) => message.includes("v1alpha2"))
  expect(warned).toHaveLength(1)
})

test("a file that is saved, spoilt, mended and removed: who is connected stays, and the others serve on", async () => {
  using foo = greeter("foo")
  using bar = greeter("bar")
  const hostname = addresses.take([8088, 8089])
  const good = route("TCPRoute", "tcp-app-1", "foo", to("foo", 3001))
  await using served = await serve({
    "gateway.yaml": documents(GATEWAY_CLASS, gateway(hostname, TWO_PORTS)),
    "foo.yaml": good,
    "bar.yaml": route("TCPRoute", "tcp-app-2", "bar", to("bar", 3002)),
    "services.yaml": documents(service("foo", 3001, [foo]), service("bar", 3002, [bar])),
  })
  using early = await connect({ hostname, port: 8088 })
  expect(await visit(early)).toBe("foo")

  served.write("foo.yaml", good.replace("3001", "3OO1"))
  const problem = await served.until(() => served.log.find(({ message }) => message.includes("foo.yaml:6")))
  expect(problem.message).toContain("spec.rules[0].backendRefs[0].port")
  expect(await greeting(hostname, 8088)).toBe("foo")

  served.write("foo.yaml", good.replace("name: foo, port: 3001", "name: bar, port: 3002"))
  await eventually(async () => (await greeting(hostname, 8088)) === "bar")
  expect(await greeting(hostname, 8089)).toBe("bar")

  rmSync(join(served.folder, "foo.yaml"))
  await eventually(async () => (await greeting(hostname, 8088)) === "FIN")
  expect(await greeting(hostname, 8089)).toBe("bar")
  const before = early.received
  await early.write("still here")
  expect(new TextDecoder().decode(await early.atLeast(before + 10))).toEndWith("still here")
})

test("TLS passes through by its name, and ends behind the gateway", async () => {
  const name = "passthrough.example.com"
  const own = ca.issue({ names: [name] })
  using behind = secureUpstream({ cert: own.cert, key: own.key }, async (wire) => {
    await wire.write("Welcome to the end of TLS\n")
    wire.onData = (chunk) => void wire.write(chunk)
  })
  const hostname = addresses.take([6443])
  const listener = `  - { name: tls, protocol: TLS, port: 6443, hostname: ${name}, tls: { mode: Passthrough } }\n`
  await using _served = await serve({
    "gateway.yaml": documents(GATEWAY_CLASS, gateway(hostname, listener)),
    "route.yaml": route("TLSRoute", "tlsroute", "tls", `  hostnames: [${name}]\n${to("passthrough-echoserver", 443)}`),
    "services.yaml": service("passthrough-echoserver", 443, [behind]),
  })
  const where = { hostname, port: 6443 }
  expect(await visitTls(where, name, ca.cert)).toBe("the end of TLS")
  expect(behind.accepted[0]!.agreed).toMatchObject({ ok: true, serverName: name })
  expect(await visitTls(where, "elsewhere.example.com", ca.cert)).toBe("no handshake")
  expect(behind.accepted).toHaveLength(1)
})

test("TLS ends at the gateway with the certificate of a Secret, and plain text goes on", async () => {
  const name = "www.example.com"
  using echo = greeter("plain text")
  const hostname = addresses.take([6443])
  const tls = "tls: { mode: Terminate, certificateRefs: [{ name: example-cert }] }"
  await using _served = await serve({
    "gateway.yaml": documents(
      GATEWAY_CLASS,
      gateway(hostname, `  - { name: tls, protocol: TLS, port: 6443, ${tls} }\n`),
      tlsSecret("example-cert", ca.issue({ names: [name] })),
    ),
    "route.yaml": route("TLSRoute", "echo", "tls", `  hostnames: [${name}]\n${to("backend", 3000)}`),
    "services.yaml": service("backend", 3000, [echo]),
  })
  const where = { hostname, port: 6443 }
  expect(await visitTls(where, name, ca.cert)).toBe("plain text")
  expect(await visitTls(where, "other.example.com", ca.cert)).toBe("no handshake")
  expect(echo.accepted).toHaveLength(1)
})

test("manifests and policies in TypeScript serve side by side", async () => {
  using foo = greeter("foo")
  const hostname = addresses.take([8088, 8089])
  await using served = await serve({
    "gateway.yaml": documents(
      GATEWAY_CLASS,
      gateway(hostname, TWO_PORTS),
      route("TCPRoute", "tcp-app-1", "foo", to("foo", 3001)),
      service("foo", 3001, [foo]),
    ),
    "answer.ts": `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => respond("Welcome to TypeScript")
`,
  })
  expect(await greeting(hostname, 8088)).toBe("foo")
  using client = await connect(await served.port("answer.ts"))
  expect(await client.text()).toBe("Welcome to TypeScript")
})

function office(cidr: string): string {
  return `apiVersion: tidegate.dev/v1alpha1
kind: TidegatePolicy
metadata: { name: office }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: TCPRoute, name: tcp-app-1 }]
  clients: { allow: ["${cidr}"] }
`
}

test("clients that a TidegatePolicy turns away never reach the Service", async () => {
  using foo = greeter("foo")
  const hostname = addresses.take([8088, 8089])
  await using served = await serve({
    "gateway.yaml": documents(GATEWAY_CLASS, gateway(hostname, TWO_PORTS), service("foo", 3001, [foo])),
    "route.yaml": route("TCPRoute", "tcp-app-1", "foo", to("foo", 3001)),
    "office.yaml": office("10.0.0.0/8"),
  })
  expect(await greeting(hostname, 8088)).toBe("FIN")
  const event = await served.until(() => served.events[0])
  expect(event).toMatchObject({ policy: { decision: "deny" }, upstream: null, close: { reason: "denied" } })
  expect(foo.accepted).toHaveLength(0)
  served.write("office.yaml", office("127.0.0.0/8"))
  await eventually(async () => (await greeting(hostname, 8088)) === "foo")
})

test("`status -o yaml` shows the objects as a cluster would, and no secrets", async () => {
  using foo = greeter("foo")
  const hostname = addresses.take([8088, 8089])
  const issued = ca.issue({ names: ["www.example.com"] })
  await using served = await serve({
    "gateway.yaml": documents(GATEWAY_CLASS, gateway(hostname, TWO_PORTS), tlsSecret("unused", issued)),
    "route.yaml": documents(
      route("TCPRoute", "tcp-app-1", "foo", to("foo", 3001)),
      route("TCPRoute", "tcp-app-2", "bar", to("nobody", 3001)),
    ),
    "services.yaml": service("foo", 3001, [foo]),
  })
  const { code, stdout } = await tidegate(["status", served.folder, "-o", "yaml"], {
    env: { XDG_RUNTIME_DIR: RUNTIME },
  })
  expect(code).toBe(0)
  for (const text of ["kind: GatewayClass", "kind: Gateway", "reason: Programmed", "reason: BackendNotFound", hostname])
    expect(stdout).toContain(text)
  for (const secret of [issued.key, issued.cert].map((pem) => Buffer.from(pem).toString("base64")))
    expect(stdout).not.toContain(secret.slice(100, 140))
})
