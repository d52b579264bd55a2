import { expect, test } from "bun:test"
import { Folder } from "./folder.ts"

function agent(endpoints: string): string {
  return `version: 3\nendpoints:\n${endpoints}`
}

function problems(text: string): readonly string[] {
  return new Folder({ "ngrok.yml": text }).problems
}

function warnings(text: string): readonly string[] {
  return new Folder({ "ngrok.yml": text }).warnings
}

test("an agent configuration is read with all that it may have", () => {
  const folder = new Folder({
    "ngrok.yml": `
version: "3"
agent: { authtoken: abc, heartbeat_interval: 10s, web_addr: 127.0.0.1:4040 }
endpoints:
  - name: ssh
    url: tcp://1.tcp.ngrok.io:12345
    bindings: [public]
    description: "for people"
    metadata: '{"team": "db"}'
    pooling_enabled: false
    traffic_policy:
      on_tcp_connect:
        - actions: [{ type: log, config: { metadata: { a: 1 } } }]
    upstream: { url: 22, protocol: tcp, proxy_protocol: 2 }
`,
  })
  expect(folder.problems).toEqual([])
  expect(folder.warnings).toEqual([expect.stringMatching(/^ngrok.yml:3 agent: .*has no effect here/)])
  expect(folder.warnings.join()).not.toContain("abc")
  expect(folder.listens).toEqual({ "endpoint ssh": ["tcp://:12345"] })
})

test.each([
  ["version: 2\nendpoints: []", /version: expected 3, found 2.*ngrok config upgrade/],
  ["version: four\nendpoints: []", /version: expected 3, found "four"/],
  ["endpoints: []", /write `version: 3`/],
  ["version: 3\nendpoints: {a: 1}", /endpoints: expected a list/],
  ["version: 3\nendpoint: []\nagent: {}", /there is no option "endpoint"; did you mean "endpoints"\?/],
  ["version: 3\ntunnels: {ssh: {proto: tcp, addr: 22}}\nendpoints: []", /tunnels are not read.*endpoints/],
  [agent("- 5"), /endpoints\[0\]: expected an endpoint with name, url and upstream, found 5/],
  [agent("- {name: a, url: tcp://:1}"), /upstream is missing|endpoints\[0\].upstream/],
  [agent("- {name: a, url: tcp://:1, upstream: {}}"), /endpoints\[0\].upstream.*url/],
  [agent("- {url: tcp://:1, upstream: {url: 1}}"), /endpoints\[0\]: name is missing/],
  [agent("- {name: a, url: tcp://:1, upsteam: {url: 1}}"), /there is no option "upsteam"; did you mean "upstream"\?/],
  [
    agent("- {name: a, url: tcp://:1, upstream: {url: 1, proxy_proto: 1}}"),
    /no option "proxy_proto"; known are url, protocol, proxy_protocol/,
  ],
  [agent("- {name: a, url: tcp://:1, upstream: {url: 1, proxy_protocol: 3}}"), /expected 1 or 2, found 3/],
  [
    agent("- {name: a, url: tcp://:1, upstream: {url: 1, protocol: http1}}"),
    /"http1" is for http:\/\/ endpoints.*ERR_NGROK_15003/,
  ],
  [agent("- {name: a, url: tcp://:1, upstream: {url: http://a}}"), /upstream.url: http:\/\/ is not for bytes/],
  [agent("- {name: a, url: tcp://, upstream: {url: 1}}"), /endpoints\[0\].url: .*ERR_NGROK_18003/],
  [
    agent("- {name: a, url: tcp://:1, upstream: {url: 1}}\n- {name: a, url: tcp://:2, upstream: {url: 1}}"),
    /endpoints\[1\].name: "a" is the name of endpoints\[0\] already/,
  ],
  [agent(`- {name: a, url: tcp://:1, description: ${"x".repeat(256)}, upstream: {url: 1}}`), /ERR_NGROK_18012/],
  [agent(`- {name: a, url: tcp://:1, metadata: ${"x".repeat(4097)}, upstream: {url: 1}}`), /ERR_NGROK_18013/],
  [agent("- {name: a, url: tls://a.b, upstream: {url: tls://db:1}}"), /would be encrypted once more/],
  [
    agent("- {name: a, url: tcp://:1, upstream: {url: 1}, agent_tls_termination: {}}"),
    /only clients of tls:\/\/ endpoints speak TLS from the start, found tcp:\/\/:1/,
  ],
  [
    agent(
      "- {name: a, url: tls://a.b, upstream: {url: 1}, agent_tls_termination: {server_certificate: /etc/a.pem, server_private_key: /etc/a.key}}",
    ),
    /server_certificate: expected PEM.*write the PEM text itself/,
  ],
  [
    agent(
      "- {name: a, url: tls://a.b, upstream: {url: 1}, agent_tls_termination: {mutual_tls_certificate_authorities: [/etc/ca.pem]}}",
    ),
    /ERR_NGROK_14002/,
  ],
  [
    agent(
      "- {name: a, url: tcp://:1, upstream: {url: 1}, traffic_policy: {on_tcp_connect: []}, traffic_policy_file: a.yml}",
    ),
    /exclude each other/,
  ],
  [
    agent("- {name: a, url: tcp://:1, upstream: {url: 1}, traffic_policy: {on_http_request: []}}"),
    /on_http_request never runs on a tcp:\/\/ endpoint; did you mean "on_tcp_connect"\? \(ERR_NGROK_2230\)/,
  ],
])("%j is refused", (text, problem) => {
  const found = problems(text)
  expect(found.length).toBeGreaterThan(0)
  expect(found.join("\n")).toMatch(problem)
  expect(new Folder({ "ngrok.yml": text }).parts.size).toBe(0)
})

test("what is wrong is said at its line", () => {
  expect(problems("version: 3\nendpoints:\n  - name: a\n    url: udp://:1\n    upstream:\n      url: 0\n")).toEqual([
    expect.stringMatching(/^ngrok.yml:4 endpoints\[0\].url: udp/),
  ])
})

test("endpoints of http are named and left alone", () => {
  const text = agent(`
- {name: web, url: https://a.ngrok.app, upstream: {url: 8080, protocol: http2}, traffic_policy: {on_http_request: [{actions: [{type: custom-response}]}]}}
- {name: bare, url: b.ngrok.app, upstream: {url: 80}, circuit_breaker: 0.5}
- {name: ssh, url: tcp://:22, upstream: {url: 22}}
- {name: inside, url: http://x.internal, upstream: {url: 22}, traffic_policy: {on_tcp_connect: []}}
`)
  expect(problems(text)).toEqual([])
  expect(warnings(text)).toEqual([
    expect.stringMatching(/internal http endpoint never runs on_tcp_connect \(ERR_NGROK_2262\)/),
    expect.stringMatching(/^ngrok.yml:4 .*left alone: web, bare, inside/),
  ])
  expect(new Folder({ "ngrok.yml": text }).listens).toEqual({ "endpoint ssh": ["tcp://:22"] })
})

test.each([
  ["- {name: a, url: tcp://db.example.com:1, upstream: {url: 1}}", /port 1 of all addresses/],
  ["- {name: a, url: tls://db.example.com:9000, upstream: {url: 1}}", /ERR_NGROK_9035/],
  ["- {name: a, url: tcp://db.default:1, bindings: [kubernetes], upstream: {url: 1}}", /inside of clusters/],
  ["- {name: a, url: tcp://:1, upstream: {url: db}}", /80 is taken/],
  [
    "- {name: a, url: tcp://:1, metadata: {team: db}, upstream: {url: 1}}",
    /metadata: .*takes a text here, and its operator an object/,
  ],
  [
    `- {name: a, url: tcp://:1, upstream: {url: 1}, traffic_policy: {on_tcp_connect: [{expressions: ["'443' == conn.server_port"], actions: [{type: deny}]}]}}`,
    /a port is a number.*conn.server_port == 443/,
  ],
])("%s is served, and it is said", (endpoint, warning) => {
  const text = agent(endpoint)
  expect(warnings(text).join("\n")).toMatch(warning)
})

test("secrets are in no message", () => {
  const key = "-----BEGIN PRIVATE KEY-----\\nQUJDREVG\\n-----END PRIVATE KEY-----"
  const cert = "-----BEGIN CERTIFICATE-----\\nUVdFUlRZ\\n-----END CERTIFICATE-----"
  const folder = new Folder({
    "ngrok.yml": agent(
      `- {name: a, url: tls://a.b, upstream: {url: 1}, agent_tls_termination: {server_certificate: "${cert}", server_private_key: "${key}"}}`,
    ),
  })
  expect(folder.problems.length).toBe(1)
  expect(folder.problems.join()).toContain("ERR_NGROK_14001")
  expect(folder.problems.join()).not.toMatch(/QUJDREVG|UVdFUlRZ/)
})

test("a hundred thousand bytes of garbage make no exception", () => {
  const keys = [
    "version: 3",
    "endpoints:",
    "- name: a",
    "  url: tcp://:1",
    "  upstream: {url: 1}",
    "  bindings: 3",
    "agent: 5",
    "  url: [1]",
    "  traffic_policy: 7",
    "- 1",
  ]
  let seed = 3
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below
  for (let i = 0; i < 500; i++) {
    const text = `endpoints:\n${Array.from({ length: random(8) }, () => keys[random(keys.length)]).join("\n")}`
    expect(Array.isArray(problems(text))).toBe(true)
  }
})
