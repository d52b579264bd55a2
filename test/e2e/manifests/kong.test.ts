// The examples of Kong's documentation of TCP and TLS routing, in our own words: an echo server by port, names by SNI with
// certificates from Secrets, and TLS that passes through.
import { expect, setDefaultTimeout, test } from "bun:test"
import { authority } from "../../helper/certificates.ts"
import { tidegate, folder } from "../../helper/cli.ts"
import { eventually } from "../../helper/eventually.ts"
import {
  documents,
  GATEWAY_CLASS,
  greeter,
  service,
  tlsSecret,
  trusting,
  visit,
  visitTls,
} from "../../helper/manifests.ts"
import { freePort } from "../../helper/ports.ts"
import { serve } from "../../helper/serve.ts"
import { secureUpstream } from "../../helper/tls-wire.ts"
import { connect } from "../../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const ca = authority()
const NAME = "tls9443.kong.example"

function ingress(name: string, spec: string, annotations = ""): string {
  return `apiVersion: configuration.konghq.com/v1beta1
kind: TCPIngress
metadata:
  name: ${name}
  annotations: { kubernetes.io/ingress.class: kong${annotations} }
spec:
${spec}`
}

const rule = (port: number, service: string, servicePort: number, host?: string) =>
  `  - ${host === undefined ? "" : `host: "${host}"\n    `}port: ${port}\n    backend: { serviceName: ${service}, servicePort: ${servicePort} }\n`

test("a TCPIngress routes a port to the Service, which speaks first", async () => {
  using echo = greeter("echo")
  const port = freePort()
  const text = documents(
    service("echo", 1025, [echo]),
    ingress("echo-plaintext", `  rules:\n${rule(port, "echo", 1025)}`),
  )
  await using gateway = await serve({ "echo.yaml": text })
  using client = await connect(port)
  expect(await visit(client)).toBe("echo")
  client.end()
  const event = await gateway.until(() => gateway.events[0])
  expect(event).toMatchObject({ policy: { file: "echo.yaml" }, close: { reason: "client-closed" } })
})

test("names by SNI, each with the certificate of its Secret; other names are refused", async () => {
  using echo = greeter("echo")
  using other = greeter("other")
  const port = freePort()
  const rules = rule(port, "echo", 1025, NAME) + rule(port, "other", 1025, "other.kong.example")
  const tls = `  tls:
  - { hosts: [${NAME}], secretName: ${NAME} }
  - { hosts: [other.kong.example], secretName: other }
`
  const text = documents(
    service("echo", 1025, [echo]),
    service("other", 1025, [other]),
    tlsSecret(NAME, ca.issue({ names: [NAME] })),
    tlsSecret("other", ca.issue({ names: ["other.kong.example"] })),
    ingress("echo-tls", `  rules:\n${rules}${tls}`),
  )
  await using gateway = await serve({ "echo.yaml": text })
  expect(await visitTls(port, NAME, ca.cert)).toBe("echo")
  expect(await visitTls(port, "other.kong.example", ca.cert)).toBe("other")
  expect(await visitTls(port, "nobody.kong.example", ca.cert)).toBe("no handshake")
  expect(echo.accepted.length + other.accepted.length).toBe(2)
  const output = gateway.log.map(({ message }) => message).join("\n")
  expect(output).not.toContain("PRIVATE KEY")
})

test("a Secret that is saved anew is shown to new clients; those who are there stay", async () => {
  using echo = greeter("echo")
  const port = freePort()
  const first = ca.issue({ names: [NAME], subject: "/CN=first" })
  const second = ca.issue({ names: [NAME], subject: "/CN=second" })
  const route = ingress(
    "echo-tls",
    `  rules:\n${rule(port, "echo", 1025, NAME)}  tls: [{ hosts: [${NAME}], secretName: own }]\n`,
  )
  await using gateway = await serve({
    "echo.yaml": documents(service("echo", 1025, [echo]), route),
    "secret.yaml": tlsSecret("own", first),
  })
  using early = await trusting(port, NAME, ca.cert)
  expect(await visit(early)).toBe("echo")
  gateway.write("secret.yaml", tlsSecret("own", second))
  const shown = async () => {
    using client = await trusting(port, NAME, ca.cert)
    await client.until(() => client.agreed !== undefined)
    return client.agreed?.peer
  }
  await eventually(async () => (await shown()) === "second")
  const before = early.received
  await early.write("still here")
  expect(new TextDecoder().decode(await early.atLeast(before + 10))).toEndWith("still here")
})

test("with konghq.com/protocols: tls_passthrough, TLS ends behind", async () => {
  const own = ca.issue({ names: [NAME] })
  using behind = secureUpstream({ cert: own.cert, key: own.key }, async (wire) => {
    await wire.write("Welcome to the end of TLS\n")
    wire.onData = (chunk) => void wire.write(chunk)
  })
  const port = freePort()
  const text = documents(
    service("secure", 443, [behind]),
    ingress("passing", `  rules:\n${rule(port, "secure", 443, NAME)}`, ", konghq.com/protocols: tls_passthrough"),
  )
  await using gateway = await serve({ "passing.yaml": text })
  expect(await visitTls(port, NAME, ca.cert)).toBe("the end of TLS")
  expect(behind.accepted[0]!.agreed).toMatchObject({ serverName: NAME })
  expect(await visitTls(port, "nobody.kong.example", ca.cert)).toBe("no handshake")
  await gateway.until(() => gateway.events.length === 2)
  const [passed, refused] = gateway.events.toSorted((a, b) => b.conn.bytes_out - a.conn.bytes_out)
  expect(passed).toMatchObject({ conn: { server_name: NAME }, tls: null, policy: { decision: "route" } })
  expect(refused).toMatchObject({
    conn: { server_name: "nobody.kong.example" },
    upstream: null,
    close: { by: "gateway" },
  })
})

test("what `convert` prints serves the same", async () => {
  using echo = greeter("echo")
  using secure = greeter("secure")
  const [port, tlsPort] = [freePort(), freePort()]
  const rules = rule(port, "echo", 1025) + rule(tlsPort, "secure", 1025, NAME)
  await using dir = await folder({
    "echo.yaml": ingress("echo", `  rules:\n${rules}  tls: [{ hosts: [${NAME}], secretName: own }]\n`),
  })
  const { code, stdout } = await tidegate(["convert", `${dir.path}/echo.yaml`])
  expect(code).toBe(0)
  expect(stdout).not.toContain("TCPIngress")
  await using _gateway = await serve({
    "converted.yaml": stdout,
    "around.yaml": documents(
      ...(stdout.includes("kind: GatewayClass") ? [] : [GATEWAY_CLASS]),
      service("echo", 1025, [echo]),
      service("secure", 1025, [secure]),
      tlsSecret("own", ca.issue({ names: [NAME] })),
    ),
  })
  using client = await connect(port)
  expect(await visit(client)).toBe("echo")
  expect(await visitTls(tlsPort, NAME, ca.cert)).toBe("secure")
})
