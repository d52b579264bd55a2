// rateLimit and concurrencyLimit of listeners: who is turned away, when, and what is counted.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { names } from "../../src/limit/names.ts"
import { deny, respond, route } from "../../src/policy/decision.ts"
import { startupPacket } from "../../src/policy/first-bytes.ts"
import type { ListenOptions } from "../../src/policy/listen.ts"
import { alertIn } from "../helper/alerts.ts"
import { askFrom } from "../helper/ask-from.ts"
import { gateway, type OnConnect, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { freePort } from "../helper/ports.ts"
import { binary, line, LOCAL } from "../helper/proxy.ts"
import { random } from "../helper/random.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect, type Where } from "../helper/wire.ts"
import { hello } from "../protocol/hello.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

// Every listener on port 0 has the same name.
beforeEach(() => names.restart())

const HOUR = "1 hour"
const PROXY = { from: ["127.0.0.0/8"] }
const ok: OnConnect = () => respond("ok")

const limited = (options: Partial<ListenOptions>, on_tcp_connect = ok) =>
  gateway([{ listen: { url: "tcp://127.0.0.1:0", ...options }, on_tcp_connect }])

/** What a client is told, to the end. */
async function hears(where: Where): Promise<string> {
  using client = await connect(where)
  return await client.text()
}

/** What clients behind a load balancer are told, one after the other. */
async function behind(gate: TestGateway, ...clients: string[]): Promise<string[]> {
  const told: string[] = []
  for (const client of clients) {
    using wire = await connect(gate.port, { first: binary({}, client, client) })
    told.push(await wire.text())
  }
  return told
}

/** Whether anything is still counted. */
const isCounting = (owner = "listener tcp:127.0.0.1:0#p0.ts") =>
  names.concurrency(`concurrencyLimit of ${owner}`).counts.busy

/** What a client is told that speaks TLS. */
async function asks(gate: TestGateway, sni?: string): Promise<string> {
  using client = await connect(gate.port, { first: hello(sni === undefined ? {} : { sni }) })
  const answer = alertIn(await client.bytes())
  client.end()
  await client.closes()
  return answer
}

const upTo = (limit: number) => ({ rateLimit: { limit, per: HOUR } })

/** A policy that listens there. */
const at = (port: number, options: Partial<ListenOptions>) => [
  { listen: { url: `tcp://127.0.0.1:${port}`, ...options }, on_tcp_connect: ok },
]

describe("rateLimit", () => {
  test("turns away who comes too often, before anybody is asked, and nobody else", async () => {
    let asked = 0
    using gate = limited({ rateLimit: { limit: 2, per: HOUR } }, () => {
      asked++
      return respond("ok")
    })
    const told: string[] = []
    for (let i = 0; i < 5; i++) told.push(await askFrom("127.0.0.1", gate.port))
    expect(told).toEqual(["ok", "ok", "", "", ""])
    expect(await askFrom("127.0.0.2", gate.port)).toBe("ok")
    expect([asked, gate.refusals]).toEqual([3, ["limit-reached", "limit-reached", "limit-reached"]])
    expect((await gate.ended(3)).map(({ close }) => close.reason)).toEqual(["answered", "answered", "answered"])
  })

  test("counts networks, or all clients, together", async () => {
    using network = limited({ rateLimit: { limit: 1, per: HOUR, key: { ipv4: 24 } } })
    const told: string[] = []
    for (const client of ["127.0.1.1", "127.0.1.200", "127.0.2.1"]) told.push(await askFrom(client, network.port))
    expect(told).toEqual(["ok", "", "ok"])
    names.restart()
    using all = limited({ rateLimit: { limit: 1, per: HOUR, key: "all" } })
    expect([await askFrom("127.0.0.1", all.port), await askFrom("127.9.9.9", all.port)]).toEqual(["ok", ""])
  })

  test("of a unix listener counts its clients together", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-limits-"))
    const path = join(folder, "x.sock")
    using gate = limited({ url: `unix:${path}`, rateLimit: { limit: 2, per: HOUR } })
    expect([await hears({ unix: path }), await hears({ unix: path }), await hears({ unix: path })]).toEqual([
      "ok",
      "ok",
      "",
    ])
    expect(gate.refusals).toEqual(["limit-reached"])
    rmSync(folder, { recursive: true })
  })

  test("of a dual-stack listener counts both families apart, and an IPv4 client once", async () => {
    const port = freePort()
    using gate = limited({ url: `tcp://:${port}`, rateLimit: { limit: 1, per: HOUR } })
    const told: string[] = []
    for (const hostname of ["127.0.0.1", "::1", "127.0.0.1", "::1"]) told.push(await hears({ hostname, port }))
    expect(told).toEqual(["ok", "ok", "", ""])
    expect(gate.refusals).toHaveLength(2)
  })
})

describe("concurrencyLimit", () => {
  test("turns away who has too many connections, until one of them has ended", async () => {
    using up = upstream(echo)
    using gate = limited({ concurrencyLimit: { max: 2 } }, () => route(up.url))
    using one = await connect(gate.port, { first: "1" })
    using two = await connect(gate.port, { first: "2" })
    await Promise.all([one.atLeast(1), two.atLeast(1)])
    expect(await hears(gate.port)).toBe("")
    expect(gate.refusals).toEqual(["limit-reached"])
    one.reset()
    await gate.ended(1)
    using three = await connect(gate.port, { first: "3" })
    await three.atLeast(1)
    expect(await hears(gate.port)).toBe("")
  })

  test("counts no connection any more that has ended, however it has", async () => {
    const { below } = random(8)
    using up = upstream(echo)
    const endings: OnConnect[] = [
      () => respond("ok"),
      () => deny("no"),
      () => deny("no", { reset: true }),
      () => route(up.url),
      () => undefined,
      async () => deny("later"),
      () => {
        throw new Error("broken")
      },
    ]
    using gate = limited({ concurrencyLimit: { max: 5, key: "all" } }, (connection) =>
      endings[below(endings.length)]!(connection),
    )
    let turnedAway = 0
    for (let i = 0; i < 300; i++) {
      using client = await connect(gate.port, below(2) === 0 ? { first: "x" } : {})
      if (below(3) === 0) client.reset()
      else client.end()
      if (below(4) === 0) await client.closes()
      turnedAway = gate.refusals.length
    }
    await eventually(() => gate.path.live.size === 0)
    expect(gate.events.length + turnedAway).toBeLessThanOrEqual(300)
    expect(gate.events.length).toBeGreaterThan(50)
    expect(isCounting()).toBe(false)
    expect(gate.internalErrors).toEqual([])
  })

  test("counts clients from their first packet on: half-open hellos are connections", async () => {
    using gate = limited({ url: "tls://127.0.0.1:0", concurrencyLimit: { max: 3 } })
    const clients = await Promise.all(
      [1, 2, 3].map(() => connect(gate.port, { first: hello({ sni: "a.example" }).subarray(0, 9) })),
    )
    await eventually(() => gate.path.live.size === 3)
    expect(await hears(gate.port)).toBe("")
    for (const client of clients) client.reset()
    await gate.ended(3)
    expect(isCounting()).toBe(false)
  })
})

describe("behind a load balancer", () => {
  test("clients are those that it speaks for: by address, and by /64", async () => {
    using gate = limited({ proxyProtocol: PROXY, rateLimit: { limit: 1, per: HOUR } })
    expect(
      await behind(
        gate,
        "192.0.2.1:1",
        "192.0.2.1:2",
        "192.0.2.2:1",
        "[2001:db8::1]:1",
        "[2001:db8::ffff:0:0:1]:1",
        "[2001:db8:0:1::1]:1",
      ),
    ).toEqual(["ok", "", "ok", "ok", "", "ok"])
    const turnedAway = (await gate.ended(6)).filter(({ close }) => close.reason === "limit-reached")
    expect(turnedAway.map(({ conn, problem, policy }) => [conn.client_ip, problem, policy])).toEqual([
      ["192.0.2.1", "tcp://127.0.0.1:0: its rateLimit is reached", null],
      ["2001:db8::ffff:0:0:1", "tcp://127.0.0.1:0: its rateLimit is reached", null],
    ])
    expect(gate.refusals).toEqual([])
  })

  test("its own connections count as its own", async () => {
    using gate = limited(
      { proxyProtocol: { from: ["127.0.0.1"] }, concurrencyLimit: { max: 1 } },
      async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve))
        return deny()
      },
    )
    using own = await connect(gate.port, { first: LOCAL })
    using proxied = await connect(gate.port, { first: line("192.0.2.1:1", "192.0.2.9:1") })
    await eventually(() => gate.path.live.size === 2)
    using again = await connect(gate.port, { first: LOCAL })
    expect(await again.text()).toBe("")
    own.reset()
    proxied.reset()
  })

  test("all clients together are counted at once", async () => {
    using gate = limited({ proxyProtocol: PROXY, rateLimit: { limit: 1, per: HOUR, key: "all" } })
    expect(await behind(gate, "192.0.2.1:1")).toEqual(["ok"])
    expect(await hears(gate.port)).toBe("")
    expect(gate.refusals).toEqual(["limit-reached"])
  })

  test("a concurrency limit is given back", async () => {
    using gate = limited({ proxyProtocol: PROXY, concurrencyLimit: { max: 1 } })
    expect(await behind(gate, "192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3")).toEqual(["ok", "ok", "ok"])
    await gate.ended(3)
    expect(isCounting()).toBe(false)
  })

  test("a TLS client is told by an alert, a PostgreSQL client by an error, before they have said anything", async () => {
    const rateLimit = { limit: 1, per: HOUR } as const
    using tls = limited({ url: "tls://127.0.0.1:0", proxyProtocol: PROXY, rateLimit })
    using held = await connect(tls.port, { first: line("192.0.2.1:1", "192.0.2.9:1") })
    await eventually(() => names.rate("rateLimit of listener tcp:127.0.0.1:0#p0.ts").counts.size === 1)
    using client = await connect(tls.port, { first: line("192.0.2.1:2", "192.0.2.9:1") })
    expect(alertIn(await client.bytes())).toBe("access_denied")
    client.end()
    held.reset()
    names.restart()
    using postgres = limited({
      url: "postgres://127.0.0.1:0",
      proxyProtocol: PROXY,
      rateLimit: { ...rateLimit, key: { ipv4: 0 } },
    })
    using first = await connect(postgres.port, { first: line("192.0.2.1:1", "192.0.2.9:1") })
    await eventually(() => names.rate("rateLimit of listener tcp:127.0.0.1:0#p0.ts").counts.size === 1)
    using second = await connect(postgres.port, { first: line("192.0.2.7:1", "192.0.2.9:1") })
    expect(await second.text()).toContain("C53300\0Mtoo many connections\0")
    first.reset()
  })
})

describe("by server name", () => {
  const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f)

  test("names are counted apart, with an alert for who comes too often; names that nobody serves count for nothing", async () => {
    using gate = gateway([
      {
        listen: [{ url: "tls://a.example:0", address: "127.0.0.1", rateLimit: { limit: 1, per: HOUR, key: "sni" } }],
        on_tcp_connect: ok,
      },
    ])
    const told: string[] = []
    for (const name of ["b.example", "b.example", "a.example", "A.example", undefined])
      told.push(await asks(gate, name))
    expect(told).toEqual(["unrecognized_name", "unrecognized_name", "ok", "access_denied", "unrecognized_name"])
    const events = await gate.ended(5)
    expect(events.map(({ close }) => close.reason)).toEqual([
      "no-policy",
      "no-policy",
      "answered",
      "limit-reached",
      "no-policy",
    ])
    expect(events[3]!.conn.server_name).toBe("a.example")
  })

  test("a PostgreSQL client that names no server counts with its like, and is told why", async () => {
    using gate = limited(
      { url: "postgres://127.0.0.1:0", concurrencyLimit: { max: 1, key: "sni" } },
      async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve))
        return deny()
      },
    )
    const startup = startupPacket({ user: "eve" })
    using first = await connect(gate.port, { first: startup })
    await eventually(() => gate.path.live.size === 1 && isCounting())
    using second = await connect(gate.port, { first: startup })
    expect(await second.text()).toContain("C53300\0Mtoo many connections\0")
    using third = await connect(gate.port, { first: SSL_REQUEST })
    await third.atLeast(1)
    await third.write(hello({ sni: "a.example" }))
    await eventually(() => gate.path.live.size === 3)
    using fourth = await connect(gate.port, { first: SSL_REQUEST })
    await fourth.atLeast(1)
    await fourth.write(hello({ sni: "a.example" }))
    expect(alertIn((await fourth.bytes()).subarray(1))).toBe("access_denied")
    first.reset()
    third.reset()
  })
})

describe("over reloads", () => {
  test("what was counted stays, also with other options, and when the listener is gone for a moment", async () => {
    const port = freePort()
    using gate = gateway(at(port, upTo(2)))
    expect([await hears(port), await hears(port), await hears(port)]).toEqual(["ok", "ok", ""])
    gate.apply(at(port, { ...upTo(2), maxConnections: 5 }))
    expect(await hears(port)).toBe("")
    gate.apply(at(port, upTo(3)))
    expect([await hears(port), await hears(port)]).toEqual(["ok", ""])
    gate.apply(at(freePort(), {}))
    gate.apply(at(port, upTo(3)))
    expect(await hears(port)).toBe("")
    gate.apply(at(port, {}))
    expect(await hears(port)).toBe("ok")
  })

  test("connections from before a reload count with those after it", async () => {
    const port = freePort()
    using up = upstream(echo)
    const policy = { on_tcp_connect: () => route(up.url) }
    const listen = (max: number) => [
      { ...policy, listen: { url: `tcp://127.0.0.1:${port}`, concurrencyLimit: { max } } },
    ]
    using gate = gateway(listen(2))
    using one = await connect(port, { first: "1" })
    await one.atLeast(1)
    gate.apply(listen(1))
    expect(await hears(port)).toBe("")
    one.end()
    await gate.ended(1)
    using two = await connect(port, { first: "2" })
    await two.atLeast(1)
  })
})

test("rate and concurrency together: who is refused by one has taken nothing of the other", async () => {
  using up = upstream(echo)
  using gate = limited({ rateLimit: { limit: 2, per: HOUR }, concurrencyLimit: { max: 1 } }, () => route(up.url))
  using one = await connect(gate.port, { first: "1" })
  await one.atLeast(1)
  for (let i = 0; i < 3; i++) expect(await hears(gate.port)).toBe("")
  one.end()
  await gate.ended(1)
  using two = await connect(gate.port, { first: "2" })
  await two.atLeast(1)
  two.end()
  await gate.ended(2)
  expect(await hears(gate.port)).toBe("")
  expect(isCounting()).toBe(false)
})

test("who is turned away by a listener that shares its socket is no client of the other", async () => {
  const port = freePort()
  using gate = gateway([
    { listen: { url: `tcp://:${port}`, rateLimit: { limit: 1, per: HOUR } }, on_tcp_connect: () => respond("all") },
    { listen: `tcp://127.0.0.2:${port}`, on_tcp_connect: () => respond("two") },
  ])
  const told: string[] = []
  for (const hostname of ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"])
    told.push(await hears({ hostname, port }))
  expect(told).toEqual(["all", "", "two", "two"])
  expect(gate.refusals).toEqual(["limit-reached"])
})
