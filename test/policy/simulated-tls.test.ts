import { describe, expect, test } from "bun:test"
import { UNDER_WAY } from "../../src/policy/check-route.ts"
import { deny, route } from "../../src/policy/decision.ts"
import { HelloInvalid, PrereadTimeout, PrereadTooLarge } from "../../src/policy/preread.ts"
import { FactsInvalid, simulate, type Facts } from "../../src/policy/simulated.ts"
import { HandshakeFailed, TerminateInvalid, type TerminateOptions } from "../../src/policy/terminate.ts"
import { parseClientHello } from "../../src/protocol/index.ts"
import { hello } from "../protocol/hello.ts"

const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f)
const shop = "postgres://shop.example.com:5432"
const ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

const connection = (facts: Partial<Facts> = {}) =>
  simulate({ from: "203.0.113.9:4711", to: "tcp://:5432", ...facts }).connection
const tls = (facts: Partial<Facts> = {}) => connection({ to: "tls://db.example.com:443", ...facts })
const postgres = (facts: Partial<Facts> = {}) => connection({ to: "postgres://:5432", ...facts })

describe("a client that speaks TLS", () => {
  test("says the hello of the facts, and what they leave out as clients of today do", () => {
    expect(tls().tls).toMatchObject({ sni: "db.example.com", alpn: [], versions: ["TLSv1.3", "TLSv1.2"] })
    const facts = {
      sni: "DB.example.com.",
      alpn: ["h2", "http/1.1"],
      versions: ["TLSv1.2"],
      cipherSuites: [0x1301, 0xc02f],
      groups: [29],
      signatureAlgorithms: [0x0403],
    }
    expect(tls({ tls: facts }).tls).toMatchObject({ ...facts, sni: "db.example.com", supportedVersions: [] })
    expect(tls({ tls: { versions: ["TLSv1.3"] } }).tls?.supportedVersions).toEqual([0x0304])
    expect(tls({ tls: { versions: ["TLSv1.2", "TLSv1.1"] } }).tls?.versions).toEqual(["TLSv1.2", "TLSv1.1"])
    expect(tls({ to: "tls://:443" }).tls?.sni).toBeUndefined()
    expect(tls({ to: "tls://*.example.com:443", tls: { sni: "a.b.example.com" } }).tls?.sni).toBe("a.b.example.com")
  })

  test("has fingerprints, the given or the computed ones", () => {
    const { tls: hello } = tls({ tls: { ja4: "t13d_given" } })
    expect(hello?.ja4).toBe("t13d_given")
    expect(hello?.ja3).toMatch(/^[0-9a-f]{32}$/)
    expect(tls().tls?.ja4).toMatch(/^t13d0905\w\w_[0-9a-f]{12}_[0-9a-f]{12}$/)
  })

  test("can be peeked at, and detected", async () => {
    const client = tls({ tls: { alpn: ["h2"] } })
    const bytes = await client.peek(5)
    expect([...bytes.subarray(0, 3)]).toEqual([22, 3, 1])
    expect(parseClientHello(bytes)).toMatchObject({ sni: "db.example.com", alpn: ["h2"] })
    expect(await client.protocol()).toEqual({ protocol: "tls", hello: client.tls! })
    expect(await client.hello()).toBe(client.tls!)
  })

  test("may be the bytes of a real hello", async () => {
    const bytes = hello({ sni: "db.example.com", alpn: ["h2"] })
    expect(tls({ bytes }).tls).toMatchObject({ sni: "db.example.com", alpn: ["h2"] })
    expect(await tls({ bytes }).peek(1)).toEqual(bytes)
  })

  test("on a tcp:// listener is known once it was looked at", async () => {
    for (const facts of [{ tls: { sni: "a.example" } }, { bytes: hello({ sni: "a.example" }) }]) {
      const [one, other] = [connection(facts), connection(facts)]
      expect(one.tls).toBeUndefined()
      expect(await one.hello()).toMatchObject({ sni: "a.example" })
      expect(one.tls?.sni).toBe("a.example")
      expect(await other.protocol()).toMatchObject({ protocol: "tls", hello: { sni: "a.example" } })
      expect(other.tls?.sni).toBe("a.example")
    }
  })

  test("sees its listener without server names, as a live one does", () => {
    expect(tls().listener).toEqual({ name: "*:443", url: "tls://:443" })
    expect(tls({ to: "tls://10.0.0.5:443" }).listener).toEqual({ name: "10.0.0.5:443", url: "tls://10.0.0.5:443" })
    expect(tls().server).toEqual({ address: "127.0.0.1", port: 443 })
  })

  test.each([
    [{ tls: { sni: "other.example" } }, 'to: the client asks for "other.example"'],
    [{ bytes: hello({ sni: "other.example" }) }, 'to: the client asks for "other.example"'],
    [{ bytes: hello() }, "to: the client names no server"],
    [{ to: "tls://*.example.com:443" }, "tls: sni: expected the name that the client asks for"],
    [{ to: "tls://*.example.com:443", tls: { sni: "example.com" } }, "to: the client asks for"],
    [{ tls: { sni: "a b" } }, "tls: sni: expected printable ASCII"],
    [{ tls: { sni: "x".repeat(300) } }, "tls: no client says that"],
    [{ tls: { sin: "a" } }, 'tls: there is no fact "sin"; did you mean "sni"?'],
    [{ tls: [] }, "tls: expected an object, found an empty list"],
    [{ tls: { alpn: "h2" } }, "tls: alpn: expected a list of texts"],
    [{ tls: { alpn: ["x".repeat(256)] } }, "tls: alpn: at most 255 bytes"],
    [{ tls: { versions: ["1.3"] } }, "tls: versions: expected TLSv1.3"],
    [{ tls: { versions: [] } }, "tls: versions: expected at least one"],
    [{ tls: { cipherSuites: [70_000] } }, "tls: cipherSuites: expected a list of numbers"],
    [{ tls: { cipherSuites: Array.from({ length: 9000 }, () => 1) } }, "tls: no client says that"],
    [{ tls: { ja4: 5 } }, "tls: ja4: expected a text"],
    [{ tls: {}, bytes: hello({ sni: "db.example.com" }) }, "bytes and tls: expected one of the two"],
    [{ plain: 5 }, "plain: expected a text"],
    [{ clientCertificate: { cn: "x" } }, 'clientCertificate: there is no fact "cn"'],
    [{ clientCertificate: { sans: { url: [] } } }, 'clientCertificate: sans: there is no fact "url"'],
    [{ terminated: { ciper: "x" } }, 'terminated: there is no fact "ciper"; did you mean "cipher"?'],
  ])("%p makes no connection: %s", (facts, why) => {
    expect(() => tls(facts as never)).toThrow(FactsInvalid)
    expect(() => tls(facts as never)).toThrow(why)
  })
})

describe("a client that does not", () => {
  test("has no hello", async () => {
    expect(await connection({ bytes: "GET / HTTP/1.1\r\n\r\n" }).hello()).toBeUndefined()
    expect(await connection({ closed: true }).hello()).toBeUndefined()
  })

  test("is too slow, broken off, or says what no client says", async () => {
    const whole = hello({ sni: "a.example" })
    await expect(connection().hello()).rejects.toThrow(PrereadTimeout)
    await expect(connection({ bytes: whole.subarray(0, 20) }).hello()).rejects.toThrow(PrereadTimeout)
    await expect(connection({ bytes: whole.subarray(0, 20), closed: true }).hello()).rejects.toThrow(HelloInvalid)
    await expect(connection({ bytes: new Uint8Array([22, 3, 1, 0, 0]) }).hello()).rejects.toThrow("empty-record")
    await expect(connection({ bytes: new Uint8Array([22, 3, 1, 64, 0, 1, 0, 64, 0]) }).hello()).rejects.toThrow(
      PrereadTooLarge,
    )
  })

  test.each([
    [{ bytes: "GET / HTTP/1.1\r\n\r\n" }, "hello-invalid", "decode_error", "no TLS hello"],
    [{ bytes: hello().subarray(0, 9), closed: true }, "hello-invalid", "decode_error", "FIN came inside"],
    [{ bytes: new Uint8Array([22, 3, 1, 64, 0, 1, 0, 64, 0]) }, "preread-too-large", "decode_error", "too-large"],
    [{ bytes: hello().subarray(0, 9) }, "preread-timeout", undefined, "sent 9 bytes"],
    [{ bytes: "" }, "preread-timeout", undefined, "sent 0 bytes"],
    [{ bytes: "", closed: true }, "client-closed", undefined, "nothing but its FIN"],
  ] as const)("on a tls:// listener nobody is asked about %p", (facts, reason, alert, message) => {
    const { refused } = simulate({ from: "203.0.113.9", to: "tls://:443", ...facts })
    expect(refused).toEqual({ reason, alert, message: expect.stringContaining(message) })
  })
})

describe("protocol", () => {
  test("names what the client speaks, by its first bytes", async () => {
    const http = connection({ bytes: "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n" })
    expect(await http.protocol()).toMatchObject({ protocol: "http", method: "GET", path: "/x", host: "a.example" })
    expect(http.tls).toBeUndefined()
    expect(await connection({ bytes: "SSH-2.0-OpenSSH_9.6\r\n" }).protocol({ silence: 5 })).toMatchObject({
      protocol: "ssh",
      software: "OpenSSH_9.6",
    })
  })

  test("is undefined for silence, for half a message and for what is not known", async () => {
    for (const bytes of ["", "GET / HT", "\x01\x02\x03\x04 unknown", new Uint8Array([22, 3, 1, 0, 0])])
      expect(await connection({ bytes }).protocol()).toBeUndefined()
  })

  test("takes a duration", async () => {
    await expect(connection().protocol({ silence: "soon" })).rejects.toThrow("protocol: silence")
  })
})

describe("PostgreSQL", () => {
  test("in plain text names the user and the database", async () => {
    const client = postgres({ postgres: { user: "ana", applicationName: "psql" } })
    expect(client.postgres).toEqual({ kind: "startup", user: "ana", database: "ana", applicationName: "psql" })
    expect(client.tls).toBeUndefined()
    expect(await client.protocol()).toMatchObject({ protocol: "postgres", kind: "startup", user: "ana" })
    expect(await client.hello()).toBeUndefined()
  })

  test("asks for encryption, and its hello names the server", async () => {
    for (const facts of [{ to: shop }, { tls: { sni: "shop.example.com" } }, { to: shop, bytes: SSL_REQUEST }]) {
      const client = postgres(facts)
      expect(client.postgres).toEqual({ kind: "ssl-request" })
      expect(client.tls?.sni).toBe("shop.example.com")
      expect((await client.peek(1))[0]).toBe(22)
    }
  })

  test("starts TLS directly, or cancels", () => {
    const direct = postgres({ to: shop, postgres: { kind: "direct-tls" } })
    expect(direct.postgres).toEqual({ kind: "direct-tls" })
    expect(direct.tls).toMatchObject({ sni: "shop.example.com", alpn: ["postgresql"] })
    const cancel = postgres({ postgres: { kind: "cancel" } })
    expect([cancel.postgres, cancel.tls]).toEqual([{ kind: "cancel" }, undefined])
  })

  test("after terminate() says who it is", async () => {
    const client = postgres({ to: shop, postgres: { user: "ana", database: "shop" }, tls: { alpn: ["postgresql"] } })
    expect(await client.terminate()).toMatchObject({ sni: "shop.example.com", alpn: "postgresql" })
    expect(await client.protocol()).toMatchObject({ protocol: "postgres", kind: "startup", database: "shop" })
    expect(client.postgres).toEqual({ kind: "ssl-request" })
  })

  test("on a tcp:// listener is what it says first", async () => {
    const startup = connection({ postgres: { user: "ana" } })
    expect(await startup.protocol()).toMatchObject({ protocol: "postgres", kind: "startup", user: "ana" })
    expect(startup.postgres).toBeUndefined()
    const asking = connection({ postgres: { user: "ana" }, tls: {} })
    expect(await asking.protocol()).toEqual({ protocol: "postgres", kind: "ssl-request" })
    await expect(asking.terminate()).rejects.toThrow("the client does not speak TLS")
  })

  test.each([
    [{ bytes: "GET / HTTP/1.1\r\n\r\n" }, "hello-invalid", undefined, "no PostgreSQL startup packet"],
    [{ bytes: Uint8Array.of(...SSL_REQUEST, 22) }, "hello-invalid", undefined, "bytes behind the request"],
    [{ bytes: hello() }, "hello-invalid", "no_application_protocol", "without ALPN postgresql"],
    [{ bytes: SSL_REQUEST.subarray(0, 5) }, "preread-timeout", undefined, "sent 5 bytes"],
    [{ bytes: SSL_REQUEST.subarray(0, 5), closed: true }, "hello-invalid", undefined, "FIN came inside"],
  ] as const)("nobody is asked about %p", (facts, reason, alert, message) => {
    const { refused } = simulate({ from: "203.0.113.9", to: "postgres://:5432", ...facts })
    expect(refused).toEqual({ reason, alert, message: expect.stringContaining(message) })
  })

  test.each([
    [{ to: shop, postgres: { kind: "startup" } }, "to: the client names no server"],
    [{ to: shop, postgres: { kind: "cancel" } }, "to: the client names no server"],
    [{ postgres: { kind: "ssl" } }, "postgres: kind: expected startup"],
    [{ postgres: { usr: "ana" } }, 'postgres: there is no fact "usr"; did you mean "user"?'],
    [{ postgres: { user: "a\0b" } }, "postgres: user: expected a text"],
    [{ postgres: {}, bytes: "x" }, "bytes and postgres: expected one of the two"],
  ])("%p makes no connection: %s", (facts, why) => {
    expect(() => postgres(facts as never)).toThrow(why)
  })
})

describe("terminate", () => {
  test("agrees on the best of both sides", async () => {
    expect(await tls().terminate()).toEqual({
      version: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      alpn: undefined,
      sni: "db.example.com",
      resumed: false,
      clientCertificate: undefined,
    })
    expect(await tls().terminate({ maxVersion: "1.2" })).toMatchObject({
      version: "TLSv1.2",
      cipher: "ECDHE-ECDSA-AES128-GCM-SHA256",
    })
    expect(await tls({ tls: { versions: ["TLSv1.2"] } }).terminate()).toMatchObject({ version: "TLSv1.2" })
    expect(await tls({ tls: { alpn: ["http/1.1", "h2"] } }).terminate({ alpn: ["h2", "http/1.1"] })).toMatchObject({
      alpn: "h2",
    })
    expect(await tls().terminate({ alpn: ["h2"] })).toMatchObject({ alpn: undefined })
  })

  test("gives what the facts say instead", async () => {
    const terminated = { version: "TLSv1.2", cipher: "x", alpn: "y", resumed: true } as const
    expect(await tls({ terminated }).terminate()).toMatchObject(terminated)
  })

  test("then the connection is about the plain text", async () => {
    const client = tls({ plain: "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n" })
    await client.terminate()
    expect(new TextDecoder().decode(await client.peek(3))).toStartWith("GET /")
    expect(await client.protocol()).toMatchObject({ protocol: "http", host: "b.example" })
    expect(client.tls?.sni).toBe("db.example.com")
    expect(await client.hello()).toBe(client.tls!)
    await expect(
      tls()
        .terminate()
        .then(() => tls().peek(999)),
    ).rejects.toThrow(PrereadTimeout)
  })

  test("also on a tcp:// listener", async () => {
    const client = connection({ tls: { sni: "db.example.com" }, plain: "hi" })
    expect(await client.terminate()).toMatchObject({ sni: "db.example.com" })
    expect(await client.peek(2)).toHaveLength(2)
  })

  test("shows the client's certificate where it is asked for", async () => {
    const clientCertificate = {
      commonName: "amy",
      sans: { uri: ["spiffe://example/amy"] },
      serial: "4711",
      fingerprint: "f".repeat(64),
    }
    expect((await tls({ clientCertificate }).terminate()).clientCertificate).toBeUndefined()
    expect((await tls().terminate({ clientCertificate: "request" })).clientCertificate).toBeUndefined()
    const asked = await tls({ clientCertificate }).terminate({ clientCertificate: "require-any" })
    expect(asked.clientCertificate).toEqual({
      subject: "CN=amy",
      issuer: "CN=ca",
      commonName: "amy",
      sans: { dns: [], ip: [], email: [], uri: ["spiffe://example/amy"] },
      serial: "4711",
      notBefore: new Date("2020-01-01T00:00:00Z"),
      notAfter: new Date("2100-01-01T00:00:00Z"),
      fingerprint: "f".repeat(64),
      verified: false,
      unverified: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    })
    const verified = await tls({ clientCertificate }).terminate({ clientCertificate: "require-and-verify", ca })
    expect(verified.clientCertificate).toMatchObject({ verified: true, unverified: undefined })
    const expired = tls({ clientCertificate: { subject: "O=Example,CN=bob", unverified: "CERT_HAS_EXPIRED" } })
    expect((await expired.terminate({ clientCertificate: "request", ca })).clientCertificate).toMatchObject({
      commonName: "bob",
      verified: false,
      unverified: "CERT_HAS_EXPIRED",
    })
  })

  const verify = { clientCertificate: "require-and-verify", ca } as const

  test.each<[Partial<Facts>, TerminateOptions | undefined, string]>([
    [{}, verify, "the client has no certificate"],
    [{}, { clientCertificate: "require-any" }, "the client has no certificate"],
    [{ clientCertificate: { verified: false } }, verify, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    [{ clientCertificate: { unverified: "CERT_REVOKED" } }, verify, "the client's certificate: CERT_REVOKED"],
    [{ tls: { versions: ["TLSv1.1"] } }, undefined, "no common version: the client speaks TLSv1.1"],
    [{ tls: { versions: ["TLSv1.2"] } }, { minVersion: "1.3" }, "no common version"],
    [{ tls: { alpn: ["h3"] } }, { alpn: ["h2"] }, "no common application protocol: the client speaks h3"],
    [{ terminated: { fails: "the client hung up" } }, undefined, "the client hung up"],
  ])("%p with %p fails: %s", async (facts, options, why) => {
    const simulated = simulate({ from: "203.0.113.9", to: "tls://db.example.com:443", ...facts })
    const failed = simulated.connection.terminate(options)
    await expect(failed).rejects.toThrow(HandshakeFailed)
    await expect(failed).rejects.toThrow(why)
    for (const decision of [undefined, deny()])
      expect(simulated.objection(decision)).toMatchObject({
        reason: "tls-handshake-failed",
        cause: expect.any(HandshakeFailed),
      })
    await expect(simulated.connection.terminate()).rejects.toThrow("once per connection")
  })

  test("is for TLS, once, and with options that make sense", async () => {
    const once = tls()
    await expect(once.terminate({ minversion: "1.3" } as never)).rejects.toThrow(TerminateInvalid)
    await once.terminate()
    await expect(once.terminate()).rejects.toThrow("terminate: once per connection")
    await expect(connection({ bytes: "SSH-2.0-x\r\n" }).terminate()).rejects.toThrow("the client does not speak TLS")
    await expect(connection().terminate()).rejects.toThrow(PrereadTimeout)
    await expect(connection({ bytes: new Uint8Array([22, 3, 1, 0, 0]) }).terminate()).rejects.toThrow(HelloInvalid)
  })

  test("has to be waited for", async () => {
    const { connection: client, objection } = simulate({ from: "203.0.113.9", to: "tls://db.example.com:443" })
    const ended = client.terminate()
    expect(objection(deny())).toMatchObject({ reason: "policy-failed", cause: { message: UNDER_WAY } })
    await ended
    expect(objection(deny())).toBeUndefined()
  })

  test("decides which routes fit", async () => {
    const {
      connection: client,
      objection,
      isTerminated,
    } = simulate({ from: "203.0.113.9", to: "tls://db.example.com:443" })
    const decision = route("tls://db:5432")
    expect(objection(route("tcp://db:5432"))).toBeUndefined()
    expect(objection(decision)).toMatchObject({ reason: "policy-failed" })
    expect(isTerminated()).toBe(false)
    await client.terminate()
    expect(objection(decision)).toBeUndefined()
    expect(isTerminated()).toBe(true)
  })
})
