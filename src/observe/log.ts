// What the gateway has to say about itself: lines on stderr, beside the events and never mixed with them.
// What policies print with `console` comes here too, because Bun's own console waits when nobody reads.
import { format, inspect } from "node:util"
import { clock } from "./events.ts"
import { painter, wantsColor, type Color, type Paint } from "./paint.ts"
import { printable, printableJson } from "./printable.ts"
import { LineWriter } from "./writer.ts"

export type Level = "debug" | "info" | "warn" | "error"
/** Values of a line beside its message; shown as JSON. */
export type Fields = Readonly<Record<string, unknown>>

export interface LogOptions {
  readonly format: "json" | "pretty"
  /** The descriptor that is written to. @default 2 */
  readonly fd?: number
  /** Colour in `pretty`. @default on a terminal, unless NO_COLOR is set */
  readonly color?: boolean
  /** Lines below it are left out. @default "info" */
  readonly level?: Level
}

const RANKS: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }
const COLORS: Readonly<Record<Level, Color>> = { debug: "dim", info: "cyan", warn: "yellow", error: "red" }
/** 16 KiB: a policy that prints a whole answer costs a page of log, not the queue. */
const LONGEST_MESSAGE = 16 * 1024
const LONGEST_FIELDS = 4 * 1024

/** The operational log. Never waits, and drops with a count when nobody reads. */
export class Log {
  private readonly writer: LineWriter
  private readonly lowest: number
  private readonly line: (level: Level, message: string, fields: Fields | undefined) => string

  constructor(options: LogOptions) {
    const fd = options.fd ?? 2
    const paint = painter(options.color ?? wantsColor(fd))
    this.lowest = RANKS[options.level ?? "info"]
    this.line = options.format === "json" ? json : (level, message, fields) => pretty(level, message, fields, paint)
    this.writer = new LineWriter(fd, {
      droppedLine: (count) =>
        this.line("warn", `${count} lines of this log were dropped: they were not read in time`, undefined),
    })
  }

  debug(message: string, fields?: Fields): void {
    this.write("debug", message, fields)
  }

  info(message: string, fields?: Fields): void {
    this.write("info", message, fields)
  }

  warn(message: string, fields?: Fields): void {
    this.write("warn", message, fields)
  }

  error(message: string, fields?: Fields): void {
    this.write("error", message, fields)
  }

  write(level: Level, message: string, fields?: Fields): void {
    if (RANKS[level] >= this.lowest) this.writer.write(this.line(level, message, fields))
  }

  /** Lines that were dropped since the start. */
  get dropped(): number {
    return this.writer.dropped
  }

  /** Resolves with true once everything is written, or with false after `deadlineMs`. */
  flush(deadlineMs: number): Promise<boolean> {
    return this.writer.flush(deadlineMs)
  }

  /** One last try without waiting, for the process's `exit` handler. */
  flushNow(): void {
    this.writer.flushNow()
  }

  close(): void {
    this.writer.close()
  }
}

/** One line of JSON: `time`, `level` and `message`, then the fields; a field of one of these names gives way. */
function json(level: Level, message: string, fields: Fields | undefined): string {
  const head = { time: new Date().toISOString(), level, message: cut(message) }
  return printableJson(fields === undefined ? JSON.stringify(head) : stringify({ ...head, ...fields, ...head }))
}

/** A line for people. What a message brings in line breaks is indented, so that it cannot pass for lines of ours. */
function pretty(level: Level, message: string, fields: Fields | undefined, paint: Paint): string {
  const text = cut(message)
    .split(/\r?\n/)
    .map((line) => printable(line, LONGEST_MESSAGE))
    .join("\n    ")
  const rest = fields === undefined ? "" : `  ${paint("dim", printable(stringify(fields), LONGEST_FIELDS))}`
  return `${paint("dim", clock(Date.now()))} ${paint(COLORS[level], level.padEnd(5))} ${text}${rest}`
}

function cut(message: string): string {
  return message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE)}...`
}

function stringify(fields: Fields): string {
  try {
    return JSON.stringify(fields)
  } catch {
    // A cycle or a BigInt: shown as Bun would print it.
    return JSON.stringify({
      ...(typeof fields["message"] === "string" ? { message: fields["message"] } : {}),
      fields: inspect(fields),
    })
  }
}

const CONSOLE_LEVELS = {
  debug: "debug",
  log: "info",
  info: "info",
  dir: "info",
  table: "info",
  warn: "warn",
  error: "error",
  trace: "debug",
  group: "info",
  groupCollapsed: "info",
  dirxml: "info",
  count: "info",
  timeLog: "info",
  timeEnd: "info",
  assert: "error",
  write: "info",
} as const

/** Print nothing, or only what has no meaning in a log. */
const SILENT = ["groupEnd", "countReset", "time", "clear"] as const

/**
 * Sends what is printed with `console` to the log, until it is disposed: a policy that prints to a full pipe would
 * otherwise stop the whole gateway.
 */
export function captureConsole(log: Log): Disposable {
  const before: Record<string, unknown> = {}
  for (const [method, level] of Object.entries(CONSOLE_LEVELS)) {
    before[method] = Reflect.get(console, method)
    // `dir` and `table` take options after the value.
    const text = method === "dir" || method === "table" ? inspect : format
    Reflect.set(console, method, (...values: unknown[]) => {
      if (method === "assert" && values.shift()) return
      log.write(level, text === inspect ? inspect(values[0]) : format(...values))
    })
  }
  for (const method of SILENT) {
    before[method] = Reflect.get(console, method)
    Reflect.set(console, method, () => undefined)
  }
  return {
    [Symbol.dispose]() {
      for (const [method, original] of Object.entries(before)) Reflect.set(console, method, original)
    },
  }
}
