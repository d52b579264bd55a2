import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import type { Connection, Summary } from "../../src/policy/connection.ts"
import { PrereadTimeout, PrereadTooLarge } from "../../src/policy/preread.ts"
import { gateway, type OnConnect, type TestGateway, type TestPolicy } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const listen = "tcp://127.0.0.1:0"
const later = <A>(value: A, milliseconds = 1) => Bun.sleep(milliseconds).then(() => value)
const never = () => new Promise<never>(() => undefined)

/** Policies in one gateway with one listener: the first names it, the others are asked on every listener. */
function policies(...list: OnConnect[]): TestPolicy[] {
  return list.map((on_tcp_connect, i) => (i === 0 ? { listen, on_tcp_connect } : { on_tcp_connect }))
}

/** What a client that says `first` and then its FIN is answered. */
async function ask(gate: TestGateway, first = ""): Promise<string> {
  using client = await connect(gate.port, { first })
  const text = await client.text()
  client.end()
  return text
}

/** The event of a client that waits for what comes. */
async function eventOf(gate: TestGateway, first = ""): Promise<Summary> {
  await ask(gate, first)
  return (await gate.ended(1))[0]!
}

describe("policies", () => {
  test("are asked in order until one decides", async () => {
    const asked: number[] = []
    const pass = (i: number) => () => (asked.push(i), next)
    using gate = gateway(
      policies(
        pass(0),
        () => later(pass(1)()),
        pass(2),
        () => (asked.push(3), respond("three")),
        () => (asked.push(4), respond("four")),
      ),
    )
    expect(await ask(gate)).toBe("three")
    expect(asked).toEqual([0, 1, 2, 3])
    expect((await gate.ended(1))[0]!.policy).toEqual({
      file: "p3.ts",
      rule: null,
      version: "000000000000",
      decision: "respond",
      reason: null,
    })
  })

  test("that all pass leave the connection without a decision: it is closed", async () => {
    using gate = gateway(
      policies(
        () => next,
        () => later(next),
      ),
    )
    const event = await eventOf(gate)
    expect(event).toMatchObject({
      close: { reason: "no-decision", by: "gateway" },
      policy: null,
      ip_policy: { decision: null },
    })
    expect(gate.failures).toEqual([])
  })

  test.each<[string, OnConnect, string]>([
    ["nothing", () => undefined, "on_tcp_connect returned nothing; write `return next`"],
    ["a promise of nothing", async () => undefined, "on_tcp_connect returned nothing; write `return next`"],
    [
      "a text",
      () => "tcp://db:5432",
      'on_tcp_connect returned "tcp://db:5432"; expected route(...), deny(...), respond(...) or next',
    ],
    ["true", () => later(true), "on_tcp_connect returned true; expected route(...), deny(...), respond(...) or next"],
    ["null", () => null, "on_tcp_connect returned null; expected route(...), deny(...), respond(...) or next"],
    [
      "the function next",
      () => () => next,
      "on_tcp_connect returned a function; was it meant to be called?; expected route(...), deny(...), respond(...) or next",
    ],
    [
      "a route of its own making to nowhere",
      () => ({ action: "route", targets: [] }),
      "route: the list of targets is empty",
    ],
  ])("that answer %s have failed: closed, and nobody else is asked", async (_, answer, reason) => {
    let asked = false
    using gate = gateway(policies(answer, () => ((asked = true), respond("open"))))
    const event = await eventOf(gate)
    expect(event.close).toEqual({ reason: "policy-failed", by: "gateway" })
    expect(event.policy).toMatchObject({ file: "p0.ts", decision: null, reason })
    expect(event.conn.bytes_out).toBe(0)
    expect(asked).toBe(false)
    expect(gate.failures.map((failure) => (failure.error as Error).message)).toEqual([reason])
  })

  test.each<[string, OnConnect]>([
    [
      "throw",
      () => {
        throw new Error("broken")
      },
    ],
    [
      "reject",
      async () => {
        await later(0)
        throw new Error("broken")
      },
    ],
    [
      "throw what is no error",
      () => {
        throw "broken"
      },
    ],
  ])("that %s have failed", async (_, answer) => {
    using gate = gateway(policies(answer, () => respond("open")))
    const event = await eventOf(gate)
    expect(event.close).toEqual({ reason: "policy-failed", by: "gateway" })
    expect(event.policy).toMatchObject({ file: "p0.ts", reason: "broken" })
    expect(gate.failures).toHaveLength(1)
    expect(gate.internalErrors).toEqual([])
  })

  test("may return data instead of what the constructors make", async () => {
    using gate = gateway(() => ({ action: "respond", body: "by hand" }))
    expect(await ask(gate)).toBe("by hand")
  })

  test("share the vars of one connection, and of no other", async () => {
    using gate = gateway(
      policies(
        (connection) => {
          connection.vars.set("seen", ((connection.vars.get("seen") as number | undefined) ?? 0) + 1)
          return next
        },
        (connection) => respond(String(connection.vars.get("seen"))),
      ),
    )
    expect([await ask(gate), await ask(gate)]).toEqual(["1", "1"])
  })

  test("see who connects to what", async () => {
    let seen: Record<string, unknown> = {}
    using gate = gateway((connection) => {
      const { client, server, id, listener, openedAt, dryRun } = connection
      const { address, family, port } = client
      seen = { client: { address, family, port }, server, id, listener, age: Date.now() - openedAt.getTime(), dryRun }
      seen["within"] = [client.within("127.0.0.0/8"), client.within("10.0.0.0/8", "::/0"), client.within("127.0.0.1")]
      return respond("")
    })
    using client = await connect(gate.port)
    await client.text()
    const { localPort } = client.socket!
    client.end()
    const [event] = await gate.ended(1)
    expect(seen).toEqual({
      client: { address: "127.0.0.1", family: "IPv4", port: localPort },
      server: { address: "127.0.0.1", port: gate.port },
      id: event!.conn.id,
      listener: { name: "127.0.0.1:0#p0.ts", url: "tcp://127.0.0.1:0" },
      age: expect.any(Number),
      dryRun: false,
      within: [true, false, true],
    })
    expect(seen["age"] as number).toBeLessThan(1000)
  })
})

describe("the deadline", () => {
  test("closes the connection of a policy that does not answer, and aborts its signal", async () => {
    let signal: AbortSignal | undefined
    using gate = gateway([
      {
        listen,
        deadline: 300,
        on_tcp_connect: (connection) => {
          signal = connection.signal
          return never()
        },
      },
    ])
    const started = performance.now()
    const event = await eventOf(gate)
    expect(performance.now() - started).toBeGreaterThanOrEqual(300)
    expect(event.close).toEqual({ reason: "policy-timeout", by: "gateway" })
    expect(event.policy).toMatchObject({ file: "p0.ts", decision: null, reason: "no answer within 300 ms" })
    expect(signal!.aborted).toBe(true)
    expect(gate.failures).toHaveLength(1)
  })

  test("is shared by all files that are asked", async () => {
    const slow = { deadline: 400, on_tcp_connect: () => later(next, 350) }
    using gate = gateway([{ listen, ...slow }, slow, slow, slow])
    const started = performance.now()
    const event = await eventOf(gate)
    expect(event.close.reason).toBe("policy-timeout")
    expect(event.policy!.file).toBe("p1.ts")
    expect(performance.now() - started).toBeLessThan(1000)
  })

  test("does not matter to answers that come at once, however many files there are", async () => {
    using gate = gateway([
      { listen, deadline: 100, on_tcp_connect: () => next },
      { on_tcp_connect: () => respond("ok") },
    ])
    expect(await ask(gate)).toBe("ok")
  })

  test("makes a late answer be ignored", async () => {
    using up = upstream(echo)
    const answer = Promise.withResolvers<ReturnType<typeof route>>()
    using gate = gateway([{ listen, deadline: 100, on_tcp_connect: () => answer.promise }])
    expect((await eventOf(gate)).close.reason).toBe("policy-timeout")
    answer.resolve(route(up.url))
    await later(0, 20)
    expect(up.accepted).toEqual([])
    expect(gate.events).toHaveLength(1)
  })

  test("stands still while the gateway waits for the client", async () => {
    using gate = gateway([
      {
        listen,
        deadline: 300,
        on_tcp_connect: async (connection) => {
          const bytes = await connection.peek(4)
          return respond(bytes)
        },
      },
    ])
    using client = await connect(gate.port)
    await later(0, 700)
    await client.write("late")
    expect(await client.text()).toBe("late")
  })

  test("goes on when the client has sent what was waited for", async () => {
    using gate = gateway([
      {
        listen,
        deadline: 400,
        on_tcp_connect: async (connection) => {
          await connection.peek(1)
          return never()
        },
      },
    ])
    using client = await connect(gate.port)
    await later(0, 300)
    const started = performance.now()
    await client.write("x")
    expect(await client.stops()).toBe("FIN")
    expect(performance.now() - started).toBeGreaterThan(250)
    expect(performance.now() - started).toBeLessThan(1000)
    client.end()
    expect((await gate.ended(1))[0]!.close.reason).toBe("policy-timeout")
  })

  test("counts the work around a wait for the client", async () => {
    using gate = gateway([
      {
        listen,
        deadline: 500,
        on_tcp_connect: async (connection) => {
          await later(0, 300)
          await connection.peek(1)
          return later(respond("too late"), 600)
        },
      },
    ])
    const started = performance.now()
    expect((await eventOf(gate, "x")).close.reason).toBe("policy-timeout")
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

/** A policy that hands out its signal and answers when the test says so. */
const watching = () => {
  const seen = Promise.withResolvers<AbortSignal>()
  const answer = Promise.withResolvers<unknown>()
  const on_tcp_connect = (connection: Connection) => {
    seen.resolve(connection.signal)
    return answer.promise
  }
  return { seen: seen.promise, answer: answer.resolve, on_tcp_connect }
}

describe("connection.signal", () => {
  test("aborts when the client resets, and the answer no longer matters", async () => {
    const policy = watching()
    using gate = gateway(policy.on_tcp_connect)
    using client = await connect(gate.port)
    const signal = await policy.seen
    expect(signal.aborted).toBe(false)
    client.reset()
    const event = (await gate.ended(1))[0]!
    expect(event.close).toEqual({ reason: "client-reset", by: "client" })
    expect(signal.aborted).toBe(true)
    expect((signal.reason as Error).message).toBe("the connection is over: client-reset")
    policy.answer(respond("nobody"))
    await later(0)
    expect(gate.events).toHaveLength(1)
  })

  test("does not abort on the client's FIN, nor when all ends well", async () => {
    const policy = watching()
    using gate = gateway(policy.on_tcp_connect)
    using client = await connect(gate.port)
    const signal = await policy.seen
    client.end()
    const [connection] = gate.path.live
    await eventually(() => connection!.client.ended)
    expect(signal.aborted).toBe(false)
    policy.answer(respond("for you"))
    expect(await client.text()).toBe("for you")
    await gate.ended(1)
    expect(signal.aborted).toBe(false)
  })

  test("aborts at shutdown", async () => {
    const policy = watching()
    const gate = gateway(policy.on_tcp_connect)
    using _client = await connect(gate.port)
    const signal = await policy.seen
    gate[Symbol.dispose]()
    expect((signal.reason as Error).message).toBe("the connection is over: shutdown")
  })

  test("that is first asked for after the end is aborted already", async () => {
    const held = Promise.withResolvers<Connection>()
    using gate = gateway((connection) => (held.resolve(connection), never()))
    using client = await connect(gate.port)
    const connection = await held.promise
    client.reset()
    await gate.ended(1)
    expect(connection.signal.aborted).toBe(true)
  })
})

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

describe("peek", () => {
  test("gives all bytes so far once there are enough, and consumes nothing", async () => {
    using up = upstream(echo)
    const seen: string[] = []
    using gate = gateway(async (connection) => {
      seen.push(text(await connection.peek(3)), text(await connection.peek(1)), text(await connection.peek(0)))
      return route(up.url)
    })
    using client = await connect(gate.port)
    await client.write("ab")
    await later(0, 20)
    await client.write("cde")
    client.end()
    expect(await client.text()).toBe("abcde")
    expect(seen).toEqual(["abcde", "abcde", "abcde"])
  })

  test("gives fewer after the client's FIN", async () => {
    using gate = gateway(async (connection) => respond(`got ${text(await connection.peek(100))}`))
    using client = await connect(gate.port, { first: "abc" })
    client.end()
    expect(await client.text()).toBe("got abc")
  })

  test("may overlap: each is served when it has enough", async () => {
    const order: string[] = []
    const note = (name: string) => (bytes: Uint8Array) => void order.push(`${name} ${text(bytes)}`)
    using gate = gateway(async (connection) => {
      await Promise.all([
        connection.peek(6).then(note("six")),
        connection.peek(2).then(note("two")),
        connection.peek(4).then(note("four")),
      ])
      return respond("done")
    })
    using client = await connect(gate.port)
    for (const part of ["ab", "cd", "ef"]) {
      await client.write(part)
      await later(0, 20)
    }
    expect(await client.text()).toBe("done")
    expect(order).toEqual(["two ab", "four abcd", "six abcdef"])
  })

  test("times out `within`, and the policy may go on without", async () => {
    let error: unknown
    using gate = gateway(async (connection) => {
      await connection.peek(5, { within: "300 ms" }).catch((caught) => (error = caught))
      return respond("server first")
    })
    const started = performance.now()
    expect(await ask(gate, "abc")).toBe("server first")
    expect(performance.now() - started).toBeGreaterThanOrEqual(300)
    expect(performance.now() - started).toBeLessThan(1000)
    expect(error).toBeInstanceOf(PrereadTimeout)
    expect((error as Error).message).toContain("3 of 5 bytes within 300 ms")
  })

  test("times out on its own time, with a longer one beside it", async () => {
    using gate = gateway(async (connection) => {
      const slow = connection.peek(5, { within: "30 seconds" }).catch(() => "cut off")
      const quick = await connection.peek(5, { within: 200 }).catch(() => "timed out")
      void slow
      return respond(quick)
    })
    const started = performance.now()
    expect(await ask(gate)).toBe("timed out")
    expect(performance.now() - started).toBeLessThan(900)
  })

  test("that times out uncaught is preread-timeout, and no failure of the policy", async () => {
    using gate = gateway(async (connection) => respond(await connection.peek(5, { within: 200 })))
    expect(await eventOf(gate, "abc")).toMatchObject({
      close: { reason: "preread-timeout", by: "gateway" },
      policy: { file: "p0.ts", decision: null },
      conn: { bytes_in: 3, bytes_out: 0 },
    })
    expect(gate.failures).toEqual([])
  })

  test("that times out wrapped in another error is preread-timeout too", async () => {
    using gate = gateway((connection) =>
      connection.peek(5, { within: 200 }).catch((cause) => {
        throw new Error("no greeting", { cause })
      }),
    )
    expect((await eventOf(gate)).close.reason).toBe("preread-timeout")
  })

  test("waits 3 seconds unless told otherwise, longer than the policy's own deadline", async () => {
    using gate = gateway([
      { listen, deadline: 200, on_tcp_connect: async (connection) => respond(await connection.peek(1)) },
    ])
    const started = performance.now()
    expect((await eventOf(gate)).close.reason).toBe("preread-timeout")
    expect(performance.now() - started).toBeGreaterThanOrEqual(3000)
    expect(performance.now() - started).toBeLessThan(3900)
  })

  test("of more than 16 KiB is preread-too-large", async () => {
    const errors: unknown[] = []
    using gate = gateway(async (connection) => {
      await connection.peek(16_385).catch((error) => errors.push(error))
      await connection.peek(-1).catch((error) => errors.push(error))
      await connection.peek(1.5).catch((error) => errors.push(error))
      await connection.peek(1, { within: "soon" }).catch((error) => errors.push(error))
      return respond(await connection.peek(20_000))
    })
    expect((await eventOf(gate)).close.reason).toBe("preread-too-large")
    expect(errors.map((error) => (error as Error).name)).toEqual([
      "PrereadTooLarge",
      "RangeError",
      "RangeError",
      "DurationInvalid",
    ])
    expect(errors[0]).toBeInstanceOf(PrereadTooLarge)
  })

  test("of 16 KiB is served, and what came beyond it is kept", async () => {
    using up = upstream(echo)
    let peeked = 0
    using gate = gateway(async (connection) => {
      peeked = (await connection.peek(16_384)).length
      return route(up.url)
    })
    const sent = Buffer.alloc(700_000, "0123456789")
    using client = await connect(gate.port)
    await client.write(sent)
    client.end()
    expect(await client.bytes()).toEqual(sent)
    expect(peeked).toBeGreaterThanOrEqual(16_384)
  })

  test("gives a copy: what a policy writes into it does not reach the upstream", async () => {
    using up = upstream(echo)
    using gate = gateway(async (connection) => {
      const bytes = await connection.peek(3)
      bytes.fill(0)
      return text(await connection.peek(3)) === "abc" ? route(up.url) : deny()
    })
    using client = await connect(gate.port, { first: "abc" })
    client.end()
    expect(await client.text()).toBe("abc")
  })

  test("is refused when the connection is decided, and when it is over", async () => {
    using up = upstream(echo)
    const held = Promise.withResolvers<Connection>()
    let waiting: Promise<unknown> | undefined
    using gate = gateway((connection) => {
      held.resolve(connection)
      waiting = connection.peek(100).catch((error) => (error as Error).message)
      return route(up.url)
    })
    using client = await connect(gate.port, { first: "x" })
    await client.atLeast(1)
    const connection = await held.promise
    expect(await waiting).toBe("peek: the connection is decided")
    await expect(connection.peek(1)).rejects.toThrow("peek: the connection is decided")
    client.reset()
    await gate.ended(1)
    await expect(connection.peek(1)).rejects.toThrow("the connection is over: client-reset")
  })

  test("is refused when the client resets", async () => {
    const message = Promise.withResolvers<string>()
    using gate = gateway((connection) =>
      connection.peek(5).catch((error) => {
        message.resolve((error as Error).message)
        return next
      }),
    )
    using client = await connect(gate.port, { first: "abc" })
    const [live] = gate.path.live
    await eventually(() => live!.client.received === 3)
    client.reset()
    expect(await message.promise).toBe("the connection is over: client-reset")
    expect((await gate.ended(1))[0]!.close.reason).toBe("client-reset")
  })
})

describe("what a policy logs", () => {
  test("is in the closing event, in order, over all policies", async () => {
    using gate = gateway(
      policies(
        (connection) => (connection.log({ user: "ana" }), connection.log({ n: 1, at: new Date(0) }), next),
        (connection) => (connection.log({ second: true }), respond("")),
      ),
    )
    expect((await eventOf(gate)).traffic_policy.logs).toEqual([
      { user: "ana" },
      { n: 1, at: "1970-01-01T00:00:00.000Z" },
      { second: true },
    ])
  })

  test("is cut at 4 KiB of JSON", async () => {
    using gate = gateway((connection) => {
      connection.log({ fits: "x".repeat(4000) })
      connection.log({ over: "y".repeat(100) })
      connection.log({ small: 1 })
      return respond("")
    })
    expect((await eventOf(gate)).traffic_policy.logs).toEqual([{ fits: "x".repeat(4000) }, { truncated: true }])
  })

  test("and is no object is the policy's failure", async () => {
    using gate = gateway((connection) => (connection.log(["a"] as never), respond("")))
    expect((await eventOf(gate)).close.reason).toBe("policy-failed")
  })
})

describe("on_tcp_close", () => {
  test("is called once for every policy that was asked, with the closing event", async () => {
    const told: string[] = []
    let summary: Summary | undefined
    const policy = (name: string, answer: unknown): TestPolicy => ({
      on_tcp_connect: () => answer,
      on_tcp_close: (closed) => {
        told.push(name)
        summary = closed
      },
    })
    using gate = gateway([
      { listen, ...policy("first", next) },
      policy("second", later(respond("hi"))),
      policy("never asked", respond("no")),
    ])
    const event = await eventOf(gate)
    expect(told).toEqual(["first", "second"])
    expect(summary).toBe(event)
  })

  test("that throws is that policy's failure and harms nobody else", async () => {
    const told: string[] = []
    using gate = gateway([
      {
        listen,
        on_tcp_connect: () => next,
        on_tcp_close: () => {
          throw new Error("in close")
        },
      },
      { on_tcp_connect: () => respond("hi"), on_tcp_close: () => void told.push("second") },
    ])
    await eventOf(gate)
    expect(told).toEqual(["second"])
    expect(gate.failures.map(({ file, error }) => [file, (error as Error).message])).toEqual([["p0.ts", "in close"]])
    expect(gate.path.live.size).toBe(0)
  })
})

describe("an Effect", () => {
  const effect = { "~effect/Effect": {} }

  test("is run, and its value is the answer", async () => {
    using gate = gateway(
      () => effect,
      {},
      {
        runEffect: (_, settle) => {
          settle({ ok: true, value: respond("effective") })
          return () => undefined
        },
      },
    )
    expect(await ask(gate)).toBe("effective")
  })

  test("is interrupted when the client resets, and at the deadline", async () => {
    let interrupted = 0
    const exits = { runEffect: () => () => void interrupted++ }
    using gate = gateway([{ listen, deadline: 200, on_tcp_connect: () => effect }], {}, exits)
    using client = await connect(gate.port)
    await eventually(() => gate.path.live.size === 1)
    client.reset()
    await gate.ended(1)
    expect(interrupted).toBe(1)
    await ask(gate)
    expect((await gate.ended(2))[1]!.close.reason).toBe("policy-timeout")
    expect(interrupted).toBe(2)
  })
})

test("a bug of ours ends the connection it shows on, as internal-error, and no other", async () => {
  const bug = new Error("a bug")
  let broken = true
  const enter = () => {
    if (broken) throw bug
  }
  using gate = gateway(() => respond("fine"), {}, { enter })
  using client = await connect(gate.port)
  expect(await client.closes()).toBe("ECONNRESET")
  expect((await gate.ended(1))[0]!.close).toEqual({ reason: "internal-error", by: "gateway" })
  expect(gate.internalErrors).toEqual([bug])
  broken = false
  expect(await ask(gate)).toBe("fine")
})

test("a value whose `then` throws is the policy's failure", async () => {
  // oxlint-disable-next-line unicorn/no-thenable -- this is what is tested
  const getter = Object.defineProperty({}, "then", {
    get() {
      throw new Error("no then")
    },
  })
  const thenable = {
    // oxlint-disable-next-line unicorn/no-thenable -- this is what is tested
    then() {
      throw new Error("no answer")
    },
  }
  for (const value of [getter, thenable]) {
    using gate = gateway(() => value)
    expect((await eventOf(gate)).close).toEqual({ reason: "policy-failed", by: "gateway" })
    expect(gate.internalErrors).toEqual([])
  }
})

test("what cannot be shown is the policy's failure too, and the connection no longer counts", async () => {
  const bare = Object.create(null) as object
  const hostile = Object.defineProperty(new Error("x"), "message", {
    get() {
      throw new Error("no message")
    },
  })
  for (const thrown of [bare, hostile, Object.assign(new Error("x"), { message: { a: 1n } })]) {
    const reject = () => Promise.reject(thrown)
    using gate = gateway([
      {
        listen,
        on_tcp_connect: reject,
        on_tcp_close: () => {
          throw thrown
        },
      },
    ])
    expect((await eventOf(gate)).close).toEqual({ reason: "policy-failed", by: "gateway" })
    expect(gate.path.live.size).toBe(0)
  }
})

test("nobody has to wait for what a decided connection rejects", async () => {
  const told: unknown[] = []
  const listener = (error: unknown) => told.push(error)
  process.on("unhandledRejection", listener)
  try {
    using gate = gateway((connection) => {
      void connection.peek(5)
      void connection.hello()
      void connection.protocol({ silence: "10 seconds" })
      void connection.terminate()
      return respond("too early")
    })
    using client = await connect(gate.port)
    expect(await client.text()).toBe("")
    client.end()
    const [event] = await gate.ended(1)
    expect([event!.close.reason, event!.policy!.reason]).toEqual([
      "policy-failed",
      "decided while terminate() was under way; write: await connection.terminate()",
    ])
    expect(told).toEqual([])
  } finally {
    process.off("unhandledRejection", listener)
  }
})

test.each([
  ["peek", "withn", "within"],
  ["protocol", "silnce", "silence"],
] as const)("an option of %s that is not there is a failure of the policy", async (method, wrong, right) => {
  using gate = gateway(async (connection) => {
    const options = { [wrong]: "1 second" }
    await (method === "peek" ? connection.peek(1, options) : connection.protocol(options))
    return respond("?")
  })
  using client = await connect(gate.port)
  expect(await client.text()).toBe("")
  client.end()
  expect((await gate.ended(1))[0]).toMatchObject({
    close: { reason: "policy-failed" },
    policy: { reason: `${method}: there is no option "${wrong}"; the one that there is is ${right}` },
  })
})
