// PROXY headers of load balancers: whom they are believed from, who the client is then, and what becomes of all others.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectSocket } from "node:net"
import { connect as connectTls } from "node:tls"
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import type { Connection, Summary } from "../../src/policy/connection.ts"
import { deny, respond, route } from "../../src/policy/decision.ts"
import { authority } from "../helper/certificates.ts"
import { closedText } from "../../src/observe/events.ts"
import { painter } from "../../src/observe/paint.ts"
import { gateway, type OnConnect, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { cutAt, CUTS, liveOf, sendPieces, soon } from "../helper/pieces.ts"
import { binary, line, LOCAL, long } from "../helper/proxy.ts"
import { random } from "../helper/random.ts"
import { answers, echo, upstream } from "../helper/upstream.ts"
import { connect, type Where, type Wire } from "../helper/wire.ts"
import { hello } from "../protocol/hello.ts"
import { fromHex, vectors } from "../protocol/vectors.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const ascii = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const joined = (...parts: readonly Uint8Array[]) => Uint8Array.from(Buffer.concat(parts))

interface Options {
  readonly from?: readonly string[]
  readonly mode?: "required" | "optional"
  readonly url?: string
}

/** A listener that believes its neighbours on the loopback, unless it is told otherwise. */
const believing = (on_tcp_connect: OnConnect, { from = ["127.0.0.0/8"], mode, url }: Options = {}) =>
  gateway([
    {
      listen: {
        url: url ?? "tcp://127.0.0.1:0",
        proxyProtocol: { from, ...(mode === undefined ? {} : { mode }) },
      },
      on_tcp_connect,
    },
  ])

/** As it is normalised. */
const address = (ip: unknown) => String(ip).replace(/^::ffff:(?=\d+\.)/, "")

/** Nobody is trusted who connects here. */
const ELSEWHERE = { from: ["192.0.2.0/24"] }

const who: OnConnect = ({ client, server, via }) =>
  respond(
    JSON.stringify([`${client.address}:${client.port}`, `${server.address}:${server.port}`, via?.address ?? null]),
  )

/** As {@link who}, once the client has sent something behind its header. */
const whoAsks: OnConnect = async (connection) => {
  await connection.peek(1)
  return who(connection)
}

/** What a client hears that sends these bytes, and its FIN with them where it would wait. */
async function hears(where: Where, first: Uint8Array, fin = false): Promise<string> {
  using client = await connect(where, { first })
  if (fin) client.end()
  const answer = await client.text()
  if (!fin && !client.closed) client.end()
  await client.closes()
  return answer
}

const lastEvent = async (gate: TestGateway, n = 0): Promise<Summary> => (await gate.ended(n + 1))[n]!

/** How the nth connection ended. */
async function endOf(gate: TestGateway, n = 0): Promise<string> {
  const { close } = await lastEvent(gate, n)
  return `${close.reason} by ${close.by}`
}

describe("a header of a trusted sender", () => {
  test.each([
    ["1", line()],
    ["2", binary()],
  ])("of version %s says who the client is and where it connected to", async (_, header) => {
    using gate = believing(who)
    const told = ["203.0.113.9:4711", "198.51.100.7:5432", "127.0.0.1"]
    expect(JSON.parse(await hears(gate.port, header))).toEqual(told)
    expect(JSON.parse(await hears(gate.port, joined(header, ascii("and more"))))).toEqual(told)
  })

  test("is told by the event, with the load balancer that sent it", async () => {
    using gate = believing(() => deny("no"))
    using client = await connect(gate.port, { first: binary({ authority: "DB.example.com", uniqueId: "abc" }) })
    const { localPort } = client.socket!
    client.end()
    await client.closes()
    const event = await lastEvent(gate)
    expect(event.conn).toMatchObject({
      client_ip: "203.0.113.9",
      client_port: 4711,
      server_ip: "198.51.100.7",
      server_port: 5432,
      bytes_in: 0,
    })
    expect(event.via).toEqual({
      ip: "127.0.0.1",
      port: localPort,
      proxy_version: 2,
      command: "proxy",
      authority: "db.example.com",
      unique_id: "abc",
    })
    expect(closedText(event, painter(false))).toContain(`203.0.113.9:4711 via 127.0.0.1:${localPort} -> `)
  })

  test("tells policies everything that it says", async () => {
    const seen: Connection["proxy"][] = []
    using gate = believing(({ proxy }) => {
      seen.push(proxy)
      return deny()
    })
    const ssl = {
      version: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      certificate: "connection",
      verified: true,
      commonName: "amy",
    } as const
    await hears(gate.port, binary({ alpn: "h2", authority: "a.example", uniqueId: "id", ssl }), true)
    await hears(gate.port, line(), true)
    expect(seen[0]).toMatchObject({
      version: 2,
      command: "proxy",
      alpn: "h2",
      authority: "a.example",
      uniqueId: "id",
      netns: undefined,
      paths: undefined,
      ssl: { verified: true, version: "TLSv1.3", commonName: "amy", cipher: "TLS_AES_128_GCM_SHA256" },
    })
    expect(seen[0]!.tlvs.map(({ type }) => type)).toEqual([1, 2, 5, 0x20])
    expect(seen[1]).toMatchObject({ version: 1, command: "proxy", authority: undefined, ssl: undefined, tlvs: [] })
  })

  test.each([
    ["a local one", LOCAL, "local"],
    ["UNKNOWN", ascii("PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n"), "proxy"],
    ["of no family", fromHex("0d0a0d0a000d0a515549540a21000000"), "proxy"],
  ] as const)("%s leaves the sender as the client", async (_, header, command) => {
    using gate = believing(who)
    using client = await connect(gate.port, { first: header })
    const own = `127.0.0.1:${client.socket!.localPort}`
    expect(JSON.parse(await client.text())).toEqual([own, `127.0.0.1:${gate.port}`, "127.0.0.1"])
    client.end()
    await client.closes()
    expect((await lastEvent(gate)).via).toMatchObject({ ip: "127.0.0.1", port: client.socket!.localPort, command })
  })

  test("names a client of a unix socket, which has no address", async () => {
    const header = new Uint8Array(232)
    header.set(fromHex("0d0a0d0a000d0a515549540a213100d8"))
    header.set(ascii("/run/client"), 16)
    const seen: unknown[] = []
    using gate = believing(({ client, proxy, server }) => {
      seen.push(client.family, client.address, client.within("0.0.0.0/0"), server.address, proxy?.paths)
      return deny()
    })
    await hears(gate.port, header, true)
    expect(seen).toEqual(["unix", undefined, false, undefined, { source: "/run/client", destination: "" }])
  })

  test("is normalised as addresses are: an IPv4 address that IPv6 maps is IPv4", async () => {
    using gate = believing(({ client, server }) =>
      respond(`${client.family} ${client.address} ${client.within("203.0.113.0/24")} ${server.address}`),
    )
    const header = ascii("PROXY TCP6 ::ffff:203.0.113.9 2001:DB8:0::7 1 2\r\n")
    expect(await hears(gate.port, header)).toBe("IPv4 203.0.113.9 true 2001:db8::7")
  })

  test("is not the upstream's: what stands behind it is, byte for byte, and only that is counted", async () => {
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7) & 255)
    using up = upstream()
    using gate = believing(() => route(up.url))
    for (const header of [line(), binary({ authority: "a.example" })]) {
      using client = await connect(gate.port, { first: header })
      await client.write(bytes)
      client.end()
      expect(Buffer.compare(await client.bytes(), bytes)).toBe(0)
      await client.closes()
    }
    for (const { conn } of await gate.ended(2)) expect([conn.bytes_in, conn.bytes_out]).toEqual([3e6, 3e6])
  })

  test("may be cut into any pieces, and what follows arrives", async () => {
    using up = upstream(answers((bytes) => bytes))
    using gate = believing(() => route(up.url))
    const headers = [line(), line("[2001:db8::1]:1", "[2001:db8::2]:2"), binary({ authority: "a.example" }), LOCAL]
    for (const [i, header] of headers.entries()) {
      const bytes = joined(header, ascii("payload"))
      const cuts = [
        ...Object.values(CUTS).map((cut) => cut(bytes, random(i))),
        ...Array.from({ length: bytes.length - 1 }, (_, at) => cutAt(bytes, at + 1)),
      ]
      for (const pieces of cuts) {
        using client = await connect(gate.port)
        await sendPieces(gate, client, pieces)
        client.end()
        expect(await client.text()).toBe("payload")
      }
    }
    expect(up.problems).toEqual([])
  })

  test("may have 64 KiB, in one piece or in many, with whatever follows in the same one", async () => {
    using gate = believing(who)
    const header = long(65_551)
    expect(JSON.parse(await hears(gate.port, header))[0]).toBe("203.0.113.9:4711")
    using up = upstream()
    using routed = believing(() => route(up.url))
    const more = ascii("x".repeat(100_000))
    for (const pieces of [[joined(header, more)], cutAt(joined(header, more), 1, 12, 20_480, 65_550, 65_552)]) {
      using client = await connect(routed.port)
      for (const piece of pieces) {
        await client.write(piece)
        await soon(() => liveOf(routed, client.socket!.localPort) !== undefined)
      }
      expect((await client.atLeast(more.length)).length).toBe(more.length)
    }
  })

  test("is the sender's own: a second one behind it is the client's business, and goes to the upstream", async () => {
    using up = upstream()
    using gate = believing(() => route(up.url))
    using client = await connect(gate.port, { first: joined(line(), line("192.0.2.1:1", "192.0.2.2:2")) })
    client.end()
    expect(await client.text()).toBe("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
  })

  test("is waited for, without the policy's own time", async () => {
    using gate = gateway([
      {
        listen: { url: "tcp://127.0.0.1:0", proxyProtocol: { from: ["127.0.0.1"] } },
        deadline: 500,
        on_tcp_connect: async ({ client }) => {
          await Bun.sleep(200)
          return respond(`${client.address}`)
        },
      },
    ])
    using client = await connect(gate.port)
    await Bun.sleep(700)
    await client.write(line())
    expect(await client.text()).toBe("203.0.113.9")
  })
})

describe("every captured header", () => {
  interface Case {
    readonly id: string
    readonly hex: string
    readonly expected: Readonly<Record<string, unknown>> & { readonly ok: boolean }
  }
  const cases = ["proxy-protocol-v1.json", "proxy-protocol-v2.json"].flatMap(
    (file) => vectors<{ cases: readonly Case[] }>(file)?.cases ?? [],
  )
  test.skipIf(cases.length === 0).each(Object.keys(CUTS))("ends or goes on as it should, %s", async (cut) => {
    using gate = believing(({ client }) => respond(`${client.family} ${client.address}:${client.port}\n`))
    for (const [i, { expected, hex, id }] of cases.entries()) {
      using client = await connect(gate.port)
      await sendPieces(gate, client, CUTS[cut]!(fromHex(hex), random(i)))
      client.end()
      const heard = await client.text()
      await client.closes()
      const { close } = await lastEvent(gate, i)
      const good = expected.ok && expected["crc32c_valid"] !== false
      const bad = hex === "" ? "client-closed" : "proxy-invalid"
      expect([id, close.reason]).toEqual([id, good ? "answered" : bad])
      if (!good) expect([id, heard]).toEqual([id, ""])
      else if (expected["family"] === "UNIXSTREAM") expect(heard).toBe("unix undefined:undefined\n")
      else if (typeof expected["src"] === "string")
        expect([id, heard.slice(5)]).toEqual([id, `${address(expected["src"])}:${String(expected["sport"])}\n`])
      else expect([id, heard]).toEqual([id, `IPv4 127.0.0.1:${client.socket!.localPort}\n`])
    }
  })
})

describe("a sender that has to send a header", () => {
  test.each([
    ["something else", ascii("GET / HTTP/1.1\r\n\r\n"), "the first bytes are no PROXY header"],
    ["nothing like it", ascii("PROXY\r\n"), "the first bytes are no PROXY header"],
    ["a malformed one", ascii("PROXY TCP4 1.2.3.4\r\n"), "malformed"],
    ["one that is too long", ascii(`PROXY UNKNOWN ${"x".repeat(200)}`), "107 bytes"],
    [
      "one with another checksum",
      fromHex("0d0a0d0a000d0a515549540a2111001300000000000000000000000003000412345678"),
      "checksum",
    ],
  ])("and sends %s is refused at once", async (_, bytes, why) => {
    using up = upstream()
    using gate = believing(() => route(up.url))
    expect(await hears(gate.port, bytes)).toBe("")
    const event = await lastEvent(gate)
    expect([event.close, event.policy]).toEqual([{ reason: "proxy-invalid", by: "gateway" }, null])
    expect(event.problem).toContain(why)
    expect([event.conn.client_ip, event.via, up.accepted.length]).toEqual(["127.0.0.1", null, 0])
  })

  test("has three seconds for all of it, whatever part it sends", async () => {
    using gate = believing(() => deny())
    const before = performance.now()
    const parts = ["", "PRO", "PROXY TCP4 1.2.3.4 "]
    const clients = await Promise.all(parts.map((first) => connect(gate.port, first === "" ? {} : { first })))
    const ends = await Promise.all(clients.map((client) => client.stops()))
    for (const end of ends) expect(["FIN", "ECONNRESET"]).toContain(end)
    expect(performance.now() - before).toBeGreaterThan(2900)
    const events = await gate.ended(3)
    expect(new Set(events.map(({ close }) => `${close.reason} by ${close.by}`))).toEqual(
      new Set(["proxy-invalid by gateway"]),
    )
    expect(events.map(({ problem }) => problem).sort()).toEqual(
      parts.map(({ length }) => `${length} bytes and no whole PROXY header within 3000 ms`).sort(),
    )
    for (const client of clients) client[Symbol.dispose]()
  })

  test("and leaves without a byte is just gone", async () => {
    using gate = believing(() => deny())
    await hears(gate.port, new Uint8Array(), true)
    expect(await endOf(gate)).toBe("client-closed by client")
    using client = await connect(gate.port)
    await soon(() => gate.path.live.size > 0)
    client.reset()
    expect(await endOf(gate, 1)).toBe("client-reset by client")
  })

  test("and leaves inside of it is refused", async () => {
    using gate = believing(() => deny())
    await hears(gate.port, line().subarray(0, 20), true)
    await hears(gate.port, ascii("PROX"), true)
    expect([await endOf(gate), await endOf(gate, 1)]).toEqual(Array(2).fill("proxy-invalid by gateway"))
  })

  test("and is half closed after it gets its answer", async () => {
    using up = upstream(async (wire) => {
      await wire.write(`heard ${text(await wire.bytes())}`)
      wire.end()
    })
    using gate = believing(() => route(up.url))
    expect(await hears(gate.port, joined(binary(), ascii("question")), true)).toBe("heard question")
  })
})

describe("a sender that may send a header", () => {
  const optional = { mode: "optional" } as const

  test("is believed when it does", async () => {
    using gate = believing(who, optional)
    expect(JSON.parse(await hears(gate.port, line()))[0]).toBe("203.0.113.9:4711")
  })

  test("is a client of its own when it sends something else, at once", async () => {
    using up = upstream()
    using gate = believing(() => route(up.url), optional)
    using client = await connect(gate.port, { first: "POST / HTTP/1.1\r\n" })
    client.end()
    expect(await client.text()).toBe("POST / HTTP/1.1\r\n")
    expect((await lastEvent(gate)).via).toBeNull()
  })

  test("is a client of its own after 300 ms of silence: a server may speak first", async () => {
    using up = upstream(async (wire) => {
      await wire.write("220 ready\r\n")
      await wire.atLeast(4)
      wire.end()
    })
    using gate = believing(() => route(up.url), optional)
    const before = performance.now()
    using client = await connect(gate.port)
    expect(text(await client.atLeast(11))).toBe("220 ready\r\n")
    expect(performance.now() - before).toBeGreaterThan(290)
    await client.write("QUIT")
    expect(await client.stops()).toBe("FIN")
  })

  test("is a client of its own when it only wants to read", async () => {
    using up = upstream((wire) => wire.write("hello").then(() => wire.end()))
    using gate = believing(() => route(up.url), optional)
    expect(await hears(gate.port, new Uint8Array(), true)).toBe("hello")
  })

  test.concurrent("and begins like one, or goes no further, is a client of its own too", async () => {
    using up = upstream()
    using gate = believing(() => route(up.url), optional)
    using slow = await connect(gate.port, { first: "PROX" })
    await up.connection()
    await slow.write("IMITY")
    slow.end()
    expect(await slow.text()).toBe("PROXIMITY")
    expect(await hears(gate.port, ascii("PRO"), true)).toBe("PRO")
  })

  test.concurrent("and has sent the beginning of a signature is waited for beyond 300 ms", async () => {
    using gate = believing(who, optional)
    using client = await connect(gate.port, { first: "PRO" })
    const from = gate.path.wheel.refresh()
    await eventually(() => gate.path.wheel.refresh() > from + 6)
    await client.write("XY TCP4 203.0.113.9 198.51.100.7 4711 5432\r\n")
    expect(await client.text()).toContain("203.0.113.9")
  })

  test.concurrent("but begins a header has three seconds for it", async () => {
    using gate = believing(who, optional)
    using client = await connect(gate.port, { first: line().subarray(0, 10) })
    await Bun.sleep(600)
    await client.write(line().subarray(10))
    expect(JSON.parse(await client.text())[0]).toBe("203.0.113.9:4711")
    using never = await connect(gate.port, { first: line().subarray(0, 10) })
    await never.stops()
    const reasons = (await gate.ended(1)).map(({ close }) => close.reason)
    expect(reasons).toContain("proxy-invalid")
  })

  test.concurrent("but sends a malformed one, or one that is cut off, is refused", async () => {
    using gate = believing(who, optional)
    expect(await hears(gate.port, ascii("PROXY TCP4 x"))).toBe("")
    expect(await hears(gate.port, line().subarray(0, 10), true)).toBe("")
    expect([await endOf(gate), await endOf(gate, 1)]).toEqual(Array(2).fill("proxy-invalid by gateway"))
  })

  test.concurrent.each([
    ["whole", "", "PROXY TCP4 203.0.113.9 198.51.100.7 4711 5432\r\n", 300],
    ["in two pieces", "PRO", "XY TCP4 203.0.113.9 198.51.100.7 4711 5432\r\n", 3000],
  ])("but sends it too late, %s, was taken for another client: it is refused", async (_, first, later, late) => {
    using up = upstream((wire) => wire.bytes())
    using gate = believing(() => route(up.url), optional)
    using client = await connect(gate.port, first === "" ? {} : { first })
    const wire = await up.connection()
    await wire.atLeast(first.length)
    await client.write(later)
    expect(await client.closes()).toBe("ECONNRESET")
    const { close, policy } = await lastEvent(gate)
    expect(close).toEqual({ reason: "proxy-invalid", by: "gateway" })
    expect(policy?.reason).toBe(`a PROXY header that came after ${late} ms`)
    await wire.closes()
    expect(text(wire.soFar())).toBe(first)
  })
})

describe("a sender that is not trusted", () => {
  const headers = [
    ["of version 1", line()],
    ["of version 2", binary()],
    ["that is malformed", ascii("PROXY \r\n")],
    ["that is local", LOCAL],
  ] as const

  for (const mode of ["required", "optional"] as const) {
    test.each(headers)(`is reset for a header %s (${mode}), and no upstream sees a byte of it`, async (_, header) => {
      using up = upstream()
      using gate = believing(() => route(up.url), { ...ELSEWHERE, mode })
      using client = await connect(gate.port, { first: joined(header, ascii("more")) })
      expect(await client.closes()).toBe("ECONNRESET")
      const event = await lastEvent(gate)
      expect(event.close).toEqual({ reason: "proxy-untrusted", by: "gateway" })
      expect([event.conn.client_ip, event.via]).toEqual(["127.0.0.1", null])
      await eventually(() => up.accepted.every((wire) => wire.closed))
      expect(up.accepted.map((wire) => wire.received)).toEqual(up.accepted.map(() => 0))
    })
  }

  test("is a client like any other without one, and is not waited for", async () => {
    using up = upstream(async (wire) => {
      await wire.write("220 ready\r\n")
      await echo(wire)
    })
    using gate = believing(() => route(up.url), ELSEWHERE)
    using client = await connect(gate.port)
    expect(text(await client.atLeast(11))).toBe("220 ready\r\n")
    await client.write("PRIME PROXY TCP4 ")
    expect(text(await client.atLeast(28)).slice(11)).toBe("PRIME PROXY TCP4 ")
    client.end()
    await client.closes()
    expect(await endOf(gate)).toBe("client-closed by client")
  })

  test.each(headers.slice(0, 2))(
    "is found out however the header %s is cut, before or in the relay",
    async (_, header) => {
      using up = upstream((wire) => wire.bytes())
      using gate = believing(() => route(up.url), ELSEWHERE)
      const signature = header[0] === 0x0d ? 12 : 6
      let n = 0
      for (const at of [1, 3, signature - 1, signature]) {
        using client = await connect(gate.port)
        await sendPieces(gate, client, cutAt(header, at))
        expect(await client.closes()).toBe("ECONNRESET")
        expect(await endOf(gate, n++)).toBe("proxy-untrusted by gateway")
      }
      using client = await connect(gate.port)
      await sendPieces(gate, client, CUTS["byte by byte"]!(header, random(1)))
      expect(await client.closes()).toBe("ECONNRESET")
      expect(await endOf(gate, n)).toBe("proxy-untrusted by gateway")
      await eventually(() => up.accepted.every((wire) => wire.closed))
      // What came before the signature was whole is gone; nothing that completes it is passed on.
      for (const wire of up.accepted) expect(wire.received).toBeLessThan(signature)
    },
  )

  test("is found out while a policy waits, which is told that the connection is over", async () => {
    const aborted = Promise.withResolvers<string>()
    using gate = believing(async ({ signal }) => {
      signal.addEventListener("abort", () => aborted.resolve(String((signal.reason as Error).message)))
      await aborted.promise
      return respond("too late")
    }, ELSEWHERE)
    expect(await hears(gate.port, line()).catch(() => "reset")).toBe("")
    expect(await aborted.promise).toBe("the connection is over: proxy-untrusted")
    expect(await endOf(gate)).toBe("proxy-untrusted by gateway")
  })

  test.each([
    ["denied", () => deny("no")],
    ["answered", () => respond("hello")],
    ["held", () => deny("no", { delay: "20 seconds" })],
  ])("is found out when it was %s already", async (_, decide) => {
    using gate = believing(decide, ELSEWHERE)
    using client = await connect(gate.port, { first: line() })
    await client.closes()
    expect(await endOf(gate)).toBe("proxy-untrusted by gateway")
  })

  test("is found out on a listener that reads hellos", async () => {
    using gate = believing(() => deny(), { ...ELSEWHERE, url: "tls://127.0.0.1:0" })
    await hears(gate.port, joined(line(), hello({ sni: "a.example" })))
    expect(await endOf(gate)).toBe("proxy-untrusted by gateway")
  })

  test("may send what it likes where nobody's headers are believed", async () => {
    using up = upstream()
    using gate = gateway(() => route(up.url))
    expect(text(joined(line()))).toBe(await hears(gate.port, line(), true))
  })
})

/** The client's address, or why there is none. */
async function told(gate: TestGateway, hostname: string): Promise<string> {
  const answer = await hears({ hostname, port: gate.port }, joined(line(), ascii("x")))
  return answer === "" ? (await lastEvent(gate)).close.reason : JSON.parse(answer)[0]
}

describe("whom a listener believes", () => {
  test.each([
    [["127.0.0.1"], "127.0.0.1", true],
    [["127.0.0.2/31"], "127.0.0.1", false],
    [["::ffff:127.0.0.0/104"], "127.0.0.1", true],
    [["::1"], "127.0.0.1", false],
    [["::1"], "::1", true],
    [["127.0.0.1"], "::1", false],
    [["192.0.2.0/24", "::/0"], "::1", true],
    [["::/0"], "127.0.0.1", false],
    [["0.0.0.0/0", "::/0"], "127.0.0.1", true],
  ])("of %j: a sender at %s on a listener for both families: %p", async (from, hostname, believed) => {
    using gate = believing(whoAsks, { from, url: "tcp://:0" })
    expect(await told(gate, hostname)).toBe(believed ? "203.0.113.9:4711" : "proxy-untrusted")
  })

  test("changes with the option, for new connections, on the same socket", async () => {
    const on_tcp_connect = whoAsks
    const listen = (proxyProtocol: object) => [{ listen: { url: "tcp://127.0.0.1:0", proxyProtocol }, on_tcp_connect }]
    using gate = gateway(listen({ from: ["127.0.0.1"] }))
    using before = await connect(gate.port)
    await soon(() => gate.path.live.size > 0)
    gate.apply(listen({ from: ["192.0.2.1"] }))
    expect(await hears(gate.port, line())).toBe("")
    expect(await endOf(gate)).toBe("proxy-untrusted by gateway")
    await before.write(joined(line(), ascii("x")))
    expect(JSON.parse(await before.text())[0]).toBe("203.0.113.9:4711")
    gate.apply([{ listen: "tcp://127.0.0.1:0", on_tcp_connect }])
    expect(JSON.parse(await hears(gate.port, line()))[2]).toBeNull()
  })

  test("who may open a unix socket, if the option says so", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-proxy-"))
    const path = join(folder, "x.sock")
    try {
      const seen: unknown[] = []
      using gate = gateway([
        {
          listen: { url: `unix:${path}`, proxyProtocol: { from: ["unix"] } },
          on_tcp_connect({ client, via }) {
            seen.push(client.address, client.within("203.0.113.0/24"), via)
            return deny()
          },
        },
      ])
      await hears({ unix: path }, line(), true)
      expect(seen).toEqual(["203.0.113.9", true, { address: undefined, port: undefined }])
      const { conn, via } = await lastEvent(gate)
      expect([conn.client_ip, conn.server_ip, via?.ip, via?.port]).toEqual(["203.0.113.9", "198.51.100.7", null, null])
      await hears({ unix: path }, ascii("no header"))
      expect(await endOf(gate, 1)).toBe("proxy-invalid by gateway")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

const sni: OnConnect = ({ client, tls }) => respond(`${tls?.sni} for ${client.address}`)

describe("before TLS", () => {
  const ca = authority()
  const url = "tls://127.0.0.1:0"

  test("header and hello come in one piece, or in any", async () => {
    using gate = believing(sni, { url })
    const bytes = joined(binary(), hello({ sni: "a.example" }))
    expect(await hears(gate.port, bytes)).toBe("a.example for 203.0.113.9")
    for (const at of [1, 20, binary().length, binary().length + 1, binary().length + 50]) {
      using client = await connect(gate.port)
      await sendPieces(gate, client, cutAt(bytes, at))
      expect(await client.text()).toBe("a.example for 203.0.113.9")
    }
    const whole = joined(long(65_551), hello({ sni: "b.example" }))
    expect(await hears(gate.port, whole)).toBe("b.example for 203.0.113.9")
  })

  test("the hello has its own time, which starts behind the header", async () => {
    using gate = believing(sni, { url })
    using client = await connect(gate.port)
    await Bun.sleep(1500)
    const before = performance.now()
    await client.write(line())
    await client.stops()
    expect(performance.now() - before).toBeGreaterThan(2900)
    const event = await lastEvent(gate)
    expect([event.close.reason, event.conn.client_ip]).toEqual(["preread-timeout", "203.0.113.9"])
  })

  test("a PostgreSQL client's request for TLS may come in the same piece, and nothing behind that", async () => {
    const request = fromHex("0000000804d2162f")
    using gate = believing(sni, { url: "postgres://127.0.0.1:0" })
    using client = await connect(gate.port, { first: joined(binary(), request) })
    expect(text(await client.atLeast(1))).toBe("S")
    await client.write(hello({ sni: "a.example" }))
    expect(await client.text()).toBe("Sa.example for 203.0.113.9")
    client.end()
    await client.closes()
    await hears(gate.port, joined(line(), request, hello({ sni: "a.example" })))
    expect(await endOf(gate, 1)).toBe("hello-invalid by gateway")
  })

  test("what follows the header and is no hello is refused as that", async () => {
    using gate = believing(sni, { url })
    await hears(gate.port, joined(line(), ascii("GET / HTTP/1.1\r\n\r\n")), true)
    expect(await endOf(gate)).toBe("hello-invalid by gateway")
  })

  test.each([
    ["tls://127.0.0.1:0", "required"],
    ["tls://127.0.0.1:0", "optional"],
    ["tcp://127.0.0.1:0", "optional"],
  ] as const)("%s, %s: TLS is terminated behind a header", async (url, mode) => {
    const own = ca.issue({ names: ["a.example"] })
    using up = upstream()
    using gate = believing(
      async (connection) => {
        await connection.terminate({ certificates: [{ cert: own.cert, key: own.key }] })
        connection.log({ client: connection.client.address })
        return route(up.url)
      },
      { url, mode },
    )
    for (const header of mode === "optional" ? [binary(), undefined] : [binary()]) {
      expect(await overTls(gate.port, header, ca.cert, "a.example", "secret")).toBe("secret")
    }
    const logged = (await gate.ended(1)).map(({ traffic_policy }) => traffic_policy.logs[0])
    expect(logged[0]).toEqual({ client: "203.0.113.9" })
  })
})

/** What comes back over TLS that begins behind a header. */
async function overTls(
  port: number,
  header: Uint8Array | undefined,
  ca: string,
  servername: string,
  question: string,
): Promise<string> {
  const raw = connectSocket(port, "127.0.0.1")
  await new Promise((resolve) => raw.once("connect", resolve))
  if (header !== undefined) raw.write(header)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connectTls({ socket: raw, ca, servername }, () => socket.write(question))
  socket.setEncoding("utf8")
  socket.once("data", resolve)
  socket.once("error", reject)
  try {
    return await promise
  } finally {
    const closed = new Promise((done) => raw.once("close", done))
    socket.destroy()
    raw.destroy()
    await closed
  }
}

describe("many at a time", () => {
  test("half-open ones cost what they hold, and end", async () => {
    using gate = believing(() => deny())
    const clients: Wire[] = []
    for (let i = 0; i < 200; i++) clients.push(await connect(gate.port, { first: line().subarray(0, 1 + (i % 40)) }))
    const events = await gate.ended(200)
    expect(new Set(events.map(({ close }) => close.reason))).toEqual(new Set(["proxy-invalid"]))
    expect(gate.path.live.size).toBe(0)
    await Promise.all(clients.map((client) => client.stops()))
  })

  test("a header is never another connection's", async () => {
    using gate = believing(who)
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => hears(gate.port, line(`10.0.${i >> 8}.${i & 255}:${1000 + i}`))),
    )
    expect(answers.map((answer) => JSON.parse(answer)[0])).toEqual(
      Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}:${1000 + i}`),
    )
  })
})
