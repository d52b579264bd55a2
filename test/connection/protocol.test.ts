// `connection.protocol()` over real sockets: what a client speaks, however its bytes arrive.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { detect } from "../../src/protocol/index.ts"
import { authority } from "../helper/certificates.ts"
import { gateway, type OnConnect, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { cutAt, CUTS, sendPieces, soon } from "../helper/pieces.ts"
import { random } from "../helper/random.ts"
import { ask } from "../helper/secure.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"
import { hello } from "../protocol/hello.ts"
import { samples, strangers } from "../protocol/samples.ts"
import { fromHex, vectors, type FlowCase } from "../protocol/vectors.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const ascii = (value: string) => new TextEncoder().encode(value)
const name: OnConnect = async (connection: Connection) => respond(JSON.stringify((await connection.protocol()) ?? null))
/** As it comes out of JSON. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value ?? null)) as unknown

/** What a client is answered that sends these pieces, and then its FIN or nothing. */
async function tell(gate: TestGateway, pieces: readonly Uint8Array[], fin: boolean): Promise<string> {
  using client = await connect(gate.port)
  await sendPieces(gate, client, pieces)
  if (fin) client.end()
  const answer = await client.text()
  if (!fin) client.end()
  await client.closes()
  return answer
}

/** The names here for a label of the captures; what is not listed is not known here. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  http1: ["http"],
  websocket: ["http"],
  xmpp: ["xmpp"],
  mqtt: ["mqtt"],
  postgres: ["postgres"],
  redis: ["redis"],
  rdp: ["rdp"],
  ldap: ["ldap"],
  ssh: ["ssh"],
  vnc: ["vnc"],
  mysql: ["mysql"],
  // The captures call both versions by either name.
  socks: ["socks4", "socks5"],
  socks5: ["socks4", "socks5"],
}

describe("every captured flow is named as what it is, or not at all", () => {
  const flows = vectors<{ flows: FlowCase[] }>("protocol-detect.json")?.flows ?? []

  test.skipIf(flows.length === 0).each(Object.keys(CUTS))("%s", async (cut) => {
    using gate = gateway(name)
    await Promise.all(
      flows.map(async ({ id, client_first_bytes, expected, first_speaker }, i) => {
        const bytes = fromHex(client_first_bytes)
        const found = detect(bytes)
        // Those that are unfinished would wait for what does not come.
        const answer = await tell(gate, CUTS[cut]!(bytes, random(i)), found === "more")
        expect([id, JSON.parse(answer)]).toEqual([id, plain(found === "more" ? undefined : found)])
        const protocol = (JSON.parse(answer) as { protocol?: string } | null)?.protocol
        const names: readonly unknown[] = NAMES[expected.protocol] ?? [undefined]
        expect([id, first_speaker === "server" ? [undefined, ...names] : names]).toEqual([
          id,
          expect.arrayContaining([protocol]),
        ])
      }),
    )
    await gate.ended(flows.length)
    expect([gate.events.length, gate.path.live.size, gate.internalErrors]).toEqual([flows.length, 0, []])
  })
})

test("every protocol of the table is named with its facts, byte by byte", async () => {
  using gate = gateway(name)
  const asked = samples.map(async ([bytes, expected], i) => {
    expect(JSON.parse(await tell(gate, CUTS["byte by byte"]!(bytes, random(i)), false))).toEqual(plain(expected))
  })
  await Promise.all([
    ...asked,
    ...strangers.map(async (bytes) => expect(await tell(gate, [bytes], true)).toBe("null")),
    tell(gate, CUTS["byte by byte"]!(hello({ sni: "a.example" }), random(0)), false).then((answer) =>
      expect(JSON.parse(answer)).toMatchObject({ protocol: "tls", hello: { sni: "a.example" } }),
    ),
  ])
})

/** Greets first, as MySQL does, then gives back what it reads. */
const GREETING = "\x4a\0\0\0\x0a8.0.36\0"
async function greets(wire: Wire): Promise<void> {
  await wire.write(GREETING)
  await echo(wire)
}

describe("a client that says nothing", () => {
  test("waits for the server: undefined after 300 ms, and what it says then arrives once", async () => {
    using up = upstream(greets)
    let found: unknown = "not asked"
    using gate = gateway(async (connection) => {
      found = await connection.protocol()
      return found === undefined ? route(up.url) : deny()
    })
    const started = performance.now()
    using client = await connect(gate.port)
    expect(text(await client.atLeast(GREETING.length))).toBe(GREETING)
    expect(performance.now() - started).toBeGreaterThanOrEqual(299)
    expect(performance.now() - started).toBeLessThan(2500)
    expect(found).toBeUndefined()
    const login = Buffer.alloc(100_000, "login ")
    await client.write(login)
    client.end()
    expect(text(await client.bytes())).toBe(GREETING + login)
    expect((await up.connection()).received).toBe(login.length)
  })

  test("`silence` says how long that is", async () => {
    const order: string[] = []
    const waits = async (silence: string | undefined) => {
      using gate = gateway(async (connection) =>
        respond(`${await connection.protocol(silence === undefined ? undefined : { silence: silence as "50 ms" })}`),
      )
      expect(await tell(gate, [], false)).toBe("undefined")
      order.push(silence ?? "default")
    }
    const started = performance.now()
    await Promise.all([waits(undefined), waits("50 ms"), waits("1 second")])
    expect(order).toEqual(["50 ms", "default", "1 second"])
    expect(performance.now() - started).toBeGreaterThanOrEqual(999)
    using patient = gateway(async (connection) =>
      respond((await connection.protocol({ silence: "1 minute" }))!.protocol),
    )
    using client = await connect(patient.port)
    const connected = performance.now()
    await eventually(() => performance.now() - connected > 500)
    await client.write("SSH-2.0-late\r\n")
    expect(await client.text()).toBe("ssh")
    using wrong = gateway(async (connection) => respond(`${await connection.protocol({ silence: "soon" as never })}`))
    await tell(wrong, [], true)
    expect((await wrong.ended(1))[0]!.close.reason).toBe("policy-failed")
  })

  test("and leaves is told at once: its FIN ends the wait", async () => {
    using gate = gateway(async (connection) => respond(`${await connection.protocol({ silence: "1 minute" })}`))
    const started = performance.now()
    expect(await tell(gate, [], true)).toBe("undefined")
    expect(performance.now() - started).toBeLessThan(30_000)
  })

  test("and resets: the wait ends with the connection", async () => {
    const message = Promise.withResolvers<string>()
    using gate = gateway((connection) =>
      connection.protocol().catch((error) => {
        message.resolve((error as Error).message)
        return next
      }),
    )
    using client = await connect(gate.port)
    await soon(() => gate.path.live.size === 1)
    client.reset()
    expect(await message.promise).toBe("the connection is over: client-reset")
    expect((await gate.ended(1))[0]!.close.reason).toBe("client-reset")
  })

  test("costs the policy none of its own time", async () => {
    using gate = gateway([{ listen: "tcp://127.0.0.1:0", deadline: 100, on_tcp_connect: name }])
    expect(await tell(gate, [], false)).toBe("null")
    expect(gate.failures).toEqual([])
  })
})

describe("a first message that comes slowly", () => {
  const startup = Buffer.from("\0\0\0\x20\0\x03\0\0user\0ana\0database\0shop\0\0")

  test("is waited for beyond the silence, and named", async () => {
    using gate = gateway(name)
    using client = await connect(gate.port)
    const started = performance.now()
    await sendPieces(gate, client, [startup.subarray(0, 10)])
    await eventually(() => performance.now() - started > 600)
    await client.write(startup.subarray(10))
    expect(JSON.parse(await client.text())).toMatchObject({ protocol: "postgres", user: "ana", database: "shop" })
  })

  test("and never ends is nothing known: undefined after 3 seconds, and all of it reaches the upstream", async () => {
    using up = upstream(echo)
    using gate = gateway(async (connection) => ((await connection.protocol()) === undefined ? route(up.url) : deny()))
    const started = performance.now()
    using client = await connect(gate.port, { first: startup.subarray(0, 10) })
    expect(Buffer.from(await client.atLeast(10)).equals(startup.subarray(0, 10))).toBe(true)
    expect(performance.now() - started).toBeGreaterThanOrEqual(2999)
    expect(performance.now() - started).toBeLessThan(6000)
    await client.write(startup.subarray(10))
    client.end()
    expect(Buffer.from(await client.bytes()).equals(startup)).toBe(true)
    expect((await up.connection()).received).toBe(startup.length)
  })

  test("and ends with a FIN is nothing known, at once", async () => {
    using gate = gateway(name)
    const started = performance.now()
    expect(await tell(gate, [startup.subarray(0, 10)], true)).toBe("null")
    expect(performance.now() - started).toBeLessThan(2900)
  })
})

describe("the bytes that were read", () => {
  test("reach the upstream exactly once, however they come", async () => {
    const sent = Buffer.concat([
      Buffer.from("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"),
      Buffer.alloc(200_000, "body "),
    ])
    using up = upstream(echo)
    using gate = gateway(async (connection) => {
      const found = await connection.protocol()
      return found?.protocol === "http" && found.host === "a.example" ? route(up.url) : deny()
    })
    for (const cut of [[], [1], [20, 30], [35], [36], [37], [100_000]]) {
      using client = await connect(gate.port)
      for (const piece of cutAt(sent, ...cut)) await client.write(piece)
      client.end()
      expect(Buffer.from(await client.bytes()).equals(sent)).toBe(true)
    }
    const received = up.accepted.map((wire) => wire.received)
    expect(received).toEqual(received.map(() => sent.length))
  })

  test("may be waited for by several calls at once, each of which gets its answer", async () => {
    const bytes = hello({ sni: "a.example" })
    const order: string[] = []
    using up = upstream(echo)
    using gate = gateway(async (connection) => {
      await Promise.all([
        connection.protocol().then((found) => order.push(`protocol ${found?.protocol}`)),
        connection.hello().then((found) => order.push(`hello ${found?.sni}`)),
        connection.peek(3).then((found) => order.push(`peek 3 ${found.length}`)),
        connection.peek(bytes.length + 2).then((found) => order.push(`peek all ${found.length}`)),
        connection.peek(16_384, { within: 400 }).catch((error) => order.push(`peek more ${(error as Error).name}`)),
        connection.protocol({ silence: 50 }).then((found) => order.push(`impatient ${found?.protocol}`)),
      ])
      return route(up.url)
    })
    using client = await connect(gate.port)
    const pieces = cutAt(bytes, 1, 3, 20, bytes.length - 1)
    await sendPieces(gate, client, [...pieces, Uint8Array.of(1), Uint8Array.of(2)])
    expect(await client.atLeast(bytes.length + 2)).toEqual(Buffer.from([...bytes, 1, 2]))
    expect(order.toSorted()).toEqual([
      "hello a.example",
      "impatient tls",
      `peek 3 3`,
      `peek all ${bytes.length + 2}`,
      "peek more PrereadTimeout",
      "protocol tls",
    ])
    expect(order.indexOf("peek 3 3")).toBe(0)
  })

  test("are the same to the next policy", async () => {
    const seen: unknown[] = []
    const look: OnConnect = async (connection) => {
      seen.push((await connection.protocol())?.protocol, text(await connection.peek(3)))
      return next
    }
    using gate = gateway([
      { listen: "tcp://127.0.0.1:0", on_tcp_connect: look },
      { on_tcp_connect: look },
      { on_tcp_connect: name },
    ])
    expect(JSON.parse(await tell(gate, [ascii("SSH-2.0-x\r\n")], true))).toMatchObject({ protocol: "ssh" })
    expect(seen).toEqual(["ssh", "SSH-2.0-x\r\n", "ssh", "SSH-2.0-x\r\n"])
  })
})

describe("after terminate()", () => {
  const ca = authority()
  const { cert, key } = ca.issue({ names: ["a.example"] })
  const client = { servername: "a.example", ca: ca.cert }

  test.each(["tls://127.0.0.1:0", "tcp://127.0.0.1:0"])("it is what is spoken inside, on %s", async (listen) => {
    const names: unknown[] = []
    using gate = gateway([
      {
        listen,
        on_tcp_connect: async (connection) => {
          names.push((await connection.protocol())?.protocol)
          await connection.terminate({ certificates: { cert, key } })
          return name(connection)
        },
      },
    ])
    const tell = async (said: string) =>
      JSON.parse(await ask({ ...client, port: gate.port }, said, Number.POSITIVE_INFINITY)) as unknown
    expect(await tell("GET /in HTTP/1.1\r\nHost: inside.example\r\n\r\n")).toMatchObject({
      protocol: "http",
      host: "inside.example",
      path: "/in",
    })
    expect(await tell("SSH-2.0-x\r\n")).toMatchObject({ protocol: "ssh" })
    // Silence, as outside.
    expect(await tell("")).toBeNull()
    expect(names).toEqual(["tls", "tls", "tls"])
  })

  test("TLS inside TLS is named, and the connection's hello stays the outer one", async () => {
    let outer: string | undefined
    let inner: string | undefined
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: { cert, key } })
      const found = await connection.protocol()
      inner = found?.protocol === "tls" ? found.hello.sni : undefined
      outer = connection.tls?.sni
      return respond("seen")
    })
    expect(await ask({ ...client, port: gate.port }, hello({ sni: "b.example" }), 4)).toBe("seen")
    expect([outer, inner]).toEqual(["a.example", "b.example"])
  })
})

test("whatever is sent, nothing throws and every connection ends in one event", async () => {
  const { below, pick } = random(42)
  const starts = [...samples.map(([bytes]) => bytes), ...strangers, hello({ sni: "a.example" })]
  using up = upstream(echo)
  using gate = gateway(async (connection) =>
    (await connection.protocol()) === undefined ? route(up.url) : deny("no", { inBand: true }),
  )
  const count = 1500
  for (let done = 0; done < count; done += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const bytes = Uint8Array.from(
          below(4) === 0 ? Array.from({ length: below(400) }, () => below(256)) : pick(starts),
        )
        if (bytes.length > 0 && below(2) === 0) bytes[below(bytes.length)] = below(256)
        using client = await connect(gate.port)
        const sent = bytes.subarray(0, below(2) === 0 ? below(bytes.length + 1) : bytes.length)
        await client.write(sent).catch(() => undefined)
        if (below(3) === 0) client.reset()
        else client.end()
        await client.closes()
      }),
    )
  }
  await gate.ended(count)
  await eventually(() => gate.path.live.size === 0)
  expect([gate.events.length, gate.internalErrors, gate.failures]).toEqual([count, [], []])
})
