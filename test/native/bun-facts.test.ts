// What the data path leans on in Bun's sockets, most of it undocumented: each is held by a test, so that an upgrade
// that changes it is noticed here first.
import { describe, expect, test } from "bun:test"
import {
  closeDescriptor,
  connectTcp,
  duplicate,
  isOver,
  listenTcp,
  localName,
  unsent,
} from "../../src/native/socket.ts"
import { eventually } from "../helper/eventually.ts"
import { freePort } from "../helper/ports.ts"
import { socketOption } from "../helper/raw.ts"

const LOOPBACK = 0x7f000001
const KEEP_ALIVE = { idle: 61, interval: 16, count: 4, userTimeout: 12_345 }

type Socket = Bun.Socket<undefined>

/** Everything that happens to a socket, in order: open, data 5, end, close ECONNRESET, drain. */
class Log {
  readonly events: string[] = []
  socket: Socket | undefined = undefined
  received = 0

  readonly handlers: Bun.SocketHandler<undefined, "uint8array"> = {
    binaryType: "uint8array",
    open: (socket) => {
      this.socket = socket
      this.events.push("open")
    },
    data: (_, chunk) => {
      this.received += chunk.length
      if (this.events.at(-1) !== "data") this.events.push("data")
    },
    drain: () => void this.events.push("drain"),
    end: () => void this.events.push("end"),
    close: (_, error) => void this.events.push(`close ${(error as { code?: string } | undefined)?.code ?? "-"}`),
    error: (_, error) => void this.events.push(`error ${error.message}`),
  }

  /** Without `drain`, which also comes for no reason. */
  get told(): string[] {
    return this.events.filter((event) => event !== "drain")
  }

  get over(): boolean {
    return this.events.some((event) => event.startsWith("close"))
  }
}

/** Two half-open ends of one connection. */
async function pair() {
  const [server, client] = [new Log(), new Log()]
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, allowHalfOpen: true, socket: server.handlers } as never)
  const { port } = listener as { port: number }
  await Bun.connect({ hostname: "127.0.0.1", port, allowHalfOpen: true, socket: client.handlers } as never)
  await eventually(() => server.socket !== undefined)
  return { server, client, a: server.socket!, b: client.socket!, [Symbol.dispose]: () => listener.stop(true) }
}

const descriptorOf = (of: unknown) => (of as { readonly fd: number }).fd

describe("endings", () => {
  test("a reset is a close with ECONNRESET", async () => {
    using both = await pair()
    both.b.terminate()
    await eventually(() => both.server.over)
    expect(both.server.told).toEqual(["open", "close ECONNRESET"])
  })

  test("a FIN is `end`, and a reset after it a close with EPIPE", async () => {
    using both = await pair()
    both.b.shutdown()
    await eventually(() => both.server.told.includes("end"))
    both.b.terminate()
    await eventually(() => both.server.over)
    expect(both.server.told).toEqual(["open", "end", "close EPIPE"])
  })

  test("after our shutdown the other FIN is a close without an error and without `end`, and no byte is lost", async () => {
    using both = await pair()
    both.a.shutdown()
    await eventually(() => both.client.told.includes("end"))
    both.b.write(new Uint8Array(300_000))
    both.b.shutdown()
    await eventually(() => both.server.over)
    expect(both.server.told).toEqual(["open", "data", "close -"])
    expect(both.server.received).toBe(300_000)
  })

  test("so it is for a paused socket, whose bytes and FIN wait until it is resumed", async () => {
    using both = await pair()
    both.a.pause()
    both.a.shutdown()
    await eventually(() => both.client.told.includes("end"))
    both.b.write(new Uint8Array(100_000))
    both.b.shutdown()
    for (let i = 0; i < 50; i++) await Bun.sleep(0)
    expect(both.server.told).toEqual(["open"])
    both.a.resume()
    await eventually(() => both.server.over)
    expect(both.server.told).toEqual(["open", "data", "close -"])
    expect(both.server.received).toBe(100_000)
  })

  test("shutdown sends a FIN and leaves the other direction open", async () => {
    using both = await pair()
    both.a.shutdown()
    await eventually(() => both.client.told.includes("end"))
    both.b.write("still")
    await eventually(() => both.server.received === 5)
    expect(both.client.told).toEqual(["open", "end"])
  })

  test("terminate is a reset", async () => {
    using both = await pair()
    both.a.terminate()
    await eventually(() => both.client.over)
    expect(both.client.told).toEqual(["open", "close ECONNRESET"])
  })

  test("close over unread bytes is a reset", async () => {
    using both = await pair()
    both.a.pause()
    both.b.write("unread")
    await eventually(() => unsent(descriptorOf(both.b)) === 0)
    both.a.close()
    await eventually(() => both.client.over)
    expect(both.client.told).toEqual(["open", "close ECONNRESET"])
  })

  test("a reset of a paused socket is seen at once, and all that its kernel holds comes before it", async () => {
    using both = await pair()
    both.a.pause()
    let sent = 0
    for (let taken = 1; taken > 0;) sent += taken = both.b.write(new Uint8Array(1_000_000))
    let before = -1
    await eventually(() => before === (before = unsent(descriptorOf(both.b))))
    const acknowledged = sent - before
    expect(both.server.received).toBe(0)
    both.b.terminate()
    await eventually(() => both.server.over)
    expect(both.server.told).toEqual(["open", "data", "close ECONNRESET"])
    expect(both.server.received).toBeGreaterThanOrEqual(acknowledged)
    // Nothing can be asked of it any more.
    expect(descriptorOf(both.a)).toBe(-1)
  })
})

describe("a reset in disguise", () => {
  test("a write that meets it takes its error away: -1, then `end` and a close without an error", async () => {
    using both = await pair()
    both.b.terminate()
    // The reset is in our kernel, but the loop has not seen it.
    expect(both.a.write("x")).toBe(-1)
    await eventually(() => both.server.over)
    expect(both.server.told).toEqual(["open", "end", "close -"])
  })

  test("a paused socket with both FINs does not see it until it is resumed, but the kernel knows", async () => {
    using both = await pair()
    both.a.pause()
    both.b.pause()
    both.a.write(new Uint8Array(4_000_000))
    both.a.shutdown()
    both.b.write("unread")
    both.b.shutdown()
    await eventually(() => unsent(descriptorOf(both.b)) === 0)
    for (let i = 0; i < 20; i++) await Bun.sleep(0)
    const fd = descriptorOf(both.a)
    expect(isOver(fd)).toBe(false)
    both.b.terminate()
    await eventually(() => isOver(fd))
    for (let i = 0; i < 20; i++) await Bun.sleep(0)
    expect(both.server.told).toEqual(["open"])
    expect(unsent(fd)).toBeGreaterThan(0)
    both.a.resume()
    await eventually(() => both.server.over)
    expect(both.server.told.at(-1)).toStartWith("close")
  })
})

describe("writing", () => {
  test("takes a part, then nothing, and -1 once it is closed", async () => {
    using both = await pair()
    both.b.pause()
    const first = both.a.write(new Uint8Array(64_000_000))
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThan(64_000_000)
    let more = 0
    await eventually(() => (more = both.a.write(new Uint8Array(1_000_000))) === 0)
    expect(more).toBe(0)
    both.a.terminate()
    expect(both.a.write("x")).toBe(-1)
  })

  test("keeps nothing of what it did not take", async () => {
    using both = await pair()
    both.b.pause()
    let taken = 0
    for (let n = 1; n > 0;) taken += n = both.a.write(new Uint8Array(8_000_000))
    both.b.resume()
    await eventually(() => both.client.received === taken)
    both.a.shutdown()
    await eventually(() => both.client.told.includes("end"))
    expect(both.client.received).toBe(taken)
  })
})

const serve = (fd: number, open: (socket: Socket) => void) =>
  Bun.listen({ fd, socket: { open, data() {} } } as never) as unknown as { stop(): void }

describe("a listening descriptor", () => {
  const at = { family: "IPv4", a: LOOPBACK, b: 0, c: 0, d: 0, port: 0, bothFamilies: false } as const
  test("is served, and a duplicate of it keeps who waits while nobody serves", async () => {
    const fd = listenTcp(at, 64, KEEP_ALIVE, [])
    const { port } = localName(fd)!
    const accepted: Socket[] = []
    const first = serve(fd, (socket) => accepted.push(socket))
    const one = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })
    await eventually(() => accepted.length === 1)
    const copy = duplicate(descriptorOf(first))
    first.stop()
    expect(descriptorOf(first)).toBe(-1)
    const log = new Log()
    const two = await Bun.connect({ hostname: "127.0.0.1", port, socket: log.handlers as never })
    for (let i = 0; i < 20; i++) await Bun.sleep(0)
    expect(accepted).toHaveLength(1)
    const second = serve(copy, (socket) => accepted.push(socket))
    await eventually(() => accepted.length === 2)
    expect(log.told).toEqual(["open"])
    second.stop()
    one.terminate()
    two.terminate()
  })

  test("stopped inside `open` accepts nobody else, though many wait", async () => {
    const fd = listenTcp(at, 64, KEEP_ALIVE, [])
    const { port } = localName(fd)!
    const waiting = Array.from({ length: 20 }, () => connectTcp("IPv4", LOOPBACK, 0, 0, 0, port))
    const master = duplicate(fd)
    let accepted = 0
    const first = serve(fd, () => {
      if (++accepted === 3) first.stop()
    })
    await eventually(() => accepted === 3)
    for (let i = 0; i < 50; i++) await Bun.sleep(0)
    expect(accepted).toBe(3)
    const second = serve(master, () => accepted++)
    await eventually(() => accepted === 20)
    second.stop()
    for (const each of waiting) closeDescriptor(each)
  })

  test("gives its keepalive and user time-out to what it accepts, and Bun sets TCP_NODELAY on both sides", async () => {
    const fd = listenTcp(at, 64, KEEP_ALIVE, [])
    const { port } = localName(fd)!
    let accepted: Socket | undefined
    const server = serve(fd, (socket) => (accepted = socket))
    const client = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })
    await eventually(() => accepted !== undefined)
    const [SOL_SOCKET, TCP] = [1, 6]
    const option = (level: number, name: number) => socketOption(descriptorOf(accepted), level, name)
    expect({
      keepAlive: option(SOL_SOCKET, 9),
      idle: option(TCP, 4),
      interval: option(TCP, 5),
      count: option(TCP, 6),
      userTimeout: option(TCP, 18),
      noDelay: option(TCP, 1),
      clientNoDelay: socketOption(descriptorOf(client), TCP, 1),
    }).toEqual({ keepAlive: 1, idle: 61, interval: 16, count: 4, userTimeout: 12_345, noDelay: 1, clientNoDelay: 1 })
    server.stop()
    client.terminate()
  })
})

const take = (fd: number, log: Log) => Bun.connect({ fd, allowHalfOpen: true, socket: log.handlers } as never)

describe("a connecting descriptor", () => {
  test("is open at once, and its first `drain` means that it is connected", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
    const log = new Log()
    await take(connectTcp("IPv4", LOOPBACK, 0, 0, 0, listener.port), log)
    await eventually(() => log.events.includes("drain"))
    expect(log.events).toEqual(["open", "drain"])
    log.socket!.terminate()
    listener.stop(true)
  })

  test("that is refused is closed with ECONNREFUSED and never drains", async () => {
    const log = new Log()
    await take(connectTcp("IPv4", LOOPBACK, 0, 0, 0, freePort()), log).catch(() => undefined)
    await eventually(() => log.over)
    expect(log.events).toEqual(["open", "close ECONNREFUSED"])
  })
})

test("every chunk has a buffer of its own, which can be given back after it was written", async () => {
  const chunks: Uint8Array[] = []
  const sent = 3_000_000
  let got = 0
  const reads: Bun.SocketHandler<undefined, "uint8array"> = {
    binaryType: "uint8array",
    data(_, chunk) {
      chunks.push(chunk)
      got += chunk.length
    },
  }
  using server = Bun.listen<undefined>({ hostname: "127.0.0.1", port: 0, socket: reads as never })
  const body = new Uint8Array(sent).map((_, i) => i % 251)
  let written = 0
  const write = (socket: Socket) => {
    written += Math.max(0, socket.write(body.subarray(written)))
    if (written === sent) socket.end()
  }
  await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port: server.port,
    socket: { open: write, drain: write, data: () => undefined },
  })
  await eventually(() => got === sent)
  expect(chunks.every((chunk) => chunk.byteOffset === 0 && chunk.buffer.byteLength === chunk.length)).toBe(true)
  expect(new Set(chunks.map((chunk) => chunk.buffer)).size).toBe(chunks.length)
  const [first, ...rest] = chunks
  ;(first!.buffer as ArrayBuffer).transfer(0)
  expect(first!.length).toBe(0)
  let at = got - rest.reduce((sum, chunk) => sum + chunk.length, 0)
  for (const chunk of rest)
    for (const byte of chunk) if (byte !== at++ % 251) throw new Error(`byte ${at - 1} is wrong`)
})
