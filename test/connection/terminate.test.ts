// Ending TLS here, with the clients that people use: what is agreed on, which certificate is shown, how it fails.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { connect as connectNode } from "node:tls"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import type { Terminated, TerminateOptions } from "../../src/policy/terminate.ts"
import { cable } from "../helper/cable.ts"
import { authority, openssl, type Issued } from "../helper/certificates.ts"
import { gateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { alertIn, runClient, sClient } from "../helper/openssl-client.ts"
import { installed, startRedis } from "../helper/servers.ts"
import { connectTls } from "../helper/tls-wire.ts"
import { answers, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const pair = ({ cert, key }: Issued) => ({ cert, key })
const ca = authority()
const names = ["a.test", "b.test", "localhost"]
const ecdsa = pair(ca.issue({ names, ips: ["127.0.0.1"] }))
const rsa = pair(ca.issue({ names, ips: ["127.0.0.1"], algorithm: "rsa" }))
const trusting = { ca: ca.cert, serverName: "a.test" }

/** Answers with what was agreed on, as JSON. */
const facts =
  (options: TerminateOptions = {}) =>
  async (connection: Connection) =>
    respond(JSON.stringify(await connection.terminate({ certificates: ecdsa, ...options })))

/** The same, with the certificates of the store. */
const ofTheStore = async (connection: Connection) => respond(JSON.stringify(await connection.terminate()))

/** A hello of OpenSSL as it goes over the wire. */
async function hello(): Promise<Uint8Array> {
  using listener = upstream(() => undefined)
  const client = sClient(listener.port)
  const wire = await listener.connection()
  await wire.until(() => wire.received > 0)
  wire.reset()
  await client
  return wire.soFar()
}

describe("what is agreed on", () => {
  test.each([
    ["TLSv1.2", "-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    ["TLSv1.3", "-tls1_3", "TLS_AES_256_GCM_SHA384"],
  ] as const)("is told to the policy and in the event (%s)", async (version, flag, cipher) => {
    if (!installed("openssl")) return
    using gate = gateway(facts({ alpn: ["h2", "postgresql"] }))
    const { stdout } = await sClient(gate.port, [flag, "-alpn", "http/1.1,postgresql"])
    expect(JSON.parse(stdout)).toEqual({ version, cipher, alpn: "postgresql", sni: "a.test", resumed: false })
    expect((await gate.ended(1))[0]).toMatchObject({
      conn: { server_name: "a.test", bytes_in: 0, bytes_out: stdout.length },
      tls: { version, cipher, alpn: "postgresql", resumed: false, client_certificate: null },
      policy: { decision: "respond", reason: null },
      close: { reason: "answered", by: "gateway" },
    })
  })

  test("has no name and no protocol where the client names none", async () => {
    if (!installed("openssl")) return
    const seen: Terminated[] = []
    using gate = gateway(async (connection) => {
      seen.push(await connection.terminate({ certificates: ecdsa, alpn: ["h2"] }))
      return deny()
    })
    await sClient(gate.port, ["-noservername", "-tls1_3"])
    expect(seen).toEqual([
      {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        alpn: undefined,
        sni: undefined,
        resumed: false,
        clientCertificate: undefined,
      },
    ])
    expect(Object.isFrozen(seen[0])).toBe(true)
  })

  test("shows everything of a client's certificate", async () => {
    if (!installed("openssl")) return
    const amy = ca.issue({
      subject: "/C=DE/O=Example, Inc./OU=db/CN=amy",
      names: ["amy.example", "*.amy.example"],
      ips: ["192.0.2.7", "2001:db8::7"],
      emails: ["amy@example.org"],
      uris: ["spiffe://example.org/ns/db/sa/amy"],
      usage: "client",
    })
    const seen: Terminated[] = []
    using gate = gateway(async (connection) => {
      const mode = { clientCertificate: "require-and-verify", ca: ca.cert } as const
      seen.push(await connection.terminate({ certificates: ecdsa, ...mode }))
      return deny()
    })
    await sClient(gate.port, ["-cert", amy.path.cert, "-key", amy.path.key])
    const field = (name: string, ...more: string[]) =>
      openssl(["x509", "-noout", `-${name}`, ...more], amy.leaf)
        .trim()
        .replace(/^[^=]*=/, "")
    const fingerprint = field("fingerprint", "-sha256").replaceAll(":", "").toLowerCase()
    const subject = field("subject", "-nameopt", "RFC2253,-esc_msb,utf8")
    expect(seen[0]!.clientCertificate).toEqual({
      subject,
      issuer: "CN=Test root",
      commonName: "amy",
      sans: {
        dns: ["amy.example", "*.amy.example"],
        ip: ["192.0.2.7", "2001:db8::7"],
        email: ["amy@example.org"],
        uri: ["spiffe://example.org/ns/db/sa/amy"],
      },
      serial: amy.serial.toLowerCase(),
      notBefore: new Date(field("startdate")),
      notAfter: new Date(field("enddate")),
      fingerprint,
      verified: true,
      unverified: undefined,
    })
    expect(Object.isFrozen(seen[0]!.clientCertificate)).toBe(true)
    expect((await gate.ended(1))[0]!.tls!.client_certificate).toEqual({ subject, fingerprint, verified: true })
  })

  test("with curl, which gets a page", async () => {
    if (!installed("curl")) return
    using up = upstream(async (wire) => {
      await wire.until(() => new TextDecoder().decode(wire.soFar()).includes("\r\n\r\n"))
      await wire.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
      wire.end()
    })
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: ecdsa, alpn: ["http/1.1"] })
      return route(up.url)
    })
    const url = `https://a.test:${gate.port}/`
    const resolve = ["--resolve", `a.test:${gate.port}:127.0.0.1`]
    for (const version of [["--tls-max", "1.2"], ["--tlsv1.3"]]) {
      const { stdout } = await runClient(["curl", "-sS", "--cacert", ca.path, ...version, ...resolve, url])
      expect(stdout).toBe("hello")
    }
    const events = await gate.ended(2)
    expect(events.map(({ tls }) => [tls!.version, tls!.alpn])).toEqual([
      ["TLSv1.2", "http/1.1"],
      ["TLSv1.3", "http/1.1"],
    ])
  })

  // Over TLS 1.2 curl takes no tickets, and sessions are kept in nothing else here.
  test("with curl, which takes up its session again", async () => {
    if (!installed("curl")) return
    const resumed: boolean[] = []
    using gate = gateway(async (connection) => {
      const agreed = await connection.terminate({ certificates: ecdsa })
      resumed.push(agreed.resumed)
      return respond("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
    })
    const url = (name: string) => ["--resolve", `${name}:${gate.port}:127.0.0.1`, `https://${name}:${gate.port}/`]
    const urls = [...url("a.test"), ...url("a.test"), ...url("b.test"), ...url("a.test")]
    const { stdout } = await runClient(["curl", "-sS", "--cacert", ca.path, "--tlsv1.3", ...urls])
    expect(stdout).toBe("hello".repeat(4))
    expect(resumed).toEqual([false, true, false, true])
  })

  test("with redis-cli, to a real Redis behind", async () => {
    if (!installed("redis-server", "redis-cli")) return
    await using redis = await startRedis()
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: ecdsa })
      expect(await connection.protocol()).toMatchObject({ protocol: "redis" })
      return route(`tcp://127.0.0.1:${redis.port}`)
    })
    const cli = [
      "redis-cli",
      "-h",
      "127.0.0.1",
      "-p",
      String(gate.port),
      "--tls",
      "--cacert",
      ca.path,
      "--sni",
      "a.test",
    ]
    const value = "x".repeat(1_000_000)
    expect((await runClient([...cli, "-x", "set", "big"], value)).stdout).toBe("OK\n")
    expect((await runClient([...cli, "get", "big"])).stdout).toBe(`${value}\n`)
    const piped = await runClient([...cli, "--pipe"], "PING\r\n".repeat(2000))
    expect(piped.stdout).toContain("errors: 0, replies: 2000")
    expect((await gate.ended(3)).map(({ tls, close }) => [tls!.version, close.reason])).toEqual(
      Array.from({ length: 3 }, () => ["TLSv1.3", "client-closed"]),
    )
  })

  test("with gnutls-cli", async () => {
    if (!installed("gnutls-cli")) return
    using gate = gateway(facts({ alpn: ["h2"] }))
    const client = ["gnutls-cli", "--x509cafile", ca.path, "--alpn", "h2", "-p", String(gate.port), "localhost"]
    for (const priority of ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"]) {
      const { stdout } = await runClient([...client, "--priority", priority])
      expect(stdout).toContain('"alpn":"h2","sni":"localhost","resumed":false}')
    }
    const versions = (await gate.ended(2)).map(({ tls }) => tls!.version)
    expect(versions).toEqual(["TLSv1.2", "TLSv1.3"])
  })

  test("with node:tls", async () => {
    using gate = gateway(facts({ alpn: ["h2"] }))
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const options = { host: "127.0.0.1", port: gate.port, ca: ca.cert, servername: "b.test", ALPNProtocols: ["h2"] }
    const socket = connectNode(options, () => expect([socket.authorized, socket.alpnProtocol]).toEqual([true, "h2"]))
    let answer = ""
    socket.setEncoding("utf8")
    socket.on("data", (text: string) => (answer += text))
    socket.on("end", () => resolve(answer))
    socket.on("error", reject)
    expect(JSON.parse(await promise)).toMatchObject({ sni: "b.test", alpn: "h2" })
    socket.destroy()
  })
})

describe("post-quantum", () => {
  test("a client that offers X25519MLKEM768 alone is terminated", async () => {
    using gate = gateway(facts())
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const options = {
      host: "127.0.0.1",
      port: gate.port,
      ca: ca.cert,
      servername: "a.test",
      ecdhCurve: "X25519MLKEM768",
    }
    const socket = connectNode(options, resolve)
    socket.on("error", reject)
    await promise
    expect([socket.authorized, socket.getProtocol()]).toEqual([true, "TLSv1.3"])
    socket.destroy()
  })

  test("Chromium gets its page through termination and through passthrough", async () => {
    if (!installed("chromium", "openssl")) return
    const page = "<!doctype html><title>x</title><p id=hello>terminated</p>"
    const http = `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\nconnection: close\r\n\r\n${page}`
    using site = upstream(async (wire) => {
      await wire.until(() => new TextDecoder().decode(wire.soFar()).includes("\r\n\r\n"))
      await wire.write(http)
      wire.end()
    })
    const groups: (readonly number[] | undefined)[] = []
    using inner = gateway(async (connection) => {
      const { groups: offered } = (await connection.hello()) as unknown as { groups?: readonly number[] }
      groups.push(offered)
      await connection.terminate({ certificates: ecdsa, alpn: ["http/1.1"] })
      return route(site.url)
    })
    using outer = gateway(() => route(`tcp://127.0.0.1:${inner.port}`))
    const folder = `/tmp/tidegate-chromium-${process.pid}`
    const flags = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--ignore-certificate-errors",
    ]
    const hosts = `--host-resolver-rules=MAP * 127.0.0.1`
    for (const { port } of [inner, outer]) {
      const dump = ["--dump-dom", `https://a.test:${port}/`]
      const { stdout } = await runClient(["chromium", ...flags, hosts, `--user-data-dir=${folder}`, ...dump])
      expect(stdout).toContain('<p id="hello">terminated</p>')
    }
    await Bun.$`rm -rf ${folder}`.quiet()
    // X25519MLKEM768 (RFC 9794's registry: 4588).
    expect(groups.length).toBeGreaterThan(1)
    for (const offered of groups) expect(offered).toContain(4588)
    for (const { tls } of inner.events) expect(tls?.version).toBe("TLSv1.3")
  })
})

describe("certificates", () => {
  test.each([
    [["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"], "RSA-PSS"],
    [["-tls1_3", "-sigalgs", "ECDSA+SHA256"], "ECDSA"],
    [["-tls1_3"], "ECDSA"],
    [["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "RSA"],
    [["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "ECDSA"],
    [["-tls1_2"], "ECDSA"],
  ])("of RSA and ECDSA side by side: to a client with %j goes %s", async (args, kind) => {
    if (!installed("openssl")) return
    using gate = gateway(facts({ certificates: [rsa, ecdsa] }))
    const { stderr, stdout } = await sClient(gate.port, [...args, "-brief", "-CAfile", ca.path])
    expect(stderr).toContain("Verification: OK")
    expect(/Signature type: (\S+)/.exec(stderr)?.[1]).toStartWith(kind)
    expect(stdout).toContain('"resumed":false')
  })

  test("come with their chain", async () => {
    if (!installed("curl")) return
    const issued = pair(ca.intermediate().issue({ names }))
    using gate = gateway(facts({ certificates: issued }))
    const resolve = ["--resolve", `a.test:${gate.port}:127.0.0.1`]
    const url = `https://a.test:${gate.port}/`
    const { stdout } = await runClient(["curl", "-sS", "--http0.9", "--cacert", ca.path, ...resolve, url])
    expect(stdout).toContain('"sni":"a.test"')
  })

  test("are those of the store for the name and the address", async () => {
    if (!installed("openssl")) return
    const asked: unknown[] = []
    const certificates = (...wanted: unknown[]) => {
      asked.push(wanted)
      // At once, and later.
      return asked.length % 2 === 0 ? [ecdsa] : Promise.resolve([ecdsa])
    }
    using gate = gateway(ofTheStore, {}, { certificates })
    await sClient(gate.port, ["-servername", "B.test", "-verify_return_error", "-CAfile", ca.path])
    await sClient(gate.port, ["-noservername", "-verify_return_error", "-CAfile", ca.path])
    expect(asked).toEqual([
      ["b.test", "127.0.0.1"],
      [undefined, "127.0.0.1"],
    ])
    expect((await gate.ended(2)).map(({ close }) => close.reason)).toEqual(["answered", "answered"])
  })

  test.each([
    ["-tls1_2", "a.test", 'no certificate for "a.test" in the folder of --certs'],
    ["-tls1_3", "a.test", 'no certificate for "a.test" in the folder of --certs'],
    ["-tls1_3", "", "no certificate for a client that names no server in the folder of --certs"],
  ])("none: the client gets unrecognized_name (%s %p)", async (version, name, reason) => {
    if (!installed("openssl")) return
    using gate = gateway(async (connection) => {
      await connection.terminate()
      return respond("never")
    })
    const said = await sClient(gate.port, [version, ...(name === "" ? ["-noservername"] : ["-servername", name])])
    expect([alertIn(said), said.stdout]).toEqual(["tlsv1 unrecognized name", ""])
    expect((await gate.ended(1))[0]).toMatchObject({
      policy: { decision: null, reason },
      close: { reason: "tls-handshake-failed", by: "gateway" },
    })
    expect(gate.failures).toEqual([])
  })

  test("that cannot be asked for are a failure of the policy", async () => {
    using gate = gateway(ofTheStore, {}, { certificates: () => Promise.reject(new Error("the folder is gone")) })
    using client = await connectTls(gate.port, trusting)
    expect(await client.secured()).toBe(false)
    expect((await gate.ended(1))[0]).toMatchObject({
      policy: { reason: "the folder is gone" },
      close: { reason: "policy-failed" },
    })
  })
})

describe("versions, protocols and ciphers", () => {
  const policies: Readonly<Record<string, TerminateOptions>> = {
    "the defaults": {},
    "TLS 1.3 alone": { minVersion: "1.3" },
    "TLS 1.2 alone": { maxVersion: 1.2 },
    "one cipher": { ciphers: "ECDHE-ECDSA-CHACHA20-POLY1305", maxVersion: "TLSv1.2" },
    "another cipher": { certificates: rsa, ciphers: "ECDHE-ECDSA-CHACHA20-POLY1305", maxVersion: "TLSv1.2" },
    RSA: { certificates: rsa },
    "h2 and foo": { alpn: ["h2", "foo"] },
    h2: { alpn: ["h2"] },
  }
  test.each([
    ["the defaults", ["-tls1_2"], '"TLSv1.2"'],
    ["the defaults", ["-tls1_3"], '"TLSv1.3"'],
    ["TLS 1.3 alone", [], '"TLSv1.3"'],
    ["TLS 1.2 alone", [], '"TLSv1.2"'],
    ["one cipher", [], '"ECDHE-ECDSA-CHACHA20-POLY1305"'],
    ["h2 and foo", ["-alpn", "foo,h2"], '"alpn":"h2"'],
    ["the defaults", ["-alpn", "foo"], '"resumed":false'],
    // Its first guess at a group is one that is not taken here, so that it has to send a second hello.
    ["the defaults", ["-tls1_3", "-groups", "P-521:P-256"], '"TLSv1.3"'],
  ])("%s: a client with %j is served", async (policy, args, expected) => {
    if (!installed("openssl")) return
    using gate = gateway(facts(policies[policy]))
    expect((await sClient(gate.port, args)).stdout).toContain(expected)
  })

  const noVersion = "no TLS version that both sides speak (UNSUPPORTED_PROTOCOL)"
  const noFallback = "inappropriate fallback (INAPPROPRIATE_FALLBACK)"
  const noCipher = "no certificate and cipher suite that both sides can use (NO_SHARED_CIPHER)"
  const noProtocol = "no application protocol that both sides speak (NO_APPLICATION_PROTOCOL)"
  test.each([
    ["TLS 1.3 alone", ["-tls1_2"], "tlsv1 alert protocol version", noVersion],
    ["TLS 1.2 alone", ["-tls1_3"], "tlsv1 alert protocol version", noVersion],
    ["the defaults", ["-tls1_2", "-fallback_scsv"], "tlsv1 alert inappropriate fallback", noFallback],
    ["the defaults", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "tlsv1 alert protocol version", noVersion],
    ["RSA", ["-tls1_2", "-cipher", "AES128-SHA"], "sslv3 alert handshake failure", noCipher],
    ["RSA", ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "sslv3 alert handshake failure", noCipher],
    ["another cipher", ["-tls1_2"], "sslv3 alert handshake failure", noCipher],
    ["h2", ["-tls1_2", "-alpn", "foo"], "tlsv1 alert no application protocol", noProtocol],
    ["h2", ["-tls1_3", "-alpn", "foo"], "tlsv1 alert no application protocol", noProtocol],
  ])("%s: a client with %j gets %p", async (policy, args, alert, reason) => {
    if (!installed("openssl")) return
    using gate = gateway(facts(policies[policy]))
    expect(alertIn(await sClient(gate.port, args))).toBe(alert)
    expect((await gate.ended(1))[0]).toMatchObject({
      tls: null,
      policy: { decision: null, reason },
      close: { reason: "tls-handshake-failed", by: "gateway" },
    })
    expect([gate.failures, gate.internalErrors]).toEqual([[], []])
  })

  test("sslscan finds nothing weak at the defaults", async () => {
    if (!installed("sslscan")) return
    using up = upstream(answers(() => "x"))
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: [ecdsa, rsa] })
      return route(up.url)
    })
    const scan = ["sslscan", "--no-colour", "--show-sigs", "--xml=-", `--sni-name=a.test`, `127.0.0.1:${gate.port}`]
    const { stdout: xml } = await runClient(scan)
    const tags = (name: string) =>
      Array.from(xml.matchAll(new RegExp(`<${name} ([^>]*?)/?>`, "g")), ([, attributes]) =>
        Object.fromEntries(Array.from(attributes!.matchAll(/([\w-]+)="([^"]*)"/g), ([, key, value]) => [key!, value!])),
      )
    const enabled = tags("protocol")
      .filter((protocol) => protocol["enabled"] === "1")
      .map(({ type, version }) => `${type} ${version}`)
    expect(enabled.sort()).toEqual(["tls 1.2", "tls 1.3"])
    const ciphers = tags("cipher").map((cipher) => cipher["cipher"]!)
    expect(ciphers.length).toBeGreaterThan(6)
    for (const cipher of ciphers)
      expect(cipher).toMatch(
        /^TLS_(AES_\d+_GCM|CHACHA20_POLY1305)_SHA\d+$|^ECDHE-(RSA|ECDSA)-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)$/,
      )
    expect(tags("renegotiation")).toEqual([{ supported: "0", secure: "0" }])
    expect(tags("heartbleed").map(({ vulnerable }) => vulnerable)).toEqual(["0", "0"])
    for (const { name } of tags("group")) expect(name).toMatch(/^(x25519|secp256r1|secp384r1|secp521r1)/i)
    expect(tags("group").length).toBeGreaterThan(2)
    for (const { name } of tags("connection-signature-algorithm")) expect(name).not.toMatch(/sha1|md5|sha224|dsa_sha1/i)
  })
})

/** What a policy that catches nothing, or catches and routes, comes to. */
const routing = (target: string, options?: TerminateOptions) => ({
  uncaught: async (connection: Connection) => {
    await connection.terminate({ certificates: ecdsa, ...options })
    return route(target)
  },
  caught: async (connection: Connection) => {
    await connection.terminate({ certificates: ecdsa, ...options }).catch(() => undefined)
    return route(target)
  },
})

describe("a terminate that fails", () => {
  describe.each(["uncaught", "caught"] as const)("%s", (which) => {
    test("for a client that does not speak TLS", async () => {
      using up = upstream()
      using gate = gateway(routing(up.url)[which])
      using client = await connect(gate.port, { first: "GET / HTTP/1.1\r\n\r\n" })
      expect([await client.text(), client.code]).toEqual(["", undefined])
      client.end()
      expect((await gate.ended(1))[0]).toMatchObject({
        policy: { decision: null, reason: "the client does not speak TLS" },
        close: { reason: "tls-handshake-failed", by: "gateway" },
      })
      expect([up.accepted, gate.failures]).toEqual([[], []])
    })

    test("for a client that refuses the certificate", async () => {
      if (!installed("openssl", "curl", "gnutls-cli")) return
      using up = upstream()
      using gate = gateway(routing(up.url)[which])
      const { code } = await sClient(gate.port, ["-tls1_2", "-verify_return_error"])
      await sClient(gate.port, ["-tls1_3", "-verify_return_error"])
      const url = `https://a.test:${gate.port}`
      await runClient(["curl", "-sS", "--resolve", `a.test:${gate.port}:127.0.0.1`, url])
      await runClient(["gnutls-cli", "-p", String(gate.port), "localhost"])
      using bun = await connectTls(gate.port, { serverName: "a.test" }, { hail: "hi" })
      await bun.closes()
      expect(code).toBe(1)
      const unreadable = "an unreadable record: a client of OpenSSL sends it when it does not trust the certificate"
      const events = await gate.ended(5)
      expect(events.map(({ policy }) => policy!.reason)).toEqual([
        "the other end sent the alert unknown_ca",
        unreadable,
        unreadable,
        "the other end sent the alert bad_certificate",
        events[4]!.policy!.reason,
      ])
      for (const { close, policy } of events) {
        expect([close, policy!.decision]).toEqual([{ reason: "tls-handshake-failed", by: "client" }, null])
      }
      expect([up.accepted, gate.failures, gate.internalErrors]).toEqual([[], [], []])
    })

    test("for a client that goes away during the handshake", async () => {
      using up = upstream()
      using gate = gateway(routing(up.url)[which])
      for (const leave of ["end", "reset"] as const) {
        const back = (chunk: Uint8Array, { server }: { server: { end(): void; reset(): void } }) => {
          server[leave]()
          return chunk
        }
        using line = cable(gate.port, { back })
        using _ = await connectTls(line.port, trusting)
        const { close, policy } = (await gate.ended(gate.events.length + 1)).at(-1)!
        expect([close, policy!.reason]).toEqual([
          { reason: "tls-handshake-failed", by: "client" },
          "the connection was closed during the handshake",
        ])
      }
      expect([up.accepted, gate.failures]).toEqual([[], []])
    })

    test("for a client whose FIN comes right behind its hello", async () => {
      using up = upstream()
      const { promise, resolve } = Promise.withResolvers<void>()
      using gate = gateway(async (connection) => {
        await connection.hello()
        await promise
        return routing(up.url)[which](connection)
      })
      using client = await connect(gate.port, { first: await hello() })
      client.end()
      await eventually(() => [...gate.path.live][0]?.client.ended === true)
      resolve()
      expect((await gate.ended(1))[0]).toMatchObject({
        policy: { reason: "the client's FIN came behind its hello" },
        close: { reason: "tls-handshake-failed", by: "gateway" },
      })
    })

    test("for a client that sends junk behind its hello", async () => {
      using up = upstream()
      using gate = gateway(routing(up.url)[which])
      using client = await connect(gate.port, { first: Buffer.concat([await hello(), Buffer.alloc(500, 7)]) })
      await client.stops()
      const [event] = await gate.ended(1)
      expect(event!.close).toEqual({ reason: "tls-handshake-failed", by: "gateway" })
      expect(event!.policy!.reason).toBe("the other end does not speak TLS (WRONG_VERSION_NUMBER)")
      expect(up.accepted).toEqual([])
    })

    test("for a client that does not finish in time", async () => {
      using up = upstream()
      using gate = gateway(routing(up.url)[which], { handshakeDeadline: 300 })
      using client = await connect(gate.port, { first: await hello() })
      const started = performance.now()
      expect(await client.closes()).toBe("ECONNRESET")
      expect(performance.now() - started).toBeGreaterThan(300)
      expect((await gate.ended(1))[0]).toMatchObject({
        policy: { reason: "no handshake within 300 ms" },
        close: { reason: "tls-handshake-failed", by: "gateway" },
      })
      expect(client.received).toBeGreaterThan(500)
    })
  })

  test("for a hello that is none: uncaught with its own reason, caught as any failure of terminate", async () => {
    using up = upstream()
    const junk = Uint8Array.of(0x16, 3, 1, 0, 5, 2, 0, 0, 1, 5)
    const found: unknown[] = []
    for (const which of ["uncaught", "caught"] as const) {
      using gate = gateway(routing(up.url)[which])
      using client = await connect(gate.port, { first: junk })
      await client.stops()
      client.end()
      const [event] = await gate.ended(1)
      found.push([event!.close.reason, event!.policy!.reason])
      expect(gate.failures).toEqual([])
    }
    const [[, reason]] = found as [[string, string]]
    expect(found).toEqual([
      ["hello-invalid", reason],
      ["tls-handshake-failed", reason],
    ])
  })

  test.concurrent("for a client that says nothing for 3 seconds", async () => {
    using up = upstream()
    using gate = gateway(routing(up.url).uncaught)
    using client = await connect(gate.port)
    const started = performance.now()
    expect(await client.stops()).toBe("FIN")
    expect(performance.now() - started).toBeWithin(2950, 3900)
    client.end()
    expect((await gate.ended(1))[0]!.close.reason).toBe("preread-timeout")
    expect(gate.failures).toEqual([])
  })

  describe("for its options", () => {
    const other = pair(ca.issue({ names: ["other.test"] }))
    const junk = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    const request = { clientCertificate: "request", ca: ca.cert } as const
    const encrypted = openssl(["pkcs8", "-topk8", "-passout", "pass:x"], ecdsa.key)
    test.each<[string, TerminateOptions, string]>([
      [
        "a key of another certificate",
        { certificates: { cert: ecdsa.cert, key: other.key } },
        "terminate: certificate: the private key does not belong to the certificate (CN=a.test)",
      ],
      [
        "a key of another kind",
        { certificates: [rsa, { cert: ecdsa.cert, key: rsa.key }] },
        "terminate: certificate 2 of 2: the private key does not belong to the certificate (CN=a.test)",
      ],
      [
        "a key that is encrypted",
        { certificates: { cert: ecdsa.cert, key: encrypted } },
        "terminate: certificate: the private key for the certificate (CN=a.test) cannot be read, or is encrypted",
      ],
      [
        "no certificate",
        { certificates: { cert: junk, key: ecdsa.key } },
        "terminate: certificate: cert cannot be read",
      ],
      ["no authority", { ...request, ca: junk }, "terminate: ca cannot be read"],
      [
        "no list of revoked certificates",
        { ...request, crl: junk.replaceAll("CERTIFICATE", "X509 CRL") },
        "terminate: crl cannot be read",
      ],
      ["no cipher", { ciphers: "FOO:BAR" }, 'terminate: ciphers: none is known of "FOO:BAR"'],
      [
        "a wrong name",
        { minversion: "1.3" } as never,
        'terminate: there is no option "minversion"; did you mean "minVersion"?',
      ],
    ])("%s", async (_, options, message) => {
      using up = upstream()
      using gate = gateway(routing(up.url, options).uncaught)
      using client = await connectTls(gate.port, trusting)
      expect(await client.secured()).toBe(false)
      const [event] = await gate.ended(1)
      expect(event!.close).toEqual({ reason: "policy-failed", by: "gateway" })
      expect(event!.policy!.reason).toContain(message)
      expect(gate.failures.map(({ error }) => (error as Error).message)).toEqual([event!.policy!.reason!])
      expect(up.accepted).toEqual([])
    })

    test("is no way to have it passed through either", async () => {
      using up = upstream()
      using gate = gateway(routing(up.url, { certificates: { cert: ecdsa.cert, key: other.key } }).caught)
      using client = await connectTls(gate.port, trusting)
      expect(await client.secured()).toBe(false)
      const [event] = await gate.ended(1)
      expect(event!.close.reason).toBe("tls-handshake-failed")
      expect(event!.policy!.reason).toContain("the private key does not belong")
      expect(up.accepted).toEqual([])
    })
  })

  test("because it was called twice", async () => {
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: ecdsa })
      await connection.terminate({ certificates: ecdsa })
      return respond("never")
    })
    using client = await connectTls(gate.port, trusting)
    expect([await client.secured(), await client.text()]).toEqual([true, ""])
    client.end()
    expect((await gate.ended(1))[0]).toMatchObject({
      tls: { version: "TLSv1.3" },
      policy: { reason: "terminate: once per connection" },
      close: { reason: "policy-failed" },
    })
  })

  test.each<[string, (connection: Connection, target: string) => unknown]>([
    ["at once", (_, target) => route(target)],
    ["later", async (_, target) => (await undefined, route(target))],
    ["during the handshake", async (connection, target) => (await connection.hello(), await undefined, route(target))],
  ])("because the policy decides %s, while it is under way", async (_, decide) => {
    using up = upstream()
    const problems: unknown[] = []
    using gate = gateway((connection) => {
      connection.terminate({ certificates: ecdsa }).catch((error) => problems.push((error as Error).message))
      return decide(connection, up.url)
    })
    using client = await connectTls(gate.port, trusting)
    await client.stops()
    expect(client.received).toBe(0)
    client.end()
    expect((await gate.ended(1))[0]).toMatchObject({
      policy: {
        decision: null,
        reason: "decided while terminate() was under way; write: await connection.terminate()",
      },
      close: { reason: "policy-failed", by: "gateway" },
    })
    expect([problems.length, up.accepted]).toEqual([1, []])
  })

  test("because the policy passes while it is under way, and the next one decides", async () => {
    using up = upstream()
    const problems: unknown[] = []
    const listen = "tcp://127.0.0.1:0"
    using gate = gateway([
      {
        listen,
        on_tcp_connect(connection) {
          connection.terminate({ certificates: ecdsa }).catch((error) => problems.push((error as Error).message))
          return next
        },
      },
      { on_tcp_connect: () => route(up.url) },
    ])
    using client = await connectTls(gate.port, trusting)
    expect(await client.secured()).toBe(false)
    client.end()
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "policy-failed", by: "gateway" })
    expect([problems.length, up.accepted]).toEqual([1, []])
  })
})

/** Holds what the client says after its hello until so many milliseconds have gone by. */
const delayed = (port: number, milliseconds: number) => {
  const started = performance.now()
  return cable(port, {
    async forth(chunk, _, before) {
      if (before > 0) await eventually(() => performance.now() - started > milliseconds)
      return chunk
    },
  })
}

describe("the clock of the policy", () => {
  test("stands still during the handshake", async () => {
    using gate = gateway(facts(), { policyDeadline: 300 })
    using line = delayed(gate.port, 900)
    using client = await connectTls(line.port, trusting)
    expect(await client.secured()).toBe(true)
    expect(await client.text()).toContain('"resumed":false')
    gate.path.letGo()
    expect((await gate.ended(1))[0]!.close.reason).toBe("answered")
  })

  test("also when the policy waits for bytes at the same time, and goes on afterwards", async () => {
    using gate = gateway(
      async (connection) => {
        const peeked = connection.peek(2)
        await connection.terminate({ certificates: ecdsa })
        await peeked
        await new Promise(() => undefined)
        return deny()
      },
      { policyDeadline: 300 },
    )
    using line = delayed(gate.port, 900)
    using client = await connectTls(line.port, trusting, { hail: "hi" })
    expect(await client.text()).toBe("")
    const secured = client.agreed?.ok
    gate.path.letGo()
    const [event] = await gate.ended(1)
    expect([secured, event!.close.reason]).toEqual([true, "policy-timeout"])
  })
})
