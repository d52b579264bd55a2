// Programs that the benchmark starts: their processes' CPU time and memory from /proc, their end, and what they leave
// behind. Ends only what it has started.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Program {
  readonly pid: number
  readonly exited: Promise<number>
  /** What it wrote to stderr so far. */
  output(): string
  stop(): Promise<void>
}

/** 3 s between asking a program to end and ending it. */
const PATIENCE = 3000

const running = new Map<number, () => void>()
const folders: string[] = []

process.on("exit", () => {
  for (const kill of running.values()) kill()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130))

/** A temporary folder that is gone when the benchmark ends. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-"))
  folders.push(folder)
  return folder
}

/** The path of an installed program, also where only root's PATH has it. */
export function find(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }) ?? undefined
}

/** Starts a program whose folder takes its stderr. */
export function launch(command: readonly string[], folder: string): Program {
  const log = join(folder, "stderr")
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(log),
    env: { ...process.env, NO_COLOR: "1" },
  })
  const kill = () => {
    for (const pid of family(child.pid)) signal(pid, "SIGKILL")
  }
  running.set(child.pid, kill)
  void child.exited.then(() => running.delete(child.pid))
  return {
    pid: child.pid,
    exited: child.exited,
    output: () => readFileSync(log, "utf8").trim(),
    async stop() {
      // A master that has to be killed leaves its workers behind.
      const members = family(child.pid)
      child.kill("SIGTERM")
      const timer = setTimeout(() => members.forEach((pid) => signal(pid, "SIGKILL")), PATIENCE)
      await child.exited
      clearTimeout(timer)
    },
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended already.
  }
}

/** A process and all its descendants. */
export function family(pid: number): number[] {
  const members = [pid]
  for (let i = 0; i < members.length; i++) {
    for (const tid of threads(members[i]!)) {
      const children = readText(`/proc/${members[i]}/task/${tid}/children`) ?? ""
      members.push(...children.split(" ").filter(Boolean).map(Number))
    }
  }
  return members
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** Nanoseconds on a CPU by thread, over a program and its descendants. */
export type Spent = ReadonlyMap<string, number>

/** The scheduler's own count (schedstat): unlike the ticks of /proc/PID/stat it is exact to the nanosecond. */
export function cpu(program: Program): Spent {
  const spent = new Map<string, number>()
  for (const pid of family(program.pid)) {
    for (const tid of threads(pid)) {
      const text = readText(`/proc/${pid}/task/${tid}/schedstat`)
      if (text !== undefined) spent.set(tid, Number(text.split(" ")[0]))
    }
  }
  return spent
}

/** Seconds between two readings. What a thread spent before it ended between them is lost. */
export function cpuBetween(before: Spent, after: Spent): number {
  let total = 0
  for (const [tid, nanoseconds] of after) total += nanoseconds - (before.get(tid) ?? 0)
  return total / 1e9
}

export interface Memory {
  /** Resident set, bytes. */
  readonly rss: number
  /** The same with shared pages divided among those who share them. */
  readonly pss: number
}

export function memory(program: Program): Memory {
  let rss = 0
  let pss = 0
  for (const pid of family(program.pid)) {
    const text = readText(`/proc/${pid}/smaps_rollup`) ?? ""
    rss += kilobytes(text, "Rss")
    pss += kilobytes(text, "Pss")
  }
  return { rss, pss }
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** Ports for listening lie below the range from which the kernel takes those of outgoing connections. */
const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000
let candidate = LOWEST_PORT + Math.floor(Math.random() * 10_000)

export function freePort(): number {
  for (;;) {
    candidate = candidate >= HIGHEST_PORT ? LOWEST_PORT : candidate + 1
    try {
      Bun.listen({ hostname: "127.0.0.1", port: candidate, socket: { data: () => undefined } }).stop(true)
      return candidate
    } catch {
      // Taken: the next one.
    }
  }
}
