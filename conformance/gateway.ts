// The gateway that is tested: the real command, as processes of their own, that end with the replay whatever happens.
import { resolve } from "node:path"

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A gateway did not start, or is gone. */
export class GatewayEnded extends Error {}

const MAIN = resolve(import.meta.dir, "../src/main.ts")
/** 3 s between asking a process to end and ending it. */
const PATIENCE = 3000
/** The last lines say why it ended. */
const LINES_SHOWN = 6

const running = new Set<Bun.Subprocess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

function spawn(args: readonly string[], cwd: string) {
  const child = Bun.spawn([process.execPath, "--no-install", MAIN, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  return child
}

/** Runs `tidegate` to its end; rejects when the signal comes first. */
export async function tidegate(args: readonly string[], cwd: string, signal: AbortSignal): Promise<Ran> {
  signal.throwIfAborted()
  const child = spawn(args, cwd)
  const kill = () => child.kill("SIGKILL")
  signal.addEventListener("abort", kill, { once: true })
  try {
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    signal.throwIfAborted()
    return { code, stdout, stderr }
  } finally {
    signal.removeEventListener("abort", kill)
  }
}

export interface Gateway extends AsyncDisposable {
  /** What `tidegate status -o yaml` prints now. */
  status(): Promise<string>
}

/**
 * Serves the folder; the control socket is put beside it.
 * @throws GatewayEnded
 */
export async function startGateway(folder: string, cwd: string, signal: AbortSignal): Promise<Gateway> {
  signal.throwIfAborted()
  const control = ["--control", `${cwd}/control.sock`]
  const child = spawn(["serve", folder, "--log", "json", "--drain", "0s", ...control], cwd)
  const lines: string[] = []
  const ready = Promise.withResolvers<void>()
  void drain(child.stdout)
  void eachLine(child.stderr, (line) => {
    const message = messageOf(line)
    lines.push(message)
    if (lines.length > 100) lines.shift()
    if (message.startsWith("ready")) ready.resolve()
  })
  const ended = () => new GatewayEnded(`the gateway ended: ${lines.slice(-LINES_SHOWN).join(" | ")}`)
  void child.exited.then(() => ready.reject(ended()))
  const onAbort = () => ready.reject(signal.reason)
  signal.addEventListener("abort", onAbort, { once: true })
  const stop = async () => {
    signal.removeEventListener("abort", onAbort)
    child.kill("SIGTERM")
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE)
    await child.exited
    clearTimeout(timer)
  }
  try {
    await ready.promise
  } catch (error) {
    await stop()
    throw error
  }
  return {
    async status() {
      const { code, stderr, stdout } = await tidegate(["status", folder, "-o", "yaml", ...control], cwd, signal)
      if (child.exitCode !== null) throw ended()
      if (stdout.trim() === "") throw new GatewayEnded(`tidegate status ended with ${code}: ${stderr.trim()}`)
      return stdout
    },
    [Symbol.asyncDispose]: stop,
  }
}

function messageOf(line: string): string {
  try {
    return String(JSON.parse(line).message ?? line)
  } catch {
    return line
  }
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of stream) continue
}

async function eachLine(stream: ReadableStream<Uint8Array>, each: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = parts.pop() ?? ""
    for (const line of parts) if (line !== "") each(line)
  }
}
