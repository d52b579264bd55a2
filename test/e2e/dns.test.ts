// Pools that follow the DNS, in a running gateway: targets come and go with the records, and connections go on whatever
// becomes of the DNS.
import { join } from "node:path"
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { askControl, type Status } from "../../src/admin/control.ts"
import { authority } from "../helper/certificates.ts"
import { EchoClient } from "../helper/echo.ts"
import { eventually } from "../helper/eventually.ts"
import { a, srv } from "../helper/fake-dns.ts"
import { startKnot } from "../helper/knot.ts"
import { freePort } from "../helper/ports.ts"
import { secureEcho } from "../helper/secure.ts"
import { random } from "../helper/random.ts"
import { RUNTIME, serve, type Served } from "../helper/serve.ts"
import { installed } from "../helper/servers.ts"
import { echo, upstream, type Upstream } from "../helper/upstream.ts"
import { descriptorsOf, givenBack, memoryOf } from "../helper/vitals.ts"
import { connect, type Wire } from "../helper/wire.ts"
import { startZone } from "../helper/zone.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(120_000)

/** 200 MB: a gateway without a connection has 80, and 1,000 connections take 10 to 20 more. */
const MEMORY = 200e6

type PoolStatus = Status["pools"][number]

interface Following extends AsyncDisposable {
  readonly served: Served
  readonly port: number
  /** The pool of the file `p.ts`, as the gateway sees it now. */
  status(): Promise<PoolStatus>
  /** Resolves when the pool has these targets, by the ends of their names. */
  has(...targets: string[]): Promise<void>
  /** What is said of the DNS, as `level message`. */
  readonly said: () => string[]
}

let gateways = 0

const policy = (pool: object, name = "app") => `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const pools = { ${JSON.stringify(name)}: ${JSON.stringify(pool)} }
export const on_tcp_connect = () => route(${JSON.stringify(name)})
`

/** A gateway whose file `p.ts` routes everything to the pool `app`. */
async function following(
  server: string,
  pool: object,
  more: Readonly<Record<string, string>> = {},
): Promise<Following> {
  const path = join(RUNTIME, `dns-${gateways++}`)
  const served = await serve({ "p.ts": policy(pool), ...more }, "--dns", server, "--control", path)
  const status = async () => {
    const { pools } = (await askControl({ folder: served.folder, path }, "status")) as Status
    return pools.find(({ name }) => name === "app")!
  }
  return {
    served,
    port: await served.port("p.ts"),
    status,
    async has(...targets) {
      await eventually(async () => {
        const names = (await status()).targets.map(({ name }) => name.split("/").at(-1))
        return Bun.deepEquals(names, targets)
      })
    },
    said: () =>
      served.log
        .filter(({ message }) => message.startsWith("pool app: "))
        .map(({ level, message }) => `${level} ${message}`),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  }
}

/** Says its name, which is one letter, and then gives back what it reads. */
function named(name: string, hostname: string, port = 0): Upstream {
  return upstream(
    async (wire) => {
      await wire.write(name)
      await echo(wire)
    },
    { hostname, port },
  )
}

/** Who answers, one connection after the other; a dash where nobody does. */
async function hear(port: number, times: number): Promise<string> {
  let heard = ""
  for (let i = 0; i < times; i++) {
    using client = await connect(port)
    client.end()
    heard += (await client.text()) || "-"
  }
  return heard
}

const count = (text: string, letter: string) => text.split(letter).length - 1

async function echoes(client: Wire): Promise<void> {
  const before = client.received
  await client.write("hello")
  await client.atLeast(before + 5)
}

describe.skipIf(!installed("knotd", "knotc"))("with a real server", () => {
  test.concurrent("addresses of both families come and go, and connections that are there stay", async () => {
    using first = named("a", "127.0.0.11")
    const { port } = first
    using _second = named("b", "127.0.0.12", port)
    using _third = named("c", "::1", port)
    await using knot = await startKnot("app 1 A 127.0.0.11", "app 1 A 127.0.0.12")
    await using gateway = await following(knot.server, { targets: [`dns://app.example.test:${port}`] })
    await gateway.has(`127.0.0.11:${port}`, `127.0.0.12:${port}`)
    expect(await hear(gateway.port, 6)).toBe("ababab")
    using client = await connect(gateway.port)
    await client.atLeast(1)
    await knot.change("app 1 A 127.0.0.12", "app 1 AAAA ::1")
    await gateway.has(`127.0.0.12:${port}`, `[::1]:${port}`)
    expect([...(await hear(gateway.port, 6))].sort().join("")).toBe("bbbccc")
    await echoes(client)
    client.end()
    expect(await client.text()).toBe("ahello")
    await gateway.served.until(() => gateway.served.events.length === 13)
    expect(gateway.served.events.at(-1)!.upstream).toEqual({
      pool: "app",
      target: `tcp://127.0.0.11:${port}`,
      address: `127.0.0.11:${port}`,
      attempts: 1,
      error: null,
    })
    const { targets } = await gateway.status()
    expect(targets.map(({ active, name, target }) => [name, target, active])).toEqual([
      [`dns://app.example.test:${port}/127.0.0.12:${port}`, `tcp://127.0.0.12:${port}`, 0],
      [`dns://app.example.test:${port}/[::1]:${port}`, `tcp://[::1]:${port}`, 0],
    ])
    expect(gateway.said()).toEqual([])
  })

  test.concurrent("SRV records share by their weights and fall back by their priorities, until there is no such service", async () => {
    using first = named("a", "127.0.0.11")
    const { port } = first
    using second = named("b", "127.0.0.12", port)
    using _third = named("c", "127.0.0.13", port)
    const hosts = ["a 1 A 127.0.0.11", "b 1 A 127.0.0.12", "c 1 A 127.0.0.13"]
    const records = [`_app._tcp 1 SRV 0 3 ${port} a`, `_app._tcp 1 SRV 0 1 ${port} b`, `_app._tcp 1 SRV 9 1 ${port} c`]
    await using knot = await startKnot(...hosts, ...records)
    await using gateway = await following(knot.server, { targets: ["srv://_app._tcp.example.test"] })
    await gateway.has(`a.example.test:${port}`, `b.example.test:${port}`, `c.example.test:${port}`)
    const heard = await hear(gateway.port, 40)
    expect([count(heard, "a"), count(heard, "b")]).toEqual([30, 10])
    first[Symbol.dispose]()
    second[Symbol.dispose]()
    expect(await hear(gateway.port, 8)).toBe("cccccccc")
    await gateway.served.until(() => gateway.served.events.length === 48)
    expect(gateway.served.events.at(-1)!.upstream).toMatchObject({
      target: `tcp://c.example.test:${port}`,
      address: `127.0.0.13:${port}`,
    })
    await knot.change("_app._tcp 1 SRV 0 0 0 .")
    await gateway.has()
    expect(await hear(gateway.port, 2)).toBe("--")
    await gateway.served.until(() => gateway.served.events.length === 50)
    const { close, upstream: none } = gateway.served.events.at(-1)!
    expect(close).toEqual({ reason: "no-target", by: "gateway" })
    expect(none?.error).toBe("pool app: no target can be used: it has no targets now (0 in all)")
    await knot.change(...hosts, `_app._tcp 1 SRV 0 0 ${port} c`)
    await gateway.has(`c.example.test:${port}`)
    expect(await hear(gateway.port, 2)).toBe("cc")
  })
})

test.concurrent("with tls, certificates are for the name that was asked for, or for the host of the record", async () => {
  const ca = authority()
  using named = secureEcho(ca.issue({ names: ["app.example.test"] }))
  using other = secureEcho(ca.issue({ names: ["node-1.example.test", "_app._tcp.example.test"] }))
  const service = "_app._tcp.example.test"
  using zone = await startZone(
    a("app.example.test", "127.0.0.1"),
    a("wrong.example.test", "127.0.0.1"),
    a("node-1.example.test", "127.0.0.1"),
    a("node-2.example.test", "127.0.0.1"),
    srv(service, "node-1.example.test", other.port),
    srv(`_wrong${service}`, "node-2.example.test", other.port),
  )
  const file = (name: string, url: string) =>
    policy({ targets: [{ url, tls: true }], tls: { ca: ca.cert }, passive: false }, name)
  await using gateway = await following(
    zone.server,
    { targets: ["tcp://127.0.0.1:1"] },
    {
      "name.ts": file("name", `dns://app.example.test:${named.port}`),
      "dot.ts": file("dot", `dns://App.example.test.:${named.port}`),
      "misnamed.ts": file("misnamed", `dns://wrong.example.test:${named.port}`),
      "host.ts": file("host", `srv://${service}`),
      "elsewhere.ts": file("elsewhere", `srv://_wrong${service}`),
    },
  )
  const ask = async (name: string) => {
    using client = await connect(await gateway.served.port(`${name}.ts`), { first: "hello" })
    await client.until(() => client.received === 5 || client.ended || client.closed)
    return new TextDecoder().decode(client.soFar())
  }
  expect([await ask("name"), await ask("dot"), await ask("host")]).toEqual(["hello", "hello", "hello"])
  expect([await ask("misnamed"), await ask("elsewhere")]).toEqual(["", ""])
  const { events } = gateway.served
  await gateway.served.until(() => events.length === 5)
  const failed = events.filter(({ close }) => close.reason === "dial-failed").map(({ upstream }) => upstream!)
  expect(failed.map(({ error, target }) => [target, error])).toEqual([
    [
      `tls://127.0.0.1:${named.port}`,
      "TLS: the certificate is not for wrong.example.test: it has DNS:app.example.test",
    ],
    [
      `tls://node-2.example.test:${other.port}`,
      "TLS: the certificate is not for node-2.example.test: it has DNS:node-1.example.test, DNS:_app._tcp.example.test",
    ],
  ])
})

const TROUBLES = [
  ["servfail", "SERVFAIL from 127.0.0.1 port PORT"],
  ["nxdomain", "NXDOMAIN: there is no such name"],
  ["garbage", "an answer that cannot be read from 127.0.0.1 port PORT"],
  ["stopped", "no DNS server there (127.0.0.1 port PORT)"],
] as const

test.concurrent.each(TROUBLES)(
  "a server in trouble (%s): connections go on with the last answer, and it is said once",
  async (mood, why) => {
    using first = named("a", "127.0.0.11")
    const { port } = first
    using _second = named("b", "127.0.0.12", port)
    const host = "app.example.test"
    using zone = await startZone(a(host, "127.0.0.11", 0))
    await using gateway = await following(zone.server, { targets: [{ url: `dns://${host}.:${port}`, name: "main" }] })
    await gateway.has(`127.0.0.11:${port}`)
    if (mood === "stopped") zone.stop()
    else zone.mood = mood
    const problem = `${host}.: ${why.replace("PORT", zone.server.split(":")[1]!)}`
    await gateway.served.until(() => gateway.said().length > 0)
    expect(await hear(gateway.port, 3)).toBe("aaa")
    expect(await gateway.status()).toMatchObject({
      targets: [{ name: `main/127.0.0.11:${port}` }],
      dns: [{ name: "main", problem }],
    })
    // A second failure says nothing new.
    const asked = zone.asked.length
    if (mood !== "stopped") while (zone.asked.length === asked) await hear(gateway.port, 1)
    zone.set(a(host, "127.0.0.12", 0))
    if (mood === "stopped") await zone.start()
    else zone.mood = "well"
    await gateway.has(`127.0.0.12:${port}`)
    expect(await hear(gateway.port, 2)).toBe("bb")
    await gateway.served.until(() => gateway.said().length > 1)
    expect((await gateway.status()).dns).toEqual([])
    expect(gateway.said()).toEqual([
      `warn pool app: main: ${problem}; the last answer stands`,
      "info pool app: main: the DNS answers again",
    ])
  },
)

test.concurrent("a server that falls silent holds up nobody", async () => {
  using first = named("a", "127.0.0.11")
  using zone = await startZone(a("app.example.test", "127.0.0.11", 0))
  await using gateway = await following(zone.server, { targets: [`dns://app.example.test:${first.port}`] })
  await gateway.has(`127.0.0.11:${first.port}`)
  zone.mood = "silent"
  const asked = zone.asked.length
  while (zone.asked.length === asked) expect(await hear(gateway.port, 1)).toBe("a")
  // It waits for an answer now.
  expect(await hear(gateway.port, 20)).toBe("a".repeat(20))
  expect((await gateway.status()).dns).toEqual([])
})

describe("before the first answer", () => {
  test.concurrent("connections wait for it, in the queue", async () => {
    using first = named("a", "127.0.0.11")
    using zone = await startZone(a("app.example.test", "127.0.0.11"))
    zone.mood = "held"
    await using gateway = await following(zone.server, {
      targets: [`dns://app.example.test:${first.port}`],
      queue: { size: 2, timeout: "1 minute" },
    })
    const early = [hear(gateway.port, 1), hear(gateway.port, 1)]
    await eventually(async () => (await gateway.status()).queued === 2)
    expect((await gateway.status()).dns).toEqual([
      { name: `dns://app.example.test:${first.port}`, problem: "no answer yet" },
    ])
    expect(await hear(gateway.port, 1)).toBe("-")
    zone.mood = "well"
    expect(await Promise.all(early)).toEqual(["a", "a"])
    const { events } = gateway.served
    await gateway.served.until(() => events.length === 3)
    const { close, upstream: none } = events[0]!
    expect([close.reason, none?.error]).toEqual([
      "no-target",
      "pool app: no target can be used: its queue is full (0 in all)",
    ])
    expect((await gateway.status()).dns).toEqual([])
  })

  test.concurrent("nobody waits longer than the queue allows", async () => {
    using zone = await startZone()
    zone.mood = "held"
    await using gateway = await following(zone.server, {
      targets: ["dns://app.example.test:1"],
      queue: { timeout: "100 ms" },
    })
    expect(await hear(gateway.port, 1)).toBe("-")
    const { close, upstream: none } = await gateway.served.until(() => gateway.served.events[0])
    expect([close.reason, none?.error]).toEqual(["no-target", "pool app: the DNS has not answered yet, for 100 ms"])
  })

  test.concurrent("where there is no DNS, the gateway starts, refuses at once, and serves when there is one", async () => {
    using first = named("a", "127.0.0.11")
    using zone = await startZone(a("app.example.test", "127.0.0.11"))
    zone.stop()
    const url = `dns://app.example.test:${first.port}`
    await using gateway = await following(zone.server, { targets: [url], queue: { timeout: "1 hour" } })
    expect(await hear(gateway.port, 2)).toBe("--")
    const { close, upstream: none } = await gateway.served.until(() => gateway.served.events[0])
    const problem = `app.example.test: no DNS server there (127.0.0.1 port ${zone.server.split(":")[1]})`
    expect([close.reason, none?.error]).toEqual([
      "no-target",
      `pool app: no target can be used: it has no targets now, ${problem} (0 in all)`,
    ])
    expect((await gateway.status()).dns).toEqual([{ name: url, problem }])
    await zone.start()
    await gateway.has(`127.0.0.11:${first.port}`)
    expect(await hear(gateway.port, 2)).toBe("aa")
    await gateway.served.until(() => gateway.said().length === 2)
    expect(gateway.said()).toEqual([
      `warn pool app: ${url}: ${problem}`,
      `info pool app: ${url}: the DNS answers again`,
    ])
  })

  test.concurrent("nobody waits where another target of the pool can be asked, even in vain", async () => {
    using first = named("a", "127.0.0.11")
    using zone = await startZone()
    zone.mood = "held"
    const queue = { timeout: "1 hour" }
    const silent = "dns://app.example.test:1"
    await using gateway = await following(
      zone.server,
      { targets: [silent, { url: first.url, priority: 9 }], queue },
      { "refused.ts": policy({ targets: [silent, `tcp://127.0.0.11:${freePort()}`], queue }, "refused") },
    )
    expect(await hear(gateway.port, 20)).toBe("a".repeat(20))
    expect(await hear(await gateway.served.port("refused.ts"), 20)).toBe("-".repeat(20))
    await gateway.served.until(() => gateway.served.events.length === 40)
    expect(new Set(gateway.served.events.map(({ close }) => close.reason))).toEqual(
      new Set(["client-closed", "dial-failed"]),
    )
  })
})

/** Saves `p.ts`, and waits until it decides. */
async function save({ served }: Following, text: string): Promise<void> {
  const before = served.log.length
  served.write("p.ts", text)
  await served.until(() => served.log.slice(before).some(({ message }) => message.includes("now asks p.ts")))
}

describe("a reload", () => {
  test.concurrent("keeps the members and asks nothing, and what a target's options say counts at once", async () => {
    using first = named("a", "127.0.0.11")
    const { port } = first
    using _second = named("b", "127.0.0.12", port)
    using zone = await startZone(a("app.example.test", "127.0.0.11", 300))
    const url = `dns://app.example.test:${port}`
    await using gateway = await following(zone.server, { targets: [url] })
    await gateway.has(`127.0.0.11:${port}`)
    await hear(gateway.port, 4)
    const asked = zone.asked.length
    await save(gateway, `${policy({ targets: [url] })}// saved again\n`)
    expect((await gateway.status()).targets).toMatchObject([{ attempts: 4, weight: 1 }])
    await save(
      gateway,
      policy({ targets: [{ url, name: "main", weight: 3, priority: 2 }, `tcp://127.0.0.12:${port}`] }),
    )
    expect(await hear(gateway.port, 2)).toBe("bb")
    expect((await gateway.status()).targets[0]).toMatchObject({
      name: `main/127.0.0.11:${port}`,
      attempts: 4,
      weight: 3,
      priority: 2,
    })
    await save(gateway, policy({ targets: [{ url, weight: 3 }, `tcp://127.0.0.12:${port}`] }))
    const heard = await hear(gateway.port, 8)
    expect([count(heard, "a"), count(heard, "b")]).toEqual([6, 2])
    expect(zone.asked.length).toBe(asked)
  })

  test.concurrent("that takes a target out ends its questions and its checks, and its connections go on", async () => {
    using first = named("a", "127.0.0.11")
    const { port } = first
    using second = named("b", "127.0.0.12", port)
    using zone = await startZone(a("gone.example.test", "127.0.0.11", 0), a("app.example.test", "127.0.0.12", 0))
    const health = { interval: "100 ms", jitter: 0 }
    const [gone, app] = [`dns://gone.example.test:${port}`, `dns://app.example.test:${port}`]
    await using gateway = await following(zone.server, { targets: [gone, app], health })
    await gateway.has(`127.0.0.11:${port}`, `127.0.0.12:${port}`)
    using client = await connect(gateway.port)
    await client.atLeast(1)
    await save(gateway, policy({ targets: [app], health }))
    await gateway.has(`127.0.0.12:${port}`)
    const asked = (name: string) => zone.asked.filter((one) => one.name === name).length
    // A question or a check may be under way.
    const questions = [asked("gone.example.test"), asked("app.example.test")] as const
    const checks = [first.accepted.length, second.accepted.length] as const
    while (asked("app.example.test") < questions[1] + 4 || second.accepted.length < checks[1] + 5)
      expect(await hear(gateway.port, 1)).toBe("b")
    expect(asked("gone.example.test")).toBeLessThanOrEqual(questions[0] + 2)
    expect(first.accepted.length).toBeLessThanOrEqual(checks[0] + 1)
    await echoes(client)
  })
})

test.concurrent("targets are checked from when the DNS has them until it has them no more", async () => {
  using first = named("a", "127.0.0.11")
  const { port } = first
  using second = named("b", "127.0.0.12", port)
  const host = "app.example.test"
  using zone = await startZone(a(host, "127.0.0.11", 0))
  const health = { interval: "100 ms", jitter: 0, timeout: "1 second" }
  await using gateway = await following(zone.server, { targets: [`dns://${host}:${port}`], health })
  await gateway.has(`127.0.0.11:${port}`)
  while (first.accepted.length < 3) await first.connection(first.accepted.length)
  zone.set(a(host, "127.0.0.12", 0), a(host, "127.0.0.13", 0))
  await gateway.has(`127.0.0.12:${port}`, `127.0.0.13:${port}`)
  const checks = first.accepted.length
  // Nobody listens there: its first check is believed.
  await gateway.served.until(() => gateway.said().length > 0)
  expect(gateway.said()[0]).toStartWith(`warn pool app: dns://${host}:${port}/127.0.0.13:${port} is down: `)
  const before = second.accepted.length
  while (second.accepted.length < before + 4) await second.connection(second.accepted.length)
  expect(first.accepted.length).toBeLessThanOrEqual(checks + 1)
  expect(await hear(gateway.port, 4)).toBe("bbbb")
})

test.concurrent("tcp:// targets are for the system's resolver, with its hosts file", async () => {
  using server = named("a", "127.0.0.1")
  using zone = await startZone()
  const url = `tcp://localhost:${server.port}`
  await using gateway = await following(
    zone.server,
    { targets: [url] },
    {
      "routed.ts": `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => route("${url}")
`,
    },
  )
  expect(await hear(gateway.port, 1)).toBe("a")
  expect(await hear(await gateway.served.port("routed.ts"), 1)).toBe("a")
  expect(zone.asked).toEqual([])
})

test("5,000 connections while records flap: none fails, all are counted, and nothing piles up", async () => {
  using server = upstream(echo, { hostname: "0.0.0.0" })
  const { port } = server
  const addresses = Array.from({ length: 6 }, (_, i) => `127.0.0.${21 + i}`)
  const hosts = addresses.map((_, i) => `node-${i}.example.test`)
  const names = Array.from({ length: 10 }, (_, i) => `app-${i}.example.test`)
  const service = "_app._tcp.example.test"
  const { below } = random(1)
  const some = <A>(list: readonly A[]): A[] => list.filter(() => below(2) === 0)
  // Now and then a name has nothing at all.
  const flapped = () => [
    ...names.flatMap((name) => some(addresses).map((address) => a(name, address, 0))),
    ...some(hosts).map((host) => srv(service, host, port, { weight: below(100), priority: below(2), ttl: 0 })),
    ...hosts.map((host, i) => a(host, addresses[i]!, 0)),
  ]
  using zone = await startZone(...flapped())
  const targets = [...names.map((name) => `dns://${name}:${port}`), `srv://${service}`]
  await using gateway = await following(zone.server, { targets, balance: "least-connections" })
  const { events, pid } = gateway.served
  // The queue for the first answer has 100 places.
  await eventually(async () => (await gateway.status()).targets.length > 0)
  const descriptors = descriptorsOf(pid)
  const flapping = setInterval(() => zone.set(...flapped()), 100)
  const hello = new TextEncoder().encode("hello")
  let failed = 0
  const echoed = async (client: EchoClient) => client.echo(hello).catch(() => failed++)
  // Of 1,000 that are open, half go on over the next answers.
  let before: EchoClient[] = []
  for (let batch = 0; batch < 10; batch++) {
    const questions = zone.asked.length
    const clients = await Promise.all(Array.from({ length: 500 }, () => EchoClient.connect(gateway.port)))
    await Promise.all([...before, ...clients].map(echoed))
    for (const client of before) client.end()
    before = clients
    await eventually(() => zone.asked.length >= questions + 8)
  }
  await Promise.all(before.map(echoed))
  for (const client of before) client.end()
  clearInterval(flapping)
  await gateway.served.until(() => events.length === 5000)
  const ends = events.map(({ close, upstream }) => `${close.reason} ${upstream?.error}`)
  expect([failed, ...new Set(ends)]).toEqual([0, "client-closed null"])
  expect(memoryOf(pid)).toBeLessThan(MEMORY)
  await givenBack(pid, descriptors)
  // All that there have been are known again, with what is counted of them.
  zone.set(...names.flatMap((name) => addresses.map((address) => a(name, address, 0))))
  await eventually(async () => (await gateway.status()).targets.length >= 60)
  const { queued, targets: members } = await gateway.status()
  expect([queued, ...new Set(members.map(({ active }) => active))]).toEqual([0, 0])
})
