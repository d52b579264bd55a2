// Sockets as descriptors: bind, connect without waiting, addresses of both ends. Linux only; every function throws or
// gives undefined where the C library is missing, and its caller falls back to Bun's own listen and connect.
import { ptr } from "bun:ffi"
import { lastError, libc } from "./libc.ts"

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const F_DUPFD_CLOEXEC = 1030
const F_SETFD = 2
const FD_CLOEXEC = 1
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_KEEPALIVE = 9
const SO_REUSEPORT = 15
const SO_ACCEPTCONN = 30
const IPPROTO_TCP = 6
const TCP_KEEPIDLE = 4
const TCP_KEEPINTVL = 5
const TCP_KEEPCNT = 6
const TCP_USER_TIMEOUT = 18
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const SIOCOUTQ = 0x5411

/** A failed call: `code` is the errno's name. */
export class SocketError extends Error {
  override readonly name = "SocketError"
  readonly code: string
  constructor(call: string, code: string) {
    super(`${call}: ${code}`)
    this.code = code
  }
}

/** An address as the kernel has it: IPv4 in `a`, IPv6 in four words; IPv4-mapped addresses are not unwrapped here. */
export interface SocketName {
  readonly family: "IPv4" | "IPv6"
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
  readonly port: number
}

// Scratch memory: calls are synchronous and on one thread, so one buffer serves all of them. Each is a view of an
// ArrayBuffer: the bytes of a small typed array without one move when its code is compiled, and leave pointers behind.
const address = new Uint8Array(new ArrayBuffer(112))
const addressView = new DataView(address.buffer)
const addressPointer = ptr(address)
const length = new Uint32Array(new ArrayBuffer(4))
const lengthPointer = ptr(length)
const option = new Int32Array(new ArrayBuffer(4))
const optionPointer = ptr(option)

/** Whether descriptors can be had at all. */
export const available = libc !== undefined

function calls() {
  if (libc === undefined) throw new SocketError("libc", "ENOSYS")
  return libc
}

function putIp(family: "IPv4" | "IPv6", a: number, b: number, c: number, d: number, port: number): number {
  address.fill(0, 0, 28)
  addressView.setUint16(0, family === "IPv4" ? AF_INET : AF_INET6, true)
  addressView.setUint16(2, port)
  if (family === "IPv4") {
    addressView.setUint32(4, a)
    return 16
  }
  addressView.setUint32(8, a)
  addressView.setUint32(12, b)
  addressView.setUint32(16, c)
  addressView.setUint32(20, d)
  return 28
}

function putPath(path: string): number {
  const bytes = new TextEncoder().encode(path)
  address.fill(0)
  addressView.setUint16(0, AF_UNIX, true)
  address.set(bytes.subarray(0, 107), 2)
  return 2 + bytes.length + 1
}

/** A new TCP or unix socket, non-blocking and closed on exec. @throws SocketError */
function open(family: "IPv4" | "IPv6" | "unix"): number {
  const domain = family === "IPv4" ? AF_INET : family === "IPv6" ? AF_INET6 : AF_UNIX
  const fd = calls().socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SocketError("socket", lastError())
  return fd
}

function set(fd: number, level: number, name: number, value: number): void {
  option[0] = value
  if (calls().setsockopt(fd, level, name, optionPointer, 4) < 0) throw new SocketError("setsockopt", lastError())
}

export interface ListenAddress extends SocketName {
  /** On the unspecified IPv6 address: take IPv4 too. */
  readonly bothFamilies: boolean
}

/** What accepted sockets inherit; seconds, and milliseconds for `userTimeout`. */
export interface KeepAlive {
  readonly idle: number
  readonly interval: number
  readonly count: number
  readonly userTimeout: number
}

/**
 * Binds and listens on a TCP address; options are set here once, and accepted sockets inherit them.
 * @param besides descriptors of ours that listen on an overlapping address (a wildcard beside a specific one): the
 *   kernel lets both be bound only while both carry SO_REUSEPORT, so it is set for the moment of the bind and then
 *   taken away, because a socket that keeps it would share its port with other programs.
 * @throws SocketError
 */
export function listenTcp(
  at: ListenAddress,
  backlog: number,
  keepAlive: KeepAlive,
  besides: readonly number[],
): number {
  const fd = open(at.family)
  try {
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if (at.family === "IPv6") set(fd, IPPROTO_IPV6, IPV6_V6ONLY, at.bothFamilies ? 0 : 1)
    keepAliveOn(fd, keepAlive)
    const sharing = besides.length === 0 ? [] : [fd, ...besides]
    for (const each of sharing) set(each, SOL_SOCKET, SO_REUSEPORT, 1)
    try {
      const size = putIp(at.family, at.a, at.b, at.c, at.d, at.port)
      if (calls().bind(fd, addressPointer, size) < 0) throw new SocketError("bind", lastError())
      if (calls().listen(fd, backlog) < 0) throw new SocketError("listen", lastError())
    } finally {
      for (const each of sharing) set(each, SOL_SOCKET, SO_REUSEPORT, 0)
    }
    return fd
  } catch (error) {
    closeDescriptor(fd)
    throw error
  }
}

/** Sets what accepted sockets inherit. @throws SocketError */
export function keepAliveOn(fd: number, keepAlive: KeepAlive): void {
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepAlive.idle)
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepAlive.interval)
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, keepAlive.count)
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, keepAlive.userTimeout)
}

/** Binds and listens on a unix path; the mode follows the umask. @throws SocketError */
export function listenUnix(path: string, backlog: number): number {
  const fd = open("unix")
  try {
    if (calls().bind(fd, addressPointer, putPath(path)) < 0) throw new SocketError("bind", lastError())
    if (calls().listen(fd, backlog) < 0) throw new SocketError("listen", lastError())
    return fd
  } catch (error) {
    closeDescriptor(fd)
    throw error
  }
}

/** Sets the length of the accept queue of a socket that listens already. */
export function setBacklog(fd: number, backlog: number): void {
  calls().listen(fd, backlog)
}

/**
 * Starts to connect and returns the descriptor at once; it becomes writable when the connection stands.
 * @throws SocketError when it fails at once (no route, no descriptors left, nothing behind a unix path)
 */
export function connectTcp(family: "IPv4" | "IPv6", a: number, b: number, c: number, d: number, port: number): number {
  const fd = open(family)
  return connecting(fd, putIp(family, a, b, c, d, port))
}

/** As {@link connectTcp}, to a unix path. EAGAIN means that the queue behind it is full. @throws SocketError */
export function connectUnix(path: string): number {
  const fd = open("unix")
  return connecting(fd, putPath(path))
}

function connecting(fd: number, size: number): number {
  if (calls().connect(fd, addressPointer, size) === 0) return fd
  const code = lastError()
  if (code === "EINPROGRESS") return fd
  closeDescriptor(fd)
  throw new SocketError("connect", code)
}

/** Another descriptor of the same socket, closed on exec. @throws SocketError */
export function duplicate(fd: number): number {
  const copy = calls().fcntl(fd, F_DUPFD_CLOEXEC, 3)
  if (copy < 0) throw new SocketError("dup", lastError())
  return copy
}

export function closeOnExec(fd: number): void {
  calls().fcntl(fd, F_SETFD, FD_CLOEXEC)
}

export function closeDescriptor(fd: number): void {
  calls().close(fd)
}

/** Bytes that the peer's kernel has not acknowledged yet (on a unix socket: that the peer has not read); 0 where that is unknown. */
export function unsent(fd: number): number {
  if (libc === undefined || fd < 0) return 0
  return libc.ioctl(fd, SIOCOUTQ, optionPointer) < 0 ? 0 : option[0]!
}

/** Whether the connection is over at the kernel, by a reset that nobody has told of yet. */
export function isOver(fd: number): boolean {
  if (libc === undefined || fd < 0) return false
  length[0] = address.length
  return libc.getpeername(fd, addressPointer, lengthPointer) < 0
}

/** Whether the descriptor is a listening socket. */
export function listens(fd: number): boolean {
  length[0] = 4
  return calls().getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, optionPointer, lengthPointer) === 0 && option[0] === 1
}

/** Whether an IPv6 socket takes IPv4 too. */
export function takesBothFamilies(fd: number): boolean {
  length[0] = 4
  return calls().getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, optionPointer, lengthPointer) === 0 && option[0] === 0
}

/** The peer's address; `undefined` on a unix socket, or when the peer is gone already. */
export function peerName(fd: number): SocketName | undefined {
  if (libc === undefined) return undefined
  length[0] = address.length
  return libc.getpeername(fd, addressPointer, lengthPointer) < 0 ? undefined : name()
}

/** Our own address of a socket; `undefined` on a unix socket. */
export function localName(fd: number): SocketName | undefined {
  if (libc === undefined) return undefined
  length[0] = address.length
  return libc.getsockname(fd, addressPointer, lengthPointer) < 0 ? undefined : name()
}

/** The path that a unix socket is bound to. */
export function localPath(fd: number): string | undefined {
  length[0] = address.length
  if (calls().getsockname(fd, addressPointer, lengthPointer) < 0 || addressView.getUint16(0, true) !== AF_UNIX)
    return undefined
  const bytes = address.subarray(2, Math.min(length[0], address.length))
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

function name(): SocketName | undefined {
  const family = addressView.getUint16(0, true)
  const port = addressView.getUint16(2)
  if (family === AF_INET) return { family: "IPv4", a: addressView.getUint32(4), b: 0, c: 0, d: 0, port }
  if (family !== AF_INET6) return undefined
  return {
    family: "IPv6",
    a: addressView.getUint32(8),
    b: addressView.getUint32(12),
    c: addressView.getUint32(16),
    d: addressView.getUint32(20),
    port,
  }
}
