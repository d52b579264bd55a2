// A connection whose TLS has ended here: what policies read, bytes both ways, every ending, and hostile clients.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, respond, route, type Decision } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import type { TerminateOptions } from "../../src/policy/terminate.ts"
import { unsent } from "../../src/native/socket.ts"
import { cable } from "../helper/cable.ts"
import { authority, type Issued } from "../helper/certificates.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { soon } from "../helper/pieces.ts"
import { program, installed } from "../helper/servers.ts"
import { connectTls, type TlsWire, type TlsWireOptions } from "../helper/tls-wire.ts"
import { answers, resetDelivered, stalls, upstream } from "../helper/upstream.ts"
import type { Wire } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const pair = ({ cert, key }: Issued) => ({ cert, key })
const ca = authority()
const certificates = pair(ca.issue({ names: ["a.test"] }))
/** The numbers that TLS has for its versions. */
const VERSIONS = { "TLS 1.2": 0x303, "TLS 1.3": 0x304 } as const
type Version = keyof typeof VERSIONS

/** Terminates, and decides. */
function terminating(decide: (connection: Connection) => Decision | Promise<Decision>, options: TerminateOptions = {}) {
  return async (connection: Connection) => {
    await connection.terminate({ certificates, ...options })
    return decide(connection)
  }
}

function dialIn(port: number, version: Version = "TLS 1.3", options: TlsWireOptions = {}): Promise<TlsWire> {
  const maxVersion = VERSIONS[version]
  return connectTls(port, { ca: ca.cert, serverName: "a.test", maxVersion } as Bun.TLSOptions, options)
}

/** Bytes that differ by position, so that a lost or doubled part shows in the hash. */
function body(length: number): Uint8Array {
  const words = new Uint32Array(new ArrayBuffer(Math.ceil(length / 4) * 4))
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 0x9e3779b1)
  return new Uint8Array(words.buffer, 0, length)
}

const sha1 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha1").update(bytes).digest("hex")

async function closeOf(gate: TestGateway) {
  const [event] = await gate.ended(1)
  const { bytes_in, bytes_out } = event!.conn
  return { ...event!.close, bytes_in, bytes_out }
}

/** The types and lengths of records. */
function recordsIn(bytes: Buffer): [type: number, length: number][] {
  const records: [number, number][] = []
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3))
    records.push([bytes[at]!, bytes.readUInt16BE(at + 3)])
  return records
}

/** Passes a chunk on byte by byte, each once the one before has arrived. */
const bitwise = async (chunk: Uint8Array, strand: { server: Wire }) => {
  for (let i = 0; i + 1 < chunk.length; i++) {
    await strand.server.write(chunk.subarray(i, i + 1))
    await soon(() => unsent(strand.server.fd) === 0)
  }
  return chunk.subarray(-1)
}

describe.each(["TLS 1.2", "TLS 1.3"] as const)("over %s", (version) => {
  test("peek, protocol and the relay see plain text, to the unit", async () => {
    using up = upstream()
    const seen: unknown[] = []
    using gate = gateway(
      terminating(async (connection) => {
        seen.push(new TextDecoder().decode(await connection.peek(4)))
        seen.push(await connection.protocol())
        return route(up.url)
      }),
    )
    const request = "GET /path HTTP/1.1\r\nHost: b.test\r\n\r\n"
    using client = await dialIn(gate.port, version, { hail: request })
    expect(new TextDecoder().decode(await client.atLeast(request.length))).toBe(request)
    client.end()
    expect(await client.stops()).toBe("FIN")
    expect(seen).toEqual([request, expect.objectContaining({ protocol: "http", method: "GET", host: "b.test" })])
    const n = request.length
    expect(await closeOf(gate)).toEqual({ reason: "client-closed", by: "client", bytes_in: n, bytes_out: n })
    expect(up.problems).toEqual([])
  })

  test("a server that speaks first is heard", async () => {
    using up = upstream(async (wire) => {
      await wire.write("220 ready\r\n")
      await wire.atLeast(6)
      await wire.write("221 bye\r\n")
      wire.end()
    })
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version)
    await client.atLeast(11)
    await client.write("QUIT\r\n")
    expect(await client.text()).toBe("220 ready\r\n221 bye\r\n")
    client.end()
    expect(await closeOf(gate)).toEqual({ reason: "upstream-closed", by: "upstream", bytes_in: 6, bytes_out: 20 })
  })

  test("a client's FIN goes to the upstream, whose answer still comes", async () => {
    using up = upstream(answers((request) => `${request.length} bytes`))
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version, { hail: "hello" })
    await client.secured()
    client.end()
    expect(await client.text()).toBe("5 bytes")
    expect(await client.closes()).toBe("FIN")
    expect(await closeOf(gate)).toEqual({ reason: "client-closed", by: "client", bytes_in: 5, bytes_out: 7 })
  })

  test("an upstream's FIN goes to the client, which may still send", async () => {
    let got = ""
    using up = upstream(async (wire) => {
      await wire.write("bye")
      wire.end()
      got = await wire.text()
    })
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version)
    expect(await client.text()).toBe("bye")
    await client.write("and more")
    client.end()
    expect(await client.closes()).toBe("FIN")
    expect(await closeOf(gate)).toEqual({ reason: "upstream-closed", by: "upstream", bytes_in: 8, bytes_out: 3 })
    await eventually(() => got === "and more")
  })

  test("the upstream's end is a close_notify and then a FIN", async () => {
    if (!installed("openssl")) return
    using up = upstream((wire) => void wire.write("bye").then(() => wire.end()))
    using gate = gateway(terminating(() => route(up.url)))
    const flag = version === "TLS 1.2" ? "-tls1_2" : "-tls1_3"
    const at = ["-connect", `127.0.0.1:${gate.port}`, "-servername", "a.test", flag, "-quiet", "-msg"]
    const client = Bun.spawn(["openssl", "s_client", ...at], { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
    const out = await new Response(client.stdout).text()
    expect(await client.exited).toBe(0)
    expect(out).toMatch(/<<< [^\n]*Alert[^\n]*warning close_notify/)
    expect(await new Response(client.stderr).text()).not.toContain("unexpected eof")
    expect((await closeOf(gate)).reason).toBe("upstream-closed")
  })

  test("the end is a close_notify also for a client that has ended before", async () => {
    using up = upstream(answers((request) => `${request.length} bytes`))
    using gate = gateway(terminating(() => route(up.url)))
    const sent: Uint8Array[] = []
    using line = cable(gate.port, { back: (chunk) => (sent.push(chunk.slice()), chunk) })
    using client = await dialIn(line.port, version, { hail: "hello" })
    await client.secured()
    client.end()
    expect(await client.text()).toBe("5 bytes")
    await gate.ended(1)
    // An alert has a record type of its own in TLS 1.2; in 1.3 it is known by its length: 2 bytes, their type, a tag of 16.
    const [type, length] = recordsIn(Buffer.concat(sent)).at(-1)!
    expect(version === "TLS 1.2" ? type : length).toBe(version === "TLS 1.2" ? 21 : 19)
  })

  test("a client's FIN without a close_notify ends its direction all the same", async () => {
    using up = upstream(answers((request) => `${request.length} bytes`))
    using gate = gateway(terminating(() => route(up.url)))
    using line = cable(gate.port)
    using client = await dialIn(line.port, version, { hail: "hello" })
    const wire = await up.connection()
    await wire.atLeast(5)
    const { server } = await line.strand()
    server.end()
    await client.atLeast(7)
    expect(new TextDecoder().decode(client.soFar())).toBe("5 bytes")
    expect(await closeOf(gate)).toEqual({ reason: "client-closed", by: "client", bytes_in: 5, bytes_out: 7 })
  })

  test("a client's reset goes to the upstream, behind what it had sent", async () => {
    using up = upstream((wire) => wire.pause())
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version)
    const sent = body(3_000_000)
    await client.write(sent)
    const sending = resetDelivered(client)
    const [connection] = gate.path.live
    await eventually(() => connection!.client.paused || connection!.client.received === sent.length)
    const wire = await up.connection()
    wire.resume()
    await sending
    expect(await wire.closes()).toBe("ECONNRESET")
    expect(sha1(wire.soFar())).toBe(sha1(sent))
    expect((await closeOf(gate)).reason).toBe("client-reset")
  })

  test.each([1, 300_000, 3_000_000])("an upstream's reset goes to the client, behind %p bytes", async (size) => {
    const sent = body(size)
    using up = upstream(async (wire) => {
      await wire.write(sent)
      await resetDelivered(wire)
    })
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version)
    expect(await client.closes()).toBe("ECONNRESET")
    expect(client.received).toBe(size)
    expect(sha1(client.soFar())).toBe(sha1(sent))
    const close = { reason: "upstream-reset", by: "upstream", bytes_in: 0, bytes_out: size }
    expect(await closeOf(gate)).toEqual(close as never)
  })

  test("an upstream's reset goes to a client that reads late, behind everything", async () => {
    const sent = body(6_000_000)
    using up = upstream(async (wire) => {
      await wire.write(sent)
      await eventually(() => unsent(wire.fd) === 0)
      wire.reset()
    })
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version)
    await client.secured()
    client.pause()
    const wire = await up.connection()
    const [connection] = gate.path.live
    await Promise.race([wire.closes(), eventually(() => connection!.upstream?.paused === true)])
    client.resume()
    expect(await client.closes()).toBe("ECONNRESET")
    expect([client.received, sha1(client.soFar())]).toEqual([sent.length, sha1(sent)])
    expect((await closeOf(gate)).reason).toBe("upstream-reset")
  })

  test("64 MiB each way at once arrive whole", async () => {
    const LENGTH = 67_108_864
    const block = body(1_048_576)
    const hashes = { up: new Bun.CryptoHasher("sha1"), down: new Bun.CryptoHasher("sha1") }
    const expected = new Bun.CryptoHasher("sha1")
    for (let sent = 0; sent < LENGTH; sent += block.length) expected.update(block)
    const whole = expected.digest("hex")
    const pour = async (wire: Wire) => {
      for (let sent = 0; sent < LENGTH; sent += block.length) await wire.write(block)
      wire.end()
    }
    using up = upstream(async (wire) => {
      wire.onData = (chunk) => void hashes.up.update(chunk)
      await Promise.all([pour(wire), wire.until(() => wire.ended || wire.closed)])
    })
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version, { onData: (chunk) => void hashes.down.update(chunk) })
    await client.secured()
    await Promise.all([pour(client), client.until(() => client.ended || client.closed)])
    const [event] = await gate.ended(1)
    expect([event!.conn.bytes_in, event!.conn.bytes_out]).toEqual([LENGTH, LENGTH])
    // The gateway is done before the upstream has read what the kernel holds for it.
    const [wire] = up.accepted
    await wire!.until(() => wire!.ended || wire!.closed)
    expect([hashes.up.digest("hex"), hashes.down.digest("hex")]).toEqual([whole, whole])
    expect([up.problems, gate.internalErrors]).toEqual([[], []])
  })

  test("a reader that stalls holds the other side back, each way", async () => {
    const block = body(1_048_576)
    const MOST = 32
    using up = upstream((wire) => wire.pour(block))
    using gate = gateway(terminating(() => route(up.url)))
    using client = await dialIn(gate.port, version)
    await client.secured()
    client.pause()
    const [connection] = gate.path.live
    await eventually(() => connection!.upstream?.paused === true)
    const { client: side, upstream: other } = connection!
    // What is not yet written is one chunk.
    expect(side.queued).toBeLessThanOrEqual(524_288)
    expect(other!.received).toBeLessThan(MOST * block.length)

    using slow = upstream(stalls)
    using back = gateway(terminating(() => route(slow.url)))
    using sender = await dialIn(back.port, version)
    void sender.pour(block)
    await slow.connection()
    const [second] = back.path.live
    await eventually(() => second!.client.paused && (second!.upstream?.queued ?? 0) > 0)
    expect(second!.upstream!.queued).toBeLessThanOrEqual(524_288)
    expect(second!.client.received).toBeLessThan(MOST * block.length)
  })

  test("bytes in pieces of any size arrive, with every record cut on its way", async () => {
    using up = upstream()
    using gate = gateway(terminating(() => route(up.url)))
    using line = cable(gate.port, { forth: bitwise })
    using client = await dialIn(line.port, version, { hail: "hello" })
    expect(new TextDecoder().decode(await client.atLeast(5))).toBe("hello")
    await client.write("world")
    expect(new TextDecoder().decode(await client.atLeast(10))).toBe("helloworld")
  })

  test("a record that was changed on its way ends both sides", async () => {
    using up = upstream()
    using gate = gateway(terminating(() => route(up.url)))
    let changes = false
    const forth = (chunk: Uint8Array) => {
      if (changes) chunk[chunk.length - 1]! ^= 1
      return chunk
    }
    using line = cable(gate.port, { forth })
    using client = await dialIn(line.port, version, { hail: "hello" })
    await client.atLeast(5)
    changes = true
    await client.write("world")
    const wire = await up.connection()
    expect([await wire.closes(), wire.received]).toEqual(["ECONNRESET", 5])
    expect(await closeOf(gate)).toEqual({ reason: "client-reset", by: "client", bytes_in: 5, bytes_out: 5 })
    expect(gate.internalErrors).toEqual([])
  })

  test("a denied client gets a close_notify and a FIN", async () => {
    using gate = gateway(terminating(() => deny("no")))
    using line = cable(gate.port)
    using client = await dialIn(line.port, version)
    expect([await client.secured(), await client.text(), client.code]).toEqual([true, "", undefined])
    client.end()
    const { client: end, server } = await line.strand()
    await server.until(() => server.ended)
    end.end()
    server.end()
    expect((await gate.ended(1))[0]).toMatchObject({
      policy: { decision: "deny", reason: "no" },
      close: { reason: "denied", by: "gateway" },
      tls: { cipher: expect.any(String) },
    })
  })

  test("a client that is denied with a reset gets a reset", async () => {
    using gate = gateway(terminating(() => deny("no", { reset: true })))
    using client = await dialIn(gate.port, version)
    expect(await client.closes()).toBe("ECONNRESET")
    expect((await closeOf(gate)).reason).toBe("denied")
  })

  test("an answer goes through TLS, of any length and in parts", async () => {
    const long = body(5_000_000)
    using gate = gateway(terminating(() => respond(long)))
    using client = await dialIn(gate.port, version)
    expect(sha1(await client.bytes())).toBe(sha1(long))
    client.end()
    expect(await closeOf(gate)).toEqual({ reason: "answered", by: "gateway", bytes_in: 0, bytes_out: long.length })

    async function* parts() {
      for (let i = 0; i < long.length; i += 500_000) yield long.subarray(i, i + 500_000)
    }
    using second = gateway(terminating(() => respond(parts())))
    using reader = await dialIn(second.port, version)
    expect(sha1(await reader.bytes())).toBe(sha1(long))
    reader.end()
    expect((await closeOf(second)).reason).toBe("answered")
  })

  test("a client that goes away while the policy thinks is noticed", async () => {
    for (const [how, reason] of [
      ["reset", "client-reset"],
      ["end", "policy-timeout"],
    ] as const) {
      const aborted: unknown[] = []
      const { promise: thinking, resolve } = Promise.withResolvers<void>()
      using gate = gateway(
        terminating(async ({ signal }) => {
          signal.addEventListener("abort", () => aborted.push((signal.reason as Error).message))
          resolve()
          await new Promise(() => undefined)
          return deny()
        }),
        { policyDeadline: 300 },
      )
      using client = await dialIn(gate.port, version)
      await client.secured()
      await thinking
      client[how]()
      expect((await gate.ended(1))[0]!.close.reason).toBe(reason)
      expect(aborted).toEqual([`the connection is over: ${reason}`])
    }
  })

  test("a connection that is silent ends when it is idle for long enough", async () => {
    using up = upstream()
    using gate = gateway(terminating(() => route(up.url, { idleTimeout: 300 })))
    using client = await dialIn(gate.port, version, { hail: "x" })
    await client.atLeast(1)
    expect(await client.stops()).toBe("FIN")
    expect(await closeOf(gate)).toEqual({ reason: "idle-timeout", by: "gateway", bytes_in: 1, bytes_out: 1 })
  })

  test("a shutdown in the middle of a handshake is called so", async () => {
    using gate = gateway(terminating(() => deny()))
    using line = cable(gate.port, { forth: (chunk, _, before) => (before === 0 ? chunk : new Uint8Array(0)) })
    using _ = await dialIn(line.port, version)
    await eventually(() => [...gate.path.live][0]?.termination?.shaking === true)
    for (const connection of gate.path.live) connection.abort("shutdown", "gateway")
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "shutdown", by: "gateway" })
    expect([gate.failures, gate.internalErrors]).toEqual([[], []])
  })
})

/** `openssl s_client` that obeys a letter, so many times: `R` renegotiates, `K` updates its keys and asks for ours. */
async function commands(port: number, version: string, letter: string, times: number, word: string): Promise<string> {
  const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "a.test", version]
  await using client = Bun.spawn([program("openssl")!, ...args], { stdin: "pipe", stdout: "ignore", stderr: "pipe" })
  let said = ""
  let sent = 0
  const more = async () => {
    if (sent++ === times) return
    try {
      client.stdin.write(`${letter}\n`)
      await client.stdin.flush()
    } catch {
      // It has been cut off already.
    }
  }
  await more()
  // A command is a line that is read alone: the next one goes when this one is done.
  for await (const chunk of client.stderr.pipeThrough(new TextDecoderStream())) {
    const before = said.split(word).length
    said += chunk
    if (said.split(word).length > before) await more()
  }
  return said
}

describe("a hostile client", () => {
  test("cannot renegotiate TLS 1.2", async () => {
    if (!installed("openssl")) return
    using up = upstream()
    using gate = gateway(terminating(() => route(up.url)))
    const said = await commands(gate.port, "-tls1_2", "R", 1, "RENEGOTIATING")
    expect(said).toContain("RENEGOTIATING")
    expect(said).toMatch(/no renegotiation|unexpected message|handshake failure/)
    expect((await gate.ended(1))[0]!.close.by).toBe("client")
    expect(gate.internalErrors).toEqual([])
  })

  test("that does nothing but update its keys is cut off", async () => {
    if (!installed("openssl")) return
    using up = upstream()
    using gate = gateway(terminating(() => route(up.url)))
    const said = await commands(gate.port, "-tls1_3", "K", 60, "KEYUPDATE")
    expect(said.match(/KEYUPDATE/g)!.length).toBeGreaterThan(31)
    expect((await gate.ended(1))[0]!.close).toEqual({ reason: "client-reset", by: "client" })
    expect(gate.internalErrors).toEqual([])
  })
})
