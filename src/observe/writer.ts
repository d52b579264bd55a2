// Writes lines to a descriptor that may be a slow pipe, a full disk or a reader that went away: never waits on the
// event loop, holds a bounded number of bytes, and counts every line that it had to drop.
import * as fs from "node:fs"
import { isatty } from "node:tty"
import { libc } from "../native/libc.ts"

/** 8 MiB: some 8,000 closing events, a second of a very busy gateway, and small beside its connections. */
export const EVENT_QUEUE_BYTES = 8 * 1024 * 1024
/** 64 KiB: what an empty pipe takes in one write. */
const CHUNK_BYTES = 64 * 1024
/** 10 ms: lines of one burst share a write, and a person sees no delay. */
const GATHER_MS = 10
/** A full pipe is tried again after 1 ms, then 2, up to this: some 16 tries a second while nobody reads. */
const LONGEST_RETRY_MS = 64
/** After an error (the reader is gone, the disk is full) the next chunk is tried this much later. */
const AFTER_ERROR_MS = 100

export interface LineWriterOptions {
  /** Bytes that may wait. @default EVENT_QUEUE_BYTES */
  readonly limit?: number
  /** The line that reports `count` dropped lines once there is room again. Not counted as a line itself. */
  readonly droppedLine?: (count: number) => string
}

interface Chunk {
  bytes: Uint8Array
  /** Lines in it; 0 for a report. */
  readonly lines: number
  /** Dropped lines that it reports, so that they are reported again when the report itself is lost. */
  readonly reports: number
  /** Bytes that were written. */
  at: number
}

/** A bounded queue of lines in front of one descriptor. */
export class LineWriter {
  private readonly output: Output
  private readonly limit: number
  private readonly droppedLine: ((count: number) => string) | undefined
  private readonly pump = () => this.step()
  private lines: string[] = []
  private lineBytes = 0
  private readonly chunks: Chunk[] = []
  private chunkBytes = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  /** A write failed or would have waited: the timer tries again, not the next line. */
  private held = false
  private inFlight = false
  private closed = false
  private retryMs = 1
  private lost = 0
  private unreported = 0
  private flushing: (() => void)[] = []

  /**
   * Writes to `fd` without ever waiting for it. The descriptor stays open after `close`.
   * A descriptor that is not open counts every line as dropped.
   */
  constructor(fd: number, options: LineWriterOptions = {}) {
    this.output = openOutput(fd)
    this.limit = options.limit ?? EVENT_QUEUE_BYTES
    this.droppedLine = options.droppedLine
  }

  /** Lines that were dropped since the start. */
  get dropped(): number {
    return this.lost
  }

  /** Bytes that wait. */
  get waiting(): number {
    return this.lineBytes + this.chunkBytes
  }

  /** Appends one line, given without its newline. Over the limit it is dropped and counted. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line) + 1
    if (this.closed || this.lineBytes + this.chunkBytes + bytes > this.limit) return this.drop(1)
    this.lines.push(line)
    this.lineBytes += bytes
    if (this.lineBytes >= CHUNK_BYTES) {
      this.seal()
      if (!this.held && !this.inFlight) this.step()
    } else if (this.timer === undefined && !this.inFlight) this.timer = setTimeout(this.pump, GATHER_MS)
  }

  /** Resolves with true once nothing waits any more, or with false after `deadlineMs`; the rest then stays in the queue. */
  flush(deadlineMs: number): Promise<boolean> {
    if (!this.held && !this.inFlight) this.step()
    if (this.waiting === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs, false)
      this.flushing.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  /** One last try without waiting, for the process's `exit` handler: nothing asynchronous runs after it. */
  flushNow(): void {
    if (this.output.mayWait) return
    this.seal()
    for (const chunk of this.chunks.slice(this.inFlight ? 1 : 0)) {
      try {
        chunk.at += fs.writeSync(this.output.fd, chunk.bytes, chunk.at)
      } catch {
        // There is no later in which to try again, and nobody to tell.
        return
      }
    }
  }

  /** Counts what still waits as dropped and stops. */
  close(): void {
    if (this.closed) return
    this.closed = true
    clearTimeout(this.timer)
    this.seal()
    while (this.chunks.length > 0) this.discard()
    this.settle()
    if (this.output.owned) fs.closeSync(this.output.fd)
  }

  private drop(count: number): void {
    this.lost += count
    this.unreported += count
  }

  /** Turns the lines so far into a chunk. */
  private seal(): void {
    if (this.lines.length === 0) return
    const bytes = Buffer.from(`${this.lines.join("\n")}\n`)
    this.chunks.push({ bytes, lines: this.lines.length, reports: 0, at: 0 })
    this.chunkBytes += bytes.length
    this.lines = []
    this.lineBytes = 0
  }

  private step(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.held = false
    this.seal()
    for (let chunk = this.chunks[0]; chunk !== undefined; chunk = this.chunks[0]) {
      const { turn } = this.output
      if (turn.holder !== undefined && turn.holder !== this) return this.hold(1)
      turn.holder = this
      if (turn.midLine && chunk.at === 0 && chunk.bytes[0] !== NEWLINE[0]) {
        chunk.bytes = Buffer.concat([NEWLINE, chunk.bytes])
        this.chunkBytes++
      }
      if (this.output.pooled) return this.writeInPool(chunk)
      try {
        this.wrote(chunk, fs.writeSync(this.output.fd, chunk.bytes, chunk.at))
      } catch (error) {
        return this.failed(error)
      }
    }
    this.settle()
  }

  private writeInPool(chunk: Chunk): void {
    this.inFlight = true
    pooledWrite(this.output.fd, chunk.bytes, chunk.at, (error, written) => {
      this.inFlight = false
      if (this.closed) return
      if (error !== null) return this.failed(error)
      this.wrote(chunk, written)
      this.step()
    })
  }

  private wrote(chunk: Chunk, written: number): void {
    chunk.at += written
    this.chunkBytes -= written
    this.output.turn.midLine = false
    this.retryMs = 1
    if (chunk.at < chunk.bytes.length) return
    this.output.turn.holder = undefined
    this.chunks.shift()
    if (this.unreported === 0 || this.droppedLine === undefined || this.waiting > this.limit / 2) return
    const bytes = Buffer.from(`${this.droppedLine(this.unreported)}\n`)
    this.chunks.unshift({ bytes, lines: 0, reports: this.unreported, at: 0 })
    this.chunkBytes += bytes.length
    this.unreported = 0
  }

  private failed(error: unknown): void {
    const code = error instanceof Error && "code" in error ? error.code : undefined
    if (code === "EAGAIN" || code === "EINTR") {
      if (this.chunks[0]?.at === 0) this.output.turn.holder = undefined
      this.hold(this.retryMs)
      this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS)
      return
    }
    this.discard()
    if (this.waiting === 0) this.settle()
    this.hold(AFTER_ERROR_MS)
  }

  private hold(ms: number): void {
    this.held = true
    this.timer = setTimeout(this.pump, ms)
  }

  /** Gives up the chunk at the front; a line of which a part was written counts as dropped. */
  private discard(): void {
    const chunk = this.chunks.shift()!
    const { turn } = this.output
    this.chunkBytes -= chunk.bytes.length - chunk.at
    if (chunk.at > 0) turn.midLine = chunk.bytes[chunk.at - 1] !== NEWLINE[0]
    if (turn.holder === this) turn.holder = undefined
    if (chunk.reports > 0) this.unreported += chunk.reports
    else this.drop(chunk.at === 0 ? chunk.lines : newlines(chunk.bytes, chunk.at))
  }

  private settle(): void {
    for (const done of this.flushing.splice(0)) done()
  }
}

const NEWLINE = new Uint8Array([10])

function newlines(bytes: Uint8Array, from: number): number {
  let count = 0
  for (let i = bytes.indexOf(10, from); i >= 0; i = bytes.indexOf(10, i + 1)) count++
  return count
}

/** Shared by the writers of one pipe (`2>&1`): one that was stopped inside a line is not interrupted by another. */
interface Turn {
  holder: LineWriter | undefined
  /** The last line was given up after a part of it: what follows starts on a new one. */
  midLine: boolean
}

/** By device and inode. */
const turns = new Map<string, Turn>()

function turnAt(key: string): Turn {
  const known = turns.get(key)
  if (known !== undefined) return known
  const turn: Turn = { holder: undefined, midLine: false }
  turns.set(key, turn)
  return turn
}

interface Output {
  readonly fd: number
  readonly turn: Turn
  /** Ours to close. */
  readonly owned: boolean
  /** A write may take a while: it runs in Bun's thread pool. */
  readonly pooled: boolean
  /** A write may take for ever. */
  readonly mayWait: boolean
}

/**
 * A way to write to `fd` without waiting. Not through Bun's thread pool where that can be helped: it has one thread
 * per core, and two writes that wait for a reader there stop every file read, name lookup and import of the process.
 */
function openOutput(fd: number): Output {
  let kind: fs.Stats
  try {
    kind = fs.fstatSync(fd)
  } catch {
    // Not open: -1 fails like any other bad descriptor, and never becomes somebody's socket.
    return { fd: -1, turn: turnAt(""), owned: false, pooled: false, mayWait: false }
  }
  const turn = turnAt(`${kind.dev}:${kind.ino}`)
  if (kind.isFile()) return { fd, turn, owned: false, pooled: true, mayWait: false }
  if (!kind.isSocket()) {
    try {
      // Opened anew, so that "do not wait" is ours alone and not a property of the shell's terminal.
      const flags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY
      return { fd: fs.openSync(`/proc/self/fd/${fd}`, flags), turn, owned: true, pooled: false, mayWait: false }
    } catch {
      // No /proc, or a pipe that another user made: below.
    }
  }
  if (!isatty(fd) && setNonBlocking(fd)) return { fd, turn, owned: false, pooled: false, mayWait: false }
  return { fd, turn, owned: false, pooled: true, mayWait: true }
}

const F_GETFL = 3
const F_SETFL = 4

function setNonBlocking(fd: number): boolean {
  if (libc === undefined) return false
  const flags = libc.fcntl(fd, F_GETFL, 0)
  return flags >= 0 && libc.fcntl(fd, F_SETFL, flags | fs.constants.O_NONBLOCK) === 0
}

type Written = (error: Error | null, written: number) => void

/** One write of ours at a time occupies a thread of the pool, whatever happens to the disk under it. */
const waitingForPool: (() => void)[] = []
let inPool = false

function pooledWrite(fd: number, bytes: Uint8Array, at: number, done: Written): void {
  const start = () => {
    inPool = true
    fs.write(fd, bytes, at, bytes.length - at, null, (error, written) => {
      inPool = false
      waitingForPool.shift()?.()
      done(error, written)
    })
  }
  if (inPool) waitingForPool.push(start)
  else start()
}
