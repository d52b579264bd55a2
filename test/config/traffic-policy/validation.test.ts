// What is wrong with a policy is said at its place, with ngrok's number and what to write.
import { describe, expect, test } from "bun:test"
import {
  ALONE,
  CLOUD,
  documentOf,
  logged,
  made,
  policyOf,
  problems,
  read,
  rendered,
  TCP,
  TLS,
  warnings,
} from "./policy-of.ts"
import { readPolicy } from "../../../src/config/traffic-policy/policy.ts"

const rule = (actions: string, expressions = "") => `on_tcp_connect: [{ ${expressions} actions: [${actions}] }]`
const action = (type: string, config = "{}") => rule(`{ type: ${type}, config: ${config} }`)
/** The messages alone. */
const messages = (text: string, situation = TCP) => problems(text, situation).map((one) => one.replace(/^\S+ /, ""))
const codes = (text: string, situation = TCP) =>
  problems(text, situation).map((one) => Number(/ERR_NGROK_(\d+)/.exec(one)?.[1]))

const many = (count: number, one: string) => Array.from({ length: count }, () => one).join(", ")
const forward = (onError: string) =>
  `{ type: forward-internal, config: { url: "tcp://a.internal:1", on_error: ${onError} } }`
const key = (text: string) => policyOf(text).key

/** A small generator: numbers of a seed. */
function* numbers(seed: number): Generator<number> {
  let state = seed >>> 0
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state >>> 8
  }
}

describe("phases", () => {
  test("of HTTP never run at layer 4", () => {
    expect(problems("on_http_request: []", TCP)).toEqual([
      '1:1 on_http_request: on_http_request never runs on a tcp:// endpoint; did you mean "on_tcp_connect"? (ERR_NGROK_2230) | TCP and TLS endpoints have one phase, on_tcp_connect: its actions know the connection, and nothing of requests',
    ])
    expect(problems("on_tcp_connect: []\non_http_response: []", TLS)).toEqual([
      "2:1 on_http_response: on_http_response never runs on a tls:// endpoint (ERR_NGROK_2230) | take it out",
    ])
    expect(codes("on_event_stream_message: []", ALONE)).toEqual([2230])
  })

  test("that do not exist", () => {
    expect(problems("on_tls_request: []", TLS)).toEqual([
      '1:1 on_tls_request: there is no phase "on_tls_request" on a tls:// endpoint; did you mean "on_tcp_connect"? (ERR_NGROK_2230) | TLS endpoints have on_tcp_connect as well; the actions are the same',
    ])
    expect(messages("on_tcp_conect: []")).toEqual([
      'on_tcp_conect: a policy has no "on_tcp_conect"; did you mean "on_tcp_connect"? (ERR_NGROK_2236)',
    ])
    expect(codes("on_tcp_connect: []\nfoo: 1")).toEqual([2236])
  })

  test("of the old format", () => {
    expect(codes("inbound: []\noutbound: []")).toEqual([2230, 2230])
    expect(messages("on_tcp_connect: []\nenabled: false")[0]).toContain("a policy that is there is enabled")
    expect(warnings("on_tcp_connect: []\nenabled: true")).toEqual([
      "2:1 enabled: enabled is of the old format, and has no effect: take it out (ERR_NGROK_2236)",
    ])
  })

  test("of internal HTTP endpoints are those of HTTP", () => {
    expect(codes("on_tcp_connect: []", { protocol: "http", endpoint: "agent", isInternal: true })).toEqual([2262])
  })
})

describe("rules", () => {
  test("have known fields and at least one action", () => {
    expect(messages("on_tcp_connect: [{ expresions: [], actions: [{ type: deny }] }]")).toEqual([
      'on_tcp_connect[0].expresions: a rule has no field "expresions"; did you mean "expressions"? (ERR_NGROK_2236)',
    ])
    for (const text of ["[{}]", "[{ actions: [] }]", "[{ actions: null }]"])
      expect(codes(`on_tcp_connect: ${text}`)).toEqual([2206])
    expect(messages("on_tcp_connect: [{ type: deny }]").join("\n")).toContain("`type` stands in an action")
  })

  test("may have any scalar for a name", () => {
    for (const name of ["1", "true", '"x"', "1.5", "null"])
      expect(problems(`on_tcp_connect: [{ name: ${name}, actions: [{ type: deny }] }]`)).toEqual([])
    expect(codes("on_tcp_connect: [{ name: {}, actions: [{ type: deny }] }]")).toEqual([2236])
  })

  test("are a list, and so are their expressions and actions", () => {
    expect(codes("on_tcp_connect: { actions: [] }")).toEqual([2236])
    expect(codes("on_tcp_connect:")).toEqual([2236])
    expect(codes('on_tcp_connect: [{ expressions: "true", actions: [{ type: deny }] }]')).toEqual([2200])
    expect(codes("on_tcp_connect: [{ actions: { type: deny } }]")).toEqual([2236])
    expect(codes("on_tcp_connect: [{ expressions: [true], actions: [{ type: deny }] }]")).toEqual([2200])
    expect(codes("on_tcp_connect: [deny]")).toEqual([2236])
    expect(messages("on_tcp_connect: [{ actions: [deny] }]")[0]).toContain("write: { type: deny }")
  })

  test("are bounded in number and size", () => {
    const conditional = '{ expressions: ["false"], actions: [{ type: deny }] }'
    expect(codes(`on_tcp_connect: [${many(1001, conditional)}]`)).toEqual([2264])
    expect(codes(rule(many(101, "{ type: log, config: { metadata: {} } }")))).toEqual([2265])
  })

  test("after one that ends the policy for every connection are never reached", () => {
    expect(messages("on_tcp_connect: [{ actions: [{ type: deny }] }, { actions: [{ type: deny }] }]")).toEqual([
      "on_tcp_connect[1]: this rule is never reached: on_tcp_connect[0] has no expressions, and ends the policy for every connection (ERR_NGROK_2207) | give on_tcp_connect[0] an expression, or put it last",
    ])
    const open = '{ expressions: ["conn.client_port == 1"], actions: [{ type: deny }] }'
    expect(problems(`on_tcp_connect: [${open}, ${open}]`)).toEqual([])
  })

  test("have no action after one that ends the policy", () => {
    const log = "{ type: log, config: { metadata: {} } }"
    expect(messages(rule(`{ type: deny }, ${log}, ${log}`))).toEqual([
      "on_tcp_connect[0].actions[1]: log and the action after it are never reached: deny before ends the policy (ERR_NGROK_2207) | put it before deny, or take it out",
    ])
    expect(codes(rule(`${forward("halt")}, ${log}`))).toEqual([2207])
    expect(problems(rule(`${forward("continue")}, ${log}`))).toEqual([])
  })

  test("of a cloud endpoint have to decide about every connection", () => {
    const conditional = rule("{ type: deny }", 'expressions: ["conn.client_port == 1"],')
    expect(problems(conditional, TCP)).toEqual([])
    expect(codes(conditional, CLOUD)).toEqual([2235])
    expect(codes("on_tcp_connect: []", CLOUD)).toEqual([2235])
    expect(codes("{}", CLOUD)).toEqual([2235])
    const goesOn = "{ type: forward-internal, config: { url: 'tcp://a.internal:1', on_error: continue } }"
    expect(codes(rule(goesOn), CLOUD)).toEqual([2235])
    expect(problems(rule(`${goesOn}, { type: deny }`), CLOUD)).toEqual([])
    expect(policyOf(rule("{ type: deny }", 'expressions: ["true"],'), { situation: CLOUD }).alwaysDecides).toBe(true)
  })
})

describe("actions", () => {
  test("that are not known, or are for HTTP, say what to write", () => {
    expect(messages(action("dney"))).toEqual([
      'on_tcp_connect[0].actions[0].type: there is no action "dney"; did you mean "deny"? (ERR_NGROK_2201)',
    ])
    expect(messages(action("restrict_ips"))[0]).toContain('did you mean "restrict-ips"?')
    expect(codes(action("oauth"), TCP)).toEqual([2205])
    expect(codes(action("oauth"), ALONE)).toEqual([2202])
    expect(messages(action("http-request"))[0]).toContain("type: typescript")
    expect(messages(rule("{ tpye: deny }"))).toHaveLength(1)
  })

  test("refuse fields that are for HTTP", () => {
    expect(messages(action("deny", "{ status_code: 404 }"))[0]).toContain("status codes are for HTTP")
    expect(messages(action("custom-response", "{ status_code: 404, body: x }"))[0]).toContain("are for HTTP")
  })

  test("refuse unknown fields", () => {
    expect(messages(action("deny", "{ reason: x }"))[0]).toContain('deny has no field "reason"; deny has no fields')
    expect(messages(action("terminate-tls", "{ alpn: [] }"), TLS)[0]).toContain("known are min_version, max_version,")
    expect(messages(action("restrict-ips", '{ alow: ["10.0.0.0/8"], deny: ["10.0.0.0/8"] }'))[0]).toContain(
      'restrict-ips has no field "alow"; did you mean "allow"? (ERR_NGROK_2203)',
    )
    expect(messages(rule("{ type: deny, reason: x }"))[0]).toContain("an action has no field")
  })

  test("restrict-ips takes ranges as ngrok does", () => {
    expect(messages(action("restrict-ips", '{ allow: ["10.0.0.1/8", "1.2.3.4", "::1", "x"] }'))).toEqual([
      'on_tcp_connect[0].actions[0].config.allow[0]: "10.0.0.1/8" does not begin with the lowest address of its range; did you mean "10.0.0.0/8"? (ERR_NGROK_1409)',
      'on_tcp_connect[0].actions[0].config.allow[1]: "1.2.3.4" is an address, and no range; for this address alone write "1.2.3.4/32" (ERR_NGROK_1413)',
      'on_tcp_connect[0].actions[0].config.allow[2]: "::1" is an address, and no range; for this address alone write "::1/128" (ERR_NGROK_1413)',
      'on_tcp_connect[0].actions[0].config.allow[3]: "x" is not a CIDR: expected an address and a prefix length, like "10.0.0.0/8" or "2001:db8::/32" (ERR_NGROK_2217)',
    ])
    expect(codes(action("restrict-ips"))).toEqual([2234])
    expect(codes(action("restrict-ips", "{ allow: [] }"))).toEqual([2223])
    expect(codes(action("restrict-ips", "{ allow: 10.0.0.0/8 }"))).toEqual([2222])
    expect(codes(action("restrict-ips", "{ enforce: 1, allow: ['10.0.0.0/8'] }"))).toEqual([2203])
  })

  test("forward-internal goes to internal endpoints of the same protocol", () => {
    const to = (config: string) => codes(action("forward-internal", config))
    expect(to("{}")).toEqual([2234])
    expect(to('{ url: "http://a.internal" }')).toEqual([2205])
    expect(to('{ url: "tcp://db:5432" }')).toEqual([2204])
    expect(to('{ url: "tcp://*.internal:5432" }')).toEqual([2204])
    expect(to('{ url: "https://x.${conn.client_port}.internal" }')).toEqual([2205])
    expect(to('{ url: "udp://x.${conn.client_port}.internal" }')).toEqual([2226])
    expect(to('{ url: "tcp://${conn.client_port}.example.com:1" }')).toEqual([2204])
    for (const url of [
      "tcp://${conn.server_name}:1",
      "tcp://x-${conn.client_port}.a.internal:${1}",
      "${'tcp'}://a.internal:1",
    ])
      expect(to(`{ url: "${url}" }`)).toEqual([])
    expect(to('{ url: "tcp://a.internal" }')).toEqual([2226])
    expect(to('{ url: "a.internal:5432" }')).toEqual([2226])
    expect(to('{ url: "tcp://a.internal:5432", on_error: contnue }')).toEqual([2222])
    expect(to('{ url: "tcp://a.internal:5432", endpoint_weights: {} }')).toEqual([2203])
    expect(warnings(action("forward-internal", '{ url: "tcp://a.internal:5432", binding: internal }'))[0]).toContain(
      "binding has no effect any more",
    )
    const { forwards } = policyOf(action("forward-internal", '{ url: "TCP://DB.Internal:5432/" }'))
    expect(forwards.map(({ name }) => name)).toEqual(["tcp://db.internal:5432"])
  })

  test("set-vars is a list of maps of one name", () => {
    expect(codes(action("set-vars", "{ vars: { a: 1 } }"))).toEqual([2252])
    expect(codes(action("set-vars", "{ vars: [{ a: 1, b: 2 }] }"))).toEqual([2252])
    expect(codes(action("set-vars", "{ vars: [a] }"))).toEqual([2252])
    expect(codes(action("set-vars", "{ vars: [] }"))).toEqual([2223])
  })

  test("terminate-tls takes PEM, and a list of authorities", () => {
    const to = (config: string) => codes(action("terminate-tls", config), TLS)
    expect(to('{ server_certificate: "x" }')).toEqual([2240, 1922])
    expect(to('{ server_private_key: "x" }')).toEqual([2240, 1901])
    expect(to("{ min_version: 1.3, max_version: '1.2' }")).toEqual([2204])
    expect(to("{ min_version: '1.1' }")).toEqual([2222])
    expect(to('{ mutual_tls_certificate_authorities: "-----BEGIN CERTIFICATE-----" }')).toEqual([2222])
    expect(to('{ mutual_tls_certificate_authorities: ["ca_2abc"] }')).toEqual([1672])
    expect(to('{ mutual_tls_certificate_authorities: ["x"] }')).toEqual([1695])
    expect(to("{ mutual_tls: { certificate_authorities: [] } }")).toEqual([2203])
    expect(to("{ mutual_tls_verification_strategy: require-and-verify }")).toEqual([2240])
    expect(to("{ mutual_tls_verification_strategy: require }")).toEqual([2222])
    expect(messages(action("terminate-tls", '"-----BEGIN CERTIFICATE-----"'), TLS)[0]).toContain("found PEM")
    expect(warnings(action("terminate-tls"), TCP)[0]).toContain("on a tcp:// endpoint every client")
    expect(problems(rule("{ type: terminate-tls }"), TLS)).toEqual([])
  })

  test("terminate-tls ends TLS once", () => {
    const one = "{ type: terminate-tls }"
    const some = `{ expressions: ["conn.tls.sni == 'a'"], actions: [${one}] }`
    const all = `{ actions: [${one}] }`
    expect(messages(rule(`${one}, ${one}`), TLS)).toEqual([
      "on_tcp_connect[0].actions[1]: TLS has ended already where this runs, and it ends once | take it out, or give the rules of both expressions of which one is true",
    ])
    expect(messages(`on_tcp_connect: [${all}, ${some}]`, TLS)).toHaveLength(1)
    expect(messages(`on_tcp_connect: [${some}, ${some}]`, TLS)).toEqual([])
  })

  test("forward says what is wrong with a target", () => {
    const to = (config: string, situation = TCP) => codes(action("forward", config), situation)
    expect(to('{ url: "db:5432" }')).toEqual([2226])
    expect(to('{ url: "http://db:5432" }')).toEqual([2226])
    expect(to('{ url: "tcp://db:5432", connect_timeout: 0s }')).toEqual([2215])
    expect(to('{ url: "tcp://db:5432", proxy_protocol: 3 }')).toEqual([2222])
    expect(to('{ url: "tls://db:5432" }', TLS)).toEqual([2226])
    expect(problems(action("forward", '{ url: "tls://db:5432" }'), TCP)).toEqual([])
    expect(problems(rule('{ type: terminate-tls }, { type: forward, config: { url: "tls://db:1" } }'), TLS)).toEqual([])
    expect(policyOf(action("forward", "{ url: db }")).pools.map(({ name }) => name)).toEqual(["db"])
  })

  test("rate-limit and circuit-breaker have ngrok's ranges", () => {
    expect(codes(action("rate-limit"))).toEqual([2234, 2234, 2234])
    const limit = (more: string) => codes(action("rate-limit", `{ name: x, capacity: 1, rate: 1m30s, ${more} }`))
    expect(limit("")).toEqual([])
    expect(limit("algorithm: fixed")).toEqual([2222])
    expect(limit("bucket_key: [req.host]")).toEqual([2224])
    expect(limit("bucket_key: []")).toEqual([2223])
    expect(limit("bucket_key: conn.client_ip")).toEqual([2203])
    expect(limit("bucket_key: [{ ipv4: 33 }]")).toEqual([2215])
    expect(codes(action("circuit-breaker", "{ error_threshold: 1.5, tripped_duration: 3m }"))).toEqual([2215, 2225])
    expect(codes(action("circuit-breaker", "{ num_buckets: 5 }"))).toEqual([2215])
  })
})

describe("names", () => {
  test("that nothing before has set are worth a look", () => {
    const vars = "{ type: set-vars, config: { vars: [{ tier: 1 }] } }"
    const text = `on_tcp_connect: [{ actions: [${vars}] }, { expressions: ["vars.teir == 1"], actions: [{ type: deny }] }]`
    expect(warnings(text)[0]).toContain('vars.teir: no set-vars before this sets it; did you mean "tier"?')
    const late = `on_tcp_connect: [{ expressions: ["actions.ngrok.log.metadata.x == 1"], actions: [{ type: deny }] }]`
    expect(warnings(late)[0]).toContain("actions.ngrok.log: no log action before this")
    const fine = `on_tcp_connect: [{ actions: [{ type: set-vars, config: { vars: [{ a: 1 }, { b: "\${vars.a}" }] } }] }]`
    expect(warnings(fine)).toEqual([])
  })
})

/** Made, or what is wrong. */
const asked = (expression: string, facts = {}) =>
  made(rule("{ type: deny }", `expressions: ["${expression}"],`), { facts })

describe("what is looked up beside the connection", () => {
  test.each([
    ["conn.geo.country_code == 'DE'", "--geoip", { place: () => undefined }],
    ["has(conn.client_ip.geo.location.city)", "--geoip", { place: () => undefined }],
    ["conn.client_ip.is_tor_node", "--ip-categories", { categories: () => [] }],
    ["secrets.get('v', 'n') == 'x'", "--secrets", { secret: () => undefined }],
  ])("%s: a policy is not loaded where that is not open", (expression, flag, facts) => {
    expect(asked(expression)).toEqual([expect.stringMatching(new RegExp(`^1:.*start with ${flag} FOLDER`))])
    expect(asked(expression, facts)).toHaveProperty("connect")
  })

  test("conn as a whole goes without", async () => {
    const text = action("log", '{ metadata: { all: "${conn}" } }')
    expect(await logged(text)).toMatchObject({ all: { client_port: 4711 } })
  })
})

describe("places", () => {
  test("are those of characters within expressions", () => {
    const text = `on_tcp_connect:
  - expressions:
      - conn.client_port == conn.clint_ip
      - "conn.nope"
    actions:
      - type: log
        config:
          metadata:
            text: |
              one
              two \${nope}
`
    expect(problems(text).map((one) => one.split(" ")[0])).toEqual(["3:29", "4:10", "11:21"])
  })

  test("are those of characters in texts whose lines are joined, or whose characters are escaped", () => {
    const text = `on_tcp_connect:
  - expressions:
      - >
        conn.client_port > 5 ||
        conn.client_prt < 3
      - >-
        true

        && nope1
      - conn.client_port > 5
        && nope2
      - "conn.client_ip == '\\x41\\u0042\\U0001F600' || nope3"
      - "true \\
         && nope4"
      - 'conn.client_ip == ''x'' && nope5'
      - "conn.client_ip != 'x' &&
        nope6"
    actions: [{ type: deny }]
`
    const lines = text.split("\n")
    const wrong = ["conn.client_prt", "nope1", "nope2", "nope3", "nope4", "nope5", "nope6"]
    const expected = wrong.map((name) => {
      const line = lines.findIndex((one) => one.includes(name))
      return `${line + 1}:${lines[line]!.indexOf(name) + 1}`
    })
    expect(problems(text).map((one) => one.split(" ")[0]!)).toEqual(expected)
  })

  test("are those of a text that a Kubernetes object carries", () => {
    const text = `spec:
  policy: |
    on_tcp_connect:
      - actions:
          - type: dney
`
    expect(problems(text, TCP, ["spec", "policy"])).toEqual([
      '5:19 spec.policy.on_tcp_connect[0].actions[0].type: there is no action "dney"; did you mean "deny"? (ERR_NGROK_2201)',
    ])
    const json = `policy: '{"on_tcp_connect": [{"actions": [{"type": "dney"}]}]}'\n`
    expect(problems(json, TCP, ["policy"])[0]).toStartWith("1:52 ")
    const broken = "spec:\n  policy: |\n    on_tcp_connect: [\n"
    expect(problems(broken, TCP, ["spec", "policy"])[0]).toContain("ERR_NGROK_2236")
    expect(read(`policy: '{"on_tcp_connect": [{"actions": [{"type": "deny"}]}]}'`, TCP, ["policy"]).value).toBeDefined()
    expect(problems("policy: 5", TCP, ["policy"])).toEqual([
      "1:9 policy: expected a traffic policy with on_tcp_connect, found 5 (ERR_NGROK_2236)",
    ])
  })

  test("of several problems are in the order of the text, 20 at most", () => {
    const rules = Array.from({ length: 30 }, () => "  - actions: [{ type: dney }]").join("\n")
    const found = problems(`on_tcp_connect:\n${rules}`)
    expect(found).toHaveLength(21)
    expect(found[0]).toStartWith("2:")
    expect(found[19]).toStartWith("21:")
    expect(found[20]).toContain("and 10 more problems")
  })
})

test("a key is another one when the policy does something else, and shows no secret", () => {
  expect(key(rule("{ type: deny }"))).toBe(key(`${rule("{ type: deny }")} # or not`))
  expect(key(rule("{ type: deny }"))).not.toBe(key(rule("{ type: close-connection }")))
  expect(key(rule("{ type: deny }"))).toMatch(/^[0-9a-f]{32}$/)
})

test("private keys are in no message", () => {
  const text = `on_tcp_connect:
  - actions:
      - type: terminate-tls
        config:
          server_certificate: "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----"
          server_private_key: |
            -----BEGIN PRIVATE KEY-----
            c2VjcmV0IHNlY3JldA==
            -----END PRIVATE KEY-----
`
  const shown = rendered(text, TLS)
  expect(shown).toContain("server_")
  expect(shown).not.toContain("c2VjcmV0")
})

describe("any value at all", () => {
  const WORDS = [
    "on_tcp_connect",
    "expressions",
    "actions",
    "type",
    "config",
    "name",
    "deny",
    "log",
    "metadata",
    "set-vars",
    "vars",
    "url",
    "restrict-ips",
    "allow",
    "terminate-tls",
    "rate-limit",
    "bucket_key",
    "typescript",
    "module",
    "forward",
    "tls",
    "forward-internal",
    "custom-response",
    "body",
    "circuit-breaker",
    "constructor",
    "toString",
    "${conn.client_ip}",
    "${",
    "conn.client_ip == ''",
    "\u0000",
    "tcp://a.internal:1",
    "10.0.0.0/8",
    "",
  ]
  const SCALARS = [null, true, false, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]

  function valueOf(random: Generator<number>, depth: number): unknown {
    const pick = random.next().value as number
    if (depth > 6 || pick % 5 === 0) return SCALARS[pick % SCALARS.length]
    if (pick % 5 < 3) return WORDS[pick % WORDS.length]
    const length = pick % 4
    if (pick % 2 === 0) return Array.from({ length }, () => valueOf(random, depth + 1))
    const names = Array.from({ length }, () => WORDS[(random.next().value as number) % WORDS.length]!)
    return Object.fromEntries(names.map((name) => [name, valueOf(random, depth + 1)]))
  }

  test("is read without a throw", () => {
    const document = documentOf("on_tcp_connect: []")
    const types = ["deny", "log", "set-vars", "restrict-ips", "terminate-tls", "forward", "rate-limit", "typescript"]
    for (let seed = 0; seed < 3000; seed++) {
      const random = numbers(seed)
      const any = valueOf(random, 0)
      const config = valueOf(random, 3)
      const shaped = { on_tcp_connect: [{ actions: [{ type: types[seed % types.length], config }] }] }
      for (const value of [any, { on_tcp_connect: any }, shaped]) {
        const found = readPolicy(document, [], value, seed % 2 === 0 ? CLOUD : ALONE)
        expect(found.value === undefined).toBe(found.problems.length > 0)
      }
    }
  })
})
