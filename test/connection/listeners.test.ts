import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { respond, route } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { closeDescriptor, listenTcp, listenUnix, localName } from "../../src/native/socket.ts"
import { gateway, type TestGateway, type TestPolicy } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { freePort, listeningOn } from "../helper/ports.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect, type Where, type Wire } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const says = (listen: unknown, text: string): TestPolicy => ({ listen, on_tcp_connect: () => respond(text) })
const anywhere: TestPolicy = says("tcp://127.0.0.1:0", "anywhere")
const KEEP_ALIVE = { idle: 60, interval: 15, count: 5, userTimeout: 0 }

async function ask(where: Where): Promise<string> {
  using client = await connect(where)
  const text = await client.text()
  client.end()
  return text
}

const refused = (where: Where) =>
  connect(where).then(
    (wire) => (wire[Symbol.dispose](), "connected"),
    (error) => (error as { code: string }).code,
  )

/** A folder of its own for socket files. */
function folder() {
  const path = mkdtempSync(join(tmpdir(), "tidegate-"))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

const states = (gate: TestGateway) =>
  Object.fromEntries(gate.listeners.status().map(({ plan, state, error }) => [plan.url, error ?? state]))

describe("a wildcard and specific addresses on one port", () => {
  test("share the wildcard's socket, and the most specific listener is asked", async () => {
    const port = freePort()
    using gate = gateway([
      says(`tcp://127.0.0.1:${port}`, "127.0.0.1"),
      says(`tcp://:${port}`, "all"),
      says(`tcp://127.0.0.2:${port}`, "127.0.0.2"),
      says(`tcp://[::1]:${port}`, "::1"),
    ])
    const answers = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"].map((hostname) => ask({ hostname, port }))
    expect(await Promise.all(answers)).toEqual(["127.0.0.1", "127.0.0.2", "all", "::1"])
    expect(listeningOn(port)).toHaveLength(1)
    expect(new Set(gate.listeners.status().map((each) => each.address))).toEqual(new Set([`[::]:${port}`]))
  })

  test("choose by family where a family has its own wildcard", async () => {
    const port = freePort()
    using _gate = gateway([
      says(`tcp://:${port}`, "all"),
      says(`tcp://0.0.0.0:${port}`, "IPv4"),
      says(`tcp://127.0.0.2:${port}`, "127.0.0.2"),
    ])
    const answers = ["127.0.0.1", "127.0.0.2", "::1"].map((hostname) => ask({ hostname, port }))
    expect(await Promise.all(answers)).toEqual(["IPv4", "127.0.0.2", "all"])
  })

  test("can be added and taken away again without losing a client of the specific one", async () => {
    const port = freePort()
    const specific = says(`tcp://127.0.0.1:${port}`, "specific")
    using gate = gateway([specific])
    const stop = new AbortController()
    const answers: string[] = []
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!stop.signal.aborted) answers.push(await ask(port))
      }),
    )
    for (let i = 0; i < 3; i++) {
      const seen = answers.length
      gate.apply([specific, says(`tcp://:${port}`, "all")])
      expect(await ask({ hostname: "127.0.0.2", port })).toBe("all")
      await eventually(() => answers.length > seen + 20)
      gate.apply([specific])
      await eventually(() => answers.length > seen + 40)
    }
    stop.abort()
    await load
    expect(new Set(answers)).toEqual(new Set(["specific"]))
    expect(states(gate)).toEqual({ [`tcp://127.0.0.1:${port}`]: "up" })
  })

  test("part again when the wildcard goes: the specific one gets a socket of its own", async () => {
    const port = freePort()
    const specific = says(`tcp://127.0.0.1:${port}`, "specific")
    using gate = gateway([specific, says(`tcp://:${port}`, "all")])
    gate.apply([specific])
    expect(await ask(port)).toBe("specific")
    await eventually(() => listeningOn(port).length === 1)
    expect(await ask(port)).toBe("specific")
    expect(await refused({ hostname: "127.0.0.2", port })).toBe("ECONNREFUSED")
  })

  test("leave the port to nobody else", async () => {
    const port = freePort()
    using _gate = gateway([says(`tcp://127.0.0.1:${port}`, "specific")])
    using other = gateway([anywhere, says(`tcp://127.0.0.1:${port}`, "thief")])
    expect(states(other)[`tcp://127.0.0.1:${port}`]).toStartWith("the port is taken")
    expect(await ask(port)).toBe("specific")
  })
})

test("clients of both families on one socket are seen as what they are", async () => {
  const seen: unknown[] = []
  const policy = ({ client, server }: Connection) => {
    seen.push([client.address, client.family, client.within("127.0.0.0/8"), client.within("::/0"), server.address])
    return respond("")
  }
  using gate = gateway([{ listen: "tcp://:0", on_tcp_connect: policy }])
  await ask({ hostname: "127.0.0.1", port: gate.port })
  await ask({ hostname: "::1", port: gate.port })
  await ask({ hostname: "::ffff:127.0.0.1", port: gate.port })
  expect(seen).toEqual([
    ["127.0.0.1", "IPv4", true, false, "127.0.0.1"],
    ["::1", "IPv6", false, true, "::1"],
    ["127.0.0.1", "IPv4", true, false, "127.0.0.1"],
  ])
  expect((await gate.ended(3)).map((event) => event.conn.client_ip)).toEqual(["127.0.0.1", "::1", "127.0.0.1"])
})

test("localhost is both loopbacks", async () => {
  const port = freePort()
  using _gate = gateway([says(`tcp://localhost:${port}`, "local")])
  expect(await ask({ hostname: "127.0.0.1", port })).toBe("local")
  expect(await ask({ hostname: "::1", port })).toBe("local")
})

describe("a listener that cannot be bound", () => {
  test("names the process that holds the port, and leaves the others up", async () => {
    const port = freePort()
    const other = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } })
    try {
      using gate = gateway([anywhere, says(`tcp://127.0.0.1:${port}`, "mine")])
      expect(states(gate)).toEqual({
        "tcp://127.0.0.1:0": "up",
        [`tcp://127.0.0.1:${port}`]: expect.stringMatching(
          new RegExp(`^the port is taken by .+ \\(pid ${process.pid}\\)$`),
        ),
      })
      expect(await ask(gate.port)).toBe("anywhere")
    } finally {
      other.stop(true)
    }
  })

  test("says when the address is not one of this machine", () => {
    using gate = gateway([anywhere, says("tcp://192.0.2.1:9000", "far")])
    expect(states(gate)["tcp://192.0.2.1:9000"]).toBe("this machine has no address 192.0.2.1")
  })

  test("is tried again until it can be, and says so", async () => {
    const port = freePort()
    const other = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } })
    using gate = gateway([anywhere, says(`tcp://127.0.0.1:${port}`, "mine")])
    expect(gate.listeners.down()).toHaveLength(1)
    other.stop(true)
    await eventually(() => gate.listeners.down().length === 0)
    expect(await ask(port)).toBe("mine")
    expect(gate.changes.map(({ plan, state }) => [plan.url, state])).toEqual([[`tcp://127.0.0.1:${port}`, "up"]])
  })

  test("is not tried any more once nothing names it", async () => {
    const port = freePort()
    const other = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } })
    using gate = gateway([anywhere, says(`tcp://127.0.0.1:${port}`, "mine")])
    gate.apply([anywhere])
    other.stop(true)
    expect(states(gate)).toEqual({ "tcp://127.0.0.1:0": "up" })
    expect(await refused(port)).toBe("ECONNREFUSED")
  })
})

describe("a unix socket", () => {
  test("is served, and is gone with the gateway", async () => {
    using at = folder()
    const path = join(at.path, "x.sock")
    let seen: unknown
    const policy = ({ client, server }: Connection) => {
      seen = {
        address: client.address,
        port: client.port,
        family: client.family,
        in: client.within("0.0.0.0/0", "::/0"),
        server,
      }
      return respond("unix")
    }
    const gate = gateway([anywhere, { listen: `unix:${path}`, on_tcp_connect: policy }])
    expect(await ask({ unix: path })).toBe("unix")
    expect(seen).toEqual({
      address: undefined,
      port: undefined,
      family: "unix",
      in: false,
      server: { address: undefined, port: undefined },
    })
    expect((await gate.ended(1))[0]!.conn).toMatchObject({ client_ip: null, client_port: null, server_ip: null })
    gate[Symbol.dispose]()
    expect(existsSync(path)).toBe(false)
  })

  test("takes the place of a file that nobody listens on any more", async () => {
    using at = folder()
    const path = join(at.path, "stale.sock")
    closeDescriptor(listenUnix(path, 1))
    expect(existsSync(path)).toBe(true)
    using _gate = gateway([anywhere, says(`unix:${path}`, "fresh")])
    expect(await ask({ unix: path })).toBe("fresh")
  })

  test("leaves a file alone that somebody listens on, or that is no socket", async () => {
    using at = folder()
    using live = upstream(echo, { unix: join(at.path, "live.sock") })
    writeFileSync(join(at.path, "file"), "text")
    using gate = gateway([anywhere, says(live.url, "thief"), says(`unix:${at.path}/file`, "thief")])
    const taken = "the path is taken: something listens there, or it is not a socket"
    expect(states(gate)).toEqual({ "tcp://127.0.0.1:0": "up", [live.url]: taken, [`unix:${at.path}/file`]: taken })
    using client = await connect({ unix: live.url.slice(5) }, { first: "x" })
    await client.atLeast(1)
  })

  test("in a folder that is not there says so", () => {
    using gate = gateway([anywhere, says("unix:/nowhere/at/all.sock", "x")])
    expect(states(gate)["unix:/nowhere/at/all.sock"]).toBe("there is no such folder")
  })
})

describe("a reload", () => {
  test("keeps a port that was chosen by the system", async () => {
    using gate = gateway([says("tcp://127.0.0.1:0", "old")])
    const before = listeningOn(gate.port)
    gate.apply([says("tcp://127.0.0.1:0", "new")])
    expect(await ask(gate.port)).toBe("new")
    expect(listeningOn(gate.port)).toEqual(before)
  })

  test("that changes an option keeps the socket, and the option holds from then on", async () => {
    using up = upstream(echo)
    const port = freePort()
    const policy = (maxConnections?: number): TestPolicy => ({
      listen: { url: `tcp://127.0.0.1:${port}`, ...(maxConnections === undefined ? {} : { maxConnections }) },
      on_tcp_connect: () => route(up.url),
    })
    using gate = gateway([policy()])
    const before = listeningOn(port)
    using first = await connect(port, { first: "1" })
    await first.atLeast(1)
    gate.apply([policy(1)])
    expect(listeningOn(port)).toEqual(before)
    using second = await connect(port, { first: "2" })
    await first.write("still")
    await first.atLeast(6)
    expect(second.received).toBe(0)
    expect(gate.path.live.size).toBe(1)
    gate.apply([policy()])
    await second.atLeast(1)
  })

  test("leaves the connections of a listener that is gone alone, until they end by themselves", async () => {
    using up = upstream(echo)
    const port = freePort()
    using gate = gateway([anywhere, { listen: `tcp://127.0.0.1:${port}`, on_tcp_connect: () => route(up.url) }])
    using client = await connect(port, { first: "x" })
    await client.atLeast(1)
    gate.apply([anywhere])
    await eventually(() => listeningOn(port).length === 0)
    await client.write("y")
    await client.atLeast(2)
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-closed", by: "client" })
    expect(gate.internalErrors).toEqual([])
    expect(await ask(gate.port)).toBe("anywhere")
    expect(await refused(port)).toBe("ECONNREFUSED")
  })

  test("that takes a listener away and brings it back within a second serves who connected meanwhile", async () => {
    const port = freePort()
    const policy = says(`tcp://127.0.0.1:${port}`, "back")
    using gate = gateway([anywhere, policy])
    const before = listeningOn(port)
    gate.apply([anywhere])
    using waiting = await connect(port)
    await Bun.sleep(20)
    expect(gate.path.live.size).toBe(0)
    gate.apply([anywhere, policy])
    expect(await waiting.text()).toBe("back")
    expect(listeningOn(port)).toEqual(before)
  })

  test("closes a listener that nothing names a second later", async () => {
    const port = freePort()
    using gate = gateway([anywhere, says(`tcp://127.0.0.1:${port}`, "gone")])
    const started = performance.now()
    gate.apply([anywhere])
    await eventually(() => listeningOn(port).length === 0)
    expect(performance.now() - started).toBeGreaterThan(950)
    expect(await refused(port)).toBe("ECONNREFUSED")
  })
})

/** An upstream that answers each byte, and the text "slow" after half a second. */
const slowly = () =>
  upstream((wire) => {
    wire.onData = (chunk) => {
      if (new TextDecoder().decode(chunk) === "slow") setTimeout(() => void wire.write("done"), 500)
      else void wire.write(chunk)
    }
  })

describe("at the cap on connections", () => {
  test("new clients wait, live ones go on, the CPU rests, and it recovers by itself", async () => {
    using up = slowly()
    using gate = gateway(() => route(up.url), { maxConnections: 4 })
    const live: Wire[] = []
    for (let i = 0; i < 4; i++) live.push(await connect(gate.port, { first: "x" }))
    await Promise.all(live.map((client) => client.atLeast(1)))
    const waiting = await Promise.all(Array.from({ length: 6 }, () => connect(gate.port, { first: "w" })))
    const cpu = process.cpuUsage()
    await live[0]!.write("slow")
    await live[0]!.atLeast(5)
    const { user, system } = process.cpuUsage(cpu)
    // Half a second went by; a loop that spins would take all of it.
    expect((user + system) / 1000).toBeLessThan(300)
    expect(gate.path.live.size).toBe(4)
    expect(waiting.map((client) => client.received)).toEqual([0, 0, 0, 0, 0, 0])
    expect(gate.listeners.status()[0]!.state).toBe("paused")
    for (const client of live) client.reset()
    await Promise.all(waiting.slice(0, 4).map((client) => client.atLeast(1)))
    expect(gate.path.live.size).toBe(4)
    for (const client of waiting.slice(0, 2)) client.reset()
    await Promise.all(waiting.slice(4).map((client) => client.atLeast(1)))
    for (const client of waiting) client[Symbol.dispose]()
    await gate.ended(10)
    expect(gate.listeners.status()[0]!.state).toBe("up")
    expect(gate.refusals).toEqual([])
  })

  test("a burst over several listeners stays under it", async () => {
    using up = upstream(echo)
    const policy: TestPolicy = {
      listen: ["tcp://127.0.0.1:0", `tcp://127.0.0.1:${freePort()}`, `tcp://127.0.0.1:${freePort()}`],
      on_tcp_connect: () => {
        most = Math.max(most, gate.path.live.size)
        return route(up.url)
      },
    }
    let most = 0
    using gate = gateway([policy], { maxConnections: 5 })
    const ports = gate.listeners.status().map((each) => Number(each.address!.split(":").at(-1)))
    const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => connect(ports[i % 3]!, { first: "x" })))
    for (const client of clients) void client.atLeast(1).then(() => client.end())
    await gate.ended(60)
    expect(most).toBe(5)
    expect(gate.events.map((event) => event.conn.bytes_out)).toEqual(Array.from({ length: 60 }, () => 1))
  })

  test("clients that give up while they wait are let go of", async () => {
    using up = upstream(echo)
    using gate = gateway(() => route(up.url), { maxConnections: 1 })
    using live = await connect(gate.port, { first: "x" })
    await live.atLeast(1)
    const waiting = await Promise.all(Array.from({ length: 5 }, () => connect(gate.port, { first: "w" })))
    for (const client of waiting) client.reset()
    using last = await connect(gate.port, { first: "l" })
    live.reset()
    await last.atLeast(1)
    last.reset()
    await eventually(() => gate.path.live.size === 0)
    expect(gate.internalErrors).toEqual([])
  })
})

describe("maxConnections of a listener", () => {
  test("makes its own clients wait, and nobody else's", async () => {
    using up = upstream(echo)
    const port = freePort()
    using gate = gateway([
      { listen: { url: `tcp://127.0.0.1:${port}`, maxConnections: 2 }, on_tcp_connect: () => route(up.url) },
      anywhere,
    ])
    const live = [await connect(port, { first: "a" }), await connect(port, { first: "b" })]
    await Promise.all(live.map((client) => client.atLeast(1)))
    using waiting = await connect(port, { first: "c" })
    const other = gate.listeners.status().find((each) => each.plan.url === "tcp://127.0.0.1:0")!
    expect(await ask(Number(other.address!.split(":").at(-1)))).toBe("anywhere")
    expect(waiting.received).toBe(0)
    await gate.ended(1)
    expect(gate.listeners.status().map(({ state, active }) => [state, active])).toEqual([
      ["paused", 2],
      ["up", 0],
    ])
    live[0]!.reset()
    await waiting.atLeast(1)
    live[1]!.reset()
    expect(gate.refusals).toEqual([])
  })

  test("on a shared socket turns clients away, which is counted", async () => {
    using up = upstream(echo)
    const port = freePort()
    using gate = gateway([
      says(`tcp://:${port}`, "all"),
      { listen: { url: `tcp://127.0.0.1:${port}`, maxConnections: 1 }, on_tcp_connect: () => route(up.url) },
    ])
    using first = await connect(port, { first: "x" })
    await first.atLeast(1)
    using second = await connect(port)
    expect(await second.stops()).toBe("FIN")
    expect(gate.refusals).toEqual(["limit-reached"])
    expect(await ask({ hostname: "127.0.0.2", port })).toBe("all")
    first.reset()
    await eventually(() => gate.path.live.size === 0)
    using third = await connect(port, { first: "x" })
    await third.atLeast(1)
  })
})

test("a listening socket that systemd hands over is served", async () => {
  using up = upstream(echo)
  const at = { family: "IPv4", a: 0x7f000001, b: 0, c: 0, d: 0, port: 0, bothFamilies: false } as const
  const fd = listenTcp(at, 16, KEEP_ALIVE, [])
  const { port } = localName(fd)!
  const script = `LISTEN_PID=$$ LISTEN_FDS=1 exec bun "$0" "$1" "$2"`
  const fixture = `${import.meta.dir}/gateway-fixture.ts`
  const child = Bun.spawn(["sh", "-c", script, fixture, up.url, `tcp://127.0.0.1:${port}`], {
    stdio: ["pipe", "pipe", "inherit", fd],
  })
  try {
    const { value } = await child.stdout.getReader().read()
    expect(new TextDecoder().decode(value).trim()).toBe(String(port))
    using client = await connect(port, { first: "handed over" })
    client.end()
    expect(await client.text()).toBe("handed over")
  } finally {
    child.kill()
    closeDescriptor(fd)
  }
})
