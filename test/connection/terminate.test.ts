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

  test("with redis-cli, to a real Redis behind", async () => {
    if (!installed("redis-server", "redis-cli")) return
    await using redis = await startRedis()
    using gate = gateway(async (connection) => {
      await connection.terminate({ certificates: ecdsa })
      expect(await connection.protocol()).toMatchObject({ protocol: "redis" })
      return route(`tcp://127.0.0.1:${redis.port}`)
    })
    const cli = ["redis-cli", "-h", "127.0.0.1", "-p", String(gate.port), "--tls", "--cacert", ca.path, "--sni", "a.test"]
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
    const options = { host: "127.0.0.1", port: gate.port, ca: ca.cert, servername: "a.test", ecdhCurve: "X25519MLKEM768" }
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
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors"]
    const hosts = `--host-resolver-rules=MAP * 127.0.0.1`
    for (const { port } of [inner, outer]) {
      const dump = ["--virtual-time-budget=1", "--dump-dom", `https://a.test:${port}/`]
      const { stdout } = await runClient(["chromium", ...flags, hosts, `--user-data-dir=${folder}`, ...dump])
      expect(stdout).toContain("<p id=\"hello\">terminated</p>")
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
    const policy = async (connection: Connection) => respond(JSON.stringify(await connection.terminate()))
    using gate = gateway(policy, {}, { certificates })
    await sClient(gate.port, ["-servername", "B.test", "-verify_return_error", "-CAfile", ca.path])
    await sClient(gate.port, ["-noservername", "-verify_return_error", "-CAfile", ca.path])
    expect(asked).toEqual([
      ["b.test", "127.0.0.1"],
      [undefined, "127.0.0.1"],
    ])
    expect((await gate.ended(2)).map(({ close }) => close.reason)).toEqual(["answered", "answered"])
  })

  test.each([
    ["-tls1_2", "a.test", 'no certificate for "a.test"'],
    ["-tls1_3", "a.test", 'no certificate for "a.test"'],
    ["-tls1_3", "", "no certificate for a client that names no server"],
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
    using gate = gateway(
      async (connection) => respond(JSON.stringify(await connection.terminate())),
      {},
      { certificates: () => Promise.reject(new Error("the folder is gone")) },
    )
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
      expect(cipher).toMatch(/^TLS_(AES_\d+_GCM|CHACHA20_POLY1305)_SHA\d+$|^ECDHE-(RSA|ECDSA)-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)$/)
    expect(tags("renegotiation")).toEqual([{ supported: "0", secure: "0" }])
    expect(tags("heartbleed").map(({ vulnerable }) => vulnerable)).toEqual(["0", "0"])
    for (const { name } of tags("group")) expect(name).toMatch(/^(x25519|secp256r1|secp384r1|secp521r1)/i)
    expect(tags("group").length).toBeGreaterThan(2)
    for (const { name } of tags("connection-signature-algorithm")) expect(name).not.toMatch(/sha1|md5|sha224|dsa_sha1/i)
  })
})
