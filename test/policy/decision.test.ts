import { describe as group, expect, test } from "bun:test"
import {
  checkAnswer,
  checkDecision,
  DecisionInvalid,
  deny,
  describe,
  next,
  respond,
  route,
} from "../../src/policy/decision.ts"
import { DurationInvalid } from "../../src/policy/duration.ts"
import { TargetInvalid } from "../../src/policy/target.ts"
import { TerminateInvalid } from "../../src/policy/terminate.ts"
import { random } from "../helper/random.ts"

async function* later() {
  yield "x"
}

group("route", () => {
  test("is plain data", () => {
    expect(route("tcp://db:5432")).toEqual({ action: "route", targets: [{ url: "tcp://db:5432" }] } as never)
    expect(
      JSON.parse(
        JSON.stringify(
          route(["TCP://A:1", { url: "tcp://b:2", weight: 3 }], { connectTimeout: "1 second", retries: 2 }),
        ),
      ),
    ).toEqual({
      action: "route",
      targets: [{ url: "tcp://a:1" }, { url: "tcp://b:2", weight: 3 }],
      connectTimeout: 1000,
      retries: 2,
    })
  })

  test("is frozen, and the one for a text is built once", () => {
    expect(route("tcp://db:5432")).toBe(route("tcp://db:5432"))
    expect(Object.isFrozen(route("tcp://db:5432"))).toBe(true)
    expect(Object.isFrozen(route(["tcp://db:5432"]).targets)).toBe(true)
    for (let i = 0; i < 11_000; i++) expect(route(`tcp://h${i}:1`).targets).toEqual([{ url: `tcp://h${i}:1` }])
  })

  test("takes how to speak TLS to its tls:// targets", () => {
    const tls = { sni: "DB.Example.", alpn: ["postgresql"], insecureSkipVerify: true }
    expect(route(["tcp://a:1", "TLS://B:2"], { tls })).toEqual({
      action: "route",
      targets: [{ url: "tcp://a:1" }, { url: "tls://b:2" }],
      tls: { sni: "db.example", alpn: ["postgresql"], insecureSkipVerify: true },
    } as never)
    const decision = route("tls://b:2", { tls }).or(deny())
    expect(decision.tls).toEqual({ ...tls, sni: "db.example" })
    expect(checkAnswer(JSON.parse(JSON.stringify(decision)))).toEqual(decision)
  })

  test("or() gives a new route with the decision for when every attempt failed, and keeps the options", () => {
    const plain = route("tcp://db:5432", { retries: 0 })
    const other = plain.or(respond("later\n"))
    expect(plain.otherwise).toBeUndefined()
    expect(other).toMatchObject({ action: "route", retries: 0, otherwise: { action: "respond", body: "later\n" } })
    expect(other.or(deny("no")).otherwise).toEqual({ action: "deny", reason: "no" })
    expect(route("tcp://a:1").or(route("tcp://b:1").or(deny())).otherwise).toMatchObject({
      otherwise: { action: "deny" },
    })
  })

  test("may name a pool, alone, with a key to balance by", () => {
    expect<unknown>(route("db")).toEqual({ action: "route", targets: [], pool: "db" })
    expect<unknown>(route(["db-1"], { key: "user-7", retries: 1 })).toEqual({
      action: "route",
      targets: [],
      pool: "db-1",
      key: "user-7",
      retries: 1,
    })
    expect(route("db")).toBe(route("db"))
    // What its targets are is known when it is asked.
    expect(route("db", { tls: { sni: "db" } }).tls).toEqual({ sni: "db" })
    expect(checkAnswer(JSON.parse(JSON.stringify(route("db", { key: "k" }))))).toEqual(route("db", { key: "k" }))
  })

  test.each([
    [{ action: "route", pool: "tcp://a:1" }, "pool: expected a name"],
    [{ action: "route", pool: "db", targets: [{ url: "tcp://a:1" }] }, "pool and targets exclude each other"],
  ])("%j is no decision", (data, message) => {
    expect(() => checkAnswer(data)).toThrow(message)
  })

  test.each([
    [["db", "tcp://a:1"], {}, DecisionInvalid, 'a pool stands alone, as in route("db"); did you mean "tcp://db:PORT"?'],
    [[{ url: "db" }], {}, DecisionInvalid, "a pool stands alone"],
    ["tcp://db:5432", { key: "k" }, DecisionInvalid, "key has no effect without a pool"],
    ["db", { key: 5 }, DecisionInvalid, "key: expected a text, found 5"],
    ["db", { key: "k".repeat(1025) }, DecisionInvalid, "at most 1024"],
    ["db:5432", {}, TargetInvalid, 'did you mean "tcp://db:5432"?'],
    ["tls://db:5432", { tls: { sin: "db" } }, TerminateInvalid, 'did you mean "sni"?'],
    ["tls://db:5432", { tls: true }, TerminateInvalid, "expected options, found true"],
    ["tcp://db:5432", { tls: {} }, DecisionInvalid, "tls has no effect: none of the targets is tls://host:port"],
    [[], {}, DecisionInvalid, "empty"],
    [5, {}, DecisionInvalid, "found 5"],
    [[5], {}, DecisionInvalid, "5 is not a target"],
    [[null], {}, DecisionInvalid, "null is not a target"],
    [[{}], {}, DecisionInvalid, "url: expected"],
    [[{ url: "tcp://a:1", wieght: 1 }], {}, DecisionInvalid, 'did you mean "weight"?'],
    [[{ url: "tcp://a:1", weight: -1 }], {}, DecisionInvalid, "weight"],
    [[{ url: "tcp://a:1", weight: Number.NaN }], {}, DecisionInvalid, "weight"],
    [[{ url: "tcp://a:1", weight: "5" }], {}, DecisionInvalid, "weight"],
    [Array.from({ length: 65 }, (_, i) => `tcp://a:${i + 1}`), {}, DecisionInvalid, "at most 64"],
    ["tcp://a:1", { conectTimeout: 1 }, DecisionInvalid, 'did you mean "connectTimeout"?'],
    ["tcp://a:1", { connectTimeout: 0 }, DecisionInvalid, "0 would end"],
    ["tcp://a:1", { idleTimeout: "soon" }, DurationInvalid, "idleTimeout"],
    ["tcp://a:1", { maxDuration: -1 }, DurationInvalid, "maxDuration"],
    [
      "tcp://a:1",
      { proxyProtocol: true },
      DecisionInvalid,
      "proxyProtocol: expected the version of the header, 1 or 2",
    ],
    ["tcp://a:1", { proxyProtocol: "2" }, DecisionInvalid, "1 or 2, found"],
    ["tcp://a:1", { proxyProtocal: 2 }, DecisionInvalid, 'did you mean "proxyProtocol"?'],
    ["tcp://a:1", { retries: -1 }, DecisionInvalid, "retries"],
    ["tcp://a:1", { retries: 1.5 }, DecisionInvalid, "retries"],
    ["tcp://a:1", null, DecisionInvalid, "object of options"],
    ["tcp://a:1", "5 seconds", DecisionInvalid, "object of options"],
  ])("%j with %j is refused", (target, options, error, why) => {
    expect(() => route(target as never, options as never)).toThrow(error)
    expect(() => route(target as never, options as never)).toThrow(why)
  })

  test("next is no decision for when every attempt failed", () => {
    expect(() => route("tcp://a:1").or(next as never)).toThrow("or: next is not a decision here")
  })
})

group("deny and respond", () => {
  test("are plain, frozen data", () => {
    expect(deny()).toEqual({ action: "deny" })
    expect(deny("no", { reset: true, delay: "2 seconds" })).toEqual({
      action: "deny",
      reason: "no",
      reset: true,
      delay: 2000,
    })
    expect(deny("no", { reset: false })).toEqual({ action: "deny", reason: "no" })
    expect(respond("x")).toEqual({ action: "respond", body: "x" })
    expect(respond(new Uint8Array([1]), { delay: 5 })).toEqual({
      action: "respond",
      body: new Uint8Array([1]),
      delay: 5,
    })
    for (const decision of [deny(), respond("x"), next]) expect(Object.isFrozen(decision)).toBe(true)
  })

  test("inBand is kept when it says something", () => {
    expect(deny("no", { inBand: true })).toEqual({ action: "deny", reason: "no", inBand: true })
    expect(deny("no", { inBand: "mysql", delay: 5 })).toEqual({
      action: "deny",
      reason: "no",
      inBand: "mysql",
      delay: 5,
    })
    expect(deny("no", { inBand: false })).toEqual({ action: "deny", reason: "no" })
    expect(checkAnswer({ action: "deny", inBand: "ssh" })).toEqual(deny(undefined, { inBand: "ssh" }))
  })

  test("a reason is cut at 1 KiB", () => {
    expect(deny("x".repeat(5000)).reason).toHaveLength(1024)
  })

  test.each([
    [() => deny(5 as never), "the reason is a text"],
    [() => deny("x", { reset: 1 as never }), "reset: expected true or false"],
    [() => deny("x", { inBand: "mysq" as never }), 'did you mean "mysql"?'],
    [() => deny("x", { inBand: "amqp" as never }), "inBand: expected true, false or one of http, "],
    [() => deny("x", { inBand: 1 as never }), "inBand: expected true, false or one of"],
    [() => deny("x", { inBand: true, reset: true }), "reset and inBand exclude each other"],
    [() => deny("x", { dealy: 1 } as never), 'did you mean "delay"?'],
    [() => deny("x", null as never), "object of options"],
    [() => deny("x", { delay: "x" }), "delay"],
    [() => respond(undefined as never), "found undefined"],
    [() => respond(5 as never), "found 5"],
    [() => respond({} as never), "found an object"],
    [() => respond((() => "x") as never), "was it meant to be called?"],
    [() => respond("x", { reset: true } as never), 'no option "reset"'],
  ])("%p is refused: %s", (make, why) => {
    expect(make).toThrow(why)
  })

  test("a body may be bytes, a generator or a list of chunks", () => {
    for (const body of ["", new Uint8Array(), later(), ["a", new Uint8Array([1])], new Set(["a"])])
      expect(respond(body).body).toBe(body)
  })
})

group("what a policy answered", () => {
  test("a value of the constructors is taken as it is", () => {
    for (const value of [next, deny("x"), respond("x"), route("tcp://a:1"), route("tcp://a:1").or(deny())])
      expect(checkAnswer(value)).toBe(value)
  })

  test("hand-written data is checked and normalised as the constructors do", () => {
    expect(checkAnswer({ action: "next" })).toBe(next)
    expect(checkAnswer({ action: "deny", reason: "x" })).toEqual(deny("x"))
    expect(checkAnswer({ action: "respond", body: "x", delay: "1 s" })).toEqual(respond("x", { delay: 1000 }))
    expect(checkAnswer({ action: "route", targets: [{ url: "TCP://A:1" }], otherwise: { action: "deny" } })).toEqual(
      route("tcp://a:1").or(deny()),
    )
  })

  test("a decision survives being written and read as JSON", () => {
    const decisions = [
      deny("x", { reset: true }),
      respond("x"),
      route(["tcp://a:1"], { retries: 1 }).or(route("tcp://b:1").or(deny())),
    ]
    for (const decision of decisions) expect(checkAnswer(JSON.parse(JSON.stringify(decision)))).toEqual(decision)
  })

  test.each([
    [undefined, "on_tcp_connect returned nothing; write `return next`"],
    [null, "returned null; expected route"],
    [true, "returned true"],
    ["tcp://db:5432", 'returned "tcp://db:5432"'],
    [[], "returned an empty list"],
    [{}, "returned an object"],
    [new Map(), "returned a Map"],
    [deny, "returned a function (deny); was it meant to be called?"],
    [{ action: "allow" }, "returned an object"],
    [{ action: "deny", reset: "yes" }, "reset"],
    [{ action: "deny", why: "x" }, 'no option "why"'],
    [{ action: "route" }, "list of targets"],
    [{ action: "route", targets: "tcp://db:1" }, "list of targets"],
    [{ action: "route", targets: [{ url: "tcp://a:1" }], otherwise: next }, "otherwise: next is not a decision"],
  ])("%p is no answer", (value, why) => {
    expect(() => checkAnswer(value)).toThrow(why)
  })

  test("arbitrary data is an answer or one of the three named errors", () => {
    const { pick, below } = random(10)
    const leaves: unknown[] = [
      undefined,
      null,
      0,
      -1,
      5,
      "x",
      "tcp://a:1",
      "db",
      "5 seconds",
      true,
      [],
      {},
      next,
      Symbol("s"),
      10n,
      () => 1,
    ]
    const keys = [
      "action",
      "targets",
      "url",
      "weight",
      "reason",
      "body",
      "delay",
      "reset",
      "inBand",
      "retries",
      "otherwise",
      "connectTimeout",
      "x",
    ]
    const actions = ["route", "deny", "respond", "next", "?"]
    const value = (depth: number): unknown => {
      if (depth === 0 || below(4) === 0) return pick(leaves)
      if (below(4) === 0) return Array.from({ length: below(3) }, () => value(depth - 1))
      const entries = Array.from({ length: below(4) }, () => [pick(keys), value(depth - 1)] as const)
      return Object.fromEntries([["action", pick(actions)], ...entries])
    }
    let good = 0
    for (let i = 0; i < 50_000; i++) {
      const input = value(3)
      try {
        const answer = checkAnswer(input)
        expect(checkAnswer(answer)).toBe(answer)
        good++
      } catch (error) {
        const named = [DecisionInvalid, TargetInvalid, DurationInvalid].some((known) => error instanceof known)
        if (!named) throw error
      }
    }
    expect(good).toBeGreaterThan(1000)
  })

  test("next is an answer, but no decision", () => {
    expect(() => checkDecision(next, "here")).toThrow(DecisionInvalid)
    expect(checkDecision(deny(), "here")).toEqual(deny())
  })
})

test.each([
  [null, "null"],
  ["x".repeat(100), `"${"x".repeat(60)}..."`],
  [Symbol("s"), "Symbol(s)"],
  [10n, "10"],
  [Object.create(null), "an object"],
  [new Date(), "a Date"],
  [() => 1, "a function; was it meant to be called?"],
])("%p is described as %s", (value, expected) => {
  expect(describe(value)).toBe(expected)
})
