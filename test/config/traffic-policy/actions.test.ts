// What each action does to a connection.
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { continuationOf, deny, next, respond, route, type Answer, type Route } from "../../../src/policy/decision.ts"
import { advanceLimits, resetLimits } from "../../../src/limit/reset.ts"
import type { Summary } from "../../../src/policy/connection.ts"
import { ForwardFailure } from "../../../src/config/traffic-policy/policy.ts"
import { ask, compiled, logged, made, policyOf, run, TLS, type Asked } from "./policy-of.ts"

const rule = (actions: string, expressions = "") => `on_tcp_connect: [{ ${expressions} actions: [${actions}] }]`
const action = (type: string, config: string) => rule(`{ type: ${type}, config: ${config} }`)
/** An action, and what it leaves in its results. */
const resultOf = (type: string, config: string, asked: Asked = {}) =>
  logged(
    rule(
      `{ type: ${type}, config: ${config} }, { type: log, config: { metadata: { found: "\${actions.ngrok.${type.replaceAll("-", "_")}}" } } }`,
    ),
    asked,
  ).then(({ found }) => found)
const from = (address: string): Asked => ({ connection: { from: address } })
const routed = (answer: Answer): Route => {
  if (answer.action !== "route") throw new Error(`expected a route, found ${answer.action}`)
  return answer
}
const fails = (answer: Answer) => continuationOf(routed(answer))!({ code: "dial-failed", message: "ECONNREFUSED" })

const modules = (exported: Record<string, unknown>) => new Map([["./guard.ts", exported]])

const counts = (key: string, asked: readonly Asked[]) => {
  resetLimits()
  const policy = compiled(action("rate-limit", `{ name: k, capacity: 1, rate: 60s, bucket_key: ${key} }`))
  return asked.map((one) => run(policy, one).answer === next)
}
const summary = (id: string, reason: Summary["close"]["reason"]) =>
  ({ conn: { id, bytes_out: 0 }, upstream: {}, close: { reason, by: "upstream" } }) as unknown as Summary
const decide = (exported: unknown, config = "") =>
  ask(
    rule(
      `{ type: typescript, config: { module: ./guard.ts ${config} } },
       { type: custom-response, config: { body: "\${actions.ngrok.typescript}" } }`,
    ),
    { modules: modules({ on_tcp_connect: exported }) },
  )

describe("custom-response", () => {
  test("answers with a text, with bytes, after a delay", async () => {
    expect(await ask(action("custom-response", '{ body: "hello\\n" }'))).toEqual(respond("hello\n"))
    expect(await ask(action("custom-response", '{ body: "" }'))).toEqual(respond(""))
    expect(await ask(action("custom-response", '{ body: "you: ${conn.client_ip}", delay: 2s }'))).toEqual(
      respond("you: 203.0.113.9", { delay: 2000 }),
    )
    expect(await ask(action("custom-response", '{ body_base64: "AP8=" }'))).toEqual(respond(new Uint8Array([0, 255])))
  })
})

describe("restrict-ips", () => {
  test("lets in who is allowed and not denied", async () => {
    const both = action("restrict-ips", '{ allow: ["203.0.113.0/24", "2001:db8::/32"], deny: ["203.0.113.9/32"] }')
    expect(ask(both, from("203.0.113.8"))).toBe(next)
    expect(ask(both, from("2001:db8::1"))).toBe(next)
    expect(ask(both, from("203.0.113.9"))).toEqual(
      deny("restrict-ips: 203.0.113.9 is in a denied range (ERR_NGROK_3203)"),
    )
    expect(ask(both, from("198.51.100.1"))).toEqual(
      deny("restrict-ips: 198.51.100.1 is in no allowed range (ERR_NGROK_3203)"),
    )
  })

  test("with deny alone lets everybody else in", () => {
    const denies = action("restrict-ips", '{ deny: ["203.0.113.0/24"] }')
    expect(ask(denies, from("203.0.113.8"))).toMatchObject({ action: "deny" })
    expect(ask(denies, from("198.51.100.1"))).toBe(next)
  })

  test("takes ranges from expressions, one or a list", () => {
    const text = rule(
      `{ type: set-vars, config: { vars: [{ office: ["203.0.113.0/24"] }] } },
       { type: restrict-ips, config: { allow: ["\${conn.client_port == 1 ? '0.0.0.0/0' : '192.0.2.0/24'}", "\${vars.office}"] } }`,
    )
    expect(ask(text, from("203.0.113.9:4"))).toBe(next)
    expect(ask(text, from("198.51.100.1:4"))).toMatchObject({ action: "deny" })
    expect(ask(text, from("198.51.100.1:1"))).toBe(next)
    const whole = rule(
      `{ type: set-vars, config: { vars: [{ office: ["203.0.113.0/24"] }] } },
       { type: restrict-ips, config: { allow: "\${vars.office}" } }`,
    )
    expect(ask(whole, from("203.0.113.9"))).toBe(next)
    const bad = action("restrict-ips", "{ allow: [\"${conn.client_port == 1 ? 'x' : 'y'}\"] }")
    expect(() => ask(bad)).toThrow(/"y" is not a CIDR.*\(ERR_NGROK_2217\)/)
  })

  test("takes IP policies by name, and complains of one that is not there", () => {
    const text = action("restrict-ips", "{ ip_policies: [ipp_1, office] }")
    const ipPolicies = {
      ipp_1: { allow: ["203.0.113.0/24"], deny: [] },
      office: { allow: [], deny: ["203.0.113.9/32"] },
    }
    expect(ask(text, { ...from("203.0.113.8"), ipPolicies })).toBe(next)
    expect(ask(text, { ...from("203.0.113.9"), ipPolicies })).toMatchObject({ action: "deny" })
    expect(made(text)).toEqual([
      expect.stringContaining('there is no IP policy "ipp_1" (ERR_NGROK_2216)'),
      expect.stringContaining('there is no IP policy "office" (ERR_NGROK_2216)'),
    ])
    expect(policyOf(text).ipPolicies.map(({ name }) => name)).toEqual(["ipp_1", "office"])
  })

  test("that does not enforce only says what it would do", async () => {
    const config = '{ enforce: false, allow: ["192.0.2.0/24"], deny: ["203.0.113.0/25", "203.0.113.0/24"] }'
    expect(await resultOf("restrict-ips", config)).toEqual({
      action: "deny",
      matched_cidr: "203.0.113.0/25",
      error: { code: "ERR_NGROK_3203", message: "203.0.113.9 is not allowed" },
    })
    expect(await resultOf("restrict-ips", config, from("192.0.2.1"))).toEqual({
      action: "allow",
      matched_cidr: "192.0.2.0/24",
      error: { code: "", message: "" },
    })
  })
})

describe("forward-internal", () => {
  const URL = "tcp://db.internal:5432"
  const config = (more = "") => `{ url: "${URL}" ${more} }`
  const up = route("tcp://127.0.0.1:1")

  test("answers as the endpoint does", async () => {
    expect(ask(action("forward-internal", config()), { internal: { [URL]: () => up } })).toBe(up)
    expect(await ask(action("forward-internal", config()), { internal: { [URL]: async () => up } })).toBe(up)
    const template = action(
      "forward-internal",
      "{ url: \"TCP://${conn.client_port == 4711 ? 'DB' : ''}.internal:5432\" }",
    )
    expect(await ask(template, { internal: { [URL]: () => up } })).toBe(up)
    expect(() => ask(action("forward-internal", '{ url: "tcp://${conn.client_ip}" }'))).toThrow(/ERR_NGROK_2226/)
  })

  test("ends where there is no such endpoint, or one that decides nothing", () => {
    expect(ask(action("forward-internal", config()))).toEqual(
      deny(`forward-internal: the endpoint ${URL} is offline (ERR_NGROK_3200)`),
    )
    expect(ask(action("forward-internal", config()), { internal: { [URL]: () => next } })).toMatchObject({
      action: "deny",
    })
  })

  test("goes on with what comes after it, if it is to", async () => {
    const text = rule(
      `{ type: forward-internal, config: ${config(", on_error: continue")} },
       { type: log, config: { metadata: { found: "\${actions.ngrok.forward_internal}" } } },
       { type: custom-response, config: { body: spare } }`,
    )
    expect(ask(text)).toEqual(respond("spare"))
    expect(await logged(text)).toEqual({
      found: { url: URL, error: { code: "ERR_NGROK_3200", message: `the endpoint ${URL} is offline` } },
    })
    const failing = { internal: { [URL]: async () => new ForwardFailure("ERR_NGROK_3200", "gone") } }
    expect(await ask(text, failing)).toEqual(respond("spare"))
    const denied = deny("inside")
    expect(ask(text, { internal: { [URL]: () => denied } })).toBe(denied)
  })

  test("goes on only after the dial has failed", async () => {
    const text = rule(
      `{ type: forward-internal, config: ${config(", on_error: continue")} },
       { type: custom-response, config: { body: "\${actions.ngrok.forward_internal.error.message}" } }`,
    )
    const { answer, simulated } = run(compiled(text), { internal: { [URL]: () => up } })
    expect(answer).toEqual({ ...up })
    expect(simulated.log.all()).toEqual([])
    expect(await fails(await answer)).toEqual(respond(`${URL} cannot be reached: dial-failed: ECONNREFUSED`))
  })

  test("falls through where nothing comes after it", async () => {
    const text = action("forward-internal", config(", on_error: continue"))
    const fallThrough = route("tcp://127.0.0.1:2")
    expect(ask(text, { fallThrough })).toBe(fallThrough)
    expect(await fails(await ask(text, { fallThrough, internal: { [URL]: () => up } }))).toBe(fallThrough)
  })
})

describe("forward", () => {
  test("leads to targets and pools, with the options of a route", async () => {
    expect(ask(action("forward", '{ url: "tcp://db:5432" }'))).toEqual(route("tcp://db:5432"))
    expect(ask(action("forward", "{ url: db }"))).toEqual(route("db"))
    expect(ask(action("forward", '{ url: "default/db:5432" }'))).toMatchObject({ pool: "default/db:5432" })
    expect(ask(action("forward", '{ url: "unix:/run/db.sock" }'))).toEqual(route("unix:/run/db.sock"))
    const options = `{ url: "tls://db:5432", connect_timeout: 1s, idle_timeout: 1h, max_duration: 1d, retries: 2,
      proxy_protocol: 2, tls: { sni: db.example, alpn: [x], insecure_skip_verify: true }, bandwidth: { up: 1 MiB } }`
    expect(ask(action("forward", options))).toEqual(
      route("tls://db:5432", {
        connectTimeout: "1s",
        idleTimeout: "1h",
        maxDuration: "1d",
        retries: 2,
        proxyProtocol: 2,
        tls: { sni: "db.example", alpn: ["x"], insecureSkipVerify: true },
        bandwidth: { up: "1 MiB" },
      }),
    )
  })

  test("leads to what an expression says", () => {
    const text = action("forward", "{ url: \"tcp://${conn.client_port == 4711 ? 'a' : 'b'}:1\" }")
    expect(ask(text)).toEqual(route("tcp://a:1"))
    expect(ask(text, from("203.0.113.9:1"))).toEqual(route("tcp://b:1"))
    expect(() => ask(action("forward", '{ url: "${conn.client_ip}:x" }'))).toThrow(/guard.yaml:1:\d+: forward: .*2226/)
  })

  test("goes on after the dial has failed, if it is to", async () => {
    const text = rule(
      `{ type: forward, config: { url: "tcp://a:1", on_error: continue } },
       { type: forward, config: { url: "tcp://b:1", on_error: continue } },
       { type: custom-response, config: { body: "\${actions.ngrok.forward.url}: \${actions.ngrok.forward.error.code}" } }`,
    )
    const first = await ask(text)
    expect(first).toEqual({ ...route("tcp://a:1") })
    const second = await fails(first)
    expect(second).toEqual({ ...route("tcp://b:1") })
    expect(await fails(second)).toEqual(respond("tcp://b:1: dial-failed"))
  })
})

describe("rate-limit", () => {
  beforeEach(() => resetLimits())
  afterEach(() => resetLimits())

  test("lets so many through in a time, for each key", () => {
    const policy = compiled(
      action(
        "rate-limit",
        "{ name: x, algorithm: sliding_window, capacity: 2, rate: 60s, bucket_key: [conn.client_ip] }",
      ),
    )
    const passes = (address: string) => run(policy, from(address)).answer === next
    expect([1, 2, 3].map(() => passes("203.0.113.9"))).toEqual([true, true, false])
    expect(passes("203.0.113.8")).toBe(true)
    advanceLimits("30 seconds")
    expect([1, 2].map(() => passes("203.0.113.9"))).toEqual([true, false])
    expect(run(policy, from("203.0.113.9")).answer).toEqual(deny('rate-limit "x": too many connections'))
  })

  test("counts by networks, by expressions, and by several of them", () => {
    const net = [from("203.0.113.9"), from("203.0.113.200"), from("203.0.112.1")]
    expect(counts("[{ ipv4: 24 }]", net)).toEqual([true, false, true])
    const both = [from("203.0.113.9:1"), from("203.0.113.8:1"), from("203.0.113.9:2")]
    expect(counts("[{ ipv4: 24 }, conn.client_port]", both)).toEqual([true, false, true])
    const ports = [from("203.0.113.9:1"), from("203.0.113.8:1"), from("203.0.113.8:2")]
    expect(counts("[conn.client_port]", ports)).toEqual([true, false, true])
    expect(counts('["${conn.client_port}"]', ports)).toEqual([true, false, true])
    const names = ["a.example", "b.example", "a.example"].map((name) => ({ connection: { to: `tls://${name}:443` } }))
    expect(counts("[conn.tls.sni]", names)).toEqual([true, true, false])
  })

  test("is told of by its claim, for whoever looks for contradictions", () => {
    const { limits } = compiled(action("rate-limit", '{ name: "per client", capacity: 5, rate: 1m }'))
    expect(limits).toHaveLength(1)
    expect(limits[0]).toMatchObject({
      claim: {
        kind: "rateLimit",
        name: "guard.yaml: per client",
        spec: { limit: 5, per: 60_000, burst: 5, key: { ipv4: 32, ipv6: 128 } },
      },
      place: { line: 1 },
    })
  })

  test("that does not enforce only says what it would do", async () => {
    const config = "{ name: y, capacity: 1, rate: 60s, enforce: false }"
    expect(await resultOf("rate-limit", config)).toMatchObject({ limited: false, remaining: 0 })
    expect(await resultOf("rate-limit", config)).toMatchObject({ limited: true, error: { code: "ERR_NGROK_702" } })
  })
})

describe("circuit-breaker", () => {
  test("opens when too many connections have failed, and closes again", () => {
    const text = action(
      "circuit-breaker",
      "{ error_threshold: 0.5, volume_threshold: 4, window_duration: 2m, tripped_duration: 2m }",
    )
    const policy = compiled(text, { owner: "breaker test" })
    // Simulated connections count nothing.
    const connect = (id: string) => {
      const asking = run(compiled("on_tcp_connect: []"))
      const connection = Object.defineProperties(
        Object.create(asking.simulated.connection) as typeof asking.simulated.connection,
        {
          id: { value: id },
          dryRun: { value: false },
          client: { value: asking.simulated.connection.client },
        },
      )
      return policy.connect({ ...asking.visit, connection })
    }
    for (const id of ["a", "b", "c", "d"]) expect(connect(id)).toBe(next)
    policy.closed!(summary("a", "client-closed"))
    policy.closed!(summary("b", "dial-failed"))
    expect(connect("e")).toBe(next)
    policy.closed!(summary("c", "no-target"))
    policy.closed!(summary("d", "dial-failed"))
    expect(connect("f")).toMatchObject({ action: "deny", reason: expect.stringContaining("ERR_NGROK_3202") })
    // The same circuit after a reload.
    const again = compiled(text, { owner: "breaker test" })
    expect(run(again).answer).toMatchObject({ action: "deny" })
  })
})

describe("typescript", () => {
  test("decides, or lets the policy go on", async () => {
    expect(decide(() => deny("mine"))).toEqual(deny("mine"))
    expect(await decide(async () => route("tcp://a:1"))).toEqual(route("tcp://a:1"))
    expect(await decide(() => Effect.succeed(deny("effect")))).toEqual(deny("effect"))
    const silent = action("typescript", "{ module: ./guard.ts }")
    expect(ask(silent, { modules: modules({ on_tcp_connect: () => next }) })).toBe(next)
  })

  test("leaves plain data as its results", async () => {
    expect(decide(() => ({ tier: "gold", n: 2 }))).toEqual(respond('{"tier":"gold","n":2}'))
    expect(await decide(async () => true)).toEqual(respond('{"value":true}'))
  })

  test("is given the connection and its config", () => {
    expect(
      decide(
        ({ client }: { client: { address: string } }, config: { hello: string }) =>
          deny(`${config.hello} ${client.address}`),
        ', config: { hello: "port ${conn.client_port}" }',
      ),
    ).toEqual(deny("port 4711 203.0.113.9"))
  })

  test("that returns nothing, or throws, fails the policy", async () => {
    expect(() => decide(() => undefined)).toThrow("on_tcp_connect returned nothing; write `return next`")
    expect(() => decide(() => ({ action: "route", targets: [] }))).toThrow("the list of targets is empty")
    expect(() => decide(() => () => 1)).toThrow(/expected a decision, next or plain data/)
    await expect(Promise.resolve(decide(async () => Promise.reject(new Error("no"))))).rejects.toThrow("no")
  })

  test("names an export that is there, and is a function", () => {
    const text = (name: string) => action("typescript", `{ module: ./guard.ts, export: ${name} }`)
    const found = modules({ guard: () => next, other: 1 })
    expect(ask(text("guard"), { modules: found })).toBe(next)
    expect(made(text("gaurd"), { modules: found })).toEqual([
      expect.stringContaining('"./guard.ts" has no export "gaurd"; did you mean "guard"?'),
    ])
    expect(made(text("other"), { modules: found })).toEqual([expect.stringContaining("expected a function, found 1")])
    const otherwise = modules({ default: { on_tcp_connect: () => deny("default") } })
    expect(ask(action("typescript", "{ module: ./guard.ts }"), { modules: otherwise })).toEqual(deny("default"))
    expect(policyOf(text("guard")).modules).toMatchObject([{ specifier: "./guard.ts", place: { line: 1 } }])
  })
})

describe("terminate-tls", () => {
  test("ends TLS, and tells what was agreed", async () => {
    const text = rule(
      `{ type: terminate-tls, config: { min_version: "1.3" } },
       { type: log, config: { metadata: { version: "\${actions.ngrok.terminate_tls.version}", sni: "\${conn.tls.sni}", warnings: "\${actions.ngrok.terminate_tls.warnings}", error: "\${actions.ngrok.terminate_tls.error.code}" } } }`,
    )
    const asked: Asked = { situation: TLS, connection: { to: "tls://db.example:443" } }
    expect(ask(text, asked)).toBeInstanceOf(Promise)
    expect(await logged(text, asked)).toEqual({ version: "1.3", sni: "db.example", warnings: [], error: "" })
  })

  test("passes the client's certificate on", async () => {
    const text = rule(
      `{ type: terminate-tls, config: { mutual_tls_verification_strategy: request } },
       { type: log, config: { metadata: {
         subject: "\${actions.ngrok.terminate_tls.client.subject}",
         name: "\${actions.ngrok.terminate_tls.client.subject.common_name}",
         same: "\${conn.tls.client.subject == 'CN=amy'}",
         dns: "\${actions.ngrok.terminate_tls.client.san.dns_names}",
         before: "\${actions.ngrok.terminate_tls.client.validity.not_before < timestamp('2100-01-01T00:00:00Z')}"
       } } }`,
    )
    const connection = {
      to: "tls://db.example:443",
      clientCertificate: { subject: "CN=amy", commonName: "amy", sans: { dns: ["amy.example"] } },
    }
    expect(await logged(text, { situation: TLS, connection })).toEqual({
      subject: "CN=amy",
      name: "amy",
      same: true,
      dns: ["amy.example"],
      before: true,
    })
  })
})
