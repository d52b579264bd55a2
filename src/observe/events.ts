// The events of the gateway in ngrok's envelope: JSON lines for programs, or lines for people. Knows no connection:
// it is handed the finished summary. docs/events.md explains every field.
import type { CloseReason, Summary } from "../policy/connection.ts"
import { painter, wantsColor, type Color, type Paint } from "./paint.ts"
import { printable, printableJson } from "./printable.ts"
import { LineWriter } from "./writer.ts"

export type EventFormat = "json" | "pretty" | "none"

export interface EventsOptions {
  readonly format: EventFormat
  /** The descriptor that is written to. @default 1 */
  readonly fd?: number
  /** Colour in `pretty`. @default on a terminal, unless NO_COLOR is set */
  readonly color?: boolean
}

export interface ListenerName {
  readonly name: string
  readonly url: string
}

/** The `object` of `tcp_connections_refused.v0`: clients that were turned away before there was a connection. */
export interface Refusal {
  readonly listener: ListenerName
  readonly count: number
  readonly reason: string
  readonly from_ts: string
  readonly until_ts: string
}

/** One second: a flood is one line a second, and a report is never older than that. */
const REFUSALS_EVERY_MS = 1000

/** Sums refusals up to one report per listener, reason and second. Nothing runs while there is nothing to report. */
export class Refusals {
  private readonly report: (refusal: Refusal) => void
  private readonly counts = new Map<
    string,
    { listener: ListenerName; reason: string; count: number; from: number; until: number }
  >()
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(report: (refusal: Refusal) => void) {
    this.report = report
  }

  /** One client was turned away. */
  add(listener: ListenerName, reason: string): void {
    const key = `${listener.name} ${reason}`
    const now = Date.now()
    const known = this.counts.get(key)
    if (known === undefined) this.counts.set(key, { listener, reason, count: 1, from: now, until: now })
    else {
      known.count++
      known.until = now
    }
    this.timer ??= setTimeout(() => this.flush(), REFUSALS_EVERY_MS)
  }

  /** Reports what was counted, now. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    for (const { listener, reason, count, from, until } of this.counts.values()) {
      this.report({
        listener: { name: listener.name, url: listener.url },
        count,
        reason,
        from_ts: new Date(from).toISOString(),
        until_ts: new Date(until).toISOString(),
      })
    }
    this.counts.clear()
  }
}

/** Where events go. With format `none` they are counted nowhere and cost nothing. */
export class Events {
  private readonly writer: LineWriter | undefined
  private readonly refusals: Refusals
  private readonly line: (summary: Summary) => string

  constructor(options: EventsOptions) {
    const fd = options.fd ?? 1
    const paint = painter(options.color ?? wantsColor(fd))
    const pretty = options.format === "pretty"
    this.writer =
      options.format === "none"
        ? undefined
        : new LineWriter(fd, { droppedLine: pretty ? (count) => droppedText(count, paint) : droppedJson })
    this.line = pretty ? (summary) => closedText(summary, paint) : closedJson
    this.refusals = new Refusals((refusal) =>
      this.writer?.write(pretty ? refusedText(refusal, paint) : refusedJson(refusal)),
    )
  }

  /** Whether anything is written at all. */
  get wanted(): boolean {
    return this.writer !== undefined
  }

  /** A connection has ended. */
  closed(summary: Summary): void {
    this.writer?.write(this.line(summary))
  }

  /** A client was turned away before there was a connection. Reported summed up, within a second. */
  refused(listener: ListenerName, reason: string): void {
    if (this.writer !== undefined) this.refusals.add(listener, reason)
  }

  /** Events that were dropped since the start: nobody read them, or the disk was full. */
  get dropped(): number {
    return this.writer?.dropped ?? 0
  }

  /** Resolves with true once everything is written, refusals included, or with false after `deadlineMs`. */
  flush(deadlineMs: number): Promise<boolean> {
    this.refusals.flush()
    return this.writer?.flush(deadlineMs) ?? Promise.resolve(true)
  }

  /** One last try without waiting, for the process's `exit` handler. */
  flushNow(): void {
    this.refusals.flush()
    this.writer?.flushNow()
  }

  close(): void {
    this.refusals.flush()
    this.writer?.close()
  }
}

/** `tcp_connection_closed.v0` as one line of JSON. The id of the event is the connection's, so a retold one is known. */
export function closedJson(summary: Summary): string {
  const { id, end_ts } = summary.conn
  return envelope(`ev_${id}`, "tcp_connection_closed.v0", end_ts, stringify(summary))
}

function refusedJson(refusal: Refusal): string {
  return envelope(newId(), "tcp_connections_refused.v0", refusal.until_ts, JSON.stringify(refusal))
}

function droppedJson(count: number): string {
  return envelope(newId(), "events_dropped.v0", new Date().toISOString(), `{"count":${count}}`)
}

function envelope(id: string, type: string, timestamp: string, object: string): string {
  return printableJson(
    `{"event_id":"${id}","event_type":"${type}","event_timestamp":"${timestamp}","object":${object}}`,
  )
}

function newId(): string {
  return `ev_${Bun.randomUUIDv7().replaceAll("-", "")}`
}

/** A policy's log fields may hold what JSON has no words for; the event is written all the same. */
function stringify(summary: Summary): string {
  try {
    return JSON.stringify(summary)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return JSON.stringify({ ...summary, traffic_policy: { logs: [{ "log() failed": problem }] } })
  }
}

/** Endings that need nobody's attention. */
const ORDINARY: ReadonlySet<CloseReason> = new Set(["client-closed", "upstream-closed", "answered"])
/** Endings that are the policy author's or the operator's to look into. */
const FAULTS: ReadonlySet<CloseReason> = new Set([
  "no-decision",
  "no-policy",
  "policy-failed",
  "policy-timeout",
  "dial-failed",
  "no-target",
  "internal-error",
])
const DECISION_COLORS: Readonly<Record<string, Color>> = { route: "green", respond: "cyan", deny: "yellow" }
/** 200 characters: a line of the log stays a line. */
const LONGEST_FIELD = 200

/** The closing event as a line for people: when, who, where, which policy said what, how much, how long, why. */
export function closedText(summary: Summary, paint: Paint): string {
  const { conn, listener, policy, upstream, timing, close, problem, tls, traffic_policy, via } = summary
  const reasonColor = ORDINARY.has(close.reason) ? "dim" : FAULTS.has(close.reason) ? "red" : "yellow"
  const parts = [
    paint("dim", clock(conn.end_ts)),
    `${endpoint(conn.client_ip, conn.client_port)}${via === null ? "" : ` via ${endpoint(via.ip, via.port)}`} -> ${safe(listener.name)}`,
    ...(conn.server_name === null ? [] : [safe(conn.server_name)]),
    ...(tls === null
      ? []
      : [`${tls.version}${tls.client_certificate === null ? "" : ` ${safe(tls.client_certificate.subject)}`}`]),
    policy === null ? paint("dim", "no policy") : policyText(policy, paint),
  ]
  if (upstream !== null) parts.push(upstreamText(upstream))
  parts.push(`in ${size(conn.bytes_in)} out ${size(conn.bytes_out)}`, span(timing.duration_ms))
  parts.push(`${paint(reasonColor, close.reason)} by ${close.by}${problem === null ? "" : ` (${safe(problem)})`}`)
  if (traffic_policy.logs.length > 0) parts.push(paint("dim", safe(logsText(traffic_policy.logs))))
  return parts.join("  ")
}

function policyText(policy: NonNullable<Summary["policy"]>, paint: Paint): string {
  const decision =
    policy.decision === null
      ? paint("red", "no decision")
      : paint(DECISION_COLORS[policy.decision] ?? "bold", policy.decision)
  const rule = policy.rule === null ? "" : ` (${safe(policy.rule)})`
  return `${safe(policy.file)}${rule} ${decision}${policy.reason === null ? "" : ` "${safe(policy.reason)}"`}`
}

function upstreamText({ pool, target, address, attempts, error }: NonNullable<Summary["upstream"]>): string {
  const details = []
  if (pool !== null && target !== null) details.push(`of ${safe(pool)}`)
  if (address !== null && target?.endsWith(address) !== true) details.push(safe(address))
  if (error !== null) details.push(safe(error))
  if (attempts > 1) details.push(`attempt ${attempts}`)
  const name = target === null ? `pool ${safe(pool ?? "?")}` : safe(target)
  return `${name}${details.length === 0 ? "" : ` (${details.join(", ")})`}`
}

function logsText(logs: readonly Record<string, unknown>[]): string {
  try {
    return logs.map((fields) => JSON.stringify(fields)).join(" ")
  } catch (error) {
    return `log() failed: ${error instanceof Error ? error.message : String(error)}`
  }
}

function refusedText(refusal: Refusal, paint: Paint): string {
  const clients = refusal.count === 1 ? "1 client" : `${refusal.count} clients`
  return `${paint("dim", clock(refusal.until_ts))}  ${safe(refusal.listener.name)}  ${paint("yellow", `${clients} refused`)}: ${safe(refusal.reason)}`
}

function droppedText(count: number, paint: Paint): string {
  return paint("red", `${count} events dropped: they were not read in time`)
}

function safe(text: string): string {
  return printable(text, LONGEST_FIELD)
}

function endpoint(address: string | null, port: number | null): string {
  if (address === null) return "unix"
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

/** `12:04:07.123`, in the machine's time zone. */
export function clock(timestamp: string | number): string {
  const date = new Date(timestamp)
  return `${digits(date.getHours(), 2)}:${digits(date.getMinutes(), 2)}:${digits(date.getSeconds(), 2)}.${digits(date.getMilliseconds(), 3)}`
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0")
}

const SIZES = ["kB", "MB", "GB", "TB", "PB"] as const

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.5 && unit < SIZES.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${SIZES[unit]}`
}

/** A length of time as people say it. */
export function span(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
