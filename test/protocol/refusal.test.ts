import { connect as connectHttp2 } from "node:http2"
import { describe, expect, test } from "bun:test"
import { alert } from "../../src/protocol/alert.ts"
import { detect, type Protocol } from "../../src/protocol/index.ts"
import { declineEncryption, isRefusable, REFUSABLE, refusal, type Refusable } from "../../src/protocol/refusal.ts"
import { line, NO_REASON } from "../../src/protocol/refusal/line.ts"
import { postgresError } from "../../src/protocol/refusal/postgres.ts"
import { run } from "../helper/cli.ts"
import { random } from "../helper/random.ts"
import { installed } from "../helper/servers.ts"
import { upstream, type Upstream } from "../helper/upstream.ts"
import type { Wire } from "../helper/wire.ts"
import { hello } from "./hello.ts"
import { samples } from "./samples.ts"

const text = (bytes: Uint8Array | undefined) => new TextDecoder("utf-8", { fatal: true }).decode(bytes)
const bytesOf = (content: string) => new TextEncoder().encode(content)
/** Text in which one character is one byte. */
const latin1 = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("latin1")

describe("the line", () => {
  test("what could act on a terminal or break the line is replaced", () => {
    expect(line("a\r\nb\tc\u2028d\u0085e")).toBe("a b c d e")
    expect(line("\u001b[2Ja\u0000b\u009bc\u007fd")).toBe("?[2Ja?b?c?d")
    expect(line("a\u202eb\u2066c\u200bd\ufeffe\u{e0041}f\ud800g\ue000h")).toBe("a?b?c?d?e?f?g?h")
  })

  test("ordinary text of any language stays as it is", () => {
    const ordinary = "Grüße, 日本語, العربية, 🦜 'quotes' \\ \"more\" <b>&amp;"
    expect(line(ordinary)).toBe(ordinary)
  })

  test("it is never empty", () => {
    expect([undefined, "", " \r\n "].map(line)).toEqual([NO_REASON, NO_REASON, NO_REASON])
  })

  test("it ends before the character that does not fit", () => {
    expect(line("x".repeat(1000))).toBe("x".repeat(255))
    expect(line("é".repeat(1000))).toBe("é".repeat(127))
    expect(line("日".repeat(1000))).toBe("日".repeat(85))
    expect(line(`x${"🦜".repeat(1000)}`)).toBe(`x${"🦜".repeat(63)}`)
  })

  test("any text becomes one printable line of at most 255 bytes of UTF-8, and stays what it then is", () => {
    const { text: arbitrary } = random(255)
    const pieces = ["a", " ", "#", "'", "<", "é", "日", "🦜", "\n", "\r", "\0", "\u001b", "\u202e", "\ud83e", "\udd9c"]
    for (let round = 0; round < 20_000; round++) {
      const reason = arbitrary(pieces, 300)
      const found = line(reason)
      const bytes = bytesOf(found)
      const problem =
        bytes.length === 0 || bytes.length > 255 || text(bytes) !== found || /[\p{C}\p{Zl}\p{Zp}]/u.test(found)
      if (problem || line(found) !== found) throw new Error(JSON.stringify([reason, found]))
    }
  })
})

/** The first message of this protocol among the samples that has these facts. */
function sample(facts: Partial<Protocol>): Protocol {
  const wanted = Object.entries(facts)
  const found = samples.find(([, match]) => wanted.every(([key, value]) => Reflect.get(match, key) === value))
  if (found === undefined) throw new Error(`no sample of ${JSON.stringify(facts)}`)
  return found[1]
}

const tls = detect(hello({ sni: "a.example" })) as Protocol

describe("the bytes", () => {
  test("http: a page", () => {
    const page =
      '<!doctype html><meta charset="utf-8"><title>403 Forbidden</title><h1>403 Forbidden</h1>' +
      "<p>&#60;a&#62; &#38; &#34;b&#34; &#39;é&#39;</p>\n"
    const head =
      "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html; charset=utf-8\r\n" +
      `Content-Length: ${bytesOf(page).length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n`
    const get = sample({ protocol: "http", method: "GET" })
    expect(text(refusal("http", `<a> & "b" 'é'`, get))).toBe(head + page)
    expect(text(refusal("http", `<a> & "b" 'é'`, undefined))).toBe(head + page)
    expect(text(refusal("http", `<a> & "b" 'é'`, { ...get, method: "HEAD" } as Protocol))).toBe(head)
  })

  test("http2: settings, then GOAWAY with the reason, also where http is named", () => {
    const settings = "\0\0\0\x04\0\0\0\0\0"
    const expected = `${settings}\0\0\x0a\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01no`
    const spoken = sample({ protocol: "http2" })
    expect(latin1(refusal("http2", "no", spoken))).toBe(expected)
    expect(latin1(refusal("http", "no", spoken))).toBe(expected)
  })

  test("postgres: a fatal error", () => {
    const expected = "E\0\0\0\x1eSFATAL\0VFATAL\0C28000\0Mno\0\0"
    expect(latin1(refusal("postgres", "no", sample({ protocol: "postgres", kind: "startup" })))).toBe(expected)
    expect(latin1(refusal("postgres", "no", undefined))).toBe(expected)
    expect(latin1(postgresError("no", "08P01"))).toBe(expected.replace("28000", "08P01"))
    expect(refusal("postgres", "no", sample({ protocol: "postgres", kind: "cancel" }))).toBeUndefined()
  })

  test("postgres: encryption is declined first", () => {
    for (const kind of ["ssl-request", "gss-request"] as const) {
      const spoken = sample({ protocol: "postgres", kind })
      expect(latin1(declineEncryption(spoken))).toBe("N")
      expect(refusal("postgres", "no", spoken)).toEqual(postgresError("no"))
    }
    for (const kind of ["startup", "cancel"] as const) {
      expect(declineEncryption(sample({ protocol: "postgres", kind }))).toBeUndefined()
    }
    expect([undefined, tls].map(declineEncryption)).toEqual([undefined, undefined])
  })

  test("mysql: an error in place of the greeting", () => {
    expect(latin1(refusal("mysql", "no", undefined))).toBe("\x05\0\0\0\xff\x6a\x04no")
    expect(latin1(refusal("mysql", "#1 is no state", undefined))).toBe("\x12\0\0\0\xff\x6a\x04 #1 is no state")
    expect(latin1(refusal("mysql", "x".repeat(255), undefined)).slice(0, 4)).toBe("\x02\x01\0\0")
    expect(refusal("mysql", "no", sample({ protocol: "mysql" }))).toBeUndefined()
  })

  test("ssh: an identification and a disconnect, padded to blocks of 8", () => {
    const expected = "SSH-2.0-tidegate\r\n\0\0\0\x14\x04\x01\0\0\0\x01\0\0\0\x02no\0\0\0\0"
    expect(latin1(refusal("ssh", "no", undefined))).toBe(`${expected}\0\0\0\0`)
    const identification = "SSH-2.0-tidegate\r\n".length
    for (let size = 1; size <= 255; size++) {
      const packet = refusal("ssh", "x".repeat(size), undefined)!.subarray(identification)
      const padding = packet[4]!
      expect([packet.length % 8, Buffer.from(packet).readUInt32BE(0)]).toEqual([0, packet.length - 4])
      // Length, length of the padding, type, code, and the lengths of the text and of its language.
      expect([packet.length - padding, padding >= 4 && padding < 12]).toEqual([5 + 1 + 4 + 4 + size + 4, true])
    }
  })

  test("redis: an error", () => {
    expect(text(refusal("redis", "a\r\nb", sample({ protocol: "redis" })))).toBe("-ERR a b\r\n")
  })

  test("mqtt: a CONNACK in the client's version", () => {
    const refused = "\x20\x02\0\x05"
    for (const version of ["3.1", "3.1.1"] as const) {
      expect(latin1(refusal("mqtt", "no", sample({ protocol: "mqtt", version })))).toBe(refused)
    }
    expect(latin1(refusal("mqtt", "no", undefined))).toBe(refused)
    const spoken = sample({ protocol: "mqtt", version: "5" })
    expect(latin1(refusal("mqtt", "no", spoken))).toBe("\x20\x08\0\x87\x05\x1f\0\x02no")
    const long = "x".repeat(255)
    expect(latin1(refusal("mqtt", long, spoken))).toBe(`\x20\x86\x02\0\x87\x82\x02\x1f\0\xff${long}`)
  })

  test("mqtt: no reason where the packet would be longer than the client takes", () => {
    const properties = [0x11, 0, 0, 0, 1, 0x26, 0, 1, 97, 0, 1, 98, 0x27, 0, 0, 0, 10]
    const rest = [0, 4, 77, 81, 84, 84, 5, 2, 0, 60, properties.length, ...properties, 0, 1, 99]
    const spoken = detect(Uint8Array.of(0x10, rest.length, ...rest)) as Protocol
    expect(spoken).toMatchObject({ protocol: "mqtt", version: "5", clientId: "c", maximumPacketSize: 10 })
    expect(latin1(refusal("mqtt", "no", spoken))).toBe("\x20\x08\0\x87\x05\x1f\0\x02no")
    expect(latin1(refusal("mqtt", "not", spoken))).toBe("\x20\x03\0\x87\0")
  })

  test("minecraft: a disconnect for who joins", () => {
    const login = sample({ protocol: "minecraft", nextState: "login" })
    const expected = '\x0f\0\x0d{"text":"no"}'
    expect(latin1(refusal("minecraft", "no", login))).toBe(expected)
    expect(latin1(refusal("minecraft", "no", { ...login, nextState: "transfer" } as Protocol))).toBe(expected)
    const long = latin1(refusal("minecraft", '"'.repeat(255), login))
    expect(long).toBe(`\x8c\x04\0\x89\x04{"text":"${'\\"'.repeat(255)}"}`)
    expect(refusal("minecraft", "no", undefined)).toBeUndefined()
  })

  test("minecraft: the reason in the server list, also of 1.6", () => {
    const listing = sample({ protocol: "minecraft", nextState: "status", legacy: false } as Partial<Protocol>)
    const answer =
      '{"version":{"name":"Tidegate","protocol":763},"players":{"max":0,"online":0},"description":{"text":"no"}}'
    expect(latin1(refusal("minecraft", "no", listing))).toBe(
      `${String.fromCharCode(answer.length + 2)}\0${String.fromCharCode(answer.length)}${answer}`,
    )
    const legacy = sample({ protocol: "minecraft", legacy: true } as Partial<Protocol>)
    const kick = (reason: string) => {
      const bytes = Buffer.from(refusal("minecraft", reason, legacy)!)
      expect([bytes[0], bytes.readUInt16BE(1)]).toEqual([255, (bytes.length - 3) / 2])
      return bytes.subarray(3).swap16().toString("utf16le")
    }
    expect(kick("no")).toBe("§1\x0078\0Tidegate\0no\x000\x000")
    expect(kick("x".repeat(255))).toHaveLength(256)
    // 63 parrots and no half of one fit into 255 bytes and 256 characters.
    expect(kick("🦜".repeat(100))).toBe(`§1\x0078\0Tidegate\0${"🦜".repeat(63)}\x000\x000`)
  })

  test("tls, socks4, socks5: what has no room for a reason", () => {
    expect(latin1(refusal("tls", "no", tls))).toBe("\x15\x03\x03\0\x02\x02\x31")
    expect(latin1(refusal("socks4", "no", sample({ protocol: "socks4" })))).toBe("\0\x5b\0\0\0\0\0\0")
    expect(latin1(refusal("socks5", "no", sample({ protocol: "socks5" })))).toBe("\x05\xff")
  })

  test("nats and vnc: an error behind what their servers begin with", () => {
    const [info, error] = text(refusal("nats", "no", undefined)).split("\r\n")
    expect(JSON.parse(info!.slice("INFO ".length))).toMatchObject({ server_id: "tidegate", proto: 1 })
    expect(error).toBe("-ERR 'no'")
    expect(latin1(refusal("vnc", "no", undefined))).toBe("RFB 003.008\n\0\0\0\0\x02no")
  })

  test("what another protocol's message says changes nothing", () => {
    for (const name of REFUSABLE) {
      for (const [, spoken] of samples) {
        if (spoken.protocol === name || (name === "http" && spoken.protocol === "http2")) continue
        expect(refusal(name, "no", spoken)).toEqual(refusal(name, "no", undefined))
      }
    }
  })

  test("the names are a closed list, of protocols that are detected", () => {
    const detected: readonly Protocol["protocol"][] = REFUSABLE
    expect(detected.every(isRefusable)).toBe(true)
    expect(["dns", "proxy", "", "toString"].filter(isRefusable)).toEqual([])
  })
})

const REASON = "no entry: <b>café</b>"

/** A server that refuses: at once where the `silent` client waits for it, else when the client's protocol is known. */
function refusing(name: Refusable, silent = false): Upstream {
  return upstream(async (wire) => {
    let spoken = silent ? undefined : await firstMessage(wire, 0)
    for (let read = wire.received, first = declineEncryption(spoken); first !== undefined; read = wire.received) {
      await wire.write(first)
      spoken = await firstMessage(wire, read)
      first = declineEncryption(spoken)
    }
    const said = refusal(name, REASON, spoken)
    if (said !== undefined) await wire.write(said)
    wire.end()
    await wire.closes()
  })
}

async function firstMessage(wire: Wire, from: number): Promise<Protocol | undefined> {
  const read = () => detect(wire.soFar().subarray(from), wire.ended || wire.closed)
  await wire.until(() => read() !== "more")
  const found = read()
  return found === "more" ? undefined : found
}

const url = (server: Upstream) => `http://127.0.0.1:${server.port}/`

describe("what people see", () => {
  test.skipIf(!installed("curl"))("curl gets a page with status 403", async () => {
    using server = refusing("http")
    const { code, stdout } = await run([
      "curl",
      "-sS",
      "--noproxy",
      "*",
      "-w",
      "%{http_code} %{content_type}",
      url(server),
    ])
    expect(code).toBe(0)
    expect(stdout).toEndWith("<p>no entry: &#60;b&#62;café&#60;/b&#62;</p>\n403 text/html; charset=utf-8")
    expect(await run(["curl", "-sSI", "--noproxy", "*", "-w", "%{size_download}", url(server)])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^HTTP\/1\.1 403 Forbidden\r\n[^<]*\r\n\r\n0$/),
    })
    const old = await run(["curl", "-sS", "--noproxy", "*", "--http1.0", url(server)])
    expect(old.stdout).toEndWith("<p>no entry: &#60;b&#62;café&#60;/b&#62;</p>\n")
    expect((await run(["curl", "-sSp", "-x", url(server), "http://a.example/"])).stderr).toContain("403")
    expect(server.problems).toEqual([])
  })

  test("a client of HTTP/2 gets the reason with the GOAWAY", async () => {
    using server = refusing("http2")
    const session = connectHttp2(url(server))
    const { promise, resolve } = Promise.withResolvers<unknown[]>()
    session.on("error", () => undefined)
    session.on("goaway", (code, last, data) => resolve([code, last, text(data!)]))
    expect(await promise).toEqual([1, 0, REASON])
    session.destroy()
  })

  test.skipIf(!installed("psql"))("psql prints an error, also if it asks for encryption first", async () => {
    using server = refusing("postgres")
    for (const mode of ["disable", "prefer"]) {
      const where = `host=127.0.0.1 port=${server.port} user=u dbname=d sslmode=${mode}`
      const { code, stderr } = await run(["psql", where, "-c", "select 1"])
      expect([code, stderr]).toEqual([2, expect.stringContaining(`FATAL:  ${REASON}\n`)])
    }
    // It left its plain connection without another one.
    expect([server.accepted.length, server.problems]).toEqual([2, []])
  })

  test.skipIf(!installed("mysql"))("mysql prints an error", async () => {
    using server = refusing("mysql", true)
    const { code, stderr } = await run([
      "mysql",
      "-h",
      "127.0.0.1",
      "-P",
      `${server.port}`,
      "-u",
      "u",
      "-e",
      "select 1",
    ])
    expect([code, stderr]).toEqual([1, expect.stringContaining("1130")])
    expect(stderr).toContain(REASON)
  })

  test.skipIf(!installed("ssh"))("ssh prints the disconnect message", async () => {
    using server = refusing("ssh")
    const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
    const command = ["ssh", "-F", "none", ...options.flatMap((option) => ["-o", option]), "-p", `${server.port}`]
    const { code, stderr } = await run([...command, "127.0.0.1", "true"])
    expect(code).toBe(255)
    // It escapes what is not ASCII.
    const escaped = REASON.replace("é", "\\303\\251")
    expect(stderr).toContain(`Received disconnect from 127.0.0.1 port ${server.port}:1: ${escaped}\r\n`)
  })

  test.skipIf(!installed("redis-cli"))("redis-cli prints an error", async () => {
    using server = refusing("redis")
    const { stdout } = await run(["redis-cli", "-p", `${server.port}`, "get", "key"])
    expect(stdout.trim()).toBe(`ERR ${REASON}`)
  })

  test.skipIf(!installed("mosquitto_pub", "mosquitto_sub"))("mosquitto's clients are not authorized", async () => {
    using server = refusing("mqtt")
    const at = ["-h", "127.0.0.1", "-p", `${server.port}`, "-t", "a"]
    for (const version of ["mqttv31", "mqttv311"]) {
      const { code, stderr } = await run(["mosquitto_pub", ...at, "-m", "b", "-i", "c", "-V", version])
      expect([code, stderr]).toEqual([5, expect.stringMatching(/Connection Refused: not authori[sz]ed/)])
    }
    const { code, stderr } = await run(["mosquitto_sub", ...at, "-V", "5"])
    expect([code, stderr]).toEqual([135, expect.stringMatching(/Not authori[sz]ed/)])
  })

  test.skipIf(!installed("openssl"))("openssl s_client prints every alert by its number", async () => {
    const alerts = {
      handshake_failure: 40,
      access_denied: 49,
      decode_error: 50,
      protocol_version: 70,
      internal_error: 80,
      unrecognized_name: 112,
      no_application_protocol: 120,
    } as const
    for (const [description, number] of Object.entries(alerts)) {
      using server = upstream(async (wire) => {
        await firstMessage(wire, 0)
        await wire.write(alert(description as keyof typeof alerts))
        wire.end()
        await wire.closes()
      })
      const { code, stderr } = await run(["openssl", "s_client", "-connect", `127.0.0.1:${server.port}`])
      expect([code, stderr]).toEqual([1, expect.stringContaining(`SSL alert number ${number}\n`)])
    }
  })

  test.skipIf(!installed("curl"))("curl is told by the alert, and by SOCKS proxies", async () => {
    using secure = refusing("tls")
    const alerted = await run(["curl", "-sS", "--noproxy", "*", `https://127.0.0.1:${secure.port}/`])
    expect([alerted.code, alerted.stderr]).toEqual([35, expect.stringMatching(/access.denied/i)])
    for (const [name, scheme, said] of [
      ["socks4", "socks4a", "request rejected or failed"],
      ["socks5", "socks5h", "No authentication method was acceptable"],
    ] as const) {
      using server = refusing(name)
      const { code, stderr } = await run([
        "curl",
        "-sS",
        "-x",
        `${scheme}://127.0.0.1:${server.port}`,
        "http://a.example/",
      ])
      expect([code, stderr]).toEqual([97, expect.stringContaining(said)])
    }
  })
})
