// The examples that are no TypeScript: they are served as they are, with the addresses of a test in place of their own.
// That `tidegate check` takes them without a word is in examples.test.ts.
import { expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { authority } from "../helper/certificates.ts"
import { ROOT, tidegate } from "../helper/cli.ts"
import { eventually } from "../helper/eventually.ts"
import { greeter, trusting, visit, visitTls } from "../helper/manifests.ts"
import { freePort } from "../helper/ports.ts"
import { serve } from "../helper/serve.ts"
import { secureEcho } from "../helper/secure.ts"
import type { Upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"
import { CertsFolder } from "../tls/certs-folder.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const EXAMPLES = join(ROOT, "policies/examples")

/** As they stand in the examples. */
const SERVICES = {
  imap: "metadata: { name: imap }\nspec: { ports: [{ port: 993 }] }",
  web: "metadata: { name: web, namespace: shop }\nspec: { ports: [{ port: 80 }] }",
  wiki: "metadata: { name: wiki, namespace: shop }\nspec: { ports: [{ port: 443 }] }",
}

/** An example with other texts in place of some of its own, each of which has to be there. */
function example(name: string, replaced: Readonly<Record<string, string>>): string {
  let text = readFileSync(join(EXAMPLES, name), "utf8")
  for (const [from, to] of Object.entries(replaced)) {
    expect({ name, from, found: text.includes(from) }).toEqual({ name, from, found: true })
    text = text.replaceAll(from, to)
  }
  return text
}

async function visited(port: number): Promise<string> {
  using wire = await connect(port)
  const found = await visit(wire)
  wire.end()
  return found
}

function at({ port }: Pick<Upstream, "port">): string {
  return `127.0.0.1:${port}`
}

/** Who greets visitors, one after the other. */
async function inTurn(agent: string, visits: number): Promise<string[]> {
  await using gateway = await serve({ "agent.yaml": agent })
  const port = await gateway.port("agent.yaml")
  const found: string[] = []
  for (let i = 0; i < visits; i++) found.push(await visited(port))
  return found
}

/** A Service of an example that has no EndpointSlice, with one. */
function sliced(service: string, name: string, port: number): string {
  const namespace = /namespace: (\w+)/.exec(service)?.[1] ?? "default"
  return `${service}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
endpoints: [{ addresses: [127.0.0.1] }]
ports: [{ port: ${port} }]`
}

test("ngrok-policy.yaml: by range, with variables, on to another rule when a server is down, and at a rate", async () => {
  using branch = greeter("the branch")
  const gone = freePort()
  const text = example("ngrok-policy.yaml", {
    "127.0.0.1:9140": "127.0.0.1:0",
    "192.0.2.0/24": "127.0.0.1/32",
    "branch-db.internal:5432": at(branch),
    "main-db.internal:5432": `127.0.0.1:${gone}`,
    "capacity: 100": "capacity: 1",
  })
  await using office = await serve({ "policy.yaml": text })
  const port = await office.port("policy.yaml")
  // The second one is over the rate.
  for (const _ of [1, 2]) expect(await visited(port)).toBe("FIN")
  expect(await office.until(() => office.events.length === 2 && office.events)).toMatchObject([
    { close: { reason: "dial-failed" }, policy: { decision: "route" }, traffic_policy: { logs: [{ site: "office" }] } },
    { close: { reason: "denied" }, policy: { reason: 'rate-limit "main": too many connections' } },
  ])
  // Who is of the branch gets its server, and never comes to that rule unless it is down.
  const local = text.replace("'198.51.100.0/24'", "'127.0.0.0/8'")
  await using there = await serve({
    "policy.yaml": local,
    "down.yaml": local.replaceAll(at(branch), `127.0.0.1:${gone}`),
  })
  for (const _ of [1, 2]) expect(await visited(await there.port("policy.yaml"))).toBe("the branch")
  expect(await visited(await there.port("down.yaml"))).toBe("FIN")
  const failed = await there.until(() => there.events.find(({ policy }) => policy?.file === "down.yaml"))
  expect(failed).toMatchObject({ close: { reason: "dial-failed" }, traffic_policy: { logs: [{ site: "branch" }] } })
})

test("ngrok-agent.yaml: the first internal endpoint that answers, then those that take turns, then the upstream", async () => {
  using one = greeter("one")
  using two = greeter("two")
  using three = greeter("three")
  using standby = greeter("standby")
  const gone = freePort()
  const text = example("ngrok-agent.yaml", {
    "127.0.0.1:9141": "127.0.0.1:0",
    "10.0.1.1:5432": at(one),
    "10.0.1.2:5432": at(two),
    "10.0.1.3:5432": at(three),
    "orders-standby.example.com:5432": at(standby),
    // A greeter does not read PROXY headers.
    ", proxy_protocol: 2": "",
  })
  const without = (...servers: readonly Upstream[]) =>
    servers.reduce((found, server) => found.replaceAll(at(server), `127.0.0.1:${gone}`), text)
  expect(await inTurn(text, 2)).toEqual(["one", "one"])
  expect(await inTurn(without(one), 2)).toEqual(["two", "three"])
  expect(await inTurn(without(one, two, three), 1)).toEqual(["standby"])
  // What the internal endpoint's own policy denies, nobody else gets.
  expect(await inTurn(text.replace("203.0.113.66/32", "127.0.0.1/32"), 1)).toEqual(["FIN"])
})

test("gateway-api.yaml: weights, clients, names that pass through and names that end here", async () => {
  const ca = authority()
  using certs = new CertsFolder()
  const web = ca.issue({ names: ["*.shop.example.com"] })
  certs.write("web.crt", web.cert)
  certs.write("web.key", web.key)
  using db = greeter("db")
  using next = greeter("next")
  using wiki = secureEcho(ca.issue({ names: ["wiki.example.com"] }))
  using shop = greeter("shop")
  const [tcp, tls] = [freePort(), freePort()]
  const slice = "endpoints: [{ addresses: [10.0.1.3] }]\nports: [{ name: postgres, port: 5432 }]"
  const first =
    "endpoints: [{ addresses: [10.0.1.1] }, { addresses: [10.0.1.2] }]\nports: [{ name: postgres, port: 5432 }]"
  const text = example("gateway-api.yaml", {
    "port: 9143": `port: ${tcp}`,
    "port: 9144": `port: ${tls}`,
    [first]: `endpoints: [{ addresses: [127.0.0.1] }]\nports: [{ name: postgres, port: ${db.port} }]`,
    [slice]: `endpoints: [{ addresses: [127.0.0.1] }]\nports: [{ name: postgres, port: ${next.port} }]`,
    // Greeters are no PostgreSQL.
    "check: postgres": "check: tcp",
    [SERVICES.wiki]: sliced(SERVICES.wiki, "wiki", wiki.port),
    [SERVICES.web]: sliced(SERVICES.web, "web", shop.port),
  })
  await using gateway = await serve({ "gateway.yaml": text }, "--certs", certs.path)
  const shares = new Map<string, number>()
  for (let i = 0; i < 20; i++) {
    const name = await visited(tcp)
    shares.set(name, (shares.get(name) ?? 0) + 1)
  }
  expect(Object.fromEntries(shares)).toEqual({ db: 18, next: 2 })
  expect(await visitTls(tls, "any.shop.example.com", ca.cert)).toBe("shop")
  using through = await trusting(tls, "wiki.example.com", ca.cert)
  await through.until(() => through.agreed !== undefined || through.closed)
  expect(through.agreed?.ok).toBe(true)
  expect(await visitTls(tls, "shop.example.com", ca.cert)).toBe("no handshake")
  gateway.write("gateway.yaml", text.replace('allow: ["127.0.0.0/8", "192.0.2.0/24"]', 'allow: ["192.0.2.0/24"]'))
  await eventually(async () => (await visited(tcp)) === "FIN")
})

test("kong-tcpingress.yaml: a port, a name that passes through, and the options of the Service", async () => {
  const ca = authority()
  using redis = greeter("redis")
  using imap = secureEcho(ca.issue({ names: ["imap.example.com"] }))
  const [tcp, tls] = [freePort(), freePort()]
  const text = example("kong-tcpingress.yaml", {
    "port: 9145": `port: ${tcp}`,
    "port: 9146": `port: ${tls}`,
    "endpoints: [{ addresses: [10.0.3.1] }, { addresses: [10.0.3.2] }]\nports: [{ port: 6379 }]": `endpoints: [{ addresses: [127.0.0.1] }]\nports: [{ port: ${redis.port} }]`,
    [SERVICES.imap]: sliced(SERVICES.imap, "imap", imap.port),
  })
  await using gateway = await serve({ "ingress.yaml": text })
  expect(await visited(tcp)).toBe("redis")
  using through = await trusting(tls, "imap.example.com", ca.cert)
  await through.until(() => through.agreed !== undefined || through.closed)
  expect(through.agreed?.ok).toBe(true)
  const { stdout } = await tidegate(["check", gateway.folder])
  expect(stdout).toContain(`default/redis:6379  hash over tcp://127.0.0.1:${redis.port}`)
})

test("the form of kong-tcpingress.yaml in Gateway API is printed without a note", async () => {
  const { code, stderr, stdout } = await tidegate(["convert", join(EXAMPLES, "kong-tcpingress.yaml")])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  const kinds = [...stdout.matchAll(/^kind: (.*)$/gm)].map(([, kind]) => kind)
  expect(kinds).toEqual(["GatewayClass", "Gateway", "TCPRoute", "TidegatePolicy", "Gateway", "TLSRoute"])
})
