import { beforeEach, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  concurrencyLimit,
  deny,
  HandshakeFailed,
  next,
  rateLimit,
  respond,
  route,
  type Answer,
  type Connection,
  type Policy,
} from "../src/index.ts"
import {
  advanceLimits,
  bodyBytes,
  bodyText,
  connect,
  FactsInvalid,
  PolicyFailed,
  resetLimits,
  type ConnectFacts,
} from "../src/testing.ts"
import * as greeting from "../policies/hello.ts"
import { hello } from "./protocol/hello.ts"

const facts = { from: "203.0.113.9", to: "tcp://:5432" } as const
const passing = () => next

const logging = (connection: Connection) => {
  connection.log({ a: 1, b: 1 })
  connection.log({ b: 2 })
  connection.vars.set("user", "ana")
  return next
}

const reporting = async (connection: Connection) => {
  const { client, dryRun, listener, openedAt, server } = connection
  return respond(JSON.stringify([client, server, listener, openedAt, dryRun, [...(await connection.peek(2))]]))
}

const naming = ({ listener, postgres, tls }: Connection) =>
  respond(JSON.stringify([tls?.sni, listener.url, postgres?.kind]))

const told = async (facts: Partial<ConnectFacts>, ...listen: string[]) => {
  const { decision } = await connect({ listen, on_tcp_connect: naming }, { from: "203.0.113.9", ...facts })
  return JSON.parse(await bodyText(decision))
}

const ending = async (connection: Connection) => {
  const { clientCertificate } = await connection.terminate({ clientCertificate: "request" })
  return deny(`${clientCertificate?.sans.uri[0]} speaks ${(await connection.protocol())?.protocol}`)
}

const demanding = (connection: Connection) => connection.terminate({ clientCertificate: "require-any" })
const catching = (answer: Answer) => async (connection: Connection) => {
  await demanding(connection).catch(() => undefined)
  return answer
}

const encrypting = () => route("tcp://a:1").or(route("tls://db:5432"))

const using = (setup: () => unknown) => ({
  setup,
  on_tcp_connect: (_: Connection, resources: { name: string }) => respond(resources.name),
})

const named = async (setup: () => unknown) => bodyText((await connect(using(setup) as Policy, facts)).decision)

async function* chunks() {
  yield "a"
  yield new Uint8Array([98, 0xc3])
  yield new Uint8Array([0xa9])
}

function* endless() {
  for (;;) yield "x".repeat(1024 * 1024)
}

describe("what is tested", () => {
  test("a module", async () => {
    const { decision, log, vars } = await connect(greeting, { from: "203.0.113.9" })
    expect(decision).toEqual(respond("Hello 203.0.113.9, this is Tidegate.\n"))
    expect(log).toEqual({})
    expect(vars).toEqual(new Map())
  })

  test("a default export, which keeps its own this", async () => {
    const policy = {
      greeting: "hi",
      on_tcp_connect() {
        return respond(this.greeting)
      },
    }
    expect((await connect(policy, facts)).decision).toEqual(respond("hi"))
  })

  test("a function", async () => {
    expect((await connect(() => next, facts)).decision).toBe(next)
    expect((await connect(async () => deny("no"), facts)).decision).toEqual(deny("no"))
  })

  test.each([
    [{}, "on_tcp_connect is missing"],
    [{ on_tcp_conect: passing }, 'did you mean "on_tcp_connect"?'],
    [{ on_tcp_connect: 5 }, "expected a function, found 5"],
    [{ on_tcp_connect: passing, listen: ":5432" }, 'did you mean "tcp://:5432"?'],
    [{ on_tcp_connect: passing, deadline: "soon" }, "not a duration"],
  ])("%p is no policy", async (policy, why) => {
    await expect(connect(policy as never, facts)).rejects.toThrow(why)
  })
})

describe("what it gives", () => {
  test("a pool by its name, whichever file defines it; pools are left to the gateway", async () => {
    const pools = { db: { targets: ["not looked at"] } }
    const { decision } = await connect({ pools, on_tcp_connect: () => route("elsewhere", { key: "a" }) }, facts)
    expect(decision).toEqual(route("elsewhere", { key: "a" }))
  })

  test("the fields of all log calls, merged, and the vars", async () => {
    const { log, vars } = await connect(logging, facts)
    expect(log).toEqual({ a: 1, b: 2 })
    expect(vars).toEqual(new Map([["user", "ana"]]))
  })

  test("the facts reach the policy", async () => {
    const at = new Date("2026-01-01T00:00:00Z")
    const { decision } = await connect(reporting, { from: "[2001:db8::1]:4711", to: "tcp://:5432", bytes: "hi", at })
    expect(JSON.parse(await bodyText(decision))).toEqual([
      { address: "2001:db8::1", port: 4711, family: "IPv6" },
      { address: "::1", port: 5432 },
      { name: "*:5432", url: "tcp://:5432" },
      "2026-01-01T00:00:00.000Z",
      true,
      [104, 105],
    ])
  })

  test("the listener is the policy's first where the facts name none", async () => {
    const policy: Policy = {
      listen: ["tcp://:1-2", "tcp://:3"],
      on_tcp_connect: ({ listener }) => respond(listener.url),
    }
    expect(await bodyText((await connect(policy, { from: "203.0.113.9" })).decision)).toBe("tcp://:1")
    await expect(connect(() => next, { from: "203.0.113.9" })).rejects.toThrow("the policy has no listen")
  })

  test("bad facts reject with FactsInvalid", async () => {
    await expect(connect(passing, { from: "nobody", to: "tcp://:1" })).rejects.toThrow(FactsInvalid)
    await expect(connect(passing, { form: "203.0.113.9", to: "tcp://:1" } as never)).rejects.toThrow(
      'did you mean "from"?',
    )
  })
})

describe("TLS", () => {
  test("the name of the listener is what the client asks for", async () => {
    expect(await told({}, "tls://db.example.com:443")).toEqual(["db.example.com", "tls://:443", null])
    expect(await told({ to: "tls://a.example:443" }, "tls://:443")).toEqual(["a.example", "tls://:443", null])
    expect(await told({}, "postgres://a.example:5432")).toEqual(["a.example", "postgres://:5432", "ssl-request"])
  })

  test("of several listeners, the client meets the one with the most specific name", async () => {
    const listen = ["tcp://:80", "tls://:443", "tls://*.example.com:444", "tls://a.example.com:445"]
    expect(await told({ tls: { sni: "A.example.com" } }, ...listen)).toEqual(["a.example.com", "tls://:445", null])
    expect(await told({ tls: { sni: "b.example.com" } }, ...listen)).toEqual(["b.example.com", "tls://:444", null])
    expect(await told({ tls: { sni: "c.example" } }, ...listen)).toEqual(["c.example", "tls://:443", null])
    expect(await told({ bytes: hello({ sni: "a.example.com" }) }, ...listen)).toEqual([
      "a.example.com",
      "tls://:445",
      null,
    ])
    expect(await told({}, ...listen)).toEqual([null, "tcp://:80", null])
    const postgres = ["postgres://a.example:5432", "postgres://:5433"]
    expect(await told({ postgres: { kind: "cancel" } }, ...postgres)).toEqual([null, "postgres://:5433", "cancel"])
    expect(await told({ postgres: { user: "ana" } }, ...postgres)).toEqual([
      "a.example",
      "postgres://:5432",
      "ssl-request",
    ])
  })

  test.each([
    [{ tls: { sni: "b.example" } }, ["tls://a.example:443"], 'to: the client asks for "b.example"'],
    [{}, ["tls://*.example:443"], "tls: sni: expected the name"],
    [{ bytes: "hello" }, ["tls://:443"], "no policy is asked, hello-invalid: the first bytes are no TLS hello"],
    [{ to: "tls://:443", bytes: "" }, [], "no policy is asked, preread-timeout"],
  ])("%j at %j is no question to the policy: %s", async (facts, listen, why) => {
    const policy = { ...(listen.length === 0 ? {} : { listen }), on_tcp_connect: () => expect.unreachable() }
    const asked = connect(policy as Policy, { from: "203.0.113.9", ...facts })
    await expect(asked).rejects.toThrow(FactsInvalid)
    await expect(asked).rejects.toThrow(why)
  })

  test("terminate() gives what the facts say, and then it is about the plain text", async () => {
    const { decision } = await connect(ending, {
      ...facts,
      to: "tls://a.example:443",
      plain: "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
      clientCertificate: { sans: { uri: ["spiffe://example/amy"] } },
    })
    expect(decision).toEqual(deny("spiffe://example/amy speaks http"))
  })

  test("a failed handshake rejects, whatever the policy makes of it", async () => {
    const tls = { from: "203.0.113.9", to: "tls://a.example:443" }
    for (const policy of [demanding, catching(route("tcp://db:5432")), catching(next)]) {
      const error: unknown = await connect(policy as never, tls).catch((error) => error)
      expect(error).toMatchObject({
        name: "PolicyFailed",
        closeReason: "tls-handshake-failed",
        message: "tls-handshake-failed: the client has no certificate",
        cause: expect.any(HandshakeFailed),
      })
    }
  })

  test("a tls:// target is for plain text", async () => {
    expect((await connect(encrypting, facts)).decision.action).toBe("route")
    await expect(connect(encrypting, { ...facts, to: "tls://a.example:443" })).rejects.toThrow(
      "policy-failed: use tcp:// to pass TLS through, or `await connection.terminate()` first",
    )
  })
})

describe("a failing policy rejects, with the close reason", () => {
  test.each([
    [
      "nothing",
      () => undefined,
      "policy-failed",
      "policy-failed: on_tcp_connect returned nothing; write `return next`",
    ],
    ["a rejection", () => Promise.reject(new Error("broken")), "policy-failed", "policy-failed: broken"],
    ["a bad target", () => route("db:5432"), "policy-failed", /did you mean "tcp:\/\/db:5432"/],
    ["an Effect that fails", () => Effect.fail(new Error("broken")), "policy-failed", "policy-failed: broken"],
    ["too few bytes", (connection: Connection) => connection.peek(1), "preread-timeout", /0 of 1 bytes/],
    ["a broken hello", (connection: Connection) => connection.hello(), "hello-invalid", /empty-record/],
    ["bad options", (connection: Connection) => connection.terminate({ ca: "x" }), "policy-failed", /terminate: ca/],
    ["too many bytes", (connection: Connection) => connection.peek(99_999), "preread-too-large", /at most 16384/],
  ])("%s", async (_, policy, closeReason, message) => {
    const bytes = closeReason === "hello-invalid" ? new Uint8Array([22, 3, 1, 0, 0]) : ""
    const error: unknown = await connect(policy as never, { ...facts, bytes }).catch((error) => error)
    expect(error).toBeInstanceOf(PolicyFailed)
    expect(error).toMatchObject({ name: "PolicyFailed", closeReason, message: expect.stringMatching(message) })
  })

  test("no answer within the policy's own deadline", async () => {
    const policy = { deadline: "5 ms", on_tcp_connect: () => new Promise<never>(() => {}) }
    await expect(connect(policy, facts)).rejects.toThrow("policy-timeout: no answer within 5 ms")
  })

  test("the cause is what the policy threw", async () => {
    const cause = new Error("broken")
    expect(await connect(() => Promise.reject(cause), facts).catch((error) => error)).toMatchObject({ cause })
  })
})

describe("setup", () => {
  const released: string[] = []

  test("is run, and what it made is released afterwards", async () => {
    released.length = 0
    const plain = { name: "plain" }
    const disposable = { name: "sync", [Symbol.dispose]: () => released.push("sync") }
    const later = { name: "async", [Symbol.asyncDispose]: async () => released.push("async") }
    expect(await named(() => plain)).toBe("plain")
    expect(await named(async () => disposable)).toBe("sync")
    expect(await named(() => later)).toBe("async")
    expect(released).toEqual(["sync", "async"])
  })

  test("of an Effect has a scope, which is closed after the answer", async () => {
    released.length = 0
    const scoped = Effect.acquireRelease(Effect.succeed({ name: "scoped" }), ({ name }) =>
      Effect.sync(() => released.push(name)),
    )
    expect(await named(() => scoped)).toBe("scoped")
    expect(released).toEqual(["scoped"])
  })

  test("is released also when the policy fails", async () => {
    released.length = 0
    const policy = {
      setup: () => ({ [Symbol.dispose]: () => released.push("x") }),
      on_tcp_connect: () => Promise.reject(new Error("x")),
    }
    await expect(connect(policy, facts)).rejects.toThrow(PolicyFailed)
    await Promise.allSettled([connect(policy, facts)])
    expect(released).toContain("x")
  })

  test("is not run when the resources are given", async () => {
    const policy = using(() => expect.unreachable()) as Policy
    expect((await connect(policy, { ...facts, resources: { name: "given" } })).decision).toEqual(respond("given"))
  })

  test.each([
    ["throws", () => Promise.reject(new Error("no database"))],
    ["fails as an Effect", () => Effect.fail(new Error("no database"))],
  ])("that %s is a failed policy", async (_, setup) => {
    await expect(connect(using(setup) as Policy, facts)).rejects.toThrow("policy-failed: setup: no database")
  })
})

describe("bodies", () => {
  test.each([
    ["a text", "é"],
    ["bytes", new Uint8Array([0xc3, 0xa9])],
    ["a list", [new Uint8Array([0xc3]), new Uint8Array([0xa9])]],
  ])("of %s", async (_, body) => {
    expect(await bodyText(respond(body))).toBe("é")
    expect(await bodyBytes(respond(body))).toEqual(new Uint8Array([0xc3, 0xa9]))
  })

  test("of a generator, whose chunks may part a character", async () => {
    expect(await bodyText(respond(chunks()))).toBe("abé")
  })

  test("only respond has one, and one that does not end is an error", async () => {
    await expect(bodyText(deny("x"))).rejects.toThrow("the decision is deny, which has no body")
    await expect(bodyText(next)).rejects.toThrow(TypeError)
    await expect(bodyText(respond(endless()))).rejects.toThrow("is it endless?")
  })
})

const limit = rateLimit("testing", { limit: 1, per: "1 minute" })
const atOnce = concurrencyLimit("testing", { max: 1 })
const limited = (connection: Connection) => (limit.take(connection) ? route("tcp://a:1") : deny())
const counted = (answer: Answer) => (connection: Connection) => (atOnce.take(connection) ? answer : deny("full"))
const failing = (connection: Connection) => {
  atOnce.take(connection)
  throw new Error("broken")
}
const late = (connection: Connection) => (rateLimit("late", { limit: 1, per: 1 }).take(connection) ? next : deny())

const actions = async (policy: (connection: Connection) => Answer, count: number) => {
  const found: string[] = []
  for (let i = 0; i < count; i++) found.push((await connect(policy, facts)).decision.action)
  return found
}

describe("limits", () => {
  beforeEach(resetLimits)

  test("count over connections, until they are reset or time has gone by", async () => {
    expect(await actions(limited, 2)).toEqual(["route", "deny"])
    advanceLimits("59 seconds")
    expect(await actions(limited, 1)).toEqual(["deny"])
    advanceLimits("1 second")
    expect(await actions(limited, 2)).toEqual(["route", "deny"])
    resetLimits()
    expect(await actions(limited, 2)).toEqual(["route", "deny"])
    expect(() => advanceLimits("soon")).toThrow("advanceLimits")
  })

  test("a connection that is routed or passed on is open until it is closed", async () => {
    for (const answer of [route("tcp://a:1"), next]) {
      const first = await connect(counted(answer), facts)
      expect((await connect(counted(answer), facts)).decision).toEqual(deny("full"))
      first.close()
      first.close()
      {
        using second = await connect(counted(answer), facts)
        expect(second.decision.action).toBe(answer.action)
      }
      expect(await actions(counted(answer), 2)).toEqual([answer.action, "deny"])
      resetLimits()
    }
  })

  test("a connection that is denied, answered or failed has ended", async () => {
    expect(await actions(counted(respond("x")), 3)).toEqual(["respond", "respond", "respond"])
    expect(await actions(counted(deny("x")), 1)).toEqual(["deny"])
    await expect(connect(failing, facts)).rejects.toThrow("broken")
    expect(await actions(counted(route("tcp://a:1")), 1)).toEqual(["route"])
  })

  test("are not made while a connection waits, as in the gateway", async () => {
    await expect(connect(late, facts)).rejects.toThrow(
      'policy-failed: rateLimit "late": make it once, at the top of the file or in setup',
    )
    const prepared = using(() => rateLimit("prepared", { limit: 1, per: "1 hour" }) as unknown as { name: string })
    expect(await bodyText((await connect(prepared as Policy, facts)).decision)).toBe("prepared")
  })

  test("a limit that is asked in a wrong way fails the policy, in its own words", async () => {
    const keyed = rateLimit("keyed", { limit: 1, per: 1, key: () => ({}) as string })
    await expect(connect((connection) => (keyed.take(connection) ? next : deny()), facts)).rejects.toThrow(
      'policy-failed: rateLimit "keyed": key: expected a text or a number',
    )
  })
})
