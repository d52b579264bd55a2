// How rules are gone through, and what stands between one and the next.
import { describe, expect, test } from "bun:test"
import { next, respond, route } from "../../../src/policy/decision.ts"
import { ask, compiled, logged, run, TCP } from "./policy-of.ts"

const log = (name: string) => `{ type: log, config: { metadata: { ${name}: true } } }`

const rule = (...expressions: string[]) =>
  ask(`on_tcp_connect: [{ expressions: ${JSON.stringify(expressions)}, actions: [{ type: close-connection }] }]`)

describe("rules", () => {
  test("that match all run, in order, and their actions in order", async () => {
    const text = `
on_tcp_connect:
  - name: first
    expressions: ["conn.client_port == 4711"]
    actions: [${log("a")}, ${log("b")}]
  - expressions: ["conn.client_port == 1"]
    actions: [${log("never")}]
  - actions: [${log("c")}]
`
    const { answer, simulated } = run(compiled(text))
    expect(answer).toBe(next)
    expect(simulated.log.all()).toEqual([{ a: true }, { b: true }, { c: true }])
  })

  test("end with the first action that decides", () => {
    const text = `
on_tcp_connect:
  - actions: [${log("a")}]
  - name: "no tor"
    expressions: ["true"]
    actions: [{ type: deny }]
`
    expect(ask(text)).toEqual({ action: "deny", reason: "deny: no tor" })
  })

  test("have expressions that all have to be true", () => {
    expect(rule("conn.client_port > 4000", "conn.client_ip == '203.0.113.9'")).toMatchObject({ action: "deny" })
    expect(rule("conn.client_port > 4000", "conn.client_ip == '203.0.113.8'")).toBe(next)
    expect(rule()).toMatchObject({ action: "deny", reason: "close-connection: on_tcp_connect[0]" })
  })

  test("may be none: then it is as if nobody was asked", () => {
    const upstream = route("tcp://127.0.0.1:80")
    expect(ask("on_tcp_connect: []", { situation: TCP, fallThrough: upstream })).toBe(upstream)
  })

  test("that fail while they run fail the policy, with the place and ngrok's number", () => {
    const text = `on_tcp_connect:
  - expressions: ["int(conn.tls.sni) > 1"]
    actions: [{ type: deny }]
`
    const connection = { to: "tls://db.example:443", from: "203.0.113.9" }
    expect(() => ask(text, { connection })).toThrow(/^guard.yaml:2:19: .* \(ERR_NGROK_22\d\d\)$/)
  })

  test("are asked without waiting, unless something has to wait", async () => {
    const text = `on_tcp_connect: [{ expressions: ["conn.tls.sni == 'db.example'"], actions: [{ type: deny }] }]`
    const tls = ask(text, { connection: { to: "tls://db.example:443" } })
    expect(tls).toMatchObject({ action: "deny" })
    // A tcp:// listener knows no hello before somebody asks for it.
    const tcp = ask(text, { connection: { tls: { sni: "db.example" } } })
    expect(tcp).toBeInstanceOf(Promise)
    expect(await tcp).toMatchObject({ action: "deny" })
    expect(await ask(text)).toBe(next)
    expect(await ask(text, { connection: { bytes: "GET / HTTP/1.1\r\n\r\n" } })).toBe(next)
  })
})

describe("set-vars", () => {
  test("sets one after the other, keeps the type of a sole expression, and lets later ones win", async () => {
    const text = `
on_tcp_connect:
  - actions:
      - type: set-vars
        config:
          vars:
            - port: "\${conn.server_port}"
            - text: "port \${conn.server_port}"
            - twice: "\${vars.port * 2}"
            - port: 7
            - list: ["\${vars.twice}", plain]
            - nothing: null
            - yes: true
            - half: 0.5
  - expressions: ["vars.port == 7", "vars.twice == 10864", "vars.yes", "vars.half < 1.0", "vars.nothing == null"]
    actions:
      - type: log
        config: { metadata: { text: "\${vars.text}", list: "\${vars.list}" } }
`
    expect(await logged(text)).toEqual({ text: "port 5432", list: [10864, "plain"] })
  })

  test("is of one policy and one connection", () => {
    const policy = compiled(`
on_tcp_connect:
  - expressions: ["has(vars.seen)"]
    actions: [{ type: deny }]
  - actions: [{ type: set-vars, config: { vars: [{ seen: true }] } }]
`)
    expect(run(policy).answer).toBe(next)
    expect(run(policy).answer).toBe(next)
  })
})

describe("results", () => {
  test("are those of the last run of an action", async () => {
    const text = `
on_tcp_connect:
  - actions:
      - { type: log, config: { metadata: { n: 1 } } }
      - { type: log, config: { metadata: { n: 2 } } }
  - expressions: ["actions.ngrok.log.metadata.n == 2"]
    actions: [{ type: custom-response, config: { body: "two" } }]
`
    expect(await ask(text)).toEqual(respond("two"))
  })
})
