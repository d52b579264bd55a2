import { describe, expect, spyOn, test } from "bun:test"
import { Context, Effect } from "effect"
import { ask, messageOf, type Asked } from "../../src/policy/ask.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { deny, next, respond } from "../../src/policy/decision.ts"
import { simulate } from "../../src/policy/simulated.ts"

const asking = (policies: (Asked["connect"] | Partial<Asked>)[]) => {
  const simulated = simulate({ from: "203.0.113.9", to: "tcp://:5432", bytes: "hi" })
  const asked = policies.map((policy, i) => ({
    file: `${i}.ts`,
    connect: () => next,
    deadline: undefined,
    resources: undefined,
    ...(typeof policy === "function" ? { connect: policy } : policy),
  }))
  return { connection: simulated.connection, asked: ask(asked, simulated) }
}
const outcome = async (...policies: (Asked["connect"] | Partial<Asked>)[]) => (await asking(policies).asked).outcome

const stuck = () => new Promise(() => {})
const failing = (connection: Connection) =>
  new Promise((_, reject) => connection.signal.addEventListener("abort", () => reject(new Error("aborted"))))
const thrown = (error: unknown) => () => {
  throw error
}

describe("in order", () => {
  test("the first decision wins, and those after it are not asked", async () => {
    const { asked } = asking([() => next, async () => deny("no"), () => expect.unreachable()])
    expect(await asked).toEqual({
      said: [
        { file: "0.ts", answer: next },
        { file: "1.ts", answer: deny("no") },
      ],
      outcome: { kind: "decision", file: "1.ts", decision: deny("no") },
    })
  })

  test("when all pass there is no decision", async () => {
    expect(
      await outcome(
        () => next,
        async () => next,
      ),
    ).toEqual({ kind: "no-decision" })
    expect(await outcome()).toEqual({ kind: "no-decision" })
  })

  test("each gets the connection and its own resources", async () => {
    const seen: unknown[] = []
    const connect = (connection: Connection, resources: unknown) => {
      seen.push(connection.client.address, resources)
      return next
    }
    await outcome({ connect, resources: 1 }, { connect, resources: 2 })
    expect(seen).toEqual(["203.0.113.9", 1, "203.0.113.9", 2])
  })
})

describe("answers that wait", () => {
  test("a Promise, a thenable and an Effect are waited for", async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- the subject of this test
    const thenable = { then: (done: (answer: unknown) => void) => done(respond("later")) }
    for (const connect of [async () => respond("later"), () => thenable, () => Effect.succeed(respond("later"))])
      expect(await outcome(connect)).toMatchObject({ kind: "decision", decision: { body: "later" } })
  })

  test("past the deadline it is policy-timeout: the signal aborts and an Effect is interrupted", async () => {
    const ended: string[] = []
    const never = Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => ended.push("interrupted"))))
    const { connection, asked } = asking([{ deadline: 5, connect: () => never }])
    connection.signal.addEventListener("abort", () => ended.push("aborted"))
    expect((await asked).outcome).toMatchObject({
      kind: "failed",
      reason: "policy-timeout",
      message: "no answer within 5 ms",
    })
    expect(ended).toContain("aborted")
    await Effect.runPromise(Effect.yieldNow)
    expect(ended).toContain("interrupted")
  })

  test("a policy that answers the abort with a failure has still timed out", async () => {
    expect(await outcome({ deadline: 5, connect: failing })).toMatchObject({ reason: "policy-timeout" })
  })

  test("all policies share one clock", async () => {
    // The first policy is asked at 0 ms, the second at 6,000 ms.
    using clock = spyOn(performance, "now").mockReturnValueOnce(0).mockReturnValueOnce(0).mockReturnValueOnce(6000)
    expect(await outcome(async () => next, stuck)).toMatchObject({ file: "1.ts", reason: "policy-timeout" })
    expect(clock).toHaveBeenCalledTimes(3)
  })
})

describe("failures", () => {
  class OutOfLuck extends Error {
    override readonly name = "OutOfLuck"
  }
  class Missing extends Context.Service<Missing, string>()("test/Missing") {}

  test.each([
    ["a throw", thrown(new Error("broken")), "broken"],
    ["a TypeError", () => (undefined as never as { x: 1 }).x, /^TypeError: /],
    ["an error of the policy's own", thrown(new OutOfLuck("today")), "OutOfLuck: today"],
    ["an error without a message", thrown(new OutOfLuck()), "OutOfLuck"],
    ["a thrown text", thrown("oops"), 'threw "oops"'],
    ["a rejection", () => Promise.reject(new Error("broken")), "broken"],
    ["a failed Effect", () => Effect.fail(new OutOfLuck("today")), "OutOfLuck: today"],
    ["an Effect that died", () => Effect.die(new Error("bug")), "bug"],
    ["an Effect that needs a service", () => Effect.map(Missing, () => next), /Service not found: test\/Missing/],
    ["nothing", () => undefined, "on_tcp_connect returned nothing; write `return next`"],
    ["a Promise of nothing", async () => undefined, "on_tcp_connect returned nothing; write `return next`"],
    ["an Effect of nothing", () => Effect.void, "on_tcp_connect returned nothing; write `return next`"],
    ["no decision", () => true, /returned true/],
    ["a bad decision", () => ({ action: "route", targets: [{ url: "db" }] }), /"db" in a list of targets/],
  ])("%s is policy-failed", async (_, connect, message) => {
    const failed = await outcome(connect)
    expect(failed).toMatchObject({ kind: "failed", file: "0.ts", reason: "policy-failed" })
    expect(failed.kind === "failed" ? failed.message : "").toMatch(message)
  })

  test.each([
    ["not caught", (connection: Connection) => connection.peek(5)],
    ["wrapped by Effect", (connection: Connection) => Effect.tryPromise(() => connection.peek(5))],
    [
      "thrown on",
      (connection: Connection) => connection.peek(5).catch((cause) => Promise.reject(new Error("x", { cause }))),
    ],
  ])("a peek that times out, %s, is preread-timeout", async (_, connect) => {
    expect(await outcome(connect)).toMatchObject({ kind: "failed", reason: "preread-timeout" })
  })

  test("a peek for too much is preread-too-large", async () => {
    expect(await outcome((connection) => connection.peek(20_000))).toMatchObject({ reason: "preread-too-large" })
  })

  test("the signal aborts, and nobody else is asked", async () => {
    const { connection, asked } = asking([thrown(new Error("broken")), () => expect.unreachable()])
    expect((await asked).said).toEqual([{ file: "0.ts", answer: undefined }])
    expect(connection.signal.aborted).toBe(true)
  })
})

test("a message says the name of an error only where that says more", () => {
  expect(messageOf(new RangeError("x"))).toBe("RangeError: x")
  expect(messageOf(new Error("x"))).toBe("x")
  expect(messageOf({ why: 1 })).toBe("threw an object")
})
