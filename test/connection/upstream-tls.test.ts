// TLS to upstreams: whom the gateway believes, what it says of those it does not, and the endings.
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { parseIp } from "../../src/policy/address.ts"
import { respond, route, type RouteOptions } from "../../src/policy/decision.ts"
import type { UpstreamTls } from "../../src/policy/upstream-tls.ts"
import { cable } from "../helper/cable.ts"
import { authority, openssl, type Issued } from "../helper/certificates.ts"
import { gateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { connectTls, secureUpstream } from "../helper/tls-wire.ts"
import { answers, resetDelivered, upstream, type Upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), "tidegate-upstream-"))
afterAll(() => rmSync(folder, { recursive: true }))

const pair = ({ cert, key }: Pick<Issued, "cert" | "key">) => ({ cert, key })
const root = authority()
const other = authority({ name: "Other root" })
const db = pair(root.issue({ names: ["db.test"] }))
const amy = pair(root.issue({ names: ["amy"], usage: "client" }))
const trusting = { ca: root.cert }

/** What a server has for the numbers of TLS. */
const TLS_1_2 = 0x303
const TLS_1_1 = 0x302

function selfSigned(): { cert: string; key: string } {
  const [cert, key] = [join(folder, "self.crt"), join(folder, "self.key")]
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
  const names = ["-subj", "/CN=db.test", "-addext", "subjectAltName=DNS:db.test,IP:127.0.0.1"]
  openssl(["req", "-x509", ...newKey, "-out", cert, ...names, "-days", "30"])
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") }
}

/** Every name is this machine. */
const resolve = () => [parseIp("127.0.0.1")!]

/** A gateway that routes to it. */
const through = (target: string) => gateway(() => route(target, { tls: trusting }), {}, { resolve })

const sha1 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha1").update(bytes).digest("hex")

/** The same server as another target: its port under another name and scheme. */
const as = (up: Upstream, host: string) => `tls://${host}:${up.port}`

interface Came {
  /** What came back for `hello`, or how the client was ended. */
  readonly answer: string
  readonly close: string
  readonly error: string | null
  readonly attempts: number
}

/** Sends `hello` through a gateway to the targets. */
async function ask(targets: string | string[], tls?: UpstreamTls, options: RouteOptions = {}): Promise<Came> {
  using gate = gateway(
    () => route(targets as string, { ...options, ...(tls === undefined ? {} : { tls }) }),
    {},
    { resolve },
  )
  using client = await connect(gate.port, { first: "hello" })
  await client.until(() => client.received >= 5 || client.ended || client.closed)
  const answer = client.received > 0 ? new TextDecoder().decode(client.soFar()) : await client.stops()
  client.reset()
  const [event] = await gate.ended(1)
  expect([gate.failures, gate.internalErrors]).toEqual([[], []])
  return { answer, close: event!.close.reason, error: event!.upstream!.error, attempts: event!.upstream!.attempts }
}

const served = { answer: "hello", close: "client-reset", error: null, attempts: 1 }
const refused = (error: string) => ({ answer: "FIN", close: "dial-failed", error, attempts: 1 })
const sent = (alert: string) => refused(`TLS: the other end sent the alert ${alert}`)

describe("an upstream is believed", () => {
  test("with a certificate for its name that `ca` has signed", async () => {
    using up = secureUpstream(db)
    expect(await ask(as(up, "db.test"), trusting)).toEqual(served)
    expect(await ask(as(up, "DB.test."), trusting)).toEqual(served)
    expect(up.accepted.map(({ agreed }) => agreed!.serverName)).toEqual(["db.test", "db.test"])
  })

  test("with one that an intermediate authority has signed, and sends along", async () => {
    using up = secureUpstream(pair(root.intermediate().issue({ names: ["*.a.test"] })))
    expect(await ask(as(up, "db.a.test"), trusting)).toEqual(served)
  })

  test("with one of several `ca`", async () => {
    using up = secureUpstream(pair(other.issue({ names: ["db.test"] })))
    expect(await ask(as(up, "db.test"), { ca: [root.cert, other.cert] })).toEqual(served)
  })

  test("by its common name, where its certificate has no other name at all", async () => {
    using up = secureUpstream(pair(root.issue({ subject: "/CN=db.test" })))
    expect(await ask(as(up, "db.test"), trusting)).toEqual(served)
    using named = secureUpstream(pair(root.issue({ subject: "/CN=db.test", names: ["x.test"] })))
    expect((await ask(as(named, "db.test"), trusting)).close).toBe("dial-failed")
  })

  test("under another name, when the policy asks for that", async () => {
    using up = secureUpstream(db)
    expect(await ask(as(up, "10.0.0.1.test"), { ...trusting, sni: "DB.test" })).toEqual(served)
    expect(await ask(up.url, { ...trusting, sni: "db.test" })).toEqual(served)
    expect(up.accepted.map(({ agreed }) => agreed!.serverName)).toEqual(["db.test", "db.test"])
  })

  test("with a certificate that has one of `names`, whatever name is asked for", async () => {
    const uri = "spiffe://example.test/db"
    using up = secureUpstream(pair(root.issue({ names: ["x.test", "*.w.test"], uris: [uri] })))
    for (const name of ["x.test", "a.w.test", "*.w.test", uri]) {
      expect(await ask(as(up, "db.test"), { ...trusting, names: ["none.test", name] })).toEqual(served)
      expect(await ask(up.url, { ...trusting, sni: "db.test", names: [name] })).toEqual(served)
    }
    expect(new Set(up.accepted.map(({ agreed }) => agreed!.serverName))).toEqual(new Set(["db.test"]))
  })

  test("by its address, for which no name is asked", async () => {
    for (const [hostname, ip] of [
      ["127.0.0.1", "127.0.0.1"],
      ["::1", "::1"],
    ] as const) {
      using up = secureUpstream(pair(root.issue({ names: ["x.test"], ips: [ip] })), undefined, hostname)
      expect(await ask(up.url, trusting)).toEqual(served)
      expect(up.accepted.map(({ agreed }) => agreed!.serverName)).toEqual([undefined])
    }
  })

  test("whatever it shows, with insecureSkipVerify", async () => {
    const insecureSkipVerify = true
    for (const shown of [selfSigned(), pair(root.issue({ names: ["db.test"], from: -10, days: 5 }))]) {
      using up = secureUpstream(shown)
      for (const target of [as(up, "other.test"), up.url]) {
        expect(await ask(target, { insecureSkipVerify })).toEqual(served)
      }
    }
  })

  test.each([
    ["the system's authorities, by SSL_CERT_FILE", { SSL_CERT_FILE: root.path }],
    ["those in NODE_EXTRA_CA_CERTS", { NODE_EXTRA_CA_CERTS: root.path }],
    ["nobody who is not among them", {}],
    ["nobody, also not by NODE_TLS_REJECT_UNAUTHORIZED", { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
  ])("by %s", async (who, env) => {
    using up = secureUpstream(pair(root.issue({ names: ["x.test"], ips: ["127.0.0.1"] })))
    await using child = Bun.spawn([process.execPath, `${import.meta.dir}/gateway-fixture.ts`, up.url], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env, ...env },
    })
    const { value } = await child.stdout.getReader().read()
    using client = await connect(Number(new TextDecoder().decode(value)), { first: "hello" })
    await client.until(() => client.received >= 5 || client.ended)
    expect(new TextDecoder().decode(client.soFar())).toBe(who.startsWith("nobody") ? "" : "hello")
  })
})

describe("an upstream is not believed", () => {
  const notFor = (name: string, has: string) => refused(`TLS: the certificate is not for ${name}: it has ${has}`)
  const unsigned = refused("TLS: UNABLE_TO_VERIFY_LEAF_SIGNATURE: unable to verify the first certificate")
  const expired = { names: ["db.test"], from: -10, days: 5 }
  const outdated = refused("TLS: CERT_HAS_EXPIRED: certificate has expired")

  test.each<[string, { cert: string; key: string }, UpstreamTls | undefined, Came]>([
    ["under another name", pair(root.issue({ names: ["x.test"] })), trusting, notFor("db.test", "DNS:x.test")],
    [
      "under a name two labels below a wildcard",
      pair(root.issue({ names: ["*.a.b.test"] })),
      { ...trusting, sni: "c.d.a.b.test" },
      notFor("c.d.a.b.test", "DNS:*.a.b.test"),
    ],
    [
      "with none of `names`, though it has the name that is asked for",
      db,
      { ...trusting, names: ["a.test", "spiffe://a.test/"] },
      notFor("a.test or spiffe://a.test/", "DNS:db.test"),
    ],
    ["with one of `names`, when somebody else has signed", db, { ca: other.cert, names: ["db.test"] }, unsigned],
    [
      "with one of `names`, when it is expired",
      pair(root.issue(expired)),
      { ...trusting, names: ["db.test"] },
      outdated,
    ],
    [
      "with a URI inside of another name",
      pair(root.issue({ names: ["db.test"], uris: ["http://a.test/#, URI:spiffe://a.test/x, b"] })),
      { ...trusting, names: ["spiffe://a.test/x"] },
      notFor("spiffe://a.test/x", String.raw`DNS:db.test, URI:"http://a.test/#\u002c URI:spiffe://a.test/x\u002c b"`),
    ],
    ["when somebody else has signed", db, { ca: other.cert }, unsigned],
    ["when the system does not know who signed", db, undefined, unsigned],
    ["when it is expired", pair(root.issue(expired)), trusting, outdated],
    [
      "before its time",
      pair(root.issue({ ...expired, from: 5 })),
      trusting,
      refused("TLS: CERT_NOT_YET_VALID: certificate is not yet valid"),
    ],
    [
      "when it signed itself",
      selfSigned(),
      trusting,
      refused("TLS: DEPTH_ZERO_SELF_SIGNED_CERT: self signed certificate"),
    ],
    [
      "with the certificate of a client",
      pair(root.issue({ names: ["db.test"], usage: "client" })),
      trusting,
      refused("TLS: INVALID_PURPOSE: unsupported certificate purpose"),
    ],
  ])("%s", async (_, shown, tls, came) => {
    using up = secureUpstream(shown)
    expect(await ask(as(up, "db.test"), tls)).toEqual(came)
    // Not a byte of the client.
    expect(up.accepted.map(({ received }) => received)).toEqual([0])
  })

  test.each<[string, Issued, Came]>([
    [
      "another address",
      root.issue({ names: ["db.test"], ips: ["127.0.0.2"] }),
      notFor("127.0.0.1", "DNS:db.test, IP Address:127.0.0.2"),
    ],
    ["its address as a name", root.issue({ names: ["127.0.0.1"] }), notFor("127.0.0.1", "DNS:127.0.0.1")],
    ["localhost", root.issue({ names: ["localhost"] }), notFor("127.0.0.1", "DNS:localhost")],
    ["its address, of an unknown authority", other.issue({ ips: ["127.0.0.1"] }), unsigned],
    ["localhost, of an unknown authority", other.issue({ names: ["localhost"] }), unsigned],
    [
      "its address, expired",
      root.issue({ ips: ["127.0.0.1"], from: -10, days: 5 }),
      refused("TLS: CERT_HAS_EXPIRED: certificate has expired"),
    ],
  ])("by its address with a certificate for %s", async (_, shown, came) => {
    using up = secureUpstream(pair(shown))
    expect(await ask(up.url, trusting)).toEqual(came)
    expect(up.accepted.map(({ received }) => received)).toEqual([0])
  })

  test("because of options that cannot be", async () => {
    using up = secureUpstream(db)
    const junk = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    expect(await ask(as(up, "db.test"), { ca: junk })).toEqual(refused("route: tls: ca cannot be read"))
    expect(await ask(as(up, "db.test"), { ...trusting, certificate: { cert: amy.cert, key: db.key } })).toEqual(
      refused("route: tls: certificate: the private key does not belong to the certificate (CN=amy)"),
    )
  })
})

describe("a handshake", () => {
  const noTls = "TLS: the other end does not speak TLS (WRONG_VERSION_NUMBER)"

  test("that hangs ends at the connect timeout", async () => {
    using up = upstream(() => undefined)
    const started = performance.now()
    expect(await ask(as(up, "db.test"), trusting, { connectTimeout: 300 })).toEqual(
      refused("no TLS handshake within 300 ms"),
    )
    expect(performance.now() - started).toBeWithin(300, 1000)
    // Its descriptor is gone.
    await up.accepted[0]!.stops()
  })

  test("with a server that speaks no TLS says so", async () => {
    using answering = upstream(async (wire) => {
      await wire.atLeast(1)
      await wire.write("HTTP/1.1 400 Bad Request\r\n\r\n")
      wire.end()
    })
    expect(await ask(as(answering, "db.test"), trusting)).toEqual(refused(noTls))
    const early = "TLS: it spoke before the handshake, so it does not speak TLS there"
    for (let i = 0; i < 20; i++) {
      using greeting = upstream((wire) => wire.write("220 ready\r\n"))
      const { error, ...came } = await ask(as(greeting, "db.test"), trusting)
      expect({ ...came, error: null }).toEqual({ ...refused(""), error: null })
      // Which of the two depends on who is faster.
      expect([noTls, early]).toContain(error!)
    }
  })

  test.each(["end", "reset"] as const)("that the server breaks off (%s) says so", async (how) => {
    using up = upstream(async (wire) => {
      await wire.atLeast(1)
      wire[how]()
    })
    const error = how === "end" ? "TLS: the connection was closed during the handshake" : "ECONNRESET"
    expect(await ask(as(up, "db.test"), trusting)).toEqual(refused(error))
  })

  test("without a common version or protocol says what the server said", async () => {
    using old = secureUpstream({ ...db, minVersion: 0x301, maxVersion: TLS_1_1 } as Bun.TLSOptions)
    expect(await ask(as(old, "db.test"), trusting)).toEqual(sent("protocol_version"))
    using picky = secureUpstream({ ...db, ALPNProtocols: Buffer.from("\x02h2") })
    expect(await ask(as(picky, "db.test"), { ...trusting, alpn: ["foo"] })).toEqual(sent("no_application_protocol"))
    expect(await ask(as(picky, "db.test"), { ...trusting, alpn: ["foo", "h2"] })).toEqual(served)
    expect(picky.accepted.at(-1)!.agreed!.alpn).toBe("h2")
  })
})

describe("a server that requires a certificate", () => {
  const demanding = { ...db, requestCert: true, rejectUnauthorized: true, ca: root.cert }

  test("gets it", async () => {
    for (const version of [{}, { maxVersion: TLS_1_2 }]) {
      using up = secureUpstream({ ...demanding, ...version } as Bun.TLSOptions)
      expect(await ask(as(up, "db.test"), { ...trusting, certificate: amy })).toEqual(served)
      expect(up.accepted.map(({ agreed }) => agreed!.peer)).toEqual(["amy"])
    }
  })

  test("and gets none is a failed dial over TLS 1.2, where it says so in the handshake", async () => {
    using up = secureUpstream({ ...demanding, maxVersion: TLS_1_2 } as Bun.TLSOptions)
    expect(await ask(as(up, "db.test"), trusting)).toEqual(
      refused("TLS: the other end sent the alert handshake_failure"),
    )
    using next = secureUpstream(db)
    expect(await ask([as(up, "db.test"), as(next, "db.test")], trusting)).toEqual({ ...served, attempts: 2 })
  })

  test("is no upstream either with insecureSkipVerify", async () => {
    using up = secureUpstream({ ...demanding, maxVersion: TLS_1_2 } as Bun.TLSOptions)
    for (const target of [as(up, "db.test"), up.url])
      expect(await ask(target, { insecureSkipVerify: true })).toEqual(
        refused("TLS: the other end sent the alert handshake_failure"),
      )
  })

  test("and gets none has the last word over TLS 1.3, where it says so afterwards", async () => {
    using up = secureUpstream(demanding)
    using next = secureUpstream(db)
    // The client's bytes are gone.
    expect(await ask([as(up, "db.test"), as(next, "db.test")], trusting)).toEqual({
      answer: "ECONNRESET",
      close: "upstream-reset",
      error: "TLS: the other end sent the alert certificate_required",
      attempts: 1,
    })
    // A client that has sent nothing gets the next target, or what was decided for that.
    for (const [decision, answer] of [
      [route([as(up, "db.test"), as(next, "db.test")], { tls: trusting }), ""],
      [route(as(up, "db.test"), { tls: trusting }).or(respond("sorry")), "sorry"],
    ] as const) {
      using gate = gateway(() => decision, {}, { resolve })
      using client = await connect(gate.port)
      if (answer === "") {
        await eventually(() => [...gate.path.live][0]?.dial?.tried === 2 && next.accepted.length > 0)
        await client.write("hello")
        expect(new TextDecoder().decode(await client.atLeast(5))).toBe("hello")
      } else expect(await client.text()).toBe(answer)
      client.reset()
      await gate.ended(1)
    }
  })
})

describe("after a handshake that failed", () => {
  test("the next target is tried, and each once", async () => {
    using wrong = secureUpstream(pair(root.issue({ names: ["x.test"] })))
    using silent = upstream((wire) => wire.atLeast(1).then(() => wire.end()))
    using right = secureUpstream(db)
    const targets = [wrong, silent, right].map((up) => as(up, "db.test"))
    expect(await ask(targets, trusting)).toEqual({ ...served, attempts: 3 })
    expect([wrong, silent, right].map((up) => up.accepted.length)).toEqual([1, 1, 1])
    const { error, attempts } = await ask(targets, trusting, { retries: 1 })
    expect([error, attempts]).toEqual(["TLS: the connection was closed during the handshake", 2])
  })

  test("what stands behind `.or()` is done", async () => {
    using up = secureUpstream(pair(root.issue({ names: ["x.test"] })))
    using gate = gateway(() => route(as(up, "db.test"), { tls: trusting }).or(respond("sorry")), {}, { resolve })
    using client = await connect(gate.port, { first: "hello" })
    expect(await client.text()).toBe("sorry")
    client.end()
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "answered" },
      upstream: { error: "TLS: the certificate is not for db.test: it has DNS:x.test" },
    })
  })

  test("a client that leaves meanwhile leaves nothing behind", async () => {
    using up = upstream(() => undefined)
    using gate = gateway(() => route(as(up, "db.test"), { tls: trusting }), {}, { resolve })
    const client = await connect(gate.port, { first: "hello" })
    await (await up.connection()).atLeast(1)
    client.reset()
    await up.accepted[0]!.stops()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(gate.internalErrors).toEqual([])
  })
})

describe("the options", () => {
  test.each<[unknown, string]>([
    [{ ca: "/etc/ca.pem" }, "route: tls: ca: expected PEM"],
    [{ sni: "not a name" }, "route: tls: expected sni: a host name"],
    [{ verify: false }, 'route: tls: there is no option "verify"'],
    [{ insecureSkipVerify: true, ca: root.cert }, "route: tls: ca has no effect with insecureSkipVerify"],
  ])("%j are a failure of the policy", async (tls, message) => {
    using up = secureUpstream(db)
    using gate = gateway(() => route(as(up, "db.test"), { tls: tls as UpstreamTls }), {}, { resolve })
    using client = await connect(gate.port, { first: "hello" })
    expect(await client.text()).toBe("")
    client.end()
    const [event] = await gate.ended(1)
    expect(event!.close.reason).toBe("policy-failed")
    expect(event!.policy!.reason).toContain(message)
    expect(up.accepted).toEqual([])
  })
})

describe("endings", () => {
  /** Bytes that differ by position, so that a lost or doubled part shows in the hash. */
  const body = new Uint8Array(new Uint32Array(1_000_000).map((_, i) => Math.imul(i, 0x9e3779b1)).buffer)

  test("a server that speaks first is heard, and its FIN is passed on", async () => {
    using up = secureUpstream(db, async (wire) => {
      await wire.write("220 ready\r\n")
      wire.end()
    })
    using gate = through(as(up, "db.test"))
    using client = await connect(gate.port)
    expect(await client.text()).toBe("220 ready\r\n")
    await client.write("still here")
    client.end()
    expect(await up.accepted[0]!.text()).toBe("still here")
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "upstream-closed", by: "upstream" },
      conn: { bytes_in: 10, bytes_out: 11 },
    })
  })

  test("the client's FIN is passed on, and the answer comes", async () => {
    using up = secureUpstream(db, (wire, nth) => answers((request) => `${request.length} bytes`)(wire, nth))
    using gate = through(as(up, "db.test"))
    using client = await connect(gate.port, { first: "hello" })
    client.end()
    expect(await client.text()).toBe("5 bytes")
    expect((await gate.ended(1))[0]!.close.reason).toBe("client-closed")
  })

  test("a FIN without a close_notify is passed on", async () => {
    using up = secureUpstream(db, (wire) => wire.write("hello"))
    using line = cable(up.port)
    using gate = through(`tls://db.test:${line.port}`)
    using client = await connect(gate.port)
    await client.atLeast(5)
    const strand = await line.strand()
    strand.client.end()
    expect(await client.stops()).toBe("FIN")
    client.end()
    expect((await gate.ended(1))[0]!.close.reason).toBe("upstream-closed")
  })

  test("an upstream's reset is passed on, behind what it had sent", async () => {
    using up = secureUpstream(db, async (wire) => {
      await wire.write(body)
      await resetDelivered(wire)
    })
    using gate = through(as(up, "db.test"))
    using client = await connect(gate.port)
    expect(await client.closes()).toBe("ECONNRESET")
    expect([client.received, sha1(client.soFar())]).toEqual([body.length, sha1(body)])
    expect((await gate.ended(1))[0]!.close.reason).toBe("upstream-reset")
  })

  test("a record that was changed on its way ends both sides, and the event says why", async () => {
    using up = secureUpstream(db)
    let changes = false
    const back = (chunk: Uint8Array) => {
      if (changes) chunk[chunk.length - 1]! ^= 1
      return chunk
    }
    using line = cable(up.port, { back })
    using gate = through(`tls://db.test:${line.port}`)
    using client = await connect(gate.port, { first: "hello" })
    await client.atLeast(5)
    changes = true
    await client.write("world")
    expect([await client.closes(), client.received]).toEqual(["ECONNRESET", 5])
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "upstream-reset", by: "upstream" },
      upstream: { error: "TLS: decryption failed or bad record mac (DECRYPTION_FAILED_OR_BAD_RECORD_MAC)" },
    })
    expect(gate.internalErrors).toEqual([])
  })

  test("a client's reset is passed on, behind what it had sent", async () => {
    using up = secureUpstream(db, () => undefined)
    using gate = through(as(up, "db.test"))
    using client = await connect(gate.port)
    await client.write(body)
    await resetDelivered(client)
    const wire = await up.connection()
    expect(await wire.closes()).toBe("ECONNRESET")
    expect([wire.received, sha1(wire.soFar())]).toEqual([body.length, sha1(body)])
    expect((await gate.ended(1))[0]!.close.reason).toBe("client-reset")
  })

  test("TLS ends here, and begins anew to the upstream: nothing is lost on the way", async () => {
    const server = pair(root.issue({ names: ["a.test"] }))
    using up = secureUpstream(db)
    using gate = gateway(
      async (connection) => {
        await connection.terminate({ certificates: server })
        return route(as(up, "db.test"), { tls: trusting })
      },
      {},
      { resolve },
    )
    using client = await connectTls(gate.port, { ...trusting, serverName: "a.test" })
    await client.secured()
    const sending = client.write(body).then(() => client.end())
    expect(sha1(await client.bytes())).toBe(sha1(body))
    await sending
    expect((await gate.ended(1))[0]).toMatchObject({
      close: { reason: "client-closed" },
      conn: { bytes_in: body.length, bytes_out: body.length },
    })
  })
})
