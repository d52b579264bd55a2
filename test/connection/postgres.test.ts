// `postgres://` listeners, with real clients and servers of PostgreSQL.
import { chmodSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { connect as connectTls } from "node:tls"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import type { PostgresStart } from "../../src/policy/connection.ts"
import { alertIn } from "../helper/alerts.ts"
import { descriptors } from "../helper/black-hole.ts"
import { authority } from "../helper/certificates.ts"
import { run } from "../helper/cli.ts"
import { gateway, type OnConnect, type TestGateway, type TestPolicy } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { CUTS, cutAt, liveOf, sendPieces, soon } from "../helper/pieces.ts"
import { freePort } from "../helper/ports.ts"
import { random } from "../helper/random.ts"
import { secureEcho } from "../helper/secure.ts"
import { installed, startPostgres, type RunningServer } from "../helper/servers.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"
import { hello } from "../protocol/hello.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const listen = "postgres://127.0.0.1:0"
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f)
const GSS_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x30)
const CANCEL_REQUEST = Uint8Array.of(0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2)

/** A StartupMessage of protocol 3.0. */
function startup(values: Readonly<Record<string, string>>): Uint8Array {
  const pairs = Object.entries(values).map(([name, value]) => `${name}\0${value}\0`)
  const body = Buffer.from(`\0\x03\0\0${pairs.join("")}\0`, "latin1")
  return Buffer.concat([Buffer.from([0, 0, (body.length + 4) >> 8, (body.length + 4) & 255]), body])
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

/** The SQLSTATE and the message of an ErrorResponse; what else it is, as text. */
function errorIn(bytes: Uint8Array): string {
  const fields = /^E\0\0.{2}SFATAL\0VFATAL\0C(\w{5})\0M([^\0]*)\0\0$/s.exec(text(bytes))
  return fields === null ? text(bytes) : `${fields[1]} ${fields[2]}`
}

/** What a client is told that sends these bytes. */
async function tell(gate: TestGateway, first: Uint8Array, fin = false): Promise<Uint8Array> {
  using client = await connect(gate.port, { first })
  if (fin) client.end()
  const answer = await client.bytes()
  if (!fin) client.end()
  expect(await client.closes()).toBe("FIN")
  return answer
}

/** A client that has been answered S, and has sent its hello if there is one. */
async function asked(gate: TestGateway, more?: Uint8Array): Promise<Wire> {
  const client = await connect(gate.port, { first: SSL_REQUEST })
  expect(text(await client.atLeast(1))).toBe("S")
  if (more !== undefined) await client.write(more)
  return client
}

const fails: OnConnect = () => {
  throw new Error("secret")
}
const startOf: OnConnect = ({ postgres, tls }) => respond(`${postgres?.kind} ${tls?.sni}`)

/** Answers the SSLRequest, and then reads. */
const answering = (answer: string | undefined, then: (wire: Wire) => unknown = () => undefined) =>
  upstream(async (wire) => {
    await wire.atLeast(8)
    if (answer === undefined) wire.end()
    else await wire.write(answer)
    await then(wire)
  })

const on = (on_tcp_connect: OnConnect, more: Partial<TestPolicy> = {}) => gateway([{ listen, on_tcp_connect, ...more }])

describe.skipIf(!installed("postgres", "psql", "runuser"))("with real servers", () => {
  const ca = authority()
  const names = ["db1.example", "db2.example"] as const
  const issued = names.map((name) => ca.issue({ names: [name] }))
  const own = names.map((name, i) => ca.issue({ names: [name], edition: 1 + i }))
  const ownPair = (sni: string | undefined) => {
    const { cert, key } = own[names.indexOf(sni as never)]!
    return { cert, key }
  }
  let servers: RunningServer[] = []
  /** The server of a name. */
  const at = (name: string | undefined, scheme = "tcp") =>
    `${scheme}://127.0.0.1:${servers[names.indexOf(name as never)]!.port}`

  beforeAll(async () => {
    servers = await Promise.all(names.map((name, i) => startPostgres({ name, tls: issued[i]! })))
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
  })

  const WHICH =
    "select current_setting('cluster_name'), ssl, current_database() from pg_stat_ssl where pid = pg_backend_pid()"

  /** Runs psql against the gateway, under a server name. */
  async function psql(gate: TestGateway, name: string, options: string, sql = WHICH) {
    const to = `host=${name} hostaddr=127.0.0.1 port=${gate.port} user=postgres dbname=postgres gssencmode=disable`
    const { code, stdout, stderr } = await run(["psql", "-X", `${to} ${options}`, "-Atc", sql])
    return code === 0 ? stdout : stderr
  }

  const modes = ["sslmode=require", `sslmode=verify-full sslrootcert=${ca.path}`]

  test("a client whose certificate is not taken is told so, in words", async () => {
    const stranger = authority({ name: "Elsewhere" }).issue({ names: ["ana"], usage: "client" })
    chmodSync(stranger.path.key, 0o600)
    const certificates = ownPair(names[0])
    using gate = gateway([
      {
        listen,
        on_tcp_connect: async (connection) => {
          await connection.terminate({ certificates, clientCertificate: "require-and-verify", ca: ca.cert })
          return route(at(names[0]))
        },
      },
    ])
    const shown = `sslmode=require sslcert=${stranger.path.cert} sslkey=${stranger.path.key}`
    expect(await psql(gate, names[0], shown)).toContain("FATAL:  the client's certificate: ")
    expect(await psql(gate, names[0], "sslmode=require")).toContain("FATAL:  the client has no certificate")
    for (const { close } of await gate.ended(2))
      expect(close).toEqual({ reason: "tls-handshake-failed", by: "gateway" })
  })

  test.each(modes)(
    "psql with %s reaches one of two databases behind one port by name, in passthrough",
    async (mode) => {
      const port = freePort()
      const file = (name: string): TestPolicy => ({
        listen: { url: `postgres://${name}:${port}`, address: "127.0.0.1" },
        on_tcp_connect: (connection) => {
          seen.push([connection.tls?.sni, connection.postgres])
          return route(at(name))
        },
      })
      const seen: unknown[] = []
      using gate = gateway(names.map(file))
      for (const name of names) expect(await psql(gate, name, mode)).toBe(`${name}|t|postgres\n`)
      expect(seen).toEqual(names.map((name) => [name, { kind: "ssl-request" }]))
      for (const [i, event] of (await gate.ended(2)).entries()) {
        expect(event).toMatchObject({ conn: { server_name: names[i] }, tls: null, ip_policy: { decision: "allow" } })
      }
      expect(
        await psql(gate, names[0], mode, "select length(repeat('x', 3000000)), repeat('x', 3000000)"),
      ).toHaveLength(3_000_009)
    },
  )

  test.each(modes)(
    "psql with %s likewise where TLS ends here, and the database's own encryption begins",
    async (mode) => {
      const seen: unknown[] = []
      using gate = on(async (connection) => {
        const { sni, alpn } = await connection.terminate({ certificates: ownPair(connection.tls?.sni) })
        const found = await connection.protocol()
        seen.push(found?.protocol === "postgres" && found.kind === "startup" && [found.user, found.database, alpn])
        return seen.length % 2 === 1 ? route(at(sni)) : route(at(sni, "tls"), { tls: { ca: ca.cert, sni: sni! } })
      })
      for (const name of names) {
        expect(await psql(gate, name, mode)).toBe(`${name}|f|postgres\n`)
        expect(await psql(gate, name, mode)).toBe(`${name}|t|postgres\n`)
      }
      expect(seen).toEqual([1, 2, 3, 4].map(() => ["postgres", "postgres", undefined]))
      for (const event of await gate.ended(4)) expect(event.tls).toMatchObject({ version: "TLSv1.3", alpn: null })
      expect(gate.failures).toEqual([])
    },
  )

  test("without TLS user, database and application are facts, and choose the server", async () => {
    const seen: (PostgresStart | undefined)[] = []
    using gate = on((connection) => {
      const { postgres, tls } = connection
      seen.push(postgres)
      expect(tls).toBeUndefined()
      if (postgres?.kind !== "startup") return deny()
      return route(at(postgres.database === "template1" ? names[1] : names[0]))
    })
    for (const mode of ["disable", "allow"]) {
      expect(await psql(gate, "a.example", `sslmode=${mode} application_name=Büro`)).toBe(`${names[0]}|f|postgres\n`)
      expect(await psql(gate, "a.example", `sslmode=${mode} dbname=template1`)).toBe(`${names[1]}|f|template1\n`)
    }
    const start = { kind: "startup", user: "postgres", database: "postgres", applicationName: "Büro" } as const
    const other = { ...start, database: "template1", applicationName: "psql" }
    expect(seen).toEqual([start, other, start, other])
  })

  test("in plain text it is encrypted towards a tls:// target", async () => {
    using gate = on(() => route(at(names[0], "tls"), { tls: { ca: ca.cert, sni: names[0] } }))
    expect(await psql(gate, "a.example", "sslmode=disable")).toBe(`${names[0]}|t|postgres\n`)
    using wrong = on(() => route(at(names[0], "tls"), { tls: { ca: ca.cert, sni: names[1] } }))
    expect(await psql(wrong, "a.example", "sslmode=disable")).toContain("FATAL:  the database cannot be reached\n")
    expect((await wrong.ended(1))[0]!.close.reason).toBe("dial-failed")
  })

  const REASON = "not during the audit"

  test("psql prints the reason of a denial in plain text and after termination; in passthrough it is an alert", async () => {
    using gate = on(async (connection) => {
      if (connection.tls?.sni === names[1]) await connection.terminate({ certificates: ownPair(names[1]) })
      return deny(REASON)
    })
    expect(await psql(gate, names[0], "sslmode=disable")).toEndWith(`FATAL:  ${REASON}\n`)
    expect(await psql(gate, names[1], modes[1]!)).toEndWith(`FATAL:  ${REASON}\n`)
    expect(await psql(gate, names[0], modes[1]!)).toContain("alert access denied")
    // It tries without TLS then.
    expect(await psql(gate, names[0], "sslmode=prefer")).toContain(`FATAL:  ${REASON}\n`)
    expect(new Set((await gate.ended(5)).map(({ close }) => close.reason))).toEqual(new Set(["denied"]))
  })

  test("what else goes wrong is told too, without what is none of a client's business", async () => {
    const cases: readonly (readonly [OnConnect, string, string, string])[] = [
      [() => next, "no database is served here under that name", "alert access denied", "no-decision"],
      [fails, "the connection was refused", "alert internal error", "policy-failed"],
      [() => route("tcp://127.0.0.1:1"), "the database cannot be reached", "alert internal error", "dial-failed"],
    ]
    for (const [decide, plain, alert, reason] of cases) {
      using gate = on(decide)
      expect(await psql(gate, names[0], "sslmode=disable")).toEndWith(`FATAL:  ${plain}\n`)
      expect(await psql(gate, names[0], "sslmode=require")).toContain(alert)
      using terminated = on(async (connection) => {
        await connection.terminate({ certificates: ownPair(names[0]) })
        return decide(connection)
      })
      expect(await psql(terminated, names[0], "sslmode=require")).toEndWith(`FATAL:  ${plain}\n`)
      const events = [...(await gate.ended(2)), ...(await terminated.ended(1))]
      expect(events.map(({ close }) => close.reason)).toEqual([reason, reason, reason] as never)
    }
  })

  test("a name that nothing is served under", async () => {
    using gate = gateway([{ listen: "postgres://db1.example:0", on_tcp_connect: () => respond("never asked") }])
    expect(await psql(gate, names[1], "sslmode=require")).toContain("unrecognized name")
    expect(await psql(gate, names[1], "sslmode=disable")).toEndWith(
      "FATAL:  no database is served here under that name\n",
    )
    expect((await gate.ended(2)).map(({ close, problem }) => [close.reason, problem])).toEqual([
      ["no-policy", `nothing is served under ${names[1]}`],
      ["no-policy", "no server name, and nothing is served without one"],
    ])
  })

  test.each(["passed through", "terminated"])("Ctrl-C in psql cancels its query, %s", async (how) => {
    const kinds: unknown[] = []
    const port = freePort()
    using gate = gateway([
      {
        listen: { url: `postgres://${names[0]}:${port}`, address: "127.0.0.1" },
        on_tcp_connect: async (connection) => {
          kinds.push(connection.postgres)
          if (how === "terminated") await connection.terminate({ certificates: ownPair(names[0]) })
          return route(at(names[0]))
        },
      },
      {
        listen: `postgres://127.0.0.1:${port}`,
        on_tcp_connect: (connection) => {
          kinds.push(connection.postgres)
          return connection.postgres?.kind === "cancel" ? route(at(names[0])) : deny()
        },
      },
    ])
    const to = `host=${names[0]} hostaddr=127.0.0.1 port=${port} user=postgres sslmode=require application_name=slow`
    await using child = Bun.spawn(["psql", "-X", to, "-c", "select pg_sleep(600)"], { stdout: "pipe", stderr: "pipe" })
    const admin = ["-X", `host=127.0.0.1 port=${servers[0]!.port} user=postgres sslmode=disable`, "-Atc"]
    const running = "select count(*) from pg_stat_activity where application_name = 'slow' and wait_event = 'PgSleep'"
    while ((await run(["psql", ...admin, running])).stdout !== "1\n");
    child.kill("SIGINT")
    expect(await new Response(child.stderr).text()).toContain("canceling statement due to user request")
    expect(await child.exited).toBe(1)
    await gate.ended(2)
    expect(kinds).toEqual([{ kind: "ssl-request" }, { kind: "cancel" }])
  })

  test("direct TLS, as clients of PostgreSQL 17 start it, is terminated like any", async () => {
    const seen: unknown[] = []
    using gate = on(async (connection) => {
      const { alpn } = await connection.terminate({ certificates: ownPair(connection.tls?.sni) })
      seen.push(connection.postgres, alpn)
      return route(at(connection.tls?.sni, "tls"), { tls: { ca: ca.cert, sni: names[1] } })
    })
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const options = { port: gate.port, host: "127.0.0.1", servername: names[1], ca: ca.cert }
    const socket = connectTls({ ...options, ALPNProtocols: ["postgresql"] }, () =>
      socket.write(startup({ user: "postgres", database: "postgres" })),
    )
    socket.on("data", resolve).on("error", reject)
    // AuthenticationOk.
    expect((await promise).subarray(0, 9)).toEqual(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]))
    expect(socket.alpnProtocol).toBe("postgresql")
    socket.destroy()
    expect(seen).toEqual([{ kind: "direct-tls" }, "postgresql"])
  })
})

describe("the way to TLS", () => {
  const bytes = hello({ sni: "a.example", alpn: ["postgresql"] })

  test.each(Object.keys(CUTS))("is read in any pieces: %s", async (cut) => {
    using gate = on(startOf)
    for (const [seed, request] of [SSL_REQUEST, undefined].entries()) {
      using client = await connect(gate.port)
      if (request !== undefined) {
        const port = client.socket!.localPort
        for (const piece of CUTS[cut]!(request, random(seed))) {
          await client.write(piece)
          await soon(() => liveOf(gate, port)?.client.received === client.written)
        }
        expect(text(await client.atLeast(1))).toBe("S")
      }
      for (const piece of CUTS[cut]!(bytes, random(seed))) await client.write(piece)
      const kind = request === undefined ? "direct-tls" : "Sssl-request"
      expect(text(await client.bytes())).toBe(`${kind} a.example`)
      client.end()
      await client.closes()
    }
    const plain = await Promise.all(
      [startup({ user: "ana", database: "shop" }), CANCEL_REQUEST].map(async (sent, seed) => {
        using client = await connect(gate.port)
        await sendPieces(gate, client, CUTS[cut]!(sent, random(seed)))
        const answer = text(await client.bytes())
        client.end()
        await client.closes()
        return answer
      }),
    )
    expect(plain).toEqual(["startup undefined", "cancel undefined"])
  })

  test("may begin with GSSAPI, which is declined once", async () => {
    using gate = on(startOf)
    using client = await connect(gate.port, { first: GSS_REQUEST })
    expect(text(await client.atLeast(1))).toBe("N")
    await client.write(SSL_REQUEST)
    expect(text(await client.atLeast(2))).toBe("NS")
    await client.write(bytes)
    expect(text(await client.bytes())).toBe("NSssl-request a.example")
    client.end()
    using plain = await connect(gate.port, { first: GSS_REQUEST })
    expect(text(await plain.atLeast(1))).toBe("N")
    await plain.write(startup({ user: "ana" }))
    expect(text(await plain.bytes())).toBe("Nstartup undefined")
    plain.end()
    using twice = await connect(gate.port, { first: GSS_REQUEST })
    expect(text(await twice.atLeast(1))).toBe("N")
    await twice.write(GSS_REQUEST)
    expect(text(await twice.bytes())).toBe("N")
    twice.end()
    const last = (await gate.ended(3))[2]!
    expect([last.close, last.problem]).toEqual([
      { reason: "hello-invalid", by: "gateway" },
      "GSSAPI encryption asked for twice",
    ])
  })

  test.each([
    ["SSLRequest", SSL_REQUEST],
    ["GSSENCRequest", GSS_REQUEST],
  ])("with bytes behind the %s is closed without an answer (CVE-2021-23222)", async (_, request) => {
    using up = upstream(echo)
    using gate = on(() => route(up.url))
    for (const behind of [startup({ user: "mallory" }), bytes, Uint8Array.of(0)]) {
      expect(text(await tell(gate, Buffer.concat([request, behind])))).toBe("")
    }
    for (const { close, problem } of await gate.ended(3)) {
      expect([close.reason, problem]).toEqual(["hello-invalid", "bytes behind the request for encryption"])
    }
    expect(up.accepted).toEqual([])
  })

  test.each([
    ["a StartupMessage", startup({ user: "mallory" })],
    ["a second SSLRequest", SSL_REQUEST],
    ["a CancelRequest", CANCEL_REQUEST],
  ])("goes on with nothing but a hello: %s after the S is closed", async (_, sent) => {
    using up = upstream(echo)
    using gate = on(() => route(up.url))
    using client = await asked(gate, sent)
    expect(alertIn((await client.bytes()).subarray(1))).toBe("decode_error")
    client.end()
    expect((await gate.ended(1))[0]!.close.reason).toBe("hello-invalid")
    expect(up.accepted).toEqual([])
  })

  test("that is direct needs the ALPN postgresql", async () => {
    using gate = on(startOf)
    for (const alpn of [undefined, ["h2"]]) {
      const sent = hello({ sni: "a.example", ...(alpn === undefined ? {} : { alpn }) })
      expect(alertIn(await tell(gate, sent))).toBe("no_application_protocol")
    }
    expect((await gate.ended(2))[0]).toMatchObject({
      close: { reason: "hello-invalid", by: "gateway" },
      conn: { server_name: "a.example" },
      problem: "direct TLS without ALPN postgresql",
    })
    expect(text(await tell(gate, hello({ alpn: ["h2", "postgresql"] })))).toBe("direct-tls undefined")
  })

  test("that is none is closed: another protocol, another version, a packet that is too long", async () => {
    using gate = on(startOf)
    for (const sent of [
      "GET / HTTP/1.1\r\n\r\n",
      "\0\0\0\x10\0\x02\0\0user\0a\0\0",
      "\0\0\x27\x11\0\x03\0\0",
      "\0\0\0\x07",
    ]) {
      expect(text(await tell(gate, Buffer.from(sent, "latin1")))).toBe("")
    }
    for (const { close, problem } of await gate.ended(4)) {
      expect([close, problem]).toEqual([
        { reason: "hello-invalid", by: "gateway" },
        "the first bytes are no PostgreSQL startup packet",
      ])
    }
  })

  test("that takes more than 3 seconds is closed, without a word in the wrong language", async () => {
    using gate = on(startOf)
    const started = performance.now()
    const slow = async (first: Uint8Array, more?: Uint8Array) => {
      using client = await connect(gate.port, { first })
      if (more !== undefined) {
        await client.atLeast(1)
        await client.write(more)
      }
      const answer = text(await client.bytes())
      expect(performance.now() - started).toBeGreaterThanOrEqual(2999)
      client.end()
      await client.closes()
      return answer
    }
    expect(
      await Promise.all([
        slow(new Uint8Array()),
        slow(startup({ user: "ana" }).subarray(0, 9)),
        slow(SSL_REQUEST),
        slow(SSL_REQUEST, bytes.subarray(0, 30)),
        slow(bytes.subarray(0, 30)),
        slow(GSS_REQUEST),
      ]),
    ).toEqual(["", "", "S", "S", "", "N"])
    expect(performance.now() - started).toBeLessThan(7000)
    const events = await gate.ended(6)
    expect(new Set(events.map(({ close }) => `${close.reason} ${close.by}`))).toEqual(
      new Set(["preread-timeout gateway"]),
    )
  })

  test.each(["FIN", "RST"])("that the client leaves by %s, after any byte, leaves nothing behind", async (how) => {
    using up = upstream(echo)
    using gate = on(() => route(up.url))
    const before = descriptors().size
    let count = 0
    const leave = async (bytesBefore: readonly Uint8Array[]) => {
      count++
      using client = await connect(gate.port)
      const port = client.socket!.localPort
      await soon(() => liveOf(gate, port) !== undefined)
      for (const piece of bytesBefore) {
        await client.write(piece)
        await soon(() => liveOf(gate, port)?.client.received === client.written)
      }
      if (how === "FIN") client.end()
      else client.reset()
      await client.closes()
    }
    const plain = startup({ user: "ana", database: "shop" })
    for (let size = 0; size < plain.length; size++) await leave([plain.subarray(0, size)])
    for (let size = 0; size < 8; size++) await leave([SSL_REQUEST.subarray(0, size)])
    for (let size = 0; size < bytes.length; size++) await leave([SSL_REQUEST, bytes.subarray(0, size)])
    for (let size = 0; size < 8; size++) await leave([GSS_REQUEST, SSL_REQUEST.subarray(0, size)])
    const reasons = new Set((await gate.ended(count)).map(({ close }) => close.reason))
    expect(reasons).toEqual(new Set(how === "FIN" ? ["client-closed", "hello-invalid"] : ["client-reset"]) as never)
    expect([gate.path.live.size, gate.internalErrors, up.accepted]).toEqual([0, [], []])
    await eventually(() => descriptors().size <= before)
  })
})

describe("an upstream is asked for TLS first", () => {
  const bytes = hello({ sni: "a.example" })
  const ca = authority()

  test("and its answer is not the client's: the hello follows it, byte for byte", async () => {
    using up = answering("S", (wire) => wire.atLeast(8 + bytes.length).then(() => wire.write("hello back")))
    using gate = on(() => route(up.url))
    using client = await asked(gate)
    for (const piece of cutAt(bytes, 1, 10)) await client.write(piece)
    expect(text((await client.atLeast(11)).subarray(1))).toBe("hello back")
    expect(Buffer.from((await up.connection()).soFar())).toEqual(Buffer.concat([SSL_REQUEST, bytes]))
    client.end()
    await up.connection().then((wire) => wire.end())
    const [event] = await gate.ended(1)
    expect(event!.conn).toMatchObject({ bytes_in: 8 + bytes.length, bytes_out: 11 })
  })

  test.each<[string, string | undefined, string]>([
    ["N", "N", "it does not speak TLS (it answered the request for TLS with N)"],
    ["S with bytes behind it", "SE", "it sent something else than one byte in answer to the request for TLS"],
    ["an error", "E\0\0\0\x09nope\0", "it sent something else than one byte in answer to the request for TLS"],
    ["another byte", "E", "it is no PostgreSQL server that speaks TLS"],
    ["its FIN", undefined, "it closed the connection before the relay"],
  ])("and one that answers with %s is not reached: nothing goes to it in plain text", async (_, answer, error) => {
    using up = answering(answer)
    const ways: readonly (readonly [OnConnect, () => Promise<Uint8Array>])[] = [
      // Passed through.
      [
        () => route(up.url),
        async () => {
          using client = await asked(gate, bytes)
          const said = (await client.bytes()).subarray(1)
          client.end()
          await client.closes()
          expect(alertIn(said)).toBe("internal_error")
          return said
        },
      ],
      // In plain text towards a target that has to be encrypted.
      [
        () => route(up.url.replace("tcp:", "tls:"), { tls: { insecureSkipVerify: true } }),
        async () => {
          const said = await tell(gate, startup({ user: "ana", database: "shop" }))
          expect(errorIn(said)).toBe("08006 the database cannot be reached")
          return said
        },
      ],
    ]
    let nextWay = 0
    using gate = on((connection) => ways[nextWay++]![0](connection))
    for (const [nth, [, attempt]] of ways.entries()) {
      await attempt()
      const event = (await gate.ended(nth + 1))[nth]!
      expect(event.close).toEqual({ reason: "dial-failed", by: "upstream" })
      expect(event.upstream).toMatchObject({ attempts: 1, error })
      const wire = await up.connection(nth)
      await wire.until(() => wire.closed)
      expect(Buffer.from(wire.soFar())).toEqual(Buffer.from(SSL_REQUEST))
    }
    expect(gate.internalErrors).toEqual([])
  })

  test("and one that does not answer is given up after connectTimeout; the next target is tried", async () => {
    using silent = upstream(() => undefined)
    using refuses = answering("N")
    using works = answering("S", echo)
    using gate = on(() => route([silent.url, refuses.url, works.url], { connectTimeout: 300 }))
    using client = await asked(gate, bytes)
    expect(Buffer.from((await client.atLeast(1 + bytes.length)).subarray(1))).toEqual(Buffer.from(bytes))
    client.end()
    const [event] = await gate.ended(1)
    expect(event!.upstream).toMatchObject({ target: works.url, attempts: 3, error: null })
    for (const up of [silent, refuses]) expect(up.accepted[0]!.received).toBe(8)
  })

  test("but not for a client in plain text, for a CancelRequest, or where TLS began directly", async () => {
    using up = upstream(echo)
    using gate = on(() => route(up.url))
    const direct = hello({ sni: "a.example", alpn: ["postgresql"] })
    for (const sent of [startup({ user: "ana" }), CANCEL_REQUEST, direct]) {
      using client = await connect(gate.port, { first: sent })
      client.end()
      expect(Buffer.from(await client.bytes())).toEqual(Buffer.from(sent))
    }
  })

  test("and a direct start reaches a server of PostgreSQL 17 as it is", async () => {
    using server = secureEcho(ca.issue({ names: ["a.example"] }), "postgresql")
    using gate = on(() => route(server.url))
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const options = { port: gate.port, host: "127.0.0.1", servername: "a.example", ca: ca.cert }
    const socket = connectTls({ ...options, ALPNProtocols: ["postgresql"] }, () => socket.write("through"))
    socket.on("data", (data) => resolve(String(data))).on("error", reject)
    expect(await promise).toBe("through")
    socket.destroy()
  })

  test("while a client leaves: nothing is left of either side", async () => {
    using silent = upstream(() => undefined)
    using gate = on(() => route(silent.url, { connectTimeout: "1 minute" }))
    using client = await asked(gate, bytes)
    await (await silent.connection()).atLeast(8)
    client.reset()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(await (await silent.connection()).closes()).toBe("ECONNRESET")
    expect(gate.path.live.size).toBe(0)
  })
})

test("a denial in plain text is an ErrorResponse, to a CancelRequest nothing is said", async () => {
  using gate = on(() => deny("no\nentry\x1b[0m"))
  expect(errorIn(await tell(gate, startup({ user: "ana" })))).toBe("28000 no entry?[0m")
  expect(text(await tell(gate, CANCEL_REQUEST))).toBe("")
  expect((await gate.ended(2)).map(({ close }) => close.reason)).toEqual(["denied", "denied"])
})

test("whatever is sent, nothing throws and every connection ends in one event", async () => {
  const { below, pick } = random(43)
  using up = upstream(echo)
  using gate = on((connection) => (connection.postgres?.kind === "startup" ? deny("no") : route(up.url)))
  const starts = [SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST, startup({ user: "a" }), hello({ alpn: ["postgresql"] })]
  const count = 1500
  for (let done = 0; done < count; done += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        using client = await connect(gate.port)
        for (let part = below(4); part >= 0 && !client.closed; part--) {
          const bytes = Uint8Array.from(
            below(4) === 0 ? Array.from({ length: below(400) }, () => below(256)) : pick(starts),
          )
          if (bytes.length > 0 && below(3) === 0) bytes[below(bytes.length)] = below(256)
          await client
            .write(bytes.subarray(0, below(3) === 0 ? below(bytes.length + 1) : bytes.length))
            .catch(() => undefined)
          if (below(2) === 0) await soon(() => true)
        }
        if (below(3) === 0) client.reset()
        else if (!client.closed) client.end()
        await client.closes()
      }),
    )
  }
  await gate.ended(count)
  await eventually(() => gate.path.live.size === 0)
  expect([gate.events.length, gate.internalErrors, gate.failures]).toEqual([count, [], []])
})
