// Who is at the other end of a unix socket, as the kernel recorded it when the socket was connected.
import { ptr } from "bun:ffi"
import { libc } from "../native/libc.ts"

const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** The user id at the other end of a connected socket; `undefined` where nothing tells. */
export function peerUser(socket: Bun.Socket<unknown>): number | undefined {
  // Bun's types leave the descriptor out.
  const descriptor: unknown = Reflect.get(socket, "fd")
  if (libc === undefined || typeof descriptor !== "number" || descriptor < 0) return undefined
  // struct ucred: pid, uid, gid
  const credentials = new Int32Array(3)
  const length = new Uint32Array([credentials.byteLength])
  const failed = libc.getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, ptr(credentials), ptr(length))
  return failed === 0 ? credentials[1]! >>> 0 : undefined
}

/** Whether our own user or root is at the other end: what the mode of a socket file says for abstract names, which have none. */
export function isOursOrRoot(socket: Bun.Socket<unknown>): boolean {
  const user = peerUser(socket)
  return user !== undefined && (user === 0 || user === process.getuid?.())
}
