// The examples of ngrok's documentation of TCP and TLS endpoints, in our own words: who may come in, endpoints in front of
// internal ones, a part of the connections for a new version, names of TLS, client certificates; and their mistakes.
import { expect, setDefaultTimeout, test } from "bun:test"
import { authority } from "../../helper/certificates.ts"
import { folder, tidegate } from "../../helper/cli.ts"
import { eventually } from "../../helper/eventually.ts"
import { documents, greeter, service, tlsSecret, visit, visitTls } from "../../helper/manifests.ts"
import { freePort } from "../../helper/ports.ts"
import { serve } from "../../helper/serve.ts"
import { connectTls, secureUpstream } from "../../helper/tls-wire.ts"
import { connect } from "../../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const ca = authority()

async function greeting(port: number): Promise<string> {
  using client = await connect(port)
  return await visit(client)
}

function indented(text: string, spaces: number): string {
  return text.trim().replaceAll(/^/gm, " ".repeat(spaces))
}

/** An agent's endpoint whose policy stands in a file of its own. */
function endpoint(name: string, url: string, upstream: string | number, more = ""): string {
  return `version: 3
agent: { authtoken: not-for-anybody-to-read }
endpoints:
  - name: ${name}
    url: ${url}
    upstream: { url: ${upstream} }
${more}`
}

function restrictedTo(cidr: string): string {
  return `on_tcp_connect:
  - name: office only
    actions:
      - type: restrict-ips
        config:
          enforce: true
          allow: ["${cidr}"]
`
}

test("SSH for some addresses: the others are closed before the server hears of them", async () => {
  using ssh = greeter("ssh")
  await using gateway = await serve({
    "ngrok.yml": endpoint("ssh", "tcp://127.0.0.1:0", ssh.port, "    traffic_policy_file: office.yml\n"),
    "office.yml": restrictedTo("203.0.113.0/24"),
  })
  const port = await gateway.port("ngrok.yml")
  expect(await greeting(port)).toBe("FIN")
  expect(await gateway.until(() => gateway.events[0])).toMatchObject({
    ip_policy: { decision: "block" },
    close: { reason: "denied", by: "gateway" },
  })
  expect(ssh.accepted).toHaveLength(0)
  gateway.write("office.yml", restrictedTo("127.0.0.0/8"))
  await eventually(async () => (await greeting(port)) === "ssh")
  expect(JSON.stringify(gateway.log)).not.toContain("not-for-anybody-to-read")
})

test("a public endpoint in front of internal ones: a part of the connections for the new version, which is logged", async () => {
  using old = greeter("old")
  using next = greeter("next")
  const policy = `on_tcp_connect:
  - actions:
      - type: set-vars
        config:
          vars:
            - drawn: \${rand.int(1, 10)}
            - version: "\${vars.drawn <= 5 ? 'next' : 'old'}"
      - type: log
        config: { metadata: { version: "\${vars.version}", drawn: "\${vars.drawn}" } }
  - actions:
      - type: forward-internal
        config: { url: "tcp://\${vars.version}.shop.internal:7000" }
`
  const port = freePort()
  await using gateway = await serve({
    "edge.yaml": `apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: CloudEndpoint
metadata: { name: shop }
spec:
  url: tcp://127.0.0.1:${port}
  trafficPolicy:
    inline:
${indented(policy, 6)}
`,
    "old.yml": endpoint("old", "tcp://old.shop.internal:7000", old.port),
    "next.yml": endpoint("next", "tcp://next.shop.internal:7000", next.port),
  })
  const heard = new Map<string, number>()
  for (let i = 0; i < 60; i++) {
    const name = await greeting(port)
    heard.set(name, (heard.get(name) ?? 0) + 1)
  }
  // A fair coin that falls on one side 60 times would be a wonder.
  expect([...heard.keys()].toSorted()).toEqual(["next", "old"])
  await gateway.until(() => gateway.events.length === 60)
  for (const { traffic_policy: told } of gateway.events) {
    const [{ drawn, version } = {}] = told.logs
    expect(typeof drawn).toBe("number")
    expect(version).toBe(Number(drawn) <= 5 ? "next" : "old")
  }
})

test("names of a wildcard endpoint lead to internal endpoints of the same name, and TLS passes through", async () => {
  const names = ["one.shop.example", "two.shop.example"]
  const behind = names.map((name) => {
    const { cert, key } = ca.issue({ names: [name] })
    return secureUpstream({ cert, key }, async (wire) => {
      await wire.write(`Welcome to ${name}\n`)
      wire.onData = (chunk) => void wire.write(chunk)
    })
  })
  using stack = new DisposableStack()
  for (const server of behind) stack.use(server)
  const port = freePort()
  const policy = `traffic_policy:
  on_tcp_connect:
    - expressions: ["conn.tls.sni.endsWith('.shop.example')"]
      actions:
        - type: forward-internal
          config: { url: "tls://\${conn.tls.sni.split('.')[0]}.internal" }
`
  await using _gateway = await serve({
    "edge.yml": endpoint("edge", `tls://*.shop.example:${port}`, 1, indented(policy, 4)),
    "one.yml": endpoint("one", "tls://one.internal", behind[0]!.port),
    "two.yml": endpoint("two", "tls://two.internal", behind[1]!.port),
  })
  for (const [i, name] of names.entries()) {
    expect(await visitTls(port, name, ca.cert)).toBe(name)
    expect(behind[i]!.accepted[0]!.agreed).toMatchObject({ serverName: name })
  }
  expect(await visitTls(port, "three.shop.example", ca.cert)).toBe("no handshake")
  expect(await visitTls(port, "elsewhere.example", ca.cert)).toBe("no handshake")
})

test("TLS ends at the gateway, which wants a certificate of its clients and tells whose it was", async () => {
  using plain = greeter("plain text")
  const server = ca.issue({ names: ["db.example"] })
  const port = freePort()
  const policy = `traffic_policy:
  on_tcp_connect:
    - actions:
        - type: terminate-tls
          config:
            min_version: "1.3"
            server_certificate: |
${indented(server.cert, 14)}
            server_private_key: |
${indented(server.key, 14)}
            mutual_tls_certificate_authorities:
              - |
${indented(ca.cert, 16)}
        - type: log
          config: { metadata: { who: "\${conn.tls.client.subject.common_name}" } }
    - expressions: ["conn.tls.client.subject.common_name != 'amy'"]
      actions: [{ type: deny }]
`
  await using gateway = await serve({
    "db.yml": endpoint("db", `tls://db.example:${port}`, plain.port, indented(policy, 4)),
  })
  const come = async (name: string | undefined) => {
    const own =
      name === undefined ? {} : ca.issue({ names: [`${name}.example`], usage: "client", subject: `/CN=${name}` })
    const { cert, key } = own as { cert?: string; key?: string }
    const pair = cert === undefined || key === undefined ? {} : { cert, key }
    using client = await connectTls(port, { serverName: "db.example", ca: ca.cert, rejectUnauthorized: true, ...pair })
    return await visit(client)
  }
  expect(await come("amy")).toBe("plain text")
  expect(await come("bob")).not.toBe("plain text")
  expect(await come(undefined)).not.toBe("plain text")
  expect(plain.accepted).toHaveLength(1)
  const events = await gateway.until(() => gateway.events.length === 3 && gateway.events)
  const outcomes = events.map(({ close, traffic_policy: told }) => [told.logs[0]?.["who"], close.reason])
  expect(outcomes.slice(1)).toEqual([
    ["bob", "denied"],
    [undefined, "tls-handshake-failed"],
  ])
  expect(outcomes[0]![0]).toBe("amy")
  expect(JSON.stringify(gateway.log)).not.toContain("PRIVATE KEY")
})

test("an operator's endpoint ends TLS with the certificate of a Secret, and leads to a Service", async () => {
  using pod = greeter("pod")
  const port = freePort()
  await using _gateway = await serve({
    "endpoint.yaml": documents(
      `apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: AgentEndpoint
metadata: { name: db }
spec:
  url: tls://db.example:${port}
  upstream: { url: "tcp://db.default:5432" }
  tlsTermination: { serverCertificateRef: { name: db-certificate } }
`,
      tlsSecret("db-certificate", ca.issue({ names: ["db.example"] })),
      service("db", 5432, [pod]),
    ),
  })
  expect(await visitTls(port, "db.example", ca.cert)).toBe("pod")
})

function oneAction(action: string): string {
  return `on_tcp_connect: [{ actions: [{ type: ${action} }] }]\n`
}

test("a policy that is saved while clients are connected is for those who come after", async () => {
  using ssh = greeter("ssh")
  await using gateway = await serve({
    "ngrok.yml": endpoint("ssh", "tcp://127.0.0.1:0", ssh.port, "    traffic_policy_file: policy.yml\n"),
    "policy.yml": oneAction("log, config: { metadata: { seen: yes } }"),
  })
  const port = await gateway.port("ngrok.yml")
  using early = await connect(port)
  expect(await visit(early)).toBe("ssh")
  gateway.write("policy.yml", oneAction("close-connection"))
  await eventually(async () => (await greeting(port)) === "FIN")
  const before = early.received
  await early.write("still here")
  expect(new TextDecoder().decode(await early.atLeast(before + 10))).toEndWith("still here")
  // Misspelt: what was good last goes on.
  gateway.write("policy.yml", oneAction("close-conection"))
  const problem = await gateway.until(() => gateway.log.find(({ message }) => message.includes("close-conection")))
  expect(problem.message).toContain('did you mean "close-connection"?')
  expect(await greeting(port)).toBe("FIN")
})

test("what the quickstarts get wrong is told, with what to write", async () => {
  const quickstart = `apiVersion: ngrok.k8s.ngrok.com/v1alpha1
kind: CloudEndpoint
metadata: { name: shop }
spec:
  url: tcp://127.0.0.1:9000
  trafficPolicy:
    inline:
      on_http_request:
        - actions: [{ type: custom-response, config: { body: hello } }]
`
  await using dir = await folder({ "endpoint.yaml": quickstart })
  const { code, stderr, stdout } = await tidegate(["check", dir.path])
  const output = stdout + stderr
  expect(code).toBe(2)
  expect(output).toContain("endpoint.yaml:8:7")
  expect(output).toMatch(/on_http_request never runs on a tcp:\/\/ endpoint; did you mean `?"?on_tcp_connect/)
  expect(output).toContain("ERR_NGROK_2230")
})
