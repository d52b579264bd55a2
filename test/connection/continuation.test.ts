// A route that goes on with its policy when every attempt has failed.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import type { Connection } from "../../src/policy/connection.ts"
import {
  continuationOf,
  continued,
  deny,
  next,
  respond,
  route,
  type Continuation,
  type RouteFailure,
} from "../../src/policy/decision.ts"
import { gateway, type OnConnect, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { answers, echo, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const listen = "tcp://127.0.0.1:0"
const later = <A>(value: A) => Bun.sleep(1).then(() => value)

/** An address where nobody listens: one that was bound a moment ago. */
function refusing(): string {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  listener.stop(true)
  return `tcp://127.0.0.1:${listener.port}`
}

async function ask(gate: TestGateway, first = "?"): Promise<string> {
  using client = await connect(gate.port, { first })
  const text = await client.text()
  client.end()
  return text
}

function goesOn(continuation: Continuation): OnConnect {
  return () => continued(route(refusing()), continuation)
}

describe("a continued route", () => {
  test("is asked only after the target could not be reached, and is told why", async () => {
    const failures: RouteFailure[] = []
    using gate = gateway(
      goesOn((failure) => {
        failures.push(failure)
        return respond("down\n")
      }),
    )
    expect(await ask(gate)).toBe("down\n")
    expect(failures).toEqual([{ code: "dial-failed", message: "ECONNREFUSED" }])
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "answered", by: "gateway" },
      policy: { decision: "respond" },
      upstream: { attempts: 1, error: "ECONNREFUSED" },
    })
  })

  test("is not asked where the target is reached", async () => {
    using up = upstream(echo)
    let asked = 0
    using gate = gateway(() => continued(route(up.url), () => (asked++, deny())))
    using client = await connect(gate.port, { first: "hello" })
    client.end()
    expect(await client.text()).toBe("hello")
    await gate.ended(1)
    expect(asked).toBe(0)
  })

  test("leads to another target, which gets every byte of the client", async () => {
    using up = upstream(answers((request) => `got ${new TextDecoder().decode(request)}`))
    using gate = gateway(goesOn(() => later(route(up.url))))
    using client = await connect(gate.port, { first: "first " })
    await client.write("second")
    client.end()
    expect(await client.text()).toBe("got first second")
    expect((await gate.ended(1))[0]).toMatchObject({ upstream: { target: up.url, error: null } })
  })

  test("may read what the client says, as a policy that is asked first", async () => {
    using up = upstream(answers(() => "up"))
    using gate = gateway((connection: Connection) =>
      continued(route(refusing()), async () => {
        const said = new TextDecoder().decode(await connection.peek(3))
        return said === "yes" ? route(up.url) : deny(`said ${said}`)
      }),
    )
    using client = await connect(gate.port, { first: "yes" })
    client.end()
    expect(await client.text()).toBe("up")
    expect(await ask(gate, "not")).toBe("")
    expect((await gate.ended(2))[1]).toMatchObject({ close: { reason: "denied" }, policy: { reason: "said not" } })
  })

  test("that answers next goes on to the policies after it", async () => {
    const asked: string[] = []
    using gate = gateway([
      { listen, on_tcp_connect: goesOn(() => (asked.push("on"), next)) },
      { on_tcp_connect: () => (asked.push("second"), respond("second")) },
    ])
    expect(await ask(gate)).toBe("second")
    expect(asked).toEqual(["on", "second"])
    expect((await gate.ended(1))[0]!.policy).toMatchObject({ file: "p1.ts" })
    using alone = gateway(goesOn(() => later(next)))
    expect(await ask(alone)).toBe("")
    expect((await alone.ended(1))[0]!.close.reason).toBe("no-decision")
  })

  test("may fail: the connection is closed, and the policy is blamed", async () => {
    using gate = gateway([
      {
        listen,
        on_tcp_connect: goesOn(() => {
          throw new Error("oh no")
        }),
      },
    ])
    expect(await ask(gate)).toBe("")
    expect((await gate.ended(1))[0]).toMatchObject({ close: { reason: "policy-failed" }, policy: { reason: "oh no" } })
    expect(gate.failures).toMatchObject([{ file: "p0.ts" }])
  })

  test("has the time of the policy", async () => {
    using gate = gateway([{ listen, deadline: 20, on_tcp_connect: goesOn(() => new Promise<never>(() => undefined)) }])
    expect(await ask(gate)).toBe("")
    expect((await gate.ended(1))[0]!.close.reason).toBe("policy-timeout")
  })

  test("is left alone by a client that leaves meanwhile", async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<AbortSignal>()
    using up = upstream(echo)
    using gate = gateway((connection) =>
      continued(route(refusing()), async () => {
        asked.resolve(connection.signal)
        await promise
        return route(up.url)
      }),
    )
    using client = await connect(gate.port, { first: "?" })
    const signal = await asked.promise
    client.reset()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(signal.aborted).toBe(true)
    resolve()
    await Bun.sleep(1)
    expect(up.accepted).toEqual([])
    await eventually(() => gate.path.live.size === 0)
    expect(gate.internalErrors).toEqual([])
  })

  test("goes on after a target that was reached and said nothing before it went", async () => {
    using silent = upstream((wire) => wire.reset())
    using gate = gateway(() => continued(route(silent.url), () => respond("spare\n")))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("spare\n")
    client.end()
  })

  test("is one after the other: each has its own, and the first that decides ends it", async () => {
    const order: number[] = []
    const inner = continued(route(refusing()), () => (order.push(1), next))
    using gate = gateway(() => continued(inner, () => (order.push(2), respond("outer"))))
    expect(await ask(gate)).toBe("outer")
    expect(order).toEqual([1, 2])
    order.length = 0
    const routed = continued(route(refusing()), () => later(route(refusing())))
    using other = gateway(() => continued(routed, () => (order.push(3), respond("last"))))
    expect(await ask(other)).toBe("last")
    expect(order).toEqual([3])
  })

  test("comes after what stands behind its or", async () => {
    using gate = gateway(() => continued(route(refusing()).or(respond("or")), () => respond("continued")))
    expect(await ask(gate)).toBe("or")
    using routed = gateway(() => continued(route(refusing()).or(route(refusing())), () => respond("continued")))
    expect(await ask(routed)).toBe("continued")
  })

  test("is data like the route that it was made of", () => {
    const plain = route(["tcp://a:1", "tcp://b:2"], { idleTimeout: 5000 })
    const going = continued(plain, () => next)
    expect(going).toEqual({ ...plain })
    expect(JSON.stringify(going)).toBe(JSON.stringify(plain))
    expect(continuationOf(going)).toBeFunction()
    expect(continuationOf(plain)).toBeUndefined()
  })
})
