import { describe, expect, test } from "bun:test"
import { lstatSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  available,
  closeDescriptor,
  connectTcp,
  connectUnix,
  duplicate,
  listens,
  listenTcp,
  listenUnix,
  localName,
  localPath,
  peerName,
  SocketError,
  takesBothFamilies,
  unsent,
  type ListenAddress,
} from "../../src/native/socket.ts"
import { descriptors } from "../helper/black-hole.ts"
import { eventually } from "../helper/eventually.ts"
import { socketOption } from "../helper/raw.ts"
import { stalls, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

const LOOPBACK = 0x7f000001
const keepAlive = { idle: 61, interval: 16, count: 4, userTimeout: 12_345 }
const v4: ListenAddress = { family: "IPv4", a: LOOPBACK, b: 0, c: 0, d: 0, port: 0, bothFamilies: false }
const all: ListenAddress = { family: "IPv6", a: 0, b: 0, c: 0, d: 0, port: 0, bothFamilies: true }

/** Listens, and closes with the scope. */
function listening(at: ListenAddress, besides: readonly number[] = []) {
  const fd = listenTcp(at, 16, keepAlive, besides)
  return { fd, port: localName(fd)!.port, [Symbol.dispose]: () => closeDescriptor(fd) }
}

function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    if (error instanceof SocketError) return error.code
    throw error
  }
  return "no error"
}

test("the C library is there", () => {
  expect(available).toBe(true)
})

describe("listening", () => {
  test("gives a descriptor that listens where it was told to", () => {
    using server = listening(v4)
    expect(listens(server.fd)).toBe(true)
    expect(localName(server.fd)).toEqual({ family: "IPv4", a: LOOPBACK, b: 0, c: 0, d: 0, port: server.port })
    expect(server.port).toBeGreaterThan(0)
    expect(localPath(server.fd)).toBeUndefined()
  })

  test("on all addresses takes both families, on an IPv6 one only that", () => {
    using both = listening(all)
    expect(takesBothFamilies(both.fd)).toBe(true)
    using six = listening({ ...all, bothFamilies: false })
    expect(takesBothFamilies(six.fd)).toBe(false)
  })

  test("fails by the name of the error, and leaves no descriptor", () => {
    using server = listening(v4)
    const before = descriptors().size
    expect(codeOf(() => listening({ ...v4, port: server.port }))).toBe("EADDRINUSE")
    expect(codeOf(() => listening({ ...v4, a: 0xc0000201 }))).toBe("EADDRNOTAVAIL")
    expect(descriptors().size).toBe(before)
  })

  test("beside a descriptor of our own shares the port, and with nobody else afterwards", () => {
    using specific = listening(v4)
    using wildcard = listening({ ...all, port: specific.port }, [specific.fd])
    expect(wildcard.port).toBe(specific.port)
    const SOL_SOCKET = 1
    const SO_REUSEPORT = 15
    expect([specific, wildcard].map(({ fd }) => socketOption(fd, SOL_SOCKET, SO_REUSEPORT))).toEqual([0, 0])
    expect(codeOf(() => listening({ ...v4, port: specific.port }))).toBe("EADDRINUSE")
  })

  test("on a unix path makes a socket file", () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-"))
    try {
      const path = join(folder, "x.sock")
      const fd = listenUnix(path, 16)
      expect(lstatSync(path).isSocket()).toBe(true)
      expect([listens(fd), localPath(fd), localName(fd)]).toEqual([true, path, undefined])
      expect(codeOf(() => listenUnix(path, 16))).toBe("EADDRINUSE")
      const client = connectUnix(path)
      expect(peerName(client)).toBeUndefined()
      closeDescriptor(client)
      closeDescriptor(fd)
      expect(codeOf(() => connectUnix(path))).toBe("ECONNREFUSED")
      expect(codeOf(() => connectUnix(`${path}-none`))).toBe("ENOENT")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe("connecting", () => {
  test("returns before the connection stands, and both names are right", async () => {
    using up = upstream(stalls)
    const fd = connectTcp("IPv4", LOOPBACK, 0, 0, 0, up.port)
    await eventually(() => peerName(fd) !== undefined)
    expect(peerName(fd)).toEqual({ family: "IPv4", a: LOOPBACK, b: 0, c: 0, d: 0, port: up.port })
    const wire = await up.connection()
    expect(localName(fd)!.port).toBe(wire.socket!.remotePort)
    closeDescriptor(fd)
  })

  test("over IPv6 too", async () => {
    using up = upstream(stalls, { hostname: "::1" })
    const fd = connectTcp("IPv6", 0, 0, 0, 1, up.port)
    await eventually(() => peerName(fd) !== undefined)
    expect(peerName(fd)).toEqual({ family: "IPv6", a: 0, b: 0, c: 0, d: 1, port: up.port })
    closeDescriptor(fd)
  })
})

test("names are right for thousands of sockets in a row", async () => {
  using up = upstream()
  const wrong: unknown[] = []
  for (let i = 0; i < 3000; i++) {
    const fd = connectTcp("IPv4", 0x7f000001 + (i % 200), 0, 0, 0, up.port)
    // Bound by connecting, whether or not anybody answers.
    const name = localName(fd)!
    const peer = peerName(fd)
    if (name.family !== "IPv4" || name.port === 0 || (peer !== undefined && peer.a !== LOOPBACK + (i % 200)))
      wrong.push(name)
    closeDescriptor(fd)
  }
  expect(wrong).toEqual([])
})

test("what the peer's kernel has not taken yet is known, however often it was asked before", async () => {
  using up = upstream(stalls)
  using client = await connect(up.port)
  const wire = await up.connection()
  client.socket!.write(new Uint8Array(4_000_000))
  await eventually(() => unsent(client.fd) > 0)
  // Often enough for the compiler to take over.
  const seen = new Set<number>()
  for (let i = 0; i < 20_000; i++) seen.add(unsent(client.fd))
  expect(Math.min(...seen)).toBeGreaterThan(0)
  wire.resume()
  await eventually(() => unsent(client.fd) === 0)
  expect(unsent(-1)).toBe(0)
})

test("a duplicate is another descriptor of the same socket", () => {
  const server = listening(v4)
  const copy = duplicate(server.fd)
  server[Symbol.dispose]()
  expect([listens(copy), localName(copy)!.port]).toEqual([true, server.port])
  closeDescriptor(copy)
  expect(codeOf(() => duplicate(copy))).toBe("EBADF")
})
