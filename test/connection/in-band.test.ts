// `deny(reason, { inBand })`: what real clients show of it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, next, route, type DenyOptions } from "../../src/policy/decision.ts"
import { alertIn } from "../helper/alerts.ts"
import { authority } from "../helper/certificates.ts"
import { run } from "../helper/cli.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { CUTS, liveOf, sendPieces, soon } from "../helper/pieces.ts"
import { random } from "../helper/random.ts"
import { ask } from "../helper/secure.ts"
import { installed } from "../helper/servers.ts"
import { upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"
import { hello } from "../protocol/hello.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const REASON = "closed for the night"
const denies = (options: DenyOptions = { inBand: true }, reason: string | undefined = REASON) =>
  gateway(() => deny(reason, options))
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f)
const GSS_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x30)

/** What a client is told that sends these bytes. */
async function tell(gate: TestGateway, first: string | Uint8Array, fin = false): Promise<Uint8Array> {
  using client = await connect(gate.port, { first })
  if (fin) client.end()
  const answer = await client.bytes()
  if (!fin) client.end()
  expect(await client.closes()).toBe("FIN")
  return answer
}

/** A client of Minecraft 1.20.1 that joins, or lists the server. */
function minecraft(nextState: 1 | 2): Uint8Array {
  const address = "play.example"
  const body = [0, 0xfb, 0x05, address.length, ...Buffer.from(address), 0x63, 0xdd, nextState]
  return Uint8Array.from([body.length, ...body])
}

/** The text of a Minecraft packet whose only field it is. */
function minecraftText(packet: Uint8Array): unknown {
  const bytes = Array.from(packet)
  const variable = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.shift() ?? 0
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  expect(variable()).toBe(bytes.length)
  expect(variable()).toBe(0)
  expect(variable()).toBe(bytes.length)
  return JSON.parse(Buffer.from(bytes).toString())
}

describe("a client that says what it speaks is shown the reason", () => {
  let gate: TestGateway
  let port: string
  beforeAll(() => {
    gate = denies()
    port = String(gate.port)
  })
  afterAll(() => {
    expect(new Set(gate.events.map(({ close }) => `${close.reason} ${close.by}`))).toEqual(new Set(["denied gateway"]))
    expect([gate.path.live.size, gate.internalErrors]).toEqual([0, []])
    gate[Symbol.dispose]()
  })

  test.skipIf(!installed("curl"))("curl: a 403 page, and for HEAD its head", async () => {
    const url = `http://127.0.0.1:${port}/where?ever`
    const page = await run(["curl", "-sS", "-w", "%{http_code} %{content_type}", url])
    expect([page.code, page.stderr]).toEqual([0, ""])
    expect(page.stdout).toContain(`<p>${REASON}</p>`)
    expect(page.stdout).toEndWith("403 text/html; charset=utf-8")
    const head = await run(["curl", "-sSI", url])
    expect([head.code, head.stderr]).toEqual([0, ""])
    expect(head.stdout).toStartWith("HTTP/1.1 403 Forbidden\r\n")
    const upload = await run(["curl", "-sS", "-H", "Expect:", "--data-binary", "@/usr/bin/curl", url])
    expect([upload.code, upload.stdout]).toEqual([0, expect.stringContaining(REASON)])
    const two = await run(["curl", "-sS", "--http2-prior-knowledge", url])
    expect([two.code, two.stderr]).toEqual([16, expect.stringContaining("HTTP2")])
  })

  test.skipIf(!installed("psql")).each(["disable", "allow", "prefer"])(
    "psql with sslmode=%s: an error",
    async (mode) => {
      const { code, stderr } = await run([
        "psql",
        `host=127.0.0.1 port=${port} user=a dbname=b sslmode=${mode}`,
        "-c",
        "",
      ])
      expect([code, stderr]).toEqual([2, expect.stringContaining(`FATAL:  ${REASON}\n`)])
    },
  )

  test.skipIf(!installed("psql"))("psql with sslmode=require: that there is no TLS for it", async () => {
    const { stderr } = await run(["psql", `host=127.0.0.1 port=${port} user=a sslmode=require`, "-c", ""])
    expect(stderr).toContain("server does not support SSL, but SSL was required")
  })

  test("a PostgreSQL client that asks for GSSAPI, then for TLS: an error after it has said who it is", async () => {
    const startup = Buffer.from("\0\0\0\x12\0\x03\0\0user\0ana\0\0")
    using client = await connect(gate.port, { first: GSS_REQUEST })
    expect(text(await client.atLeast(1))).toBe("N")
    await client.write(SSL_REQUEST)
    expect(text(await client.atLeast(2))).toBe("NN")
    await client.write(startup.subarray(0, 10))
    await client.write(startup.subarray(10))
    expect(text(await client.bytes())).toMatch(new RegExp(`^NNE.*SFATAL\0.*\0M${REASON}\0\0$`, "s"))
    client.end()
    await client.closes()
  })

  test.skipIf(!installed("ssh"))("ssh: a disconnect message", async () => {
    const options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    const { code, stderr } = await run(["ssh", "-F", "none", ...options, "-p", port, "127.0.0.1"])
    expect([code, stderr]).toEqual([255, expect.stringContaining(`port ${port}:1: ${REASON}`)])
  })

  test.skipIf(!installed("redis-cli"))("redis-cli: an error", async () => {
    expect((await run(["redis-cli", "-p", port, "PING"])).stdout).toStartWith(`ERR ${REASON}\n`)
  })

  test.skipIf(!installed("mosquitto_pub"))("mosquitto: a CONNACK that refuses, of either version", async () => {
    const args = ["mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-t", "a", "-m", "b"]
    const [three, five] = [await run([...args, "-V", "311"]), await run([...args, "-V", "5"])]
    expect(three.stderr).toContain("Connection Refused: not authorised")
    expect(five.stderr).toContain("Not authorized")
  })

  test("Minecraft: a text for who joins, and for who lists the server", async () => {
    for (const cut of Object.values(CUTS)) {
      using client = await connect(gate.port)
      await sendPieces(gate, client, cut(minecraft(2), random(1)))
      expect(minecraftText(await client.bytes())).toEqual({ text: REASON })
      client.end()
      await client.closes()
    }
    expect(minecraftText(await tell(gate, minecraft(1)))).toMatchObject({
      description: { text: REASON },
      version: { protocol: 763 },
    })
  })

  test.skipIf(!installed("openssl", "curl"))("openssl and curl with https: the alert access_denied", async () => {
    const openssl = await run(["openssl", "s_client", "-connect", `127.0.0.1:${port}`])
    expect(openssl.stderr).toContain("SSL alert number 49")
    const curl = await run(["curl", "-sSk", `https://127.0.0.1:${port}/`])
    expect([curl.code, curl.stderr]).toEqual([35, expect.stringContaining("alert access denied")])
    expect(alertIn(await tell(gate, hello({ sni: "a.example" })))).toBe("access_denied")
  })

  test("SOCKS: that it is refused", async () => {
    expect([...(await tell(gate, Uint8Array.of(5, 1, 0)))]).toEqual([5, 255])
    expect([...(await tell(gate, Uint8Array.of(4, 1, 0, 80, 127, 0, 0, 1, 0)))]).toEqual([0, 91, 0, 0, 0, 0, 0, 0])
  })

  test("a protocol without a refusal, one that is unknown, and half a message: nothing but the FIN", async () => {
    expect(text(await tell(gate, "d1:ad2:id20:"))).toBe("")
    expect(text(await tell(gate, "\x7f\x7f\x7f\x7f what is this?\r\n"))).toBe("")
    expect(text(await tell(gate, "GET / HT", true))).toBe("")
    expect(text(await tell(gate, "", true))).toBe("")
  })
})

/** What a client is told that says nothing for longer than its silence would tell. */
async function late(inBand: NonNullable<DenyOptions["inBand"]>, said: Uint8Array | string): Promise<Uint8Array> {
  using gate = denies({ inBand })
  using client = await connect(gate.port)
  const started = performance.now()
  await eventually(() => performance.now() - started > 500)
  await client.write(said)
  const answer = await client.bytes()
  client.end()
  await client.closes()
  return answer
}

describe("a client that is silent", () => {
  test.skipIf(!installed("mysql"))("is told at once where the policy knows what it waits for: mysql", async () => {
    using gate = denies({ inBand: "mysql" })
    const at = ["-h", "127.0.0.1", "-P", String(gate.port), "-u", "a"]
    const started = performance.now()
    const plain = await run(["mysql", "--skip-ssl", ...at, "-e", "select 1"])
    expect([plain.code, plain.stderr]).toEqual([1, expect.stringContaining(`1130 (HY000): ${REASON}`)])
    const tls = await run(["mysql", ...at, "-e", "select 1"])
    expect(tls.stderr).toContain(REASON)
    using client = await connect(gate.port)
    expect(text(await client.bytes())).toContain(REASON)
    client.end()
    expect(performance.now() - started).toBeLessThan(2500)
    expect((await gate.ended(3)).map(({ close }) => close.reason)).toEqual(["denied", "denied", "denied"])
  })

  test.each<[NonNullable<DenyOptions["inBand"]>, string]>([
    ["ssh", "SSH-2.0-tidegate\r\n"],
    ["vnc", "RFB 003.008\n"],
    ["nats", "INFO {"],
  ])("is told at once in %s, whose servers speak first", async (inBand, start) => {
    using gate = denies({ inBand })
    const answer = text(await tell(gate, ""))
    expect(answer).toStartWith(start)
    expect(answer).toContain(REASON)
  })

  test("is closed after 300 ms where nobody knows", async () => {
    using gate = denies()
    const started = performance.now()
    expect(text(await tell(gate, ""))).toBe("")
    expect(performance.now() - started).toBeGreaterThanOrEqual(299)
    expect(performance.now() - started).toBeLessThan(2500)
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
  })

  test("is waited for where its protocol has it speak first: a policy's name for it takes away no facts", async () => {
    const connect5 = Uint8Array.from([0x10, 14, 0, 4, ...Buffer.from("MQTT"), 5, 2, 0, 60, 0, 0, 1, 97])
    const [joins, head, mqtt, other] = await Promise.all([
      late("minecraft", minecraft(2)),
      late("http", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
      late("mqtt", connect5),
      late("http", "PING\r\n"),
    ])
    expect(minecraftText(joins)).toEqual({ text: REASON })
    expect(text(head)).toEndWith("\r\n\r\n")
    expect([...mqtt.subarray(0, 1), ...mqtt.subarray(2, 4)]).toEqual([0x20, 0, 0x87])
    expect(text(other)).toBe(`-ERR ${REASON}\r\n`)
  })
})

describe("inside a terminated session", () => {
  const ca = authority()
  const { cert, key } = ca.issue({ names: ["a.example"] })

  test.skipIf(!installed("curl"))("curl gets the page over https", async () => {
    for (const listen of ["tls://127.0.0.1:0", "tcp://127.0.0.1:0"]) {
      using gate = gateway([
        {
          listen,
          on_tcp_connect: async (connection) => {
            await connection.terminate({ certificates: { cert, key } })
            return deny(REASON, { inBand: true })
          },
        },
      ])
      const to = ["--cacert", ca.path, "--connect-to", `::127.0.0.1:${gate.port}`]
      const { code, stdout, stderr } = await run(["curl", "-sS", "-w", "%{http_code}", ...to, "https://a.example/"])
      expect([code, stderr]).toEqual([0, ""])
      expect(stdout).toContain(REASON)
      expect(stdout).toEndWith("403")
      expect((await gate.ended(1))[0]).toMatchObject({ close: { reason: "denied", by: "gateway" }, tls: {} })
    }
  })

  test("a silent client and an unknown protocol get nothing, without inBand neither does HTTP", async () => {
    const decide = [deny(REASON, { inBand: true }), deny(REASON, { inBand: true }), deny(REASON)]
    let nth = 0
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: { cert, key } })
      return decide[nth++]
    })
    const at = { port: gate.port, servername: "a.example", ca: ca.cert }
    for (const said of ["", "what is this?\r\n", "GET / HTTP/1.1\r\n\r\n"]) {
      expect(await ask(at, said, Number.POSITIVE_INFINITY)).toBe("")
    }
    expect((await gate.ended(3)).map(({ close }) => close.reason)).toEqual(["denied", "denied", "denied"])
  })
})

describe("with a delay", () => {
  test("the client is held after it has spoken, and told then", async () => {
    using gate = denies({ inBand: true, delay: 400 })
    const started = performance.now()
    expect(text(await tell(gate, "GET / HTTP/1.1\r\n\r\n"))).toContain("403")
    expect(performance.now() - started).toBeGreaterThanOrEqual(400)
    expect(gate.path.delayed).toBe(0)
  })

  test("one that leaves meanwhile is gone at once", async () => {
    using gate = denies({ inBand: true, delay: "1 minute" })
    for (const how of ["FIN", "RST"]) {
      using client = await connect(gate.port, { first: "GET / HTTP/1.1\r\n\r\n" })
      await eventually(() => gate.path.delayed === 1)
      if (how === "FIN") client.end()
      else client.reset()
      await client.closes()
      await eventually(() => gate.path.live.size === 0)
    }
    expect(gate.events.map(({ close }) => close.reason)).toEqual(["denied", "client-reset"])
    expect(gate.path.delayed).toBe(0)
  })
})

test("a client that leaves while it is asked what it speaks is gone at once", async () => {
  using gate = denies()
  for (const [first, how] of [
    ["", "RST"],
    ["GET / HTTP", "RST"],
    [SSL_REQUEST, "RST"],
    ["GET / HTTP", "FIN"],
    [SSL_REQUEST, "FIN"],
  ] as const) {
    using client = await connect(gate.port, { first })
    const port = client.socket!.localPort
    await soon(() => liveOf(gate, port)?.client.received === first.length)
    if (how === "RST") client.reset()
    else client.end()
    await client.closes()
    await eventually(() => gate.path.live.size === 0)
  }
  const reasons = ["client-reset", "client-reset", "client-reset", "denied", "denied"]
  expect(gate.events.map(({ close }) => close.reason)).toEqual(reasons as never)
  expect(gate.internalErrors).toEqual([])
})

test("where no upstream can be reached, `or(deny(...))` says it in band too", async () => {
  using gone = upstream()
  gone[Symbol.dispose]()
  using closes = upstream((wire) => wire.end())
  const down = deny("down for maintenance", { inBand: true })
  for (const [target, first, said] of [
    [gone.url, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", expect.stringContaining("down for maintenance")],
    [gone.url, "", ""],
    [closes.url, "", ""],
  ] as const) {
    using gate = gateway(() => route(target).or(down))
    expect(text(await tell(gate, first))).toEqual(said)
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "denied", by: "gateway" })
  }
})

test("a second policy's denial reads what the first has looked at", async () => {
  using gate = gateway([
    { listen: "tcp://127.0.0.1:0", on_tcp_connect: (connection) => connection.peek(5).then(() => next) },
    { on_tcp_connect: async (connection) => (await connection.protocol(), deny(REASON, { inBand: true })) },
  ])
  expect(text(await tell(gate, "GET / HTTP/1.1\r\n\r\n"))).toContain(REASON)
})

test("a reason of a stranger's making is one printable line", async () => {
  using gate = denies({ inBand: true }, `<script>\r\nX: y\0\x1b[31m${"é".repeat(300)}`)
  const page = text(await tell(gate, "GET / HTTP/1.1\r\n\r\n"))
  expect(page).toContain("<p>&#60;script&#62; X: y?")
  expect(page).not.toContain("\x1b")
  const redis = await tell(gate, "PING\r\n")
  expect(redis.length).toBeLessThanOrEqual(255 + "-ERR \r\n".length)
  expect(text(redis).split("\r\n")).toHaveLength(2)
})
