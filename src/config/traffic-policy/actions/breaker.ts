// Circuits: how many connections a rule lets through and how many of them came to nothing, in a window that moves on. Kept
// by name, so that a reload does not close what is open.
import type { CloseReason, Summary } from "../../../policy/connection.ts"

/** ngrok's: the window moves on in tenths. */
const BUCKETS = 10
/** 10,000 circuits: one per action that is written. */
const MOST_CIRCUITS = 10_000
/** 200,000 connections that have not ended: more than one process has. */
const MOST_WATCHED = 200_000

export interface CircuitOptions {
  /** 0 to 1. */
  readonly errorThreshold: number
  /** Connections in the window before the threshold counts. */
  readonly volumeThreshold: number
  /** Milliseconds. */
  readonly window: number
  readonly tripped: number
}

export class Circuit {
  private options: CircuitOptions
  private readonly volume = Array.from({ length: BUCKETS }, () => 0)
  private readonly errors = Array.from({ length: BUCKETS }, () => 0)
  /** The number of the bucket that counts now: time by its length. */
  private bucket = 0
  private openUntil = 0
  /** It was open: the next connection that fails opens it again. */
  private onTrial = false

  constructor(options: CircuitOptions) {
    this.options = options
  }

  /** From now on with other options; what was counted stays counted where the window is the same. */
  change(options: CircuitOptions): void {
    if (options.window !== this.options.window) this.clear()
    this.options = options
  }

  /** Whether connections are to be kept away. @param now milliseconds, as in every call */
  isOpen(now: number): boolean {
    return now < this.openUntil
  }

  /** A connection passes. */
  passed(now: number): void {
    this.moveTo(now)
    this.volume[this.bucket % BUCKETS]!++
  }

  /** One that passed has reached its upstream, or has not. */
  ended(failed: boolean, now: number): void {
    if (this.isOpen(now)) return
    if (!failed) {
      this.onTrial = false
      return
    }
    this.moveTo(now)
    this.errors[this.bucket % BUCKETS]!++
    const { errorThreshold, tripped, volumeThreshold } = this.options
    const errors = sum(this.errors)
    // Those that passed before the window may fail in it.
    const volume = Math.max(sum(this.volume), errors)
    if (!this.onTrial && (volume < volumeThreshold || errors / volume < errorThreshold)) return
    this.openUntil = now + tripped
    this.onTrial = true
    this.clear()
  }

  private moveTo(now: number): void {
    const bucket = Math.floor((now * BUCKETS) / this.options.window)
    const steps = Math.min(bucket - this.bucket, BUCKETS)
    for (let i = 0; i < steps; i++) {
      this.volume[(bucket - i) % BUCKETS] = 0
      this.errors[(bucket - i) % BUCKETS] = 0
    }
    this.bucket = Math.max(bucket, this.bucket)
  }

  private clear(): void {
    this.volume.fill(0)
    this.errors.fill(0)
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0)
}

const circuits = new Map<string, Circuit>()

export function circuitOf(id: string, options: CircuitOptions): Circuit {
  const known = circuits.get(id)
  if (known !== undefined) {
    known.change(options)
    return known
  }
  const circuit = new Circuit(options)
  if (circuits.size >= MOST_CIRCUITS) circuits.delete(circuits.keys().next().value!)
  circuits.set(id, circuit)
  return circuit
}

/** By connection: the circuits that it passed. */
const watched = new Map<string, Circuit[]>()

export function watch(connection: string, circuit: Circuit): void {
  const known = watched.get(connection)
  if (known !== undefined) known.push(circuit)
  else {
    if (watched.size >= MOST_WATCHED) watched.delete(watched.keys().next().value!)
    watched.set(connection, [circuit])
  }
}

/** An upstream of a connection could not be reached, though the connection may go on to another. */
export function upstreamFailed(connection: string, now = performance.now()): void {
  for (const circuit of watched.get(connection) ?? []) circuit.ended(true, now)
  watched.delete(connection)
}

const FAILED: ReadonlySet<CloseReason> = new Set(["dial-failed", "no-target"])

/** A connection has ended. */
export function connectionClosed({ close, conn, upstream }: Summary, now = performance.now()): void {
  const circuitsOf = watched.get(conn.id)
  if (circuitsOf === undefined) return
  watched.delete(conn.id)
  // One that was reset before it said anything is as good as not reached.
  const failed = FAILED.has(close.reason) || (close.reason === "upstream-reset" && conn.bytes_out === 0)
  if (!failed && upstream === null) return
  for (const circuit of circuitsOf) circuit.ended(failed, now)
}
