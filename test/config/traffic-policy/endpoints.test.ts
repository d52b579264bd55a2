import { expect, test } from "bun:test"
import { simulate } from "../../../src/policy/simulated.ts"
import { Folder, leadsTo } from "./folder.ts"

const FROM = { from: "10.0.0.1", to: "tcp://:5432" } as const

function agent(...endpoints: readonly string[]): string {
  return `version: 3\nendpoints:\n${endpoints.map((one) => `- ${one}`).join("\n")}\n`
}

const DENY_TEN = "{on_tcp_connect: [{expressions: [\"conn.client_ip == '10.0.0.1'\"], actions: [{type: deny}]}]}"

function forwarding(url: string, onError = "halt"): string {
  return `{type: forward-internal, config: {url: "${url}", on_error: ${onError}}}`
}

function policy(...actions: readonly string[]): string {
  return `{on_tcp_connect: [{actions: [${actions.join(", ")}]}]}`
}

test("without a decision of its policy a connection goes to the upstream", async () => {
  const folder = new Folder({
    "ngrok.yml": agent(
      `{name: db, url: tcp://:5432, upstream: {url: 22, proxy_protocol: 2}, traffic_policy: ${DENY_TEN}}`,
    ),
  })
  expect(await folder.ask("endpoint db", FROM)).toMatchObject({ action: "deny" })
  const answer = await folder.ask("endpoint db", { ...FROM, from: "10.0.0.2" })
  expect(answer).toMatchObject({ action: "route", targets: [{ url: "tcp://localhost:22" }], proxyProtocol: 2 })
})

test("tls:// upstreams are verified, and pools are named by pool://", async () => {
  const folder = new Folder({
    "ngrok.yml": agent(
      "{name: a, url: tcp://:1, upstream: {url: tls://db:5432}}",
      "{name: b, url: tcp://:2, upstream: {url: pool://db}}",
    ),
  })
  expect(await folder.ask("endpoint a", FROM)).toMatchObject({ targets: [{ url: "tls://db:5432" }], tls: {} })
  expect(leadsTo(await folder.ask("endpoint b", FROM))).toBe("db")
  expect(folder.rule("endpoint b").route).toMatchObject({ pool: "db" })
})

test("a policy that stands alone is asked on every listener, or where it says", async () => {
  const folder = new Folder({
    "guard.yaml": `on_tcp_connect: [{expressions: ["endpoint.port == 5432 && endpoint.protocol == 'tcp'"], actions: [{type: deny}]}]`,
    "edge.yaml": `listen: [tcp://:9000, {url: "tls://db.example.com:443", maxConnections: 5}]\n${"on_tcp_connect: [{actions: [{type: deny}]}]"}`,
  })
  expect(folder.problems).toEqual([])
  const [guard] = folder.contents("guard.yaml").rules
  const [edge] = folder.contents("edge.yaml").rules
  expect(guard).toMatchObject({ title: undefined, listen: undefined, last: false })
  expect(edge!.listen).toMatchObject([{ url: "tcp://:9000" }, { url: "tls://db.example.com:443", maxConnections: 5 }])
  const ask = async (to: string) => guard!.connect(simulate({ from: "10.0.0.1", to }).connection, undefined)
  expect(await ask("tcp://:5432")).toMatchObject({ action: "deny" })
  expect(await ask("tcp://:5433")).toEqual({ action: "next" })
})

test.each([
  ["listen: tcp//:1", /listen/],
  ["listen: tls://a.b:443\non_http_request: []", /on_http_request never runs on a tls/],
])("a policy that says %j is refused", (text, problem) => {
  const folder = new Folder({ "a.yaml": `${text}\non_tcp_connect: [{actions: [{type: deny}]}]` })
  expect(folder.problems.join("\n")).toMatch(problem)
})

test("a policy in a file is the endpoint's that names it, and nobody else's", async () => {
  const folder = new Folder({
    "guard.yaml": DENY_TEN,
    "ngrok.yml": agent("{name: db, url: tcp://:5432, upstream: {url: 22}, traffic_policy_file: ./guard.yaml}"),
  })
  expect(folder.problems).toEqual([])
  expect(folder.parts.get("guard.yaml")).toBeUndefined()
  expect(await folder.ask("endpoint db", FROM)).toMatchObject({ action: "deny" })
})

test.each([
  ["../guard.yaml", /is not in this folder.*write "guard.yaml"/],
  ["policies/guard.yaml", /is not in this folder/],
  ["gaurd.yaml", /no traffic policy in "gaurd.yaml" here; did you mean "guard.yaml"\?/],
  ["two.yaml", /two.yaml has several traffic policies/],
  ["edge.yaml", /listens by itself/],
])("traffic_policy_file: %s is refused, and the others serve", (file, problem) => {
  const folder = new Folder({
    "guard.yaml": DENY_TEN,
    "edge.yaml": `listen: tcp://:9\non_tcp_connect: [{actions: [{type: deny}]}]`,
    "two.yaml": `${DENY_TEN}\n---\n${DENY_TEN}`,
    "ngrok.yml": agent(
      `{name: a, url: tcp://:1, upstream: {url: 22}, traffic_policy_file: ${file}}`,
      "{name: b, url: tcp://:2, upstream: {url: 22}}",
    ),
  })
  expect(folder.problems).toEqual([expect.stringMatching(/^ngrok.yml:3 endpoints\[0\].traffic_policy_file: /)])
  expect(folder.problems.join()).toMatch(problem)
  expect(folder.contents("ngrok.yml").rules.map(({ title }) => title)).toEqual(["endpoint b"])
})

test("a policy for HTTP is a problem, unless an http endpoint has it", () => {
  const http = "on_http_request: [{actions: [{type: deny}]}]"
  const web = agent("{name: web, url: https://a.b, upstream: {url: 80}, traffic_policy_file: web.yaml}")
  expect(new Folder({ "web.yaml": http }).problems.join()).toContain("ERR_NGROK_2230")
  expect(new Folder({ "web.yaml": http, "ngrok.yml": web }).problems).toEqual([])
})

test("forward-internal goes to the most specific endpoint, whose own policy runs with its own variables", async () => {
  const folder = new Folder({
    "edge.yml": agent(
      `{name: edge, url: tcp://:5432, upstream: {url: 1}, traffic_policy: ${policy("{type: set-vars, config: {vars: [{a: '1'}]}}", forwarding("tcp://one.db.internal:5432"))}}`,
      `{name: other, url: tcp://:5433, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://two.db.internal:5432"))}}`,
    ),
    "inside.yml": agent(
      "{name: any, url: 'tcp://*.internal:5432', upstream: {url: 2}}",
      `{name: db, url: 'tcp://*.db.internal:5432', upstream: {url: 3}}`,
      `{name: one, url: tcp://one.db.internal:5432, upstream: {url: 4}, traffic_policy: {on_tcp_connect: [{expressions: ["!has(vars.a) && endpoint.url == 'tcp://one.db.internal:5432' && endpoint.port == 5432"], actions: [{type: log, config: {metadata: {at: "\${endpoint.host}"}}}]}]}}`,
    ),
  })
  expect(folder.problems).toEqual([])
  const met = simulate(FROM)
  expect(leadsTo(await folder.ask("endpoint edge", FROM, met))).toBe("tcp://localhost:4")
  expect(JSON.stringify(met.log)).toContain("one.db.internal")
  expect(leadsTo(await folder.ask("endpoint other", FROM))).toBe("tcp://localhost:3")
})

test("a chain goes on with the next endpoint where one does not exist", async () => {
  const folder = new Folder({
    "a.yml": agent(
      `{name: edge, url: tcp://:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://gone.internal:1", "continue"), forwarding("tcp://there.internal:1"))}}`,
      `{name: halt, url: tcp://:2, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://gone.internal:1"))}}`,
      "{name: there, url: tcp://there.internal:1, upstream: {url: 9}}",
    ),
  })
  expect(leadsTo(await folder.ask("endpoint edge", FROM))).toBe("tcp://localhost:9")
  expect(leadsTo(await folder.ask("endpoint halt", FROM))).toMatch(
    /^deny .*tcp:\/\/gone.internal:1 is offline.*ERR_NGROK_3200/,
  )
  expect(folder.warnings).toEqual([expect.stringContaining("is offline"), expect.stringContaining("is offline")])
})

test("endpoints of other protocols and ports are not reached, and the right URL is told", () => {
  const folder = new Folder({
    "a.yml": agent(
      `{name: a, url: tcp://:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tls://db.internal"))}}`,
      `{name: b, url: tcp://:2, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://db.internal:5431"))}}`,
      `{name: c, url: tcp://:3, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://dd.internal:5432"))}}`,
      "{name: db, url: tcp://db.internal:5432, upstream: {url: 9}}",
    ),
  })
  const said = [...folder.problems, ...folder.warnings].join("\n")
  expect(said).toMatch(/ERR_NGROK_2205/)
  expect(said.match(/did you mean "tcp:\/\/db.internal:5432"/g)?.length).toBeGreaterThanOrEqual(2)
})

test("a circle of endpoints ends, and its chain is told", async () => {
  const folder = new Folder({
    "a.yml": agent(
      `{name: edge, url: tcp://:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://a.internal:1"))}}`,
      `{name: a, url: tcp://a.internal:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://b.internal:1"))}}`,
      `{name: b, url: tcp://b.internal:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://a.internal:1"))}}`,
    ),
  })
  const asked = folder.ask("endpoint edge", FROM)
  await expect(asked).rejects.toThrow(
    /more than 8 endpoints: tcp:\/\/:1 -> tcp:\/\/a.internal:1 -> tcp:\/\/b.internal:1 -> .*ERR_NGROK_3501/,
  )
})

test("eight endpoints in a row are no circle", async () => {
  const row = Array.from({ length: 8 }, (_, i) => {
    const next = i < 7 ? `, traffic_policy: ${policy(forwarding(`tcp://e${i + 1}.internal:1`))}` : ""
    return `{name: e${i}, url: tcp://e${i}.internal:1, upstream: {url: ${100 + i}}${next}}`
  })
  const edge = `{name: edge, url: tcp://:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding("tcp://e0.internal:1"))}}`
  const folder = new Folder({ "a.yml": agent(edge, ...row) })
  expect(leadsTo(await folder.ask("endpoint edge", FROM))).toBe("tcp://localhost:107")
})

test("endpoints of one URL that all have pooling take turns, each with its own policy", async () => {
  const folder = new Folder({
    "a.yml": agent("{name: x, url: tcp://:5432, pooling_enabled: true, upstream: {url: 1}}"),
    "b.yml": agent(
      `{name: y, url: tcp://:5432, pooling_enabled: true, upstream: {url: 2}, traffic_policy: ${DENY_TEN}}`,
      "{name: z, url: tcp://:5432, pooling_enabled: true, upstream: {url: 3}}",
    ),
  })
  expect(folder.problems).toEqual([])
  expect(folder.listens).toEqual({ "endpoint x and 2 more": ["tcp://:5432"] })
  expect(folder.contents("b.yml").rules).toEqual([])
  const said: unknown[] = []
  for (let i = 0; i < 6; i++) said.push(leadsTo(await folder.ask("endpoint x and 2 more", FROM)))
  expect(said).toEqual([
    "tcp://localhost:1",
    "deny deny: on_tcp_connect[0]",
    "tcp://localhost:3",
    "tcp://localhost:1",
    "deny deny: on_tcp_connect[0]",
    "tcp://localhost:3",
  ])
})

test.each([
  ["", "pooling_enabled: true, ", /ERR_NGROK_18016/],
  ["pooling_enabled: true, ", "", /ERR_NGROK_18017/],
  ["", "", /ERR_NGROK_18017/],
])("a URL that is not shared is that of whoever was there first (%j, %j)", (first, second, problem) => {
  const folder = new Folder({
    "z.yml": { savedAt: 1, text: agent(`{name: x, url: tls://a.b, ${first}upstream: {url: 1}}`) },
    "a.yml": { savedAt: 2, text: agent(`{name: y, url: tls://A.B:443, ${second}upstream: {url: 2}}`) },
  })
  expect(folder.problems).toEqual([
    expect.stringMatching(/^a.yml:3 .*tls:\/\/a.b is the URL of endpoint x in z.yml already/),
  ])
  expect(folder.problems.join()).toMatch(problem)
  expect(folder.listens).toEqual({ "endpoint x": ["tls://a.b:443"] })
})

test.each([
  ["tcp://1.tcp.ngrok.io:9", "tcp://2.tcp.ngrok.io:9", /one address and port.*say no name/],
  ["tcp://:9", "tls://a.b:9", /one address and port.*one scheme/],
])("%s and %s are one listener: the later one does not serve", (first, second, problem) => {
  const folder = new Folder({
    "a.yml": agent(`{name: x, url: "${first}", upstream: {url: 1}}`, `{name: y, url: "${second}", upstream: {url: 2}}`),
  })
  expect(folder.problems).toHaveLength(1)
  expect(folder.problems.join()).toMatch(problem)
  expect(Object.keys(folder.listens)).toEqual(["endpoint x"])
})

test("names of tls:// endpoints share a port", () => {
  const folder = new Folder({
    "a.yml": agent("{name: x, url: tls://a.b, upstream: {url: 1}}", "{name: y, url: 'tls://*.b', upstream: {url: 2}}"),
  })
  expect(folder.problems).toEqual([])
  expect(Object.keys(folder.listens)).toEqual(["endpoint x", "endpoint y"])
})

test("port 0 is another one in each file", () => {
  const folder = new Folder({
    "a.yml": agent("{name: x, url: tcp://127.0.0.1:0, upstream: {url: 1}}"),
    "b.yml": agent("{name: y, url: tcp://127.0.0.1:0, upstream: {url: 2}}"),
  })
  expect(folder.problems).toEqual([])
  expect(Object.keys(folder.listens)).toEqual(["endpoint x", "endpoint y"])
})

const keys = (files: Record<string, string>) => {
  const { parts } = new Folder(files)
  return Object.fromEntries([...parts].map(([file, { key }]) => [file, key]))
}

test("the key of a file changes with what it does, and with nothing else", () => {
  const edge = (url: string) =>
    agent(`{name: edge, url: tcp://:1, upstream: {url: 1}, traffic_policy: ${policy(forwarding(url))}}`)
  const inside = (port: number) => agent(`{name: db, url: tcp://db.internal:1, upstream: {url: ${port}}}`)
  const other = agent("{name: a, url: tcp://:7, upstream: {url: 1}}")
  const before = keys({ "edge.yml": edge("tcp://db.internal:1"), "in.yml": inside(5), "other.yml": other })
  const after = keys({ "edge.yml": edge("tcp://db.internal:1"), "in.yml": inside(6), "other.yml": other })
  expect(after["other.yml"]).toBe(before["other.yml"]!)
  expect(after["in.yml"]).not.toBe(before["in.yml"])
  expect(after["edge.yml"]).not.toBe(before["edge.yml"])
  expect(keys({ "edge.yml": edge("tcp://db.internal:1"), "in.yml": inside(5), "other.yml": other })).toEqual(before)
  const shared = (port: number) => agent(`{name: b, url: tcp://:7, pooling_enabled: true, upstream: {url: ${port}}}`)
  const pool = (port: number) => keys({ "a.yml": shared(1), "b.yml": shared(port) })
  expect(pool(2)["a.yml"]).not.toBe(pool(3)["a.yml"])
})

test("thousands of endpoints compile in a moment when one file changes", () => {
  const files: Record<string, string> = {}
  for (let i = 0; i < 300; i++) {
    files[`f${i}.yml`] = agent(
      ...Array.from(
        { length: 10 },
        (_, j) => `{name: e${j}, url: tls://e${j}.f${i}.example.com, upstream: {url: ${j + 1}}}`,
      ),
    )
  }
  expect(new Folder(files).parts.size).toBe(300)
  const { parts } = new Folder({ ...files, "f7.yml": agent("{name: a, url: tcp://:7, upstream: {url: 1}}") })
  expect(parts.size).toBe(300)
})

test("an internal endpoint of another protocol is told with what to write, not with its own URL", () => {
  const { warnings } = new Folder({
    "agent.yaml": `version: 3
endpoints:
  - name: out
    url: tcp://:5432
    traffic_policy: { on_tcp_connect: [{ actions: [{ type: forward-internal, config: { url: "tls://x.internal" } }] }] }
    upstream: { url: tcp://127.0.0.1:1 }
  - { name: x, url: "tls://x.internal", upstream: { url: "tcp://127.0.0.1:1" } }
`,
  })
  expect(warnings).toEqual([
    expect.stringContaining(
      "[write tcp:// here and in the URL of the internal endpoint: bytes of both pass as they are]",
    ),
  ])
})
