// The C library through bun:ffi, opened once. Where it cannot be opened (another system, FFI disabled), `libc` is
// undefined and each file of this folder says what it does instead.
import { dlopen, read, type Pointer } from "bun:ffi"
import { constants } from "node:os"

const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const

/** glibc, then musl. The constants of this folder are Linux's, so no other system is tried. */
const NAMES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]

function open() {
  if (process.platform !== "linux") return undefined
  for (const name of NAMES) {
    try {
      return dlopen(name, SYMBOLS).symbols
    } catch {
      // Not this one: the next name, or none.
      continue
    }
  }
  return undefined
}

export const libc = open()

const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))

/** The name of the last failed call's errno, like `EADDRINUSE`. Read it right after the call. */
export function lastError(): string {
  if (libc === undefined) return "ENOSYS"
  const number = read.i32(libc.__errno_location() as Pointer)
  return ERRNO_NAMES.get(number) ?? `errno ${number}`
}
