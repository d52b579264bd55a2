// PROXY headers for upstreams: before everything else, with what is known of the client, and none of its bytes.
import { connect as connectTls } from "node:tls"
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Socket } from "../../src/connection/bun-socket.ts"
import type { Connection } from "../../src/connection/connection.ts"
import { Side } from "../../src/connection/side.ts"
import { UpstreamHello } from "../../src/connection/upstream-hello.ts"
import { respond, route } from "../../src/policy/decision.ts"
import { parseTarget } from "../../src/policy/target.ts"
import { formatIpv4, formatIpv6 } from "../../src/protocol/ip.ts"
import { parseProxyHeader, type ProxyAddress, type ProxyHeader } from "../../src/protocol/proxy-header.ts"
import { authority } from "../helper/certificates.ts"
import { gateway, type OnConnect } from "../helper/data-path.ts"
import { binary, line } from "../helper/proxy.ts"
import { ask, secureEcho } from "../helper/secure.ts"
import { upstream, type Upstream } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"
import { hello } from "../protocol/hello.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const shown = (address: ProxyAddress | undefined) =>
  address === undefined
    ? undefined
    : `${address.family === "IPv4" ? formatIpv4(address.a) : formatIpv6(address.a, address.b, address.c, address.d)}:${address.port}`

/** The header that a connection begins with, once it is there. */
async function headerOf(wire: Wire): Promise<ProxyHeader> {
  for (;;) {
    const found = parseProxyHeader(wire.soFar())
    if (found === undefined || (found !== "more" && "error" in found))
      throw new Error(`no header: ${JSON.stringify(found)}`)
    if (found !== "more") return found
    await wire.event()
  }
}

/** A server that reads a header, then gives back what follows it. */
function believer(headers: ProxyHeader[] = []): Upstream & { readonly headers: ProxyHeader[] } {
  const up = upstream(async (wire) => {
    const header = await headerOf(wire)
    headers.push(header)
    await wire.until(() => wire.ended || wire.closed)
    if (wire.closed) return
    await wire.write(wire.soFar().subarray(header.length))
    wire.end()
  })
  return Object.assign(up, { headers })
}

/** What a client hears that sends these bytes and its FIN. */
async function hears(port: number, first: string | Uint8Array): Promise<string> {
  using client = await connect(port, { first })
  client.end()
  const answer = await client.text()
  await client.closes()
  return answer
}

describe.each([1, 2] as const)("version %p", (version) => {
  test("comes before the client's bytes, and says who that is and where it connected to", async () => {
    using up = believer()
    using gate = gateway(() => route(up.url, { proxyProtocol: version }))
    using client = await connect(gate.port, { first: "question" })
    const { localPort } = client.socket!
    client.end()
    expect(await client.text()).toBe("question")
    const [header] = up.headers
    expect(header).toMatchObject({ version, command: "proxy", family: "IPv4" })
    expect([shown(header!.source), shown(header!.destination)]).toEqual([
      `127.0.0.1:${localPort}`,
      `127.0.0.1:${gate.port}`,
    ])
    const [event] = await gate.ended(1)
    expect([event!.conn.bytes_in, event!.conn.bytes_out]).toEqual([8, 8])
    expect(header!.tlvs.uniqueId).toBe(version === 1 ? undefined : event!.conn.id)
  })

  test("is sent to a server that speaks first, by whom the client is heard later", async () => {
    using up = upstream(async (wire) => {
      const { length } = await headerOf(wire)
      await wire.write("220 ready\r\n")
      await wire.atLeast(length + 4)
      wire.end()
    })
    using gate = gateway(() => route(up.url, { proxyProtocol: version }))
    using client = await connect(gate.port)
    expect(text(await client.atLeast(11))).toBe("220 ready\r\n")
    await client.write("QUIT")
    expect(await client.stops()).toBe("FIN")
  })

  test("is not held back by a server that does not wait for it", async () => {
    using up = upstream(async (wire) => {
      await wire.write("hello")
      const { length } = await headerOf(wire)
      await wire.until(() => wire.ended)
      await wire.write(wire.soFar().subarray(length))
      wire.end()
    })
    using gate = gateway(() => route(up.url, { proxyProtocol: version }))
    expect(await hears(gate.port, " world")).toBe("hello world")
  })

  test("names the client of a header that came in, where it connected to, and nobody else", async () => {
    using up = believer()
    using gate = gateway([
      {
        listen: { url: "tcp://127.0.0.1:0", proxyProtocol: { from: ["127.0.0.1"] } },
        on_tcp_connect: () => route(up.url, { proxyProtocol: version }),
      },
    ])
    const headers = [line(), binary({ uniqueId: "theirs" }), line("[2001:db8::1]:1", "[2001:db8::2]:2")]
    for (const header of headers) expect(await hears(gate.port, Buffer.concat([header, Buffer.from("x")]))).toBe("x")
    expect(up.headers.map(({ source }) => shown(source))).toEqual([
      "203.0.113.9:4711",
      "203.0.113.9:4711",
      "2001:db8::1:1",
    ])
    expect(shown(up.headers[0]!.destination)).toBe("198.51.100.7:5432")
    if (version === 2) expect(up.headers[1]!.tlvs.uniqueId).not.toBe("theirs")
  })

  test("is normalised: on a listener for both families an IPv4 client is one", async () => {
    using up = believer()
    using gate = gateway([{ listen: "tcp://:0", on_tcp_connect: () => route(up.url, { proxyProtocol: version }) }])
    await hears(gate.port, "x")
    using client = await connect({ hostname: "::1", port: gate.port }, { first: "x" })
    client.end()
    await client.text()
    expect(up.headers.map(({ family }) => family)).toEqual(["IPv4", "IPv6"])
  })

  test("says that it does not know who a client of a unix socket is", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-proxy-"))
    try {
      using up = believer()
      const unix = join(folder, "x.sock")
      using gate = gateway([
        { listen: `unix:${unix}`, on_tcp_connect: () => route(up.url, { proxyProtocol: version }) },
      ])
      using client = await connect({ unix }, { first: "x" })
      client.end()
      expect(await client.text()).toBe("x")
      expect(up.headers[0]).toMatchObject({ version, family: "unspecified", source: undefined })
      expect(gate.internalErrors).toEqual([])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test("counts as no byte of the connection: the next target is tried where one closes behind it", async () => {
    using closes = upstream(async (wire) => {
      await headerOf(wire)
      wire.end()
    })
    using resets = upstream(async (wire) => {
      await headerOf(wire)
      wire.reset()
    })
    using up = believer()
    using gate = gateway(() => route([closes.url, resets.url, up.url], { proxyProtocol: version }))
    using client = await connect(gate.port)
    const wire = await up.connection()
    const header = await headerOf(wire)
    expect(shown(header.source)).toBe(`127.0.0.1:${client.socket!.localPort}`)
    await client.write("question")
    client.end()
    expect(await client.text()).toBe("question")
    const [event] = await gate.ended(1)
    expect([event!.upstream?.attempts, event!.close.reason]).toEqual([3, "client-closed"])
  })

  test("goes before TLS to the upstream", async () => {
    const ca = authority()
    using server = secureEcho(ca.issue({ names: ["localhost"] }))
    const headers: ProxyHeader[] = []
    using front = stripping(server.port, headers)
    using gate = gateway(
      () => route(`tls://localhost:${front.port}`, { proxyProtocol: version, tls: { ca: ca.cert } }),
      {},
      {
        resolve: () => [{ family: "IPv4", a: 0x7f000001, b: 0, c: 0, d: 0 }],
      },
    )
    using client = await connect(gate.port, { first: "secret" })
    expect(text(await client.atLeast(6))).toBe("secret")
    expect(headers[0]).toMatchObject({ version, family: "IPv4" })
  })

  test("goes before the request for TLS of a PostgreSQL client that speaks it", async () => {
    const request = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f)
    using up = upstream(async (wire) => {
      const { length } = await headerOf(wire)
      const asked = await wire.atLeast(length + 8)
      expect(asked.subarray(length)).toEqual(request)
      await wire.write("S")
      await wire.atLeast(length + 9)
      await wire.write("hello heard")
    })
    using gate = gateway([
      { listen: "postgres://127.0.0.1:0", on_tcp_connect: () => route(up.url, { proxyProtocol: version }) },
    ])
    using client = await connect(gate.port, { first: request })
    expect(text(await client.atLeast(1))).toBe("S")
    await client.write(hello({ sni: "db.example.com" }))
    expect(text(await client.atLeast(12))).toBe("Shello heard")
    expect(up.problems).toEqual([])
  })

  test("is the last thing that a target hears whose hello fails, and the fallback is answered without", async () => {
    using up = upstream(async (wire) => {
      await headerOf(wire)
      await wire.write("no TLS here")
    })
    using gate = gateway(() =>
      route(up.url.replace("tcp:", "tls:"), { proxyProtocol: version, connectTimeout: 3000 }).or(respond("sorry")),
    )
    expect(await hears(gate.port, "x")).toBe("sorry")
  })
})

/** Takes the header of each connection off, and passes the rest on. */
function stripping(port: number, headers: ProxyHeader[]): Upstream {
  return upstream(async (wire) => {
    const header = await headerOf(wire)
    headers.push(header)
    using inner = await connect(port)
    let sent = header.length
    let returned = 0
    while (!wire.closed && !inner.closed) {
      const rest = wire.soFar().subarray(sent)
      const back = inner.soFar().subarray(returned)
      sent += rest.length
      returned += back.length
      if (rest.length > 0) await inner.write(rest)
      if (back.length > 0) await wire.write(back)
      if (rest.length === 0 && back.length === 0) await Promise.race([wire.event(), inner.event()])
    }
  })
}

describe("what version 2 says beside the addresses", () => {
  const ca = authority()
  const own = ca.issue({ names: ["a.example"] })
  const terminating =
    (up: Upstream, clientCertificate?: "request"): OnConnect =>
    async (connection) => {
      const { cert, key } = own
      await connection.terminate({
        certificates: [{ cert, key }],
        alpn: ["h2"],
        ...(clientCertificate === undefined ? {} : { clientCertificate, ca: ca.cert }),
      })
      return route(up.url, { proxyProtocol: 2 })
    }

  test("the server name of TLS that passes through, and nothing of what is not known", async () => {
    using up = believer()
    using gate = gateway([{ listen: "tls://127.0.0.1:0", on_tcp_connect: () => route(up.url, { proxyProtocol: 2 }) }])
    const sent = hello({ sni: "a.example", alpn: ["h2"] })
    using client = await connect(gate.port, { first: sent })
    client.end()
    expect((await client.bytes()).length).toBe(sent.length)
    expect(up.headers[0]!.tlvs).toMatchObject({ authority: "a.example", alpn: undefined, ssl: undefined })
  })

  test.each([
    ["no certificate", undefined],
    ["a certificate that is verified", { certificate: true, client: 7, verify: 0, verified: true, commonName: "amy" }],
  ] as const)("TLS that was terminated here, with %s", async (_, expected) => {
    using up = believer()
    using gate = gateway(terminating(up, expected === undefined ? undefined : "request"))
    const amy = ca.issue({ subject: "/O=Example/CN=amy" })
    const mine = expected === undefined ? {} : { cert: amy.cert, key: amy.key }
    const socket = connectTls({
      port: gate.port,
      host: "127.0.0.1",
      servername: "a.example",
      ca: ca.cert,
      ALPNProtocols: ["h2"],
      ...mine,
    })
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject))
    socket.write("x")
    const wire = await up.connection()
    const { tlvs } = await headerOf(wire)
    const { certificate: _given, ...ssl } = expected ?? { certificate: false, client: 1, verify: 1, verified: false }
    expect(tlvs).toMatchObject({ authority: "a.example", alpn: "h2", ssl: { version: "TLSv1.3", ...ssl } })
    expect(tlvs.ssl?.cipher).toMatch(/^TLS_/)
    expect(tlvs.ssl?.commonName).toBe(expected?.commonName as string)
    const closed = new Promise((done) => socket.once("close", done))
    socket.destroy()
    await closed
  })

  test("nothing of it is for the client, whose TLS works as ever", async () => {
    const headers: ProxyHeader[] = []
    using server = upstream()
    using front = stripping(server.port, headers)
    using gate = gateway(terminating(front))
    const asked = { port: gate.port, servername: "a.example", ca: ca.cert, ALPNProtocols: ["h2"] }
    expect(await ask(asked, "hello")).toBe("hello")
    expect(headers[0]!.tlvs.alpn).toBe("h2")
  })
})

/** A hello over a socket that takes so many bytes at a time, and what became of it. */
function slow(takes: number) {
  const taken: number[] = []
  const outcome: string[] = []
  const connection = {
    route: { proxyProtocol: 1 },
    plan: { scheme: "tcp" },
    peer: { family: "IPv4", a: 1, b: 0, c: 0, d: 0, port: 1 },
    local: { family: "IPv4", a: 2, b: 0, c: 0, d: 0, port: 2 },
  } as unknown as Connection
  const side = new Side(connection)
  side.socket = {
    write(chunk: Uint8Array) {
      taken.push(...chunk.subarray(0, takes))
      return Math.min(takes, chunk.length)
    },
  } as unknown as Socket
  const hello = new UpstreamHello(side, parseTarget("tcp://127.0.0.1:1"), {
    ready: () => outcome.push("ready"),
    failed: (_, why) => outcome.push(why),
  })
  return { hello, side, outcome, written: () => text(Uint8Array.from(taken)) }
}

describe("a header that the socket takes in parts", () => {
  test("is sent whole before the relay begins, and counts as nothing", () => {
    const { hello, outcome, side, written } = slow(7)
    hello.begin()
    expect([outcome, hello.awaited]).toEqual([[], "room for the PROXY header"])
    for (let turn = 0; turn < 3; turn++) hello.drained()
    expect(outcome).toEqual([])
    for (let turn = 0; turn < 3; turn++) hello.drained()
    expect([outcome, written(), side.written]).toEqual([["ready"], "PROXY TCP4 0.0.0.1 0.0.0.2 1 2\r\n", 0])
  })

  test("is not what a server has read that speaks before", () => {
    const { hello, outcome } = slow(7)
    hello.begin()
    hello.spoke(Uint8Array.of(1))
    expect(outcome).toEqual(["it spoke before it had taken the PROXY header"])
  })
})
