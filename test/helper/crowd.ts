// Many clients without a library, which do only what they are told: sockets of the kernel that connect from addresses of
// their own, send, and are looked at with one call for all of them.
import { dlopen } from "bun:ffi"
import { closeDescriptor, SocketError } from "../../src/native/socket.ts"
import { lastError } from "../../src/native/libc.ts"
import { eventually } from "./eventually.ts"

const NAMES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]
const AF_INET = 2
/** Non-blocking, closed on exec. */
const STREAM = 1 | 0x800 | 0x80000
const IPPROTO_IP = 0
const IP_BIND_ADDRESS_NO_PORT = 24
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const SO_LINGER = 13
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const POLLIN = 0x1
const POLLOUT = 0x4
const POLLERR = 0x8
const POLLHUP = 0x10
const POLLRDHUP = 0x2000

function load() {
  for (const name of NAMES) {
    try {
      return dlopen(name, {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
        connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
        setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
        send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
        recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
        poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
      }).symbols
    } catch {
      continue
    }
  }
  throw new Error("these tests need a C library")
}

const libc = load()

export interface From {
  /** The clients' own address. @default the system's choice */
  readonly from?: string
  /** @default 127.0.0.1 */
  readonly to?: string
  /** SO_RCVBUF: how much the kernel reads for a client that does not. @default the system's */
  readonly receive?: number
}

const scratch = new Uint8Array(new ArrayBuffer(65_536))

export class Crowd implements Disposable {
  /** -1 for those who have left. */
  private readonly fds: number[] = []
  /** `struct pollfd` of all of them. */
  private polled = new DataView(new ArrayBuffer(0))

  /** Starts to connect all of them. */
  constructor(port: number, count: number, { from, receive, to = "127.0.0.1" }: From = {}) {
    const there = socketAddress(to, port)
    const here = from === undefined ? undefined : socketAddress(from, 0)
    for (let i = 0; i < count; i++) this.fds.push(connecting(there, here, receive))
    this.polled = new DataView(new ArrayBuffer(count * 8))
  }

  /** Resolves when all of them stand. */
  static async connect(port: number, count: number, from: From = {}): Promise<Crowd> {
    const crowd = new Crowd(port, count, from)
    await eventually(() => crowd.connected === count)
    return crowd
  }

  /** How many stand, or stood until they were closed. */
  get connected(): number {
    return this.count(POLLOUT, POLLOUT | POLLERR | POLLHUP)
  }

  /** How many have read a FIN or were reset. */
  get over(): number {
    return this.count(POLLRDHUP, POLLRDHUP | POLLERR | POLLHUP)
  }

  get size(): number {
    return this.fds.length
  }

  /** How many have something to read, or are over. */
  get told(): number {
    return this.count(POLLIN, POLLIN | POLLERR | POLLHUP)
  }

  /** Each of them sends these bytes, as far as the kernel takes them; those that are over do not. */
  send(bytes: Uint8Array): void {
    for (let i = 0; i < this.fds.length; i++) this.sendAs(i, bytes)
  }

  /** One of them sends. Returns how many bytes the kernel took, or -1. */
  sendAs(nth: number, bytes: Uint8Array): number {
    return Number(libc.send(this.fds[nth]!, bytes, BigInt(bytes.length), MSG_DONTWAIT | MSG_NOSIGNAL))
  }

  /** What each of them can read now is read and forgotten. Returns how much it was. */
  read(): number {
    let bytes = 0
    for (const fd of this.fds)
      bytes += Math.max(0, Number(libc.recv(fd, scratch, BigInt(scratch.length), MSG_DONTWAIT)))
    return bytes
  }

  /** All of them leave by a reset. */
  reset(): void {
    for (let i = 0; i < this.fds.length; i++) this.resetAs(i)
  }

  /** Those who have something to read, or are over, leave by a reset. */
  resetTold(): void {
    this.poll(POLLIN)
    for (let i = 0; i < this.fds.length; i++) if (this.has(i, POLLIN | POLLERR | POLLHUP)) this.resetAs(i)
  }

  /** How many have left. */
  get left(): number {
    return this.fds.filter((fd) => fd < 0).length
  }

  private resetAs(nth: number): void {
    const fd = this.fds[nth]!
    if (fd < 0) return
    option(fd, SO_LINGER, 1, 0)
    closeDescriptor(fd)
    this.fds[nth] = -1
  }

  [Symbol.dispose](): void {
    this.reset()
  }

  private count(asked: number, wanted: number): number {
    this.poll(asked)
    let found = 0
    for (let i = 0; i < this.fds.length; i++) if (this.has(i, wanted)) found++
    return found
  }

  private has(nth: number, wanted: number): boolean {
    return (this.polled.getInt16(nth * 8 + 6, true) & wanted) !== 0
  }

  private poll(asked: number): void {
    const { fds, polled } = this
    for (let i = 0; i < fds.length; i++) {
      polled.setInt32(i * 8, fds[i]!, true)
      polled.setInt16(i * 8 + 4, asked, true)
      polled.setInt16(i * 8 + 6, 0, true)
    }
    if (libc.poll(new Uint8Array(polled.buffer), BigInt(fds.length), 0) < 0) throw new SocketError("poll", lastError())
  }
}

/** `struct sockaddr_in`. */
function socketAddress(text: string, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(16))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_INET, true)
  view.setUint16(2, port)
  bytes.set(text.split(".").map(Number), 4)
  return bytes
}

function connecting(there: Uint8Array, here: Uint8Array | undefined, receive: number | undefined): number {
  const fd = libc.socket(AF_INET, STREAM, 0)
  if (fd < 0) throw new SocketError("socket", lastError())
  if (receive !== undefined) option(fd, SO_RCVBUF, receive)
  if (here !== undefined) {
    optionOf(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    if (libc.bind(fd, here, here.length) < 0) throw failed(fd, "bind")
  }
  if (libc.connect(fd, there, there.length) < 0) {
    const error = failed(fd, "connect")
    if (error.code !== "EINPROGRESS") throw error
  }
  return fd
}

function failed(fd: number, call: string): SocketError {
  const code = lastError()
  if (code !== "EINPROGRESS") closeDescriptor(fd)
  return new SocketError(call, code)
}

function option(fd: number, name: number, ...values: number[]): void {
  optionOf(fd, SOL_SOCKET, name, ...values)
}

function optionOf(fd: number, level: number, name: number, ...values: number[]): void {
  const words = new Int32Array(new ArrayBuffer(values.length * 4))
  words.set(values)
  if (libc.setsockopt(fd, level, name, words, words.byteLength) < 0) throw new SocketError("setsockopt", lastError())
}
