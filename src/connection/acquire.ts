// The one place where listening sockets come from: handed over by systemd, or bound here. What it gives is a
// descriptor, so that a supervisor can own and pass on listening sockets one day.
import { lstatSync, unlinkSync } from "node:fs"
import { formatHostPort, formatIp, ipv4, parseIp, type Ip } from "../policy/address.ts"
import type { Bind } from "../policy/listen.ts"
import {
  available,
  closeDescriptor,
  closeOnExec,
  connectUnix,
  keepAliveOn,
  listenTcp,
  listenUnix,
  listens,
  localName,
  localPath,
  setBacklog,
  SocketError,
  takesBothFamilies,
  type KeepAlive,
} from "../native/socket.ts"
import { portOwner } from "../native/port-owner.ts"
import { ipOf } from "./socket-address.ts"

/** 4,096 clients may wait for an accept (the kernel caps it at net.core.somaxconn). */
export const BACKLOG = 4096

/** A dead peer is noticed after 60 + 5 * 15 s; one that stops reading may hold its data as long as the default idle time-out. */
const KEEP_ALIVE: KeepAlive = { idle: 60, interval: 15, count: 5, userTimeout: 300_000 }

/** A socket that cannot be bound; the message says why, and who holds the port where that can be found. */
export class ListenFailed extends Error {
  override readonly name = "ListenFailed"
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Binds and listens. @param besides our own descriptors on overlapping addresses @throws ListenFailed */
export function acquire(bind: Bind, besides: readonly number[]): number {
  const given = handedOver(bind)
  if (given !== undefined) return given
  try {
    return bind.kind === "unix" ? acquirePath(bind.path) : acquirePort(bind, besides)
  } catch (error) {
    if (!(error instanceof SocketError)) throw error
    throw new ListenFailed(error.code, explain(bind, error))
  }
}

function acquirePort(bind: Bind & { kind: "tcp" }, besides: readonly number[]): number {
  const { port } = bind
  const listen = (ip: Ip, bothFamilies: boolean) =>
    listenTcp(
      { family: ip.family, a: ip.a, b: ip.b, c: ip.c, d: ip.d, port, bothFamilies },
      BACKLOG,
      KEEP_ALIVE,
      besides,
    )
  if (bind.address !== "*") return listen(parseIp(bind.address)!, false)
  try {
    return listen(parseIp("::")!, true)
  } catch (error) {
    // No IPv6 on this machine: IPv4 alone.
    if (!(error instanceof SocketError) || !["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(error.code)) throw error
    return listen(ipv4(0), false)
  }
}

function acquirePath(path: string): number {
  removeStale(path)
  const fd = listenUnix(path, BACKLOG)
  ours.set(path, inodeOf(path))
  return fd
}

/** The socket files that we made. One that systemd handed over is not ours to remove, and neither is what took a place. */
const ours = new Map<string, string | undefined>()

/** Removes the file of a socket of ours that has been closed, if it is still that file. */
export function removePath(path: string): void {
  const made = ours.get(path)
  ours.delete(path)
  if (made !== undefined && inodeOf(path) === made) unlinkSync(path)
}

function inodeOf(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}

/** Removes a socket file that nobody listens on any more; anything else at that path stays and fails the bind. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined || !found.isSocket()) return
  try {
    closeDescriptor(connectUnix(path))
  } catch (error) {
    if (error instanceof SocketError && error.code === "ECONNREFUSED") unlinkSync(path)
  }
}

function explain(bind: Bind, error: SocketError): string {
  switch (error.code) {
    case "EADDRINUSE": {
      if (bind.kind === "unix") return "the path is taken: something listens there, or it is not a socket"
      const owner = portOwner(bind.port)
      return `the port is taken${owner === undefined ? "" : ` by ${owner}`}`
    }
    case "EACCES":
      return bind.kind === "tcp" && bind.port < 1024
        ? "no permission: ports below 1024 need CAP_NET_BIND_SERVICE"
        : "no permission"
    case "EADDRNOTAVAIL":
      return bind.kind === "tcp" ? `this machine has no address ${bind.address}` : error.message
    case "EAFNOSUPPORT":
      return "this machine has no IPv6"
    case "ENOENT":
      return "there is no such folder"
    default:
      return error.message
  }
}

/** Where a descriptor is bound, as `address:port` or a path. */
export function boundTo(fd: number): string {
  const name = localName(fd)
  const ip = ipOf(name)
  if (name === undefined || ip === undefined) return `unix:${localPath(fd) ?? "?"}`
  return formatHostPort(formatIp(ip), name.port)
}

/** The first descriptor that systemd passes (sd_listen_fds(3)). */
const FIRST_PASSED = 3
let passed: Map<string, number> | undefined

/** A listening socket that systemd handed to this process for this address. Each is taken once. */
function handedOver(bind: Bind): number | undefined {
  passed ??= readPassed()
  const keys =
    bind.kind === "unix"
      ? [`unix:${bind.path}`]
      : bind.address === "*"
        ? [`*:${bind.port}`, `0.0.0.0:${bind.port}`]
        : [formatHostPort(bind.address, bind.port)]
  for (const key of keys) {
    const fd = passed.get(key)
    if (fd === undefined) continue
    passed.delete(key)
    if (bind.kind === "tcp") keepAliveOn(fd, KEEP_ALIVE)
    setBacklog(fd, BACKLOG)
    return fd
  }
  return undefined
}

function readPassed(): Map<string, number> {
  const found = new Map<string, number>()
  const count = Number(process.env["LISTEN_FDS"] ?? 0)
  const forUs = process.env["LISTEN_PID"] === String(process.pid)
  // Not for what we start ourselves.
  delete process.env["LISTEN_FDS"]
  delete process.env["LISTEN_PID"]
  if (!available || !forUs || !Number.isInteger(count)) return found
  for (let fd = FIRST_PASSED; fd < FIRST_PASSED + count; fd++) {
    closeOnExec(fd)
    if (!listens(fd)) continue
    const name = localName(fd)
    const bound = boundTo(fd)
    found.set(name !== undefined && bound.startsWith("[::]:") && takesBothFamilies(fd) ? `*:${name.port}` : bound, fd)
  }
  return found
}
