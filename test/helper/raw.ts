// A client without a library: a socket that reads only when it is told to, with a receive buffer of any size, and that
// reads what is left after a reset, as programs in C do.
import { dlopen } from "bun:ffi"
import { closeDescriptor, connectTcp, connectUnix } from "../../src/native/socket.ts"
import { eventually } from "./eventually.ts"

const NAMES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]
const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_RCVBUF = 8
const POLLOUT = 4

function load() {
  for (const name of NAMES) {
    try {
      return dlopen(name, {
        recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
        send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
        poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
        shutdown: { args: ["i32", "i32"], returns: "i32" },
        setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
        getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
      }).symbols
    } catch {
      continue
    }
  }
  throw new Error("these tests need a C library")
}

const libc = load()

/** The value of a socket option. */
export function socketOption(fd: number, level: number, name: number): number {
  const value = new Int32Array(new ArrayBuffer(4))
  const length = new Uint32Array(new ArrayBuffer(4))
  length[0] = 4
  if (libc.getsockopt(fd, level, name, value, length) < 0) throw new Error("getsockopt failed")
  return value[0]!
}

export class RawClient implements Disposable {
  fd: number
  /** How it ended: `"FIN"` or `"reset"`. */
  end: string | undefined = undefined
  private readonly buffer = new Uint8Array(new ArrayBuffer(262_144))

  private constructor(fd: number) {
    this.fd = fd
  }

  static async connect(port: number | string, receiveBuffer?: number): Promise<RawClient> {
    const fd = typeof port === "string" ? connectUnix(port) : connectTcp("IPv4", 0x7f000001, 0, 0, 0, port)
    if (receiveBuffer !== undefined) {
      const value = new Int32Array(new ArrayBuffer(4))
      value[0] = receiveBuffer
      if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, 4) < 0) throw new Error("setsockopt failed")
    }
    const waiting = new Uint8Array(new ArrayBuffer(8))
    const view = new DataView(waiting.buffer)
    view.setInt32(0, fd, true)
    view.setInt16(4, POLLOUT, true)
    await eventually(() => libc.poll(waiting, 1n, 0) === 1)
    if (socketOption(fd, SOL_SOCKET, SO_ERROR) !== 0) throw new Error("nobody listens")
    return new RawClient(fd)
  }

  /** Sends as much as the kernel takes now. */
  send(bytes: Uint8Array): number {
    return Number(libc.send(this.fd, bytes, BigInt(bytes.length), 0x4000))
  }

  shutdown(): void {
    libc.shutdown(this.fd, 1)
  }

  /** What is there now, up to 256 KiB; `undefined` when there is nothing yet. Sets {@link end} at the end. */
  read(): Uint8Array | undefined {
    const n = Number(libc.recv(this.fd, this.buffer, BigInt(this.buffer.length), 0x40))
    if (n > 0) return this.buffer.subarray(0, n)
    if (n === 0) this.end = "FIN"
    // Non-blocking: either nothing is there yet, or an error is.
    else if (socketGone(this.fd)) this.end = "reset"
    return undefined
  }

  /** Everything to the end. */
  async readAll(): Promise<{ bytes: number; hash: string; end: string }> {
    const hasher = new Bun.CryptoHasher("sha1")
    let bytes = 0
    await eventually(() => {
      for (let chunk = this.read(); chunk !== undefined; chunk = this.read()) {
        bytes += chunk.length
        hasher.update(chunk)
      }
      return this.end !== undefined
    })
    return { bytes, hash: hasher.digest("hex"), end: this.end! }
  }

  [Symbol.dispose](): void {
    if (this.fd >= 0) closeDescriptor(this.fd)
    this.fd = -1
  }
}

/** TCP_INFO's first byte is the state; 7 is TCP_CLOSE, where a reset leads. */
function socketGone(fd: number): boolean {
  const info = new Uint8Array(new ArrayBuffer(104))
  const length = new Uint32Array(new ArrayBuffer(4))
  length[0] = info.length
  return libc.getsockopt(fd, 6, 11, info, length) === 0 && info[0] === 7
}
