// Decisions of traffic policies beside the same decisions in TypeScript, for micro.ts: three rules with expressions, asked
// about a connection as the data path shows it.
import type { Document } from "../src/config/manifests/document.ts"
import { compilePolicy, ForwardFailure, readPolicy, type Visit } from "../src/config/traffic-policy/policy.ts"
import { readYaml } from "../src/config/yaml.ts"
import type { Connection } from "../src/policy/connection.ts"
import { cidrs } from "../src/policy/cidr.ts"
import { deny, next, route } from "../src/policy/decision.ts"

const POLICY = `
on_tcp_connect:
  - name: no strangers
    expressions:
      - "!inCidrRanges(conn.client_ip, ['10.0.0.0/8', '192.168.0.0/16', '127.0.0.0/8'])"
    actions: [{ type: deny }]
  - name: reserved ports
    expressions:
      - conn.client_port < 1024
      - endpoint.port != 22
    actions: [{ type: deny }]
  - name: the database
    expressions: ["conn.server_port == 9000 && conn.client_ip.startsWith('127.')"]
    actions: [{ type: forward, config: { url: "tcp://127.0.0.1:5432" } }]
`

const ENDPOINT: Visit["endpoint"] = {
  id: "ep_1",
  url: "tcp://db.example:9000",
  addr: "db.example:9000",
  host: "db.example",
  port: 9000,
  protocol: "tcp",
}

const forward = () => new ForwardFailure("ERR_NGROK_3200", "none here")

const visit = (connection: Connection): Visit => ({
  connection,
  endpoint: ENDPOINT,
  depth: 0,
  fallThrough: next,
  forward,
})

/** @param view a new one each time: what is computed once per connection is a part of it */
export function policies(view: () => Connection): Readonly<Record<string, () => unknown>> {
  const [document] = readYaml("/policy.yaml", POLICY).documents
  if (document === undefined) throw new Error("the policy cannot be read")
  const source: Document["source"] = {
    file: "policy.yaml",
    path: "/policy.yaml",
    digest: "",
    savedAt: 0,
    shown: POLICY,
  }
  const read = readPolicy({ ...document, source }, [], document.value, {
    protocol: "tcp",
    endpoint: "agent",
    isInternal: false,
  })
  if (read.value === undefined) throw new Error(read.problems.map(({ message }) => message).join("\n"))
  const made = compilePolicy(read.value, {
    owner: "policy.yaml",
    modules: new Map(),
    ipPolicy: () => undefined,
    facts: {},
  })
  const policy = made.value
  if (policy === undefined) throw new Error(made.problems.map(({ message }) => message).join("\n"))
  const known = cidrs("10.0.0.0/8", "192.168.0.0/16", "127.0.0.0/8")
  const inTypeScript = (connection: Connection) => {
    const { client, server } = connection
    if (!client.within(known)) return deny("no strangers")
    if (client.port! < 1024 && ENDPOINT.port !== 22) return deny("reserved ports")
    if (server.port === 9000 && client.address!.startsWith("127.")) return route("tcp://127.0.0.1:5432")
    return next
  }
  const decided = [policy.connect(visit(view())), inTypeScript(view())]
  if (decided.some((one) => one instanceof Promise || one.action !== "route"))
    throw new Error("they do not decide alike")
  return {
    [IN_YAML]: () => policy.connect(visit(view())),
    [IN_TYPESCRIPT]: () => inTypeScript(view()),
  }
}

/** That the first takes at most three microseconds more than the second is promised. */
export const IN_YAML = "a policy of three rules with expressions, in YAML"
export const IN_TYPESCRIPT = "the same policy in TypeScript"
