// `tls://` listeners: the hello is read before anybody is asked. `hello()` of the others.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { Preread } from "../../src/connection/preread.ts"
import type { Side } from "../../src/connection/side.ts"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import type { Connection, Summary } from "../../src/policy/connection.ts"
import type { ClientHello } from "../../src/protocol/client-hello.ts"
import { HELLO_WIRE_LIMIT } from "../../src/protocol/client-hello.ts"
import { alertIn } from "../helper/alerts.ts"
import { blackHole, descriptors } from "../helper/black-hole.ts"
import { authority } from "../helper/certificates.ts"
import { run } from "../helper/cli.ts"
import { cutter } from "../helper/cutter.ts"
import { gateway, type OnConnect, type TestGateway, type TestPolicy } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { cutAt, CUTS, liveOf, sendPieces, soon } from "../helper/pieces.ts"
import { freePort } from "../helper/ports.ts"
import { random } from "../helper/random.ts"
import { ask, secureEcho } from "../helper/secure.ts"
import { installed } from "../helper/servers.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"
import { ascii, cutRecords, hello, helloMessage, messageOf, record, zeros } from "../protocol/hello.ts"
import { fromHex, vectors, type HelloCase } from "../protocol/vectors.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const listen = "tls://127.0.0.1:0"
const hellos = (on_tcp_connect: OnConnect, settings = {}) => gateway([{ listen, on_tcp_connect }], settings)
const say = (connection: Connection) => respond(JSON.stringify(connection.tls))
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** What a client is told that sends these bytes, and its FIN where nothing else ends its wait. */
async function tell(gate: TestGateway, bytes: Uint8Array, fin = false): Promise<string> {
  using client = await connect(gate.port, { first: bytes })
  if (fin) client.end()
  const answer = alertIn(await client.bytes())
  if (!fin) client.end()
  await client.closes()
  return answer
}

/** The event of the nth connection that ended. */
const event = async (gate: TestGateway, n = 0): Promise<Summary> => (await gate.ended(n + 1))[n]!

describe("every captured hello is told to the policy as it is", () => {
  const files = ["clienthello.json", "clienthello-record-split.json", "clienthello-edge.json"]
  const cases = files.flatMap((file) => vectors<{ cases: HelloCase[] }>(file)?.cases ?? [])
  /** Its lengths contradict each other. */
  const BROKEN = "ndpi-0597"
  const FIELDS = ["sni", "alpn", "ja3", "ja4"] as const

  /** What the client is told; `undefined` where servers differ. */
  function wanted({ id, expected }: HelloCase): "decode_error" | Record<string, unknown> | undefined {
    if (expected.result === "client_hello_lenient") return undefined
    if (id === BROKEN || (expected.result ?? "client_hello") !== "client_hello") return "decode_error"
    return Object.fromEntries(FIELDS.filter((name) => name in expected).map((name) => [name, expected[name]]))
  }

  /** The fields of the answer that are known. */
  function told(answer: Uint8Array, fields: string | object): unknown {
    if (answer[0] !== 0x7b) return alertIn(answer)
    const { sni = null, alpn, ja3, ja4 } = JSON.parse(text(answer)) as Record<string, unknown>
    const all = { sni, alpn: (alpn as string[]).length === 0 ? null : alpn, ja3, ja4 }
    return typeof fields === "string"
      ? all
      : Object.fromEntries(FIELDS.filter((name) => name in fields).map((name) => [name, all[name]]))
  }

  test.skipIf(cases.length === 0).each(Object.keys(CUTS))("%s", async (cut) => {
    using gate = hellos(say)
    const ports = await Promise.all(
      cases.map(async (each, i) => {
        using client = await connect(gate.port)
        const port = client.socket!.localPort
        await sendPieces(gate, client, CUTS[cut]!(fromHex(each.hex), random(i)))
        client.end()
        const answer = await client.bytes()
        expect(await client.closes()).toBe("FIN")
        const fields = wanted(each)
        if (fields !== undefined) expect([each.id, told(answer, fields)]).toEqual([each.id, fields])
        return port
      }),
    )
    const events = new Map((await gate.ended(cases.length)).map((each) => [each.conn.client_port, each]))
    for (const [i, each] of cases.entries()) {
      const fields = wanted(each)
      const { conn, close, ja4_fingerprint } = events.get(ports[i]!)!
      if (typeof fields === "object") {
        expect([conn.server_name, close.reason]).toEqual([(fields["sni"] ?? null) as string | null, "answered"])
        if ("ja4" in fields) expect<unknown>(ja4_fingerprint).toBe(fields["ja4"])
      } else if (fields !== undefined) {
        expect([conn.server_name, close, ja4_fingerprint]).toEqual([
          null,
          { reason: "hello-invalid", by: "gateway" },
          null,
        ])
      }
    }
    expect([gate.events.length, gate.path.live.size, gate.internalErrors]).toEqual([cases.length, 0, []])
  })
})

describe("passthrough", () => {
  const ca = authority()
  const client = { servername: "a.example", ca: ca.cert }

  test("reaches a TLS server, wherever the hello is cut into segments", async () => {
    using server = secureEcho(ca.issue({ names: ["a.example"] }))
    using gate = hellos(() => route(server.url))
    let size = 1
    using between = cutter(gate, (bytes, nth) => cutAt(bytes, nth % (size = bytes.length)))
    for (let at = 0; at < size; at += 16) {
      const asked = Array.from({ length: 16 }, () => ask({ ...client, port: between.port }, "through"))
      expect(new Set(await Promise.all(asked))).toEqual(new Set(["through"]))
    }
    expect(between.problems).toEqual([])
    expect(gate.events.length).toBeGreaterThan(size - 16)
  })

  test("reaches a TLS server, wherever the hello is cut into records, and byte by byte", async () => {
    using server = secureEcho(ca.issue({ names: ["a.example"] }))
    const names = new Set<string | undefined>()
    using gate = hellos((connection) => {
      names.add(connection.tls!.sni)
      return route(server.url)
    })
    let size = 1
    using between = cutter(gate, (bytes, nth) => {
      const message = messageOf(bytes)
      size = message.length
      return nth === 0 ? CUTS["byte by byte"]!(bytes, random(0)) : [cutRecords(message, 1 + (nth % (size - 1)))]
    })
    for (let at = 0; at < size; at += 16) {
      const asked = Array.from({ length: 16 }, () => ask({ ...client, port: between.port }, "through"))
      expect(new Set(await Promise.all(asked))).toEqual(new Set(["through"]))
    }
    expect(names).toEqual(new Set(["a.example"]))
  })

  test("gives the upstream what the client sent and nothing else, with what came behind the hello", async () => {
    const bytes = hello({ sni: "a.example", alpn: ["h2"] })
    const behind = Buffer.alloc(300_000, "what is behind ")
    const sent = Buffer.concat([bytes, behind])
    using up = upstream(echo)
    using gate = hellos(() => route(up.url))
    const cuts = [[], [1], [bytes.length], [bytes.length - 1, bytes.length + 1], [5, 6, 7, bytes.length + 100_000]]
    for (const [i, cut] of cuts.entries()) {
      using wire = await connect(gate.port)
      // The echo begins as soon as the hello is whole.
      for (const piece of cutAt(sent, ...cut)) await wire.write(piece)
      wire.end()
      expect(Buffer.from(await wire.bytes()).equals(sent)).toBe(true)
      expect(Buffer.from((await up.connection(i)).soFar()).equals(Buffer.alloc(0))).toBe(true)
    }
    for (const each of await gate.ended(cuts.length)) {
      expect(each.conn).toMatchObject({ bytes_in: sent.length, bytes_out: sent.length, server_name: "a.example" })
    }
  })

  test("of a hello that waits while the policy does loses nothing", async () => {
    const bytes = hello({ sni: "a.example" })
    const answer = Promise.withResolvers<ReturnType<typeof route>>()
    using up = upstream(echo)
    using gate = hellos(() => answer.promise)
    using wire = await connect(gate.port)
    const behind = CUTS["byte by byte"]!(new Uint8Array(300).fill(65), random(0))
    await sendPieces(gate, wire, [bytes, ...behind])
    wire.end()
    answer.resolve(route(up.url))
    expect(Buffer.from(await wire.bytes()).equals(Buffer.concat([bytes, ...behind]))).toBe(true)
  })

  test("of a client that sends more than a hello can take is held back until the policy answers", async () => {
    const bytes = hello({ sni: "a.example" })
    const sent = Buffer.concat([bytes, Buffer.alloc(20_000_000, "0123456789")])
    const answer = Promise.withResolvers<ReturnType<typeof route>>()
    using up = upstream(echo)
    using gate = hellos(() => answer.promise)
    using wire = await connect(gate.port)
    const writing = wire.write(sent)
    await eventually(() => [...gate.path.live].some((connection) => connection.client.paused))
    const [connection] = gate.path.live
    expect(connection!.preread!.size).toBeLessThan(HELLO_WIRE_LIMIT + 600_000)
    answer.resolve(route(up.url))
    await writing
    wire.end()
    expect(Buffer.from(await wire.bytes()).equals(sent)).toBe(true)
  })

  test("and termination share a port: each connection has the one that its policy chose", async () => {
    const passed = ca.issue({ names: ["passed.example"] })
    const { cert, key } = ca.issue({ names: ["ended.example"] })
    using server = secureEcho(passed)
    using plain = upstream(echo)
    using gate = hellos(async (connection) => {
      if (connection.tls?.sni === "passed.example") return route(server.url)
      await connection.terminate({ certificates: { cert, key } })
      return route(plain.url)
    })
    const asked = Array.from({ length: 20 }, (_, i) => {
      const servername = i % 2 === 0 ? "passed.example" : "ended.example"
      return ask({ port: gate.port, servername, ca: ca.cert }, servername)
    })
    const answers = await Promise.all(asked)
    expect(answers).toEqual(answers.map((_, i) => (i % 2 === 0 ? "passed.example" : "ended.example")))
    const events = await gate.ended(20)
    expect(events.map(({ conn, tls }) => (tls === null) === (conn.server_name === "passed.example"))).not.toContain(
      false,
    )
    expect(plain.accepted).toHaveLength(10)
  })

  test("is no condition: a hello over several records or segments is terminated too", async () => {
    const { cert, key } = ca.issue({ names: ["a.example"] })
    using plain = upstream(echo)
    using gate = hellos(async (connection) => {
      await connection.terminate({ certificates: { cert, key } })
      return route(plain.url)
    })
    using between = cutter(gate, (bytes, nth) => {
      const message = messageOf(bytes)
      const at = 1 + Math.floor((nth / 64) * (message.length - 2))
      return nth === 0
        ? CUTS["byte by byte"]!(bytes, random(0))
        : [cutRecords(message, ...(nth % 2 ? [at] : [1, 2, 3, at + 4]))]
    })
    const asked = Array.from({ length: 64 }, () => ask({ ...client, port: between.port }, "through"))
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["through"]))
  })

  test.skipIf(!installed("openssl", "curl"))("of curl reaches openssl s_server", async () => {
    const { path } = ca.issue({ names: ["a.example"] })
    const port = freePort()
    const args = ["-accept", `127.0.0.1:${port}`, "-cert", path.cert, "-key", path.key, "-www", "-naccept", "2"]
    await using server = Bun.spawn(["openssl", "s_server", ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    })
    const reader = server.stdout.getReader()
    for (let said = ""; !said.includes("ACCEPT");) said += text((await reader.read()).value!)
    using gate = hellos(() => route(`tcp://127.0.0.1:${port}`))
    using between = cutter(gate, (bytes) => [cutRecords(messageOf(bytes), 100)])
    for (const each of [gate, between]) {
      const to = ["--cacert", ca.path, "--connect-to", `::127.0.0.1:${each.port}`]
      const { code, stdout, stderr } = await run(["curl", "-sS", ...to, "https://a.example/"])
      expect([code, stderr]).toEqual([0, ""])
      expect(stdout).toContain("s_server -accept")
    }
  })

  test("to a tls:// target is the policy's failure, which says what to write", async () => {
    using gate = hellos(() => route("tls://a.example:443"))
    expect(await tell(gate, hello({ sni: "a.example" }))).toBe("internal_error")
    expect((await event(gate)).policy!.reason).toBe(
      "use tcp:// to pass TLS through, or `await connection.terminate()` first",
    )
  })
})

describe("a server name that spans records", () => {
  test("is read right, wherever it is cut: it cannot be steered", async () => {
    const sni = "victim.example"
    const message = helloMessage({ sni, alpn: ["h2"] })
    const at = Buffer.from(message).indexOf(sni)
    const port = freePort()
    const serves = (name: string): TestPolicy => ({
      listen: { url: `tls://${name}:${port}`, address: "127.0.0.1" },
      on_tcp_connect: (connection) => respond(`${name} ${connection.tls!.sni}`),
    })
    // Beginnings and ends of the name, as a reader of one record alone would see them.
    using gate = gateway([sni, "victim", "victi", "m.example", "example", "*.example"].map(serves))
    for (let cut = at - 9; cut <= at + sni.length; cut++) {
      expect(await tell(gate, cutRecords(message, cut))).toBe(`${sni} ${sni}`)
    }
    const bytewise = cutRecords(message, ...Array.from({ length: message.length - 1 }, (_, i) => i + 1))
    expect(await tell(gate, bytewise)).toBe(`${sni} ${sni}`)
  })
})

/** What decides about the hello of a client that names it. */
const ENDS: Readonly<Record<string, OnConnect>> = {
  denied: () => deny("not today"),
  late: async () => deny("not today"),
  passed: () => next,
  broken: () => {
    throw new Error("broken")
  },
  unreachable: () => route("tcp://127.0.0.1:1"),
}
const byName: TestPolicy = {
  listen: ["tls://*.example:0", "tls://a.test:0"],
  on_tcp_connect: (connection) => ENDS[connection.tls!.sni!.split(".")[0]!]!(connection),
}
/** Server name, alert, its number, close reason and who closed. */
const REFUSALS = [
  ["denied.example", "access_denied", 49, "denied", "gateway"],
  ["late.example", "access_denied", 49, "denied", "gateway"],
  ["passed.example", "access_denied", 49, "no-decision", "gateway"],
  ["broken.example", "internal_error", 80, "policy-failed", "gateway"],
  ["unreachable.example", "internal_error", 80, "dial-failed", "upstream"],
  ["other.test", "unrecognized_name", 112, "no-policy", "gateway"],
  ["example", "unrecognized_name", 112, "no-policy", "gateway"],
] as const

/** The hello, whose length of the message no longer fits. */
const broken = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 8 ? byte - 1 : byte))

describe("a client that is refused gets an alert, then FIN", () => {
  test.each(REFUSALS)("%s: %s", async (sni, alert, _, reason, by) => {
    using gate = gateway([byName])
    expect(await tell(gate, hello({ sni }))).toBe(alert)
    const { close, conn } = await event(gate)
    expect([close, conn.server_name, conn.bytes_out]).toEqual([{ reason, by }, sni, 7])
  })

  test.skipIf(!installed("openssl", "curl"))("which openssl and curl show as such", async () => {
    using gate = gateway([byName])
    await Promise.all(
      REFUSALS.map(async ([sni, alert, number]) => {
        const at = `127.0.0.1:${gate.port}`
        const openssl = await run(["openssl", "s_client", "-connect", at, "-servername", sni])
        expect([sni, openssl.stderr]).toEqual([sni, expect.stringContaining(`SSL alert number ${number}`)])
        const curl = await run(["curl", "-sSk", "--connect-to", `::${at}`, `https://${sni}/`])
        expect(curl.code).toBe(35)
        expect(curl.stderr).toContain(alert.replace("_", " "))
      }),
    )
  })

  test.skipIf(!installed("openssl"))("of openssl whose hello was broken on the way: decode_error", async () => {
    using gate = gateway([byName])
    using between = cutter(gate, (bytes) => [broken(bytes)])
    const { stderr } = await run(["openssl", "s_client", "-connect", `127.0.0.1:${between.port}`])
    expect(stderr).toContain("SSL alert number 50")
  })

  test("for a policy that is too slow: internal_error", async () => {
    using gate = gateway([{ listen, deadline: 100, on_tcp_connect: () => new Promise(() => undefined) }])
    expect(await tell(gate, hello({ sni: "a.example" }))).toBe("internal_error")
    expect((await event(gate)).close).toEqual({ reason: "policy-timeout", by: "gateway" })
  })

  test("and a reset or a delay where the policy says so", async () => {
    using reset = hellos(() => deny("no", { reset: true }))
    using client = await connect(reset.port, { first: hello() })
    expect([await client.closes(), client.received]).toEqual(["ECONNRESET", 0])
    using delayed = hellos(() => deny("no", { delay: 300 }))
    const started = performance.now()
    expect(await tell(delayed, hello())).toBe("access_denied")
    expect(performance.now() - started).toBeGreaterThanOrEqual(300)
  })
})

/** The beginning of a hello of the largest size, in records of one byte. */
function fragments(count: number): Uint8Array {
  const message = [1, 0, 0x3f, 0xfc, ...zeros(count)]
  return cutRecords(message, ...Array.from({ length: message.length - 1 }, (_, i) => i + 1))
}

describe("what is no hello is answered with decode_error, under a name, before more of it comes", () => {
  test.each<[string, readonly number[], string]>([
    ["HTTP", ascii("GET / HTTP/1.1\r\n\r\n"), "the first bytes are no TLS hello"],
    ["a byte", [0], "the first bytes are no TLS hello"],
    ["a hello of SSL 2.0", [0x80, 0x2e, 1, 0, 2], "sslv2: a hello in the format of SSL 2.0"],
    ["a record over 2^14 bytes", [22, 3, 1, 0x40, 1], "record-too-large: a record of 16385 bytes"],
    ["an empty record", [22, 3, 1, 0, 0], "empty-record: a handshake record without content"],
    ["a ServerHello", record([2, 0, 0, 1, 0]), "not-a-client-hello: a handshake message of type 2"],
    ["an alert in between", [22, 3, 1, 0, 1, 1, 21], "interleaved-record: a record of type 21 inside the hello"],
    ["junk behind the type", [22, 3, 1, 0, 5, 1, 0, 0, 1, 0], "malformed: shorter than its fixed fields"],
  ])("%s", async (_, bytes, problem) => {
    let asked = false
    using gate = hellos(() => ((asked = true), next))
    expect(await tell(gate, Uint8Array.from(bytes))).toBe("decode_error")
    const ended = await event(gate)
    expect(ended).toMatchObject({ close: { reason: "hello-invalid", by: "gateway" }, problem, policy: null })
    expect(asked).toBe(false)
  })

  test("a hello of more than 16 KiB, as soon as it says so", async () => {
    using gate = hellos(say)
    expect(await tell(gate, Uint8Array.of(22, 3, 1, 0x40, 0, 1, 0, 0x40, 0))).toBe("decode_error")
    const { close, problem } = await event(gate)
    expect([close.reason, problem]).toEqual(["preread-too-large", "too-large: a hello of 16388 bytes"])
  })

  test("a FIN inside the hello", async () => {
    using gate = hellos(say)
    expect(await tell(gate, hello({ sni: "a.example" }).subarray(0, 40), true)).toBe("decode_error")
    const { close, problem } = await event(gate)
    expect([close, problem]).toEqual([
      { reason: "hello-invalid", by: "gateway" },
      "the client's FIN came inside its hello",
    ])
  })

  test("a client that only connects and leaves is told nothing", async () => {
    using gate = hellos(say)
    expect(await tell(gate, new Uint8Array(), true)).toBe("")
    expect(await event(gate)).toMatchObject({ close: { reason: "client-closed", by: "client" }, problem: null })
  })

  test("endless fragments of one byte: not more than the cap is kept of them", async () => {
    using gate = hellos(say)
    using client = await connect(gate.port)
    const port = client.socket!.localPort
    await soon(() => liveOf(gate, port) !== undefined)
    const connection = liveOf(gate, port)!
    let most = 0
    const watching = soon(() => {
      most = Math.max(most, connection.preread?.size ?? 0)
      return client.received > 0
    })
    const endless = fragments(HELLO_WIRE_LIMIT / 6 + 1000)
    await sendPieces(gate, client, cutAt(endless, ...Array.from({ length: endless.length / 500 }, (_, i) => i * 500)))
    await watching
    expect(alertIn(await client.bytes())).toBe("decode_error")
    client.end()
    const { close, conn, problem } = await event(gate)
    expect([close.reason, problem]).toEqual([
      "preread-too-large",
      `too-large: no whole hello in ${HELLO_WIRE_LIMIT} bytes`,
    ])
    expect(conn.bytes_in).toBeLessThan(HELLO_WIRE_LIMIT + 1000)
    expect(most).toBeLessThanOrEqual(HELLO_WIRE_LIMIT)
    expect(connection.preread!.size).toBe(0)
  })

  test("a flood of them is cut off", async () => {
    using gate = hellos(say)
    using client = await connect(gate.port)
    const flood = Buffer.concat(Array.from({ length: 400 }, () => fragments(10_000)))
    await client.write(flood).catch(() => undefined)
    await client.until(() => client.closed)
    const { close, conn } = await event(gate)
    expect(close.reason).toBe("preread-too-large")
    // The linger takes 1 MiB.
    expect(conn.bytes_in).toBeLessThan(3_000_000)
  })
})

/** Sends the bytes, and gives what the connection ended with after at least 3 seconds. */
async function slow(gate: TestGateway, first: Uint8Array) {
  const started = performance.now()
  using client = await connect(gate.port, { first })
  const port = client.socket!.localPort
  await client.bytes()
  const took = performance.now() - started
  expect(took).toBeGreaterThanOrEqual(2999)
  expect(took).toBeLessThan(6000)
  client.end()
  await client.closes()
  const found = () => gate.events.find(({ conn }) => conn.client_port === port)
  await eventually(() => found() !== undefined)
  const { close, conn, policy, problem } = found()!
  return { close, bytes_out: conn.bytes_out, why: problem ?? policy!.reason }
}

test("what nobody reads yet is kept in few buffers, however finely it comes", () => {
  const client = { ended: false, pause: () => undefined, resume: () => undefined } as unknown as Side
  const ahead = new Preread({ client, wake: () => 0, waiting: () => undefined })
  for (let i = 0; i < 20_000; i++) ahead.push(Uint8Array.of(i & 255))
  const chunks = ahead.drain()
  expect(chunks.length).toBeLessThan(100)
  expect(Buffer.concat(chunks).every((byte, i) => byte === (i & 255))).toBe(true)
})

describe("3 seconds", () => {
  test("has a client for its hello, then it is closed; `hello()` likewise", async () => {
    using gate = hellos(say)
    using raw = gateway(async (connection) => (await connection.hello(), respond("?")))
    const half = hello({ sni: "a.example" }).subarray(0, 40)
    const nothing = new Uint8Array()
    const ended: unknown = await Promise.all([
      slow(gate, nothing),
      slow(gate, half),
      slow(raw, nothing),
      slow(raw, half),
    ])
    expect(ended).toEqual(
      (["0", "40", "0 TLS", "40 TLS"] as const).map((each) => {
        const [n, tls = ""] = each.split(" ") as [string, string?]
        const why = `the client sent ${n} bytes and no whole ${tls && `${tls} `}hello within 3000 ms`
        return { close: { reason: "preread-timeout", by: "gateway" }, bytes_out: 0, why }
      }),
    )
    expect([gate.failures, raw.failures]).toEqual([[], []])
  })
})

describe("the policy's deadline", () => {
  test("starts after the hello", async () => {
    const bytes = hello({ sni: "a.example" })
    using gate = gateway([
      { listen, deadline: 800, on_tcp_connect: (connection) => Bun.sleep(1).then(() => say(connection)) },
    ])
    using client = await connect(gate.port)
    const started = performance.now()
    await sendPieces(gate, client, [bytes.subarray(0, 50)])
    await eventually(() => performance.now() - started > 1000)
    await client.write(bytes.subarray(50))
    expect(await client.text()).toContain("a.example")
  })

  test("and is as long as without it", async () => {
    const bytes = hello()
    using gate = gateway([{ listen, deadline: 300, on_tcp_connect: () => new Promise(() => undefined) }])
    using client = await connect(gate.port)
    const connected = performance.now()
    await sendPieces(gate, client, [bytes.subarray(0, 50)])
    await eventually(() => performance.now() - connected > 500)
    const started = performance.now()
    await client.write(bytes.subarray(50))
    expect(alertIn(await client.bytes())).toBe("internal_error")
    expect(performance.now() - started).toBeGreaterThanOrEqual(299)
    client.end()
    expect((await event(gate)).close.reason).toBe("policy-timeout")
  })
})

describe("asked are", () => {
  const port = freePort()
  let asked: number[] = []
  const at = (pattern: string | undefined) => ({ url: `tls://${pattern ?? ""}:${port}`, address: "127.0.0.1" })
  const file = (i: number, ...patterns: (string | undefined)[]): TestPolicy => ({
    ...(patterns.length === 0 ? {} : { listen: patterns.map(at) }),
    on_tcp_connect: () => (asked.push(i), next),
  })
  const without = [
    file(0),
    file(1, "a.example", "c.example"),
    file(2, "*.example"),
    file(3, "*.b.example"),
    file(4, "a.example"),
    file(5),
  ]
  const nameless = { ...file(6), listen: `tls://127.0.0.1:${port}` }

  test.each<[string | undefined, readonly number[], readonly number[]]>([
    ["a.example", [1, 4, 0, 5], [1, 4, 0, 5]],
    ["A.Example.", [1, 4, 0, 5], [1, 4, 0, 5]],
    ["c.example", [1, 0, 5], [1, 0, 5]],
    ["x.example", [2, 0, 5], [2, 0, 5]],
    ["b.example", [2, 0, 5], [2, 0, 5]],
    ["x.y.b.example", [3, 0, 5], [3, 0, 5]],
    ["x.a.example", [2, 0, 5], [2, 0, 5]],
    ["example", [], [6, 0, 5]],
    ["a.test", [], [6, 0, 5]],
    [".example", [], [6, 0, 5]],
    [undefined, [], [6, 0, 5]],
  ])("for %p the files of the one most specific pattern, then those without listen", async (sni, one, other) => {
    for (const [files, expected] of [
      [without, one],
      [[...without, nameless], other],
    ] as const) {
      using gate = gateway(files)
      asked = []
      const answer = await tell(gate, hello(sni === undefined ? {} : { sni }))
      expect([answer, asked]).toEqual([expected.length === 0 ? "unrecognized_name" : "access_denied", [...expected]])
      const { close, problem, policy } = await event(gate)
      expect(policy).toBeNull()
      expect(close.reason).toBe(expected.length === 0 ? "no-policy" : "no-decision")
      const name =
        sni === undefined ? "no server name, and nothing is served without one" : `nothing is served under ${sni}`
      expect(problem).toBe(expected.length === 0 ? name : null)
    }
  })

  test("in turn until one decides, and told of the end if they were asked", async () => {
    const told: string[] = []
    const policy = (name: string, answer: unknown, pattern?: string): TestPolicy => ({
      ...(pattern === undefined ? {} : { listen: at(pattern) }),
      on_tcp_connect: () => answer,
      on_tcp_close: ({ conn }) => void told.push(`${name} ${conn.server_name}`),
    })
    using gate = gateway([
      policy("first", next, "a.example"),
      policy("second", Promise.resolve(respond("second")), "a.example"),
      policy("third", respond("third"), "a.example"),
      policy("wildcard", respond("wildcard"), "*.example"),
    ])
    expect(await tell(gate, hello({ sni: "a.example" }))).toBe("second")
    await gate.ended(1)
    expect(told).toEqual(["first a.example", "second a.example"])
  })

  test("those of the address that the client connected to", async () => {
    const named = (address: string, url = "a.example"): TestPolicy => ({
      listen: { url: `tls://${url}:${port}`, address },
      on_tcp_connect: (connection) => respond(`${address} ${connection.listener.url}`),
    })
    using gate = gateway([named("127.0.0.2"), named("127.0.0.3"), named("127.0.0.3", "*.example")])
    const to = async (hostname: string, sni: string) => {
      using client = await connect({ hostname, port }, { first: hello({ sni }) })
      return alertIn(await client.bytes())
    }
    expect(await to("127.0.0.2", "a.example")).toBe(`127.0.0.2 tls://127.0.0.2:${port}`)
    expect(await to("127.0.0.2", "b.example")).toBe("unrecognized_name")
    expect(await to("127.0.0.3", "a.example")).toBe(`127.0.0.3 tls://127.0.0.3:${port}`)
    expect(await to("127.0.0.3", "b.example")).toBe(`127.0.0.3 tls://127.0.0.3:${port}`)
    await expect(connect(port)).rejects.toThrow()
    expect(gate.listeners.status().map(({ state }) => state)).toEqual(["up", "up"])
  })
})

describe("on a tcp:// listener", () => {
  const bytes = hello({ sni: "a.example", alpn: ["h2"] })

  test("connection.tls is there once hello() or protocol() has found it", async () => {
    const ways: Record<string, (connection: Connection) => Promise<unknown>> = {
      hello: (connection) => connection.hello(),
      protocol: (connection) => connection.protocol(),
    }
    for (const [name, find] of Object.entries(ways)) {
      using up = upstream(echo)
      const seen: (ClientHello | undefined)[] = []
      let again: unknown
      using gate = gateway(async (connection) => {
        seen.push(connection.tls)
        const found = await find(connection)
        seen.push(connection.tls, await connection.hello())
        again = name === "hello" ? found : (found as { hello?: unknown }).hello
        return route(up.url)
      })
      using client = await connect(gate.port)
      await sendPieces(gate, client, CUTS["byte by byte"]!(bytes, random(0)))
      client.end()
      expect(Buffer.from(await client.bytes()).equals(bytes)).toBe(true)
      const [before, after, once] = seen
      expect(before).toBeUndefined()
      expect(after).toMatchObject({ sni: "a.example", alpn: ["h2"] })
      // One object, whoever asks.
      expect([once === after, again === after]).toEqual([true, true])
      expect(await event(gate)).toMatchObject({ conn: { server_name: "a.example" }, ja4_fingerprint: after!.ja4 })
    }
  })

  test("a deny after hello() is an alert, and one without reading is a FIN", async () => {
    using gate = gateway(async (connection) => (await connection.hello(), deny("no")))
    expect(await tell(gate, bytes)).toBe("access_denied")
    using blind = gateway(() => deny("no"))
    expect(await tell(blind, bytes)).toBe("")
  })

  test.each<[string, string, string]>([
    ["HTTP", "GET / HTTP/1.1\r\n\r\n", "undefined"],
    ["nothing but a FIN", "", "undefined"],
    ["half a hello", "\x16\x03\x01\x00\x50\x01", "HelloInvalid: the client's FIN came inside its TLS hello"],
    ["an empty record", "\x16\x03\x01\x00\x00", "HelloInvalid: empty-record: a handshake record without content"],
    ["SSL 2.0", "\x80\x2e\x01\x00\x02", "HelloInvalid: sslv2: a hello in the format of SSL 2.0"],
    ["too much", "\x16\x03\x01\x40\x00\x01\x00\x40\x00", "PrereadTooLarge: too-large: a hello of 16388 bytes"],
  ])("hello() of %s", async (_, sent, found) => {
    using gate = gateway(async (connection) =>
      respond(
        await connection.hello().then(
          (value) => `${value}`,
          (error) => `${error.name}: ${error.message}`,
        ),
      ),
    )
    expect(await tell(gate, Uint8Array.from(ascii(sent)), true)).toBe(found)
    // Not caught, it is the client's fault and not the policy's.
    using careless = gateway(async (connection) => respond(`${await connection.hello()}`))
    await tell(careless, Uint8Array.from(ascii(sent)), true)
    const reason = found.startsWith("HelloInvalid")
      ? "hello-invalid"
      : found.startsWith("Preread")
        ? "preread-too-large"
        : "answered"
    expect((await event(careless)).close.reason).toBe(reason)
    expect(careless.failures).toEqual([])
  })
})

describe("a client that leaves", () => {
  const bytes = hello({ sni: "a.example" })

  test.each(["FIN", "RST"])("by %s after any byte of its hello leaves nothing behind", async (how) => {
    using up = upstream(echo)
    using gate = hellos(() => route(up.url))
    const before = descriptors().size
    for (let size = 0; size <= bytes.length; size++) {
      using client = await connect(gate.port)
      const port = client.socket!.localPort
      await soon(() => liveOf(gate, port) !== undefined)
      await sendPieces(gate, client, [bytes.subarray(0, size)])
      if (how === "FIN") client.end()
      else client.reset()
      await client.closes()
    }
    const events = await gate.ended(bytes.length + 1)
    const left = how === "RST" ? "client-reset" : "hello-invalid"
    expect(events.map(({ close }) => close.reason)).toEqual([
      how === "RST" ? "client-reset" : "client-closed",
      ...Array.from({ length: bytes.length - 1 }, () => left),
      how === "RST" ? "client-reset" : "client-closed",
    ] as never)
    expect([gate.path.live.size, gate.internalErrors]).toEqual([0, []])
    await eventually(() => descriptors().size <= before)
  })

  test("while the policy decides, while the upstream is dialled, and while it lingers, likewise", async () => {
    using hole = blackHole()
    const answers: OnConnect[] = [
      () => new Promise(() => undefined),
      () => route(hole.url, { connectTimeout: "1 minute" }),
      () => deny("no"),
      () => deny("no", { delay: "1 minute" }),
    ]
    let nth = 0
    using gate = hellos(() => answers[nth++]!({} as never))
    const before = descriptors().size
    for (const [i] of answers.entries()) {
      using client = await connect(gate.port, { first: bytes })
      const port = client.socket!.localPort
      await soon(() => nth === i + 1 && liveOf(gate, port) !== undefined)
      if (i === 2) await client.atLeast(7)
      client.reset()
      await gate.ended(i + 1)
    }
    const reasons = gate.events.map(({ close }) => close.reason)
    expect(reasons).toEqual(["client-reset", "client-reset", "denied", "client-reset"])
    expect([gate.path.live.size, gate.path.delayed, hole.attempts()]).toEqual([0, 0, new Set()])
    await eventually(() => descriptors().size <= before)
  })
})

test("whatever is sent, nothing throws and every connection ends in one event", async () => {
  const { below, pick } = random(41)
  const names = ["a.example", "b.example", "c.test"]
  const starts = [[], [22], [22, 3], [22, 3, 1], [22, 3, 1, 0, 200, 1, 0], [0x80, 0x2e, 1], record(helloMessage())]
  using gate = gateway([{ listen: ["tls://*.example:0", "tls://a.example:0"], on_tcp_connect: say }])
  const count = 1500
  for (let done = 0; done < count; done += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const bytes =
          below(2) === 0
            ? Array.from(hello({ sni: pick(names) }))
            : [...pick(starts), ...zeros(below(300)).map(() => below(256))]
        if (below(2) === 0 && bytes.length > 0) bytes[below(bytes.length)] = below(256)
        using client = await connect(gate.port)
        const sent = Uint8Array.from(bytes)
        await client
          .write(sent.subarray(0, below(2) === 0 ? below(sent.length + 1) : sent.length))
          .catch(() => undefined)
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
