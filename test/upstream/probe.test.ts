// Probes of servers that behave badly, and what they leave behind. Real servers are in probe-servers.test.ts.
import { afterEach, describe, expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseIp, type Ip } from "../../src/policy/address.ts"
import { ProbeFailed } from "../../src/upstream/probe-failed.ts"
import { closeDescriptor, listenTcp, localName } from "../../src/native/socket.ts"
import { blackHole } from "../helper/black-hole.ts"
import { authority } from "../helper/certificates.ts"
import { eventually } from "../helper/eventually.ts"
import { freePort } from "../helper/ports.ts"
import { becomesAlive, probing, verdict, type Check } from "../helper/probing.ts"
import { connectionsTo } from "../helper/connections-to.ts"
import { secureUpstream } from "../helper/tls-wire.ts"
import { stalls, upstream } from "../helper/upstream.ts"

/** Every check, with what it waits for when nothing comes. */
const CHECKS: readonly (readonly [Check, string])[] = [
  [{ tls: true }, "TLS handshake"],
  [{ expect: "220" }, 'answer with "220"'],
  [{ postgres: {} }, "answer to the startup message"],
  [{ redis: {} }, "answer to PING"],
  [{ redis: { password: "x" } }, "answer to AUTH"],
  [{ mysql: {} }, "greeting"],
  [{ http: {} }, "answer to GET"],
]
const all = (...addresses: string[]) => ({ resolve: () => addresses.map((text) => parseIp(text)!) })
const TCP: Check = { tcp: true }
/** 50 ms: nothing that is waited for so long ever comes. */
const SHORT = { timeout: 50 }

/** The kernel completes handshakes; the process never accepts. */
function stalledInAccept() {
  const fd = listenTcp(
    { family: "IPv4", a: 0x7f000001, b: 0, c: 0, d: 0, port: 0, bothFamilies: false },
    128,
    { idle: 60, interval: 15, count: 5, userTimeout: 0 },
    [],
  )
  const { port } = localName(fd)!
  return { port, url: `tcp://127.0.0.1:${port}`, [Symbol.dispose]: () => closeDescriptor(fd) }
}

describe("a server that is stalled in accept", () => {
  test("passes tcp", async () => {
    using server = stalledInAccept()
    expect(await verdict(server.url, TCP)).toBe("alive")
  })

  test.each(CHECKS)("fails %j by its time-out", async (check, awaited) => {
    using server = stalledInAccept()
    expect(await verdict(server.url, check, {}, SHORT)).toBe(`no ${awaited} within 50 ms`)
    expect(connectionsTo(server.port)).toEqual([])
  })

  test("fails every check on a tls:// target", async () => {
    using server = stalledInAccept()
    const url = `tls://127.0.0.1:${server.port}`
    for (const check of [TCP, ...CHECKS.map(([check]) => check)]) {
      const awaited = "postgres" in check ? "answer to the request for TLS" : "TLS handshake"
      expect(await verdict(url, check, {}, SHORT)).toBe(`no ${awaited} within 50 ms`)
    }
    expect(await verdict(url, TCP, {}, { tls: false })).toBe("alive")
    expect(connectionsTo(server.port)).toEqual([])
  })
})

function refusal(ip: Ip, port: number): string | undefined {
  return ip.a === 0x7f000001 ? `refused: ${port} is a listener` : undefined
}

describe("a target that cannot be connected to", () => {
  test("refuses", async () => {
    expect(await verdict(`tcp://127.0.0.1:${freePort()}`, TCP)).toBe("refused")
    expect(await verdict("tls://127.0.0.1:1", { http: {} })).toBe("refused")
  })

  test("is no socket", async () => {
    expect(await verdict("unix:/run/of-nobody.sock", TCP)).toBe("there is no such socket")
  })

  test("never answers: its descriptor is gone with the time-out", async () => {
    using hole = blackHole()
    expect(await verdict(hole.url, TCP, {}, SHORT)).toBe("no connection within 50 ms")
    expect(hole.attempts().size).toBe(0)
  })

  test("never answers: its descriptor is gone with the interruption", async () => {
    using hole = blackHole()
    const fiber = Effect.runFork(probing(hole.url, TCP))
    await eventually(() => hole.attempts().size === 1)
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(hole.attempts().size).toBe(0)
  })

  test("has a name that nobody knows, or that is being asked for", async () => {
    expect(await verdict("tcp://db-1:1", TCP)).toBe("db-1: nobody knows db-1")
    expect(await verdict("tcp://db-1:1", TCP, { resolve: () => new Promise(() => {}) }, SHORT)).toBe(
      "no address of db-1 within 50 ms",
    )
    expect(await verdict("tcp://db-1:1", TCP, { resolve: () => [] })).toBe("db-1: it has no address")
  })

  test("is one that connections may not dial either", async () => {
    using server = upstream()
    expect(await verdict(server.url, TCP, { refusal })).toBe(`refused: ${server.port} is a listener`)
    const context = { ...all("127.0.0.1", "127.0.0.2"), refusal }
    expect(await verdict(`tcp://db:${server.port}`, TCP, context)).toBe("refused")
    expect(server.accepted).toEqual([])
  })
})

describe("a name with several addresses", () => {
  test("is alive by the first that takes the connection", async () => {
    using server = upstream()
    const url = `tcp://db:${server.port}`
    expect(await verdict(url, TCP, all("127.0.0.2", "127.0.0.3", "127.0.0.1"))).toBe("alive")
    expect(await verdict(url, TCP, all("127.0.0.2", "127.0.0.3"))).toBe("refused")
  })

  test("is alive by the second where the first never answers, in its share of the time-out", async () => {
    using hole = blackHole()
    using server = upstream(undefined, { hostname: "127.0.0.2", port: hole.port })
    expect(await verdict(`tcp://db:${server.port}`, TCP, all("127.0.0.1", "127.0.0.2"), { timeout: 1000 })).toBe(
      "alive",
    )
    expect(hole.attempts().size).toBe(0)
  })

  test("is not alive by the second where the first takes the connection and does not pass", async () => {
    using bad = upstream((wire) => wire.write("-LOADING\r\n"))
    using good = upstream((wire) => wire.write("+PONG\r\n"), { hostname: "127.0.0.2", port: bad.port })
    const url = `tcp://db:${bad.port}`
    expect(await verdict(url, { redis: {} }, all("127.0.0.1", "127.0.0.2"))).toBe("LOADING")
    expect(good.accepted).toEqual([])
    expect(await verdict(url, { redis: {} }, all("127.0.0.2", "127.0.0.1"))).toBe("alive")
  })
})

describe("a server that", () => {
  test("closes, or resets, has not answered", async () => {
    using closes = upstream((wire) => wire.end())
    using resets = upstream(async (wire) => {
      await wire.atLeast(1)
      wire.reset()
    })
    expect(await verdict(closes.url, { redis: {} })).toBe("it closed: no answer to PING")
    expect(await verdict(closes.url, { tls: true })).toMatch(/^TLS: .*closed/)
    expect(await verdict(resets.url, { redis: {} })).toBe("it reset the connection")
    expect(await verdict(resets.url, { tls: true })).toBe("it reset the connection")
    expect(await verdict(resets.url, { http: {} })).toBe("it reset the connection")
  })

  test("says something else is quoted", async () => {
    using server = upstream((wire) => wire.write("421 too busy\r\n"))
    expect(await verdict(server.url, { expect: "220" }, {}, SHORT)).toBe(
      'no answer with "220", but "421 too busy\\r\\n" within 50 ms',
    )
  })

  test("never ends to speak is read for 16 KiB", async () => {
    using server = upstream(async (wire) => {
      for (;;) await wire.write("x".repeat(1000))
    })
    expect(await verdict(server.url, { expect: "y" })).toBe('no answer with "y" in the first 16384 bytes')
    expect(connectionsTo(server.port)).toEqual([])
  })

  test("speaks byte by byte is understood", async () => {
    using server = upstream(async (wire) => {
      for (const byte of "HTTP/1.1 204 No Content\r\n\r\n") {
        await wire.write(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
      wire.end()
    })
    expect(await verdict(server.url, { http: {} })).toBe("alive")
  })

  test("is alive sees the end of the connection, not a reset", async () => {
    using server = upstream(async (wire) => {
      await wire.write("220 hello\r\n".padEnd(9000, "."))
      await wire.stops()
      wire.end()
    })
    await becomesAlive(server.url, { expect: "220" })
    const wire = await server.connection()
    expect(await wire.stops()).toBe("FIN")
    await becomesAlive(server.url, TCP)
    expect(server.problems).toEqual([])
  })

  test("does not close after its answer does not hold a probe up for long", async () => {
    using server = upstream((wire) => wire.write("+PONG\r\n"))
    expect(await verdict(server.url, { redis: {} }, {}, { timeout: 2000 })).toBe("alive")
    expect(connectionsTo(server.port)).toEqual([])
  })

  test("answers just in time is alive, whatever time it takes to close", async () => {
    using server = upstream(async (wire) => {
      await wire.atLeast(1)
      await wire.write("+PONG\r\n")
    })
    // The time-out comes while the server is being left.
    expect(await verdict(server.url, { redis: {} }, {}, { timeout: 200 })).toBe("alive")
  })

  test("reads nothing is left when the probe is interrupted", async () => {
    using server = upstream(stalls)
    for (const url of [server.url, `tls://127.0.0.1:${server.port}`]) {
      const fiber = Effect.runFork(probing(url, { redis: {} }))
      await eventually(() => connectionsTo(server.port).length === 1)
      await Effect.runPromise(Fiber.interrupt(fiber))
      expect(connectionsTo(server.port)).toEqual([])
    }
  })
})

describe("on a tls:// target", () => {
  const ca = authority()
  const { cert, key } = ca.issue({ names: ["db-1"], ips: ["127.0.0.1"] })

  test("a protocol is spoken inside TLS, with the protocols that are offered", async () => {
    const tls = { cert, key, ALPNProtocols: Buffer.from("\x08http/1.1\x0apostgresql") }
    using server = secureUpstream(tls, (wire) => wire.write("HTTP/1.1 200 OK\r\n\r\n"))
    const trusting = { tls: { ca: ca.cert, sni: "db-1" } }
    expect(await verdict(server.url, { http: {} }, trusting)).toBe("alive")
    const [wire] = server.accepted
    expect(wire?.agreed).toMatchObject({ serverName: "db-1", alpn: "http/1.1" })
    expect(Buffer.from(wire!.soFar()).toString()).toStartWith("GET / HTTP/1.1\r\nHost: 127.0.0.1:")
    expect(await verdict(server.url, TCP, { tls: { ...trusting.tls, alpn: ["postgresql"] } })).toBe("alive")
    expect(server.accepted[1]?.agreed?.alpn).toBe("postgresql")
    expect(await verdict(server.url, TCP, { tls: { ...trusting.tls, alpn: ["h2"] } })).toBe(
      "TLS: the other end sent the alert no_application_protocol",
    )
  })

  test("the certificate is for the host of the target, an address too", async () => {
    using server = secureUpstream({ cert, key })
    const context = { ...all("127.0.0.1"), tls: { ca: ca.cert } }
    expect(await verdict(`tls://db-1:${server.port}`, TCP, context)).toBe("alive")
    expect(await verdict(`tls://db-2:${server.port}`, TCP, context)).toBe(
      "TLS: the certificate is not for db-2: it has DNS:db-1, IP Address:127.0.0.1",
    )
    expect(await verdict(`tls://db-2:${server.port}`, TCP, { ...context, tls: { insecureSkipVerify: true } })).toBe(
      "alive",
    )
    using other = secureUpstream(ca.issue({ names: ["localhost"], ips: ["127.0.0.9"] }))
    expect(await verdict(`tls://127.0.0.1:${other.port}`, TCP, context)).toBe(
      "TLS: the certificate is not for 127.0.0.1: it has DNS:localhost, IP Address:127.0.0.9",
    )
  })

  test("authorities that cannot be read are the check's own fault", async () => {
    using server = secureUpstream({ cert, key })
    expect(await verdict(server.url, TCP, { tls: { ca: "no PEM" } })).toBe("route: tls: ca cannot be read")
  })

  test.each([TCP, { http: {} }] as const)("a certificate that the server asks for is missed: %j", async (check) => {
    const settings = { cert, key, requestCert: true, rejectUnauthorized: true, ca: ca.cert }
    using server = secureUpstream(settings, (wire) => wire.write("HTTP/1.1 200 OK\r\n\r\n"))
    expect(await verdict(server.url, check, { tls: { ca: ca.cert } })).toMatch(
      /^TLS: the other end sent the alert (certificate_required|handshake_failure)/,
    )
    const certificate = ca.issue({ names: ["gateway"], usage: "client" })
    expect(await verdict(server.url, check, { tls: { ca: ca.cert, certificate } })).toBe("alive")
  })

  test("PostgreSQL that answers the request with more than a byte is not believed", async () => {
    using more = upstream((wire) => wire.write("SS"))
    using foreign = upstream((wire) => wire.write("?"))
    expect(await verdict(`tls://127.0.0.1:${more.port}`, { postgres: {} })).toBe(
      "it sent something else than one byte in answer to the request for TLS",
    )
    expect(await verdict(`tls://127.0.0.1:${foreign.port}`, { postgres: {} })).toBe(
      "it is no PostgreSQL server that speaks TLS",
    )
  })
})

describe("a unix target", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-probe-"))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test("is checked at its path", async () => {
    const path = join(folder, "redis.sock")
    using server = upstream((wire) => wire.write("+PONG\r\n"), { unix: path })
    expect(await verdict(`unix:${path}`, { redis: {} })).toBe("alive")
    expect(server.accepted).toHaveLength(1)
  })
})

test("at most 64 probes run at one time; the next begins when one is over", async () => {
  using server = upstream(stalls)
  const fibers = Array.from({ length: 70 }, () => Effect.runFork(probing(server.url, { redis: {} })))
  await eventually(() => server.accepted.length >= 64)
  // A turn of the loop for those that might come as well.
  await verdictOfNobody()
  expect(server.accepted).toHaveLength(64)
  await Effect.runPromise(Fiber.interruptAll(fibers.slice(0, 4)))
  await eventually(() => server.accepted.length === 68)
  await Effect.runPromise(Fiber.interruptAll(fibers))
  expect(connectionsTo(server.port)).toEqual([])
})

/** Connections that were to come have come. */
async function verdictOfNobody(): Promise<void> {
  using server = upstream()
  const { promise, resolve } = Promise.withResolvers<void>()
  const socket = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data: () => resolve() } })
  socket.write("x")
  await promise
  socket.terminate()
}

test("a machine without a descriptor left says nothing about the target", async () => {
  const error = Object.assign(new Error("socket: EMFILE"), { code: "EMFILE" })
  const { failedBy } = await import("../../src/upstream/probe-failed.ts")
  expect(failedBy(error)).toEqual(new ProbeFailed({ message: "EMFILE", isOurs: true }))
  expect(failedBy(Object.assign(new Error(), { code: "ECONNREFUSED" }))).toMatchObject({ isOurs: false })
})

test("a process that stood still does not know what its target has said meanwhile", async () => {
  using server = upstream(async (wire) => {
    await wire.write("220 ")
    wire.end()
  })
  const probed = Effect.runPromise(Effect.flip(probing(server.url, { expect: "220" }, {}, { timeout: 100 })))
  for (const began = performance.now(); performance.now() - began < 600;);
  expect(await probed).toMatchObject({ isOurs: true })
})

describe("a pool whose targets get a PROXY header", () => {
  test.each([
    [1, "PROXY UNKNOWN\r\n"],
    [2, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"],
  ] as const)("has its checks begin with one of version %i that speaks for nobody", async (version, header) => {
    using server = upstream(async (wire) => {
      const request = await wire.atLeast(header.length + 4)
      await wire.write(new TextDecoder().decode(request).startsWith(`${header}PING`) ? "PONG" : "no header")
    })
    const check = { send: "PING", expect: "PONG" }
    expect(await verdict(server.url, check, { proxyProtocol: version })).toBe("alive")
    // Another port is another listener.
    expect(
      await verdict("tcp://127.0.0.1:1", check, { proxyProtocol: version }, { port: server.port, timeout: 300 }),
    ).toBe('no answer with "PONG" within 300 ms')
  })
})
