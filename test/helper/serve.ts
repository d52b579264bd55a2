// A real gateway in its own process, over a folder of its own.
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import type { Refusal } from "../../src/observe/events.ts"
import type { Summary } from "../../src/policy/connection.ts"

const MAIN = resolve(import.meta.dir, "../../src/main.ts")

/** Control sockets of gateways that are killed stay behind: not in the machine's own folder. */
export const RUNTIME = mkdtempSync(join(tmpdir(), "tidegate-runtime-"))
process.on("exit", () => rmSync(RUNTIME, { recursive: true, force: true }))

export interface LogLine {
  readonly level: string
  readonly message: string
}

export interface Served extends AsyncDisposable {
  readonly folder: string
  readonly pid: number
  /** The port that a file with `tcp://127.0.0.1:0` (or `tcp://:0`) got. */
  port(file: string): Promise<number>
  write(file: string, text: string): void
  /** Closing events so far. */
  readonly events: readonly Summary[]
  /** Reports so far of clients that were turned away before they were connections. */
  readonly refusals: readonly Refusal[]
  readonly log: readonly LogLine[]
  /** Resolves as soon as the condition holds; it is asked after every line of output. */
  until<A>(condition: () => A | undefined | false): Promise<A>
  signal(name: NodeJS.Signals): void
  readonly exited: Promise<number>
}

/** Writes the files, starts the gateway, and resolves when it is ready. */
export async function serve(files: Readonly<Record<string, string>>, ...flags: string[]): Promise<Served> {
  const served = start(files, ...flags)
  await Promise.race([
    served.until(() => served.log.some((line) => line.message.startsWith("ready"))),
    served.exited.then((code) => {
      throw new Error(`the gateway ended with ${code}:\n${served.log.map((line) => line.message).join("\n")}`)
    }),
  ])
  return served
}

/** As {@link serve}, without waiting. */
export function start(files: Readonly<Record<string, string>>, ...flags: string[]): Served {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-"))
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  for (const [file, text] of Object.entries(files)) write(file, text)
  const child = Bun.spawn([process.execPath, "--no-install", MAIN, "serve", folder, "--log", "json", ...flags], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", XDG_RUNTIME_DIR: RUNTIME },
  })
  const events: Summary[] = []
  const refusals: Refusal[] = []
  const log: LogLine[] = []
  let waiting: (() => boolean)[] = []
  const look = () => {
    waiting = waiting.filter((each) => !each())
  }
  void lines(child.stdout, (line) => {
    const event = JSON.parse(line)
    if (event.event_type === "tcp_connection_closed.v0") events.push(event.object)
    else if (event.event_type === "tcp_connections_refused.v0") refusals.push(event.object)
    look()
  })
  void lines(child.stderr, (line) => {
    log.push(line.startsWith("{") ? JSON.parse(line) : { level: "raw", message: line })
    look()
  })
  const until = <A>(condition: () => A | undefined | false): Promise<A> => {
    const { promise, resolve } = Promise.withResolvers<A>()
    const check = () => {
      const value = condition()
      if (value === undefined || value === false) return false
      resolve(value)
      return true
    }
    if (!check()) waiting.push(check)
    return promise
  }
  return {
    folder,
    pid: child.pid,
    write,
    events,
    refusals,
    log,
    until,
    port: (file) =>
      until(() => {
        const line = log.findLast(({ message }) => message.includes(" is open: ") && message.includes(file))
        const port = /\(try: nc \S+ (\d+)\)/.exec(line?.message ?? "")?.[1]
        return port === undefined ? undefined : Number(port)
      }),
    signal: (name) => child.kill(name),
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await child.exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function lines(stream: ReadableStream<Uint8Array>, each: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = parts.pop() ?? ""
    for (const line of parts) if (line !== "") each(line)
  }
}
