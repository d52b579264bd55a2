// Traffic policies that decide about real connections.
import { X509Certificate } from "node:crypto"
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { ForwardFailure, type CompiledPolicy, type Visit } from "../../../src/config/traffic-policy/policy.ts"
import { next } from "../../../src/policy/decision.ts"
import type { Connection } from "../../../src/policy/connection.ts"
import { authority, type Issued } from "../../helper/certificates.ts"
import { gateway } from "../../helper/data-path.ts"
import { connectTls } from "../../helper/tls-wire.ts"
import { answers, upstream } from "../../helper/upstream.ts"
import { connect } from "../../helper/wire.ts"
import { compiled } from "./policy-of.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const visit = (connection: Connection): Visit => ({
  connection,
  endpoint: { id: "", url: "", addr: "", host: "", port: 0, protocol: "tcp" },
  depth: 0,
  fallThrough: next,
  forward: (url) => new ForwardFailure("ERR_NGROK_3200", `the endpoint ${url} is offline`),
})
const asks = (policy: CompiledPolicy) => (connection: Connection) => policy.connect(visit(connection))

/** A text in a block of YAML. */
const block = (text: string, spaces: number) => text.trim().replaceAll("\n", `\n${" ".repeat(spaces)}`)

const ca = authority()
const server = ca.issue({ names: ["a.test"] })

function terminating(more: string, body: string): string {
  return `
on_tcp_connect:
  - actions:
      - type: terminate-tls
        config:
          server_certificate: |
            ${block(server.cert, 12)}
          server_private_key: |
            ${block(server.key, 12)}
          ${more}
      - type: custom-response
        config: { body: ${JSON.stringify(body)} }
`
}

async function told(port: number, client?: Issued): Promise<string> {
  const own = client === undefined ? {} : { cert: client.cert, key: client.key }
  using wire = await connectTls(port, { ca: ca.cert, serverName: "a.test", ...own } as Bun.TLSOptions)
  return await wire.text()
}

describe("terminate-tls", () => {
  test("presents its certificate, and says what was agreed", async () => {
    const text = terminating(
      'min_version: "1.3"',
      "${actions.ngrok.terminate_tls.version} ${conn.tls.sni} ${actions.ngrok.terminate_tls.server.san.dns_names[0]} ${has(conn.tls.server.pem)}",
    )
    using gate = gateway(asks(compiled(text)))
    expect(await told(gate.port)).toBe("1.3 a.test a.test true")
    expect((await gate.ended(1))[0]).toMatchObject({ tls: { version: "TLSv1.3" }, close: { reason: "answered" } })
  })

  test("asks for a certificate that an authority of its own has signed", async () => {
    const body = "${actions.ngrok.terminate_tls.client.subject} ${conn.tls.client.san.dns_names[0]}"
    const authorities = `mutual_tls_certificate_authorities: ["\${vars.ca}"]`
    const text = terminating(authorities, body).replace(
      "  - actions:\n",
      `  - actions: [{ type: set-vars, config: { vars: [{ ca: ${JSON.stringify(ca.cert)} }] } }]\n  - actions:\n`,
    )
    using gate = gateway(asks(compiled(text)))
    const amy = ca.issue({ names: ["amy.test"], usage: "client", subject: "/CN=amy" })
    expect(await told(gate.port, amy)).toBe("CN=amy amy.test")
    const stranger = authority({ name: "Other root" }).issue({ names: ["eve.test"], usage: "client" })
    await told(gate.port, stranger).catch(() => "")
    expect((await gate.ended(2))[1]).toMatchObject({ close: { reason: "tls-handshake-failed" } })
  })
})

const target = (port: number, onError: string) =>
  `{ type: forward, config: { url: "tcp://127.0.0.1:${port}", on_error: ${onError} } }`
const policy = (actions: string) => compiled(`on_tcp_connect: [{ actions: [${actions}] }]`)

test("all of a client's certificate is told", async () => {
  const body = [
    "${conn.tls.client.pem}",
    "${conn.tls.client.signature_algorithm}",
    "${conn.tls.client.extensions.exists(e, e.id == '2.5.29.17' && size(e.value) > 8)}",
    "${actions.ngrok.terminate_tls.client.extensions.map(e, e.critical).size() > 1}",
    "${conn.tls.server.signature_algorithm} ${conn.tls.server.extensions.exists(e, e.id == '2.5.29.17')}",
  ].join("|")
  using gate = gateway(asks(compiled(terminating("mutual_tls_verification_strategy: request", body))))
  const amy = ca.issue({ names: ["amy.test"], usage: "client", subject: "/CN=amy" })
  const [pem, algorithm, named, several, own] = (await told(gate.port, amy)).split("|")
  expect(new X509Certificate(pem!).fingerprint256).toBe(new X509Certificate(amy.cert).fingerprint256)
  expect([algorithm, named, several, own]).toEqual(["ECDSA-SHA256", "true", "true", "ECDSA-SHA256 true"])
  expect(await told(gate.port)).toBe("||false|false|ECDSA-SHA256 true")
})

describe("forward", () => {
  test("that goes on tries one target after the other, then answers", async () => {
    const dead = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
    dead.stop(true)
    const down = `{ type: custom-response, config: { body: "\${actions.ngrok.forward.error.message}" } }`
    using gate = gateway(asks(policy(`${target(dead.port, "continue")}, ${down}`)))
    using client = await connect(gate.port, { first: "hello" })
    expect(await client.text()).toBe("ECONNREFUSED")
    client.end()
    using up = upstream(answers((request) => `got ${new TextDecoder().decode(request)}`))
    using other = gateway(asks(policy(`${target(dead.port, "continue")}, ${target(up.port, "halt")}`)))
    using again = await connect(other.port, { first: "hello" })
    again.end()
    expect(await again.text()).toBe("got hello")
  })

  test("that goes on may end TLS after the dial has failed", async () => {
    const dead = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
    dead.stop(true)
    const text = terminating("", "${conn.tls.version}").replace(
      "      - type: terminate-tls",
      `      - { type: forward, config: { url: "tcp://127.0.0.1:${dead.port}", on_error: continue } }\n      - type: terminate-tls`,
    )
    using gate = gateway(asks(compiled(text)))
    expect(await told(gate.port)).toBe("1.3")
  })
})

test("a policy that fails while it runs closes the connection, and says where", async () => {
  const text = `on_tcp_connect:
  - expressions: ["int(conn.client_ip) == 1"]
    actions: [{ type: deny }]
`
  using gate = gateway(asks(compiled(text)))
  using client = await connect(gate.port)
  expect(await client.stops()).toBe("FIN")
  client.end()
  const [event] = await gate.ended(1)
  expect(event).toMatchObject({ close: { reason: "policy-failed" } })
  expect(event!.policy?.reason).toMatch(/^guard\.yaml:2:19: .*\(ERR_NGROK_\d+\)$/)
})

test("a circuit opens when targets cannot be reached, whatever comes after that", async () => {
  const dead = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  dead.stop(true)
  const text = `on_tcp_connect:
  - actions:
      - { type: circuit-breaker, config: { volume_threshold: 3, error_threshold: 1 } }
      - { type: forward, config: { url: "tcp://127.0.0.1:${dead.port}", on_error: continue } }
      - { type: custom-response, config: { body: spare } }
`
  const policy = compiled(text, { owner: "circuit over sockets" })
  using gate = gateway([{ listen: "tcp://127.0.0.1:0", on_tcp_connect: asks(policy), on_tcp_close: policy.closed! }])
  const said: string[] = []
  for (let i = 0; i < 5; i++) {
    using client = await connect(gate.port)
    said.push(await client.text())
    client.end()
  }
  expect(said).toEqual(["spare", "spare", "spare", "", ""])
  expect((await gate.ended(5))[4]!.policy?.reason).toContain("ERR_NGROK_3202")
})
