// What a system of the comparison is: a real program that can be started for a task on a free port.
import type { Certificate } from "./certificates.ts"
import { rename, serverName, type Hello } from "./hello.ts"
import { newFolder, launch, type Program } from "./process.ts"
import { ANSWER_LENGTH, REQUEST } from "./wire.ts"

/**
 * What it has to do with a connection. list: route it if the source is in one of 100 ranges; promise, timer: the same
 * after a resolved promise or 1 ms; deny: the source is in none of them; answer: a text of its own. Without the ranges:
 * sni: route it by the name in its ClientHello, as it is; terminate: end TLS and route what is inside; tell: end TLS and
 * answer a text of its own; pool: route it to one of several targets, which are checked.
 */
export type Policy = "list" | "promise" | "timer" | "deny" | "answer" | "sni" | "terminate" | "tell" | "pool" | "routes"

/** How targets of a pool are checked. Durations in milliseconds. One that is up for a second does not come back by that. */
export const POOL = { interval: 500, timeout: 500, fall: 2, rise: 4, expect: "upstream" } as const

/** What a pool looks like at one moment. */
export interface PoolState {
  /** By target: it gets no connections. */
  readonly out: readonly boolean[]
  /** Attempts after a connection's first, so far. */
  readonly retries: number
}

export interface Task {
  readonly policy: Policy
  readonly address: string
  /** It listens on all ports from the first to the last. */
  readonly first: number
  readonly last: number
  /** The upstream's port on 127.0.0.1. */
  readonly upstream: number
  /** Bytes per buffer, where that can be chosen; otherwise the default. */
  readonly buffers?: number
  /** Connections at one time, at most. */
  readonly connections: number
  /** sni: so many names are known. */
  readonly names?: number
  /** sni: what clients send. */
  readonly hello?: Hello
  /** terminate, tell: what clients are shown. */
  readonly certificate?: Certificate
  /** pool: ports of the targets on 127.0.0.1, whether these speak first, and how they are picked. @default in turn */
  readonly targets?: readonly number[]
  readonly greeted?: boolean
  readonly leastConnections?: boolean
}

/** The names that the task knows. */
export function serverNames({ names = 0 }: Task): string[] {
  return Array.from({ length: names }, (_, i) => serverName(i))
}

export interface System {
  /** As in `--peers`. */
  readonly name: string
  /** What is missing on this machine, or `undefined`. */
  missing(): string | undefined
  readonly policies: readonly Policy[]
  /** Whether its buffers can be chosen. */
  readonly buffers: boolean
  /** It routes without the list of ranges, because it has none. */
  readonly withoutList?: boolean
  /** It waits by select(2): no descriptor beyond 1023. */
  readonly few?: boolean
  /** Its version, for the report. */
  version(): string
  /** Writes what it needs into the folder and returns the command that starts it in the foreground. */
  prepare(task: Task, folder: string): readonly string[]
  /** What its pool looks like; of those that do `pool`. */
  pool?(folder: string): Promise<PoolState>
  /** Makes the running program take a changed task; what it needs was written already. */
  reload?(program: Program): void
  /** A system whose configuration cannot be changed while it runs has none. */
  readonly reloads: boolean
}

export interface Running {
  readonly system: System
  readonly program: Program
  readonly task: Task
  readonly folder: string
  /** Milliseconds from spawn to the first connection that was served. */
  readonly ready: number
  /** Changes its task while it runs. */
  change(task: Task): void
  stop(): Promise<void>
}

/** 20 s: whoever is not serving by then has failed. */
const START = 20_000

/** Starts a system, and resolves when it has served a first connection. */
export async function start(system: System, task: Task): Promise<Running> {
  const folder = newFolder()
  const command = system.prepare(task, folder)
  const began = performance.now()
  const program = launch(command, folder)
  let ended = false
  void program.exited.then(() => (ended = true))
  while (!(await served(task))) {
    if (ended || performance.now() - began > START) {
      await program.stop()
      throw new Error(`${system.name} does not serve: ${program.output()}`)
    }
  }
  return {
    system,
    program,
    task,
    folder,
    ready: performance.now() - began,
    change(changed) {
      system.prepare(changed, folder)
      system.reload?.(program)
    },
    stop: () => program.stop(),
  }
}

/** Whether a connection is dealt with as the task says. Waits a little after a refused one. */
async function served({ address, last, policy, hello, certificate }: Task): Promise<boolean> {
  const got = await visit(address, last, {
    silent: policy === "deny" || policy === "answer" || policy === "tell",
    ...(hello === undefined ? {} : { first: rename(hello, 0) }),
    tls: certificate !== undefined,
  })
  if (got === undefined) {
    await Bun.sleep(1)
    return false
  }
  return policy === "deny" ? true : got.length > 0
}

export interface Visit {
  /** Sends nothing, and waits for the close. */
  readonly silent?: boolean
  /** What is sent, and answered. @default the small request */
  readonly first?: Uint8Array
  readonly tls?: boolean
}

/** 5 s for one visit. */
const VISIT = 5000

/** One connection: what it was answered until the upstream's whole answer or the close. `undefined`: refused. */
export async function visit(address: string, port: number, how: Visit = {}): Promise<string | undefined> {
  const { silent = false, first = REQUEST, tls = false } = how
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  let got = ""
  const timer = setTimeout(resolve, VISIT, undefined)
  const ask = (socket: Bun.Socket) => {
    if (!silent) socket.write(first)
  }
  const socket = await Bun.connect({
    hostname: address,
    port,
    ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      [tls ? "handshake" : "open"]: ask,
      data(_, chunk) {
        got += chunk.toString("latin1")
        if (!silent && got.length >= ANSWER_LENGTH) resolve(got)
      },
      close: () => resolve(got),
      error: () => undefined,
    },
  }).catch((error) => resolve(error.code === "ECONNRESET" ? "" : undefined))
  const answer = await promise
  clearTimeout(timer)
  if (socket !== undefined) socket.end()
  return answer
}

/** The first line that a program prints about itself. */
export function firstLine(command: readonly string[]): string {
  const { stdout, stderr } = Bun.spawnSync([...command])
  const text = `${stdout.toString()}${stderr.toString()}`
  return text.trim().split("\n")[0] ?? ""
}
