import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseIp, type Ip } from "../../src/policy/address.ts"
import { deny, respond, route } from "../../src/policy/decision.ts"
import { blackHole, descriptors } from "../helper/black-hole.ts"
import { gateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { answers, echo, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

/** An address where nobody listens: one that was bound a moment ago. */
function refusing(): string {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  listener.stop(true)
  return `tcp://127.0.0.1:${listener.port}`
}

const addresses = (...texts: string[]): readonly Ip[] => texts.map((text) => parseIp(text)!)
const names = (text: string) => answers(() => text)

async function ask(port: number): Promise<string> {
  using client = await connect(port, { first: "?" })
  client.end()
  return await client.text()
}

describe("targets", () => {
  test("are tried in order: one that refuses gives way to the next", async () => {
    using first = upstream(names("first"))
    using second = upstream(names("second"))
    const dead = refusing()
    using gate = gateway(() => route([dead, first.url, second.url]))
    expect(await ask(gate.port)).toBe("first")
    expect((await gate.ended(1))[0]!.upstream).toEqual({
      pool: null,
      target: first.url,
      address: first.url.slice(6),
      attempts: 2,
      error: null,
    })
    expect(second.accepted).toEqual([])
  })

  test("are picked by weight, exactly and evenly, and the others are the fallbacks", async () => {
    using heavy = upstream(names("a"))
    using light = upstream(names("b"))
    using gate = gateway(() => route([{ url: heavy.url, weight: 3 }, light.url]))
    const picks: string[] = []
    for (let i = 0; i < 100; i++) picks.push(await ask(gate.port))
    expect(picks.join("")).toBe("aaba".repeat(25))
    light[Symbol.dispose]()
    const without: string[] = []
    for (let i = 0; i < 4; i++) without.push(await ask(gate.port))
    expect(without.join("")).toBe("aaaa")
  })

  test("are no more than the retries allow", async () => {
    using up = upstream()
    using gate = gateway(() => route([refusing(), refusing(), up.url], { retries: 1 }))
    expect(await ask(gate.port)).toBe("")
    const [event] = await gate.ended(1)
    expect(event!.close).toEqual({ reason: "dial-failed", by: "upstream" })
    expect(event!.upstream).toMatchObject({ attempts: 2, error: "ECONNREFUSED" })
    expect(up.accepted).toEqual([])
  })

  test("that all fail end as dial-failed, with a FIN for the client", async () => {
    const dead = refusing()
    using gate = gateway(() => route(dead))
    using client = await connect(gate.port)
    expect(await client.stops()).toBe("FIN")
    client.end()
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "dial-failed", by: "upstream" },
      upstream: { target: dead, address: dead.slice(6), attempts: 1, error: "ECONNREFUSED" },
      timing: { connect_ms: null },
    })
  })

  test("that all fail lead to what `or` says", async () => {
    using spare = upstream(names("spare"))
    using gate = gateway([
      { listen: "tcp://127.0.0.1:0", on_tcp_connect: () => route(refusing()).or(respond("down for maintenance\n")) },
    ])
    expect(await ask(gate.port)).toBe("down for maintenance\n")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "answered", by: "gateway" })
    using other = gateway(() => route(refusing()).or(route(refusing()).or(route(spare.url))))
    expect(await ask(other.port)).toBe("spare")
    using closed = gateway(() => route(refusing()).or(deny("nothing left", { reset: true })))
    using client = await connect(closed.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await closed.ended(1))[0]).toMatchObject({
      close: { reason: "denied" },
      policy: { reason: "nothing left" },
    })
  })

  test("may be unix sockets", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-"))
    try {
      using up = upstream(
        answers((request) => request.toReversed()),
        { unix: join(folder, "up.sock") },
      )
      using gate = gateway(() => route([`unix:${folder}/none.sock`, up.url]))
      using client = await connect(gate.port, { first: "abc" })
      client.end()
      expect(await client.text()).toBe("cba")
      expect((await gate.ended(1))[0]!.upstream).toEqual({
        pool: null,
        target: up.url,
        address: null,
        attempts: 2,
        error: null,
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe("an upstream that closes before a byte", () => {
  test("gives way to the next target", async () => {
    using closes = upstream((wire) => wire.end())
    using resets = upstream((wire) => wire.reset())
    using works = upstream((wire) => wire.write("works"))
    using gate = gateway(() => route([closes.url, resets.url, works.url]))
    using client = await connect(gate.port)
    expect(new TextDecoder().decode(await client.atLeast(5))).toBe("works")
    client.end()
    works.accepted[0]!.end()
    expect((await gate.ended(1))[0]!.upstream).toEqual({
      pool: null,
      target: works.url,
      address: works.url.slice(6),
      attempts: 3,
      error: null,
    })
  })

  test("gives way also when the client's first bytes could not be written to it any more", async () => {
    using resets = upstream((wire) => wire.reset())
    using works = upstream(echo)
    using gate = gateway(() => route([resets.url, works.url]))
    for (let i = 0; i < 20; i++) {
      using client = await connect(gate.port, { first: "first" })
      client.end()
      expect(await client.text()).toBe("first")
    }
    expect(new Set((await gate.ended(20)).map((event) => event.conn.bytes_in))).toEqual(new Set([5]))
  })

  test("is passed on as the reset that it is when no target is left", async () => {
    using resets = upstream((wire) => wire.reset())
    using gate = gateway(() => route(resets.url))
    for (let i = 0; i < 20; i++) {
      using client = await connect(gate.port, { first: "first" })
      expect(await client.closes()).toBe("ECONNRESET")
    }
    expect(new Set((await gate.ended(20)).map(({ close }) => `${close.reason} by ${close.by}`))).toEqual(
      new Set(["upstream-reset by upstream"]),
    )
  })

  test("is the end when a byte was written to it", async () => {
    using closes = upstream(async (wire) => {
      await wire.atLeast(1)
      wire.end()
    })
    using other = upstream()
    using gate = gateway(() => route([closes.url, other.url]))
    using client = await connect(gate.port, { first: "x" })
    expect(await client.text()).toBe("")
    expect(other.accepted).toEqual([])
    client.end()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "upstream-closed", by: "upstream" })
  })

  test("is the end when no target is left", async () => {
    using closes = upstream((wire) => wire.end())
    using gate = gateway(() => route(closes.url))
    using client = await connect(gate.port)
    expect(await client.stops()).toBe("FIN")
    client.end()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "upstream-closed", by: "upstream" })
  })

  test("does not cost the bytes that come while the next target is dialled", async () => {
    using closes = upstream((wire) => wire.end())
    using works = upstream(echo)
    using gate = gateway(() => route([closes.url, works.url]))
    using client = await connect(gate.port)
    await closes.connection()
    await client.write("late")
    client.end()
    expect(await client.text()).toBe("late")
  })
})

describe("a black hole", () => {
  test("is given up after connectTimeout, and the next target is tried", async () => {
    using hole = blackHole()
    using up = upstream(names("up"))
    using gate = gateway(() => route([hole.url, up.url], { connectTimeout: 200 }))
    const started = performance.now()
    expect(await ask(gate.port)).toBe("up")
    expect(performance.now() - started).toBeGreaterThanOrEqual(200)
    expect(hole.attempts()).toEqual(new Set())
  })

  test("under 100 connections a second holds no descriptor longer than its time-out and a second", async () => {
    using hole = blackHole()
    using gate = gateway(() => route(hole.url, { connectTimeout: 500 }))
    const before = descriptors().size
    const since = new Map<string, number>()
    let longest = 0
    let most = 0
    const look = () => {
      const now = performance.now()
      const there = hole.attempts()
      most = Math.max(most, there.size)
      for (const inode of there) {
        if (!since.has(inode)) since.set(inode, now)
        longest = Math.max(longest, now - since.get(inode)!)
      }
      for (const inode of since.keys()) if (!there.has(inode)) since.delete(inode)
    }
    const clients: Promise<string>[] = []
    const started = performance.now()
    while (clients.length < 250) {
      await Bun.sleep(10)
      const due = Math.floor((performance.now() - started) / 10)
      while (clients.length < due) clients.push(ask(gate.port))
      look()
    }
    await eventually(() => (look(), gate.events.length === clients.length))
    expect(new Set(gate.events.map((event) => `${event.close.reason} ${event.upstream?.error}`))).toEqual(
      new Set(["dial-failed no connection within 500 ms"]),
    )
    expect(most).toBeGreaterThan(20)
    expect(most).toBeLessThanOrEqual(150)
    expect(longest).toBeLessThan(1500)
    await Promise.all(clients)
    await eventually(() => descriptors().size <= before)
    expect(hole.attempts()).toEqual(new Set())
  })

  test("is let go of when the client resets", async () => {
    using hole = blackHole()
    using gate = gateway(() => route(hole.url, { connectTimeout: "1 minute" }))
    using client = await connect(gate.port)
    await eventually(() => hole.attempts().size === 1)
    client.reset()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(hole.attempts()).toEqual(new Set())
  })

  test("is let go of when the gateway stops", async () => {
    using hole = blackHole()
    const gate = gateway(() => route(hole.url, { connectTimeout: "1 minute" }))
    using _client = await connect(gate.port)
    await eventually(() => hole.attempts().size === 1)
    gate[Symbol.dispose]()
    expect(hole.attempts()).toEqual(new Set())
  })
})

const resolver = (known: Record<string, readonly Ip[] | Promise<readonly Ip[]>>) => ({
  resolve: (host: string) => known[host] ?? Promise.reject(new Error("ENOTFOUND")),
})

describe("a name", () => {
  test("with several addresses is tried at the next one at once when one refuses", async () => {
    using up = upstream(names("up"), { hostname: "127.0.0.3" })
    const exits = resolver({ "db.internal": addresses("127.0.0.1", "127.0.0.2", "127.0.0.3") })
    using gate = gateway(() => route(`tcp://db.internal:${up.port}`), {}, exits)
    const started = performance.now()
    expect(await ask(gate.port)).toBe("up")
    expect(performance.now() - started).toBeLessThan(200)
    expect((await gate.ended(1))[0]!.upstream).toEqual({
      pool: null,
      target: `tcp://db.internal:${up.port}`,
      address: `127.0.0.3:${up.port}`,
      attempts: 1,
      error: null,
    })
    expect(up.accepted).toHaveLength(1)
  })

  test("with an address that does not answer is tried at the next one beside it after 250 ms", async () => {
    using hole = blackHole()
    using up = upstream(names("up"), { hostname: "127.0.0.2", port: hole.port })
    using gate = gateway(
      () => route(`tcp://db.internal:${hole.port}`),
      {},
      resolver({ "db.internal": Promise.resolve(addresses("127.0.0.1", "127.0.0.2")) }),
    )
    const started = performance.now()
    expect(await ask(gate.port)).toBe("up")
    expect(performance.now() - started).toBeGreaterThan(250)
    expect(performance.now() - started).toBeLessThan(1000)
    expect(up.accepted).toHaveLength(1)
    // The loser is gone.
    expect(hole.attempts()).toEqual(new Set())
    expect(gate.path.sideAttempts).toBe(0)
  })

  test("that is not known gives way to the next target", async () => {
    using up = upstream(names("up"))
    using gate = gateway(() => route(["tcp://nowhere.internal:1", up.url]), {}, resolver({}))
    expect(await ask(gate.port)).toBe("up")
    using alone = gateway(() => route("tcp://nowhere.internal:1"), {}, resolver({}))
    expect(await ask(alone.port)).toBe("")
    expect((await alone.ended(1))[0]!.upstream).toEqual({
      pool: null,
      target: "tcp://nowhere.internal:1",
      address: null,
      attempts: 1,
      error: "nowhere.internal: ENOTFOUND",
    })
  })

  test("whose answer does not come counts against connectTimeout, and a late answer is not dialled", async () => {
    using up = upstream(names("late"))
    using next = upstream(names("next"))
    const slow = Promise.withResolvers<readonly Ip[]>()
    using gate = gateway(
      () => route([`tcp://slow.internal:${up.port}`, next.url], { connectTimeout: 200 }),
      {},
      resolver({ "slow.internal": slow.promise }),
    )
    expect(await ask(gate.port)).toBe("next")
    slow.resolve(addresses("127.0.0.1"))
    expect(await ask(gate.port)).toBe("late")
    expect(up.accepted).toHaveLength(1)
  })

  test("with both families is reached over either", async () => {
    using up = upstream(names("v6"), { hostname: "::1" })
    const exits = resolver({ both: addresses("127.0.0.1", "::1") })
    using gate = gateway(() => route(`tcp://both:${up.port}`), {}, exits)
    expect(await ask(gate.port)).toBe("v6")
    expect((await gate.ended(1))[0]!.upstream!.address).toBe(`[::1]:${up.port}`)
  })
})

describe("refused unless allowed", () => {
  test.each(["tcp://169.254.169.254:80", "tcp://[fe80::1]:80"])("link-local %p", async (target) => {
    using gate = gateway(() => route(target))
    expect(await ask(gate.port)).toBe("")
    expect((await gate.ended(1))[0]!.upstream).toEqual({
      pool: null,
      target,
      address: target.slice(6),
      attempts: 1,
      error: "refused: a link-local address (--allow-link-local permits it)",
    })
  })

  test("a name that leads to a link-local address", async () => {
    using gate = gateway(() => route("tcp://metadata:80"), {}, { resolve: () => addresses("169.254.169.254") })
    expect(await ask(gate.port)).toBe("")
    expect((await gate.ended(1))[0]!.close.reason).toBe("dial-failed")
  })

  test("a listener of its own, which would loop", async () => {
    using gate = gateway((connection) => route(`tcp://${connection.server.address}:${connection.server.port}`))
    expect(await ask(gate.port)).toBe("")
    expect((await gate.ended(1))[0]!.upstream!.error).toBe(
      "refused: a listener of this gateway (--allow-own-listeners permits it)",
    )
    expect(gate.path.accepted).toBe(1)
  })

  test("a listener of its own on the loopback, reached through no address", async () => {
    using gate = gateway((connection) => route(`tcp://0.0.0.0:${connection.server.port}`))
    expect(await ask(gate.port)).toBe("")
    expect((await gate.ended(1))[0]!.upstream!.error).toStartWith("refused: a listener of this gateway")
    expect(gate.path.accepted).toBe(1)
  })

  test("a listener of its own on all addresses, whatever address leads there", async () => {
    for (const host of ["127.0.0.1", "127.9.9.9", "[::1]", "0.0.0.0", "[::]"]) {
      using gate = gateway([
        { listen: "tcp://:0", on_tcp_connect: (connection) => route(`tcp://${host}:${connection.server.port}`) },
      ])
      expect(await ask(gate.port)).toBe("")
      expect((await gate.ended(1))[0]!.upstream!.error).toStartWith("refused: a listener of this gateway")
    }
  })

  test("a listener of its own is dialled when that is allowed", async () => {
    using gate = gateway(
      (connection) =>
        gate.path.live.size > 1 ? respond("looped") : route(`tcp://127.0.0.1:${connection.server.port}`),
      { allowOwnListeners: true },
    )
    expect(await ask(gate.port)).toBe("looped")
  })
})
