// The watchdog's own thread: sees the heartbeats stop, says which policy it was, and ends the process. It does
// nothing that waits for the main thread, or for whoever reads stderr.
import { dlopen } from "bun:ffi"
import { write } from "node:fs"
import { BEATS, DECIDING, LAST, LOADING, STUCK_EXIT_CODE, type Told } from "./watchdog.ts"

/** 500 ms: a stderr that nobody reads does not keep a stuck process alive. */
const LAST_WORDS_MS = 500

const names = new Map<number, string>()

addEventListener("message", (event: MessageEvent<Told>) => {
  const told = event.data
  if (told.tell === "start") watch(told.shared, told.ticks, told.tickMs, told.json)
  else if (told.tell === "name") names.set(told.id, told.file)
  else names.delete(told.id)
})

function watch(shared: Int32Array, ticks: number, tickMs: number, json: boolean): void {
  let seen = -1
  let missed = 0
  setInterval(() => {
    const beats = Atomics.load(shared, BEATS)
    if (beats !== seen) {
      seen = beats
      missed = 0
    } else if (++missed === ticks) end(shared, json)
  }, tickMs)
}

function end(shared: Int32Array, json: boolean): void {
  const message = `the event loop is stuck: ${culprit(shared)}; ending with code ${STUCK_EXIT_CODE}`
  const line = json
    ? JSON.stringify({ time: new Date().toISOString(), level: "error", message })
    : `tidegate: ${message}`
  setTimeout(exit, LAST_WORDS_MS)
  write(2, `${line}\n`, exit)
}

function culprit(shared: Int32Array): string {
  const deciding = names.get(Atomics.load(shared, DECIDING))
  if (deciding !== undefined) return `${deciding} was deciding`
  const loading = names.get(Atomics.load(shared, LOADING))
  if (loading !== undefined) return `${loading} was being loaded`
  const last = names.get(Atomics.load(shared, LAST))
  return last === undefined ? "no policy was running" : `no policy was deciding, ${last} was asked last`
}

/** The whole process, at once: process.exit would only end this thread. */
function exit(): void {
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      dlopen(name, { _exit: { args: ["i32"], returns: "void" } }).symbols._exit(STUCK_EXIT_CODE)
    } catch {
      // Another libc, or no FFI.
      continue
    }
  }
  process.kill(process.pid, "SIGKILL")
}
