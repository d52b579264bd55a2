// The control socket: one line of JSON in, one document out, on a unix socket that only its owner can reach. Every
// number is bounded, and nothing here runs while nobody asks.
import { lstatSync, unlinkSync } from "node:fs"
import type { PoolStatus } from "../upstream/status.ts"
import { UNIX_PATH_BYTES } from "../policy/target.ts"
import { claim, controlPlaces, isTrusted, namedPlace, showPath, type ControlPlace } from "./control-path.ts"
import { isOursOrRoot } from "./peer-user.ts"

export interface ListenerStatus {
  readonly name: string
  readonly url: string
  /** up: accepting. down: could not be bound, is tried again. paused: at its cap, clients wait in the backlog. */
  readonly state: "up" | "down" | "paused"
  /** What is really bound, like `127.0.0.1:9000`; `undefined` while it is down. */
  readonly address?: string | undefined
  /** Why it is down. */
  readonly error?: string | undefined
  /** The policy files that name it. */
  readonly files: readonly string[]
  /** The server names that it serves, and the first of them; `undefined` where no hello is read. */
  readonly names?: { readonly count: number; readonly first: readonly string[] } | undefined
  /** Connections that are open. */
  readonly active: number
}

export interface FileStatus {
  readonly file: string
  readonly state: "good" | "kept" | "bad" | "loading"
  readonly version?: string | undefined
  readonly problems: readonly string[]
}

/** A certificate of the store. */
export interface CertificateStatus {
  /** Relative to the folder of certificates. */
  readonly file: string
  readonly names: readonly string[]
  readonly algorithm: string
  /** ISO 8601. */
  readonly expires: string
}

/** A list of addresses that policies have. */
export interface AddressListStatus {
  readonly file: string
  readonly prefixes: number
  /** When it was read: ISO 8601. */
  readonly loaded: string
  /** How long that took, in milliseconds. */
  readonly took: number
  /** Why the file that is there now is not used. */
  readonly problem?: string | undefined
}

/** A database that tells where clients come from. */
export interface DatabaseStatus {
  readonly file: string
  readonly type: string
  /** When it was made: ISO 8601. */
  readonly built: string
  /** Why the file that is there now is not used. */
  readonly problem?: string | undefined
}

/** What `tidegate status` shows. */
export interface Status {
  readonly pid: number
  readonly version: string
  /** ISO 8601. */
  readonly startedAt: string
  /** New connections are welcome: all that is to be bound was tried, and no shutdown has begun. */
  readonly ready: boolean
  readonly draining: boolean
  /** The id of the snapshot that decides about new connections. */
  readonly snapshot: string
  readonly connections: {
    readonly active: number
    readonly max: number
    readonly accepted: number
    /** Of those that are open: clients that a `delay` holds. */
    readonly held?: number | undefined
  }
  readonly listeners: readonly ListenerStatus[]
  readonly files: readonly FileStatus[]
  readonly pools: readonly PoolStatus[]
  readonly certificates: readonly CertificateStatus[]
  readonly lists: readonly AddressListStatus[]
  readonly databases: readonly DatabaseStatus[]
  readonly events: { readonly dropped: number }
}

export interface ControlOptions {
  /** The policies folder. */
  readonly folder: string
  /** A path, or `@name` for an abstract one. @default the first of {@link controlPlaces} that works */
  readonly path?: string | undefined
  readonly status: () => Status
  /** The Kubernetes objects of manifests with their status, as a cluster would show them. */
  readonly objects?: () => readonly unknown[]
}

/** What a gateway can be asked. */
export type Command = "status" | "objects"

export interface Control {
  /** As people write it. */
  readonly path: string
  close(): void
}

/** The control socket cannot be had, or does not answer. */
export class ControlFailed extends Error {
  override readonly name = "ControlFailed"
}

/** No gateway was found for that folder. */
export class NotRunning extends ControlFailed {}

/** 4 KiB: a command is a line. */
const LONGEST_REQUEST = 4 * 1024
/** 16: people and health checks; more is a mistake. */
const MOST_CONNECTIONS = 16
/** 5 seconds for a whole exchange. */
const EXCHANGE_MS = 5000
/** 64 MiB: an answer lists every listener and file with its problems; more is not ours. */
const LONGEST_ANSWER = 64 * 1024 * 1024

interface Exchange {
  request: string
  answer: Uint8Array | undefined
  sent: number
  timer: ReturnType<typeof setTimeout> | undefined
}

/**
 * Opens the control socket: mode 0600 from its first moment, or an abstract name on which only our own user and root
 * are answered. A socket that a dead gateway left behind is replaced, a live one never.
 * @throws ControlFailed
 */
export async function openControl(options: ControlOptions): Promise<Control> {
  if (options.path !== undefined) return open(namedPlace(options.path), options)
  let problem: unknown
  for (const place of controlPlaces(options.folder)) {
    if (place.folder !== undefined && !claim(place.folder)) continue
    try {
      return await open(place, options)
    } catch (error) {
      if (error instanceof GatewayThere) throw error
      problem = error
    }
  }
  throw problem
}

/** Another gateway is there already: no reason to look for another place. */
class GatewayThere extends ControlFailed {}

async function open({ path }: ControlPlace, options: ControlOptions): Promise<Control> {
  const shown = showPath(path)
  if (Buffer.byteLength(path) > UNIX_PATH_BYTES)
    throw new ControlFailed(`control socket ${shown}: a socket path holds at most ${UNIX_PATH_BYTES} bytes`)
  await removeStale(path)
  const abstract = path.startsWith("\0")
  const live = new Set<Bun.Socket<Exchange>>()
  const umask = process.umask(0o177)
  try {
    const listener = Bun.listen<Exchange>({
      unix: path,
      allowHalfOpen: true,
      socket: {
        open(socket) {
          socket.data = { request: "", answer: undefined, sent: 0, timer: undefined }
          if (live.size >= MOST_CONNECTIONS || (abstract && !isOursOrRoot(socket))) return void socket.terminate()
          live.add(socket)
          socket.data.timer = setTimeout(() => socket.terminate(), EXCHANGE_MS)
        },
        data(socket, bytes) {
          const exchange = socket.data
          if (exchange.answer !== undefined) return
          exchange.request += bytes.toString("latin1")
          if (exchange.request.includes("\n") || exchange.request.length > LONGEST_REQUEST) answer(socket, options)
        },
        end(socket) {
          if (socket.data.answer === undefined) answer(socket, options)
        },
        drain: send,
        close(socket) {
          clearTimeout(socket.data.timer)
          live.delete(socket)
        },
        error(socket) {
          socket.terminate()
        },
      },
    })
    return {
      path: shown,
      close() {
        listener.stop(true)
        for (const socket of live) socket.terminate()
      },
    }
  } catch (error) {
    throw new ControlFailed(`control socket ${shown}: ${messageOf(error)}`)
  } finally {
    process.umask(umask)
  }
}

function answer(socket: Bun.Socket<Exchange>, options: ControlOptions): void {
  const exchange = socket.data
  exchange.answer = Buffer.from(`${JSON.stringify(answerTo(exchange.request, options))}\n`)
  exchange.request = ""
  send(socket)
}

function answerTo(request: string, options: ControlOptions): unknown {
  if (request.length > LONGEST_REQUEST) return { error: `a request has at most ${LONGEST_REQUEST} bytes` }
  try {
    const parsed: unknown = JSON.parse(request)
    const command = typeof parsed === "object" && parsed !== null && "command" in parsed ? parsed.command : undefined
    if (command === "status") return options.status()
    return command === "objects" ? (options.objects?.() ?? []) : { error: 'expected a line like {"command":"status"}' }
  } catch (error) {
    return { error: messageOf(error) }
  }
}

function send(socket: Bun.Socket<Exchange>): void {
  const { answer, sent } = socket.data
  if (answer === undefined) return
  socket.data.sent += Math.max(0, socket.write(answer.subarray(sent)))
  // Closing drops what Bun has not handed to the kernel yet; the rest goes out on the next drain.
  if (socket.data.sent >= answer.length) socket.end()
}

/** Makes way for a new socket file. @throws GatewayThere when something answers there, ControlFailed when it is no socket */
async function removeStale(path: string): Promise<void> {
  const shown = showPath(path)
  if (!path.startsWith("\0")) {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isSocket()) throw new ControlFailed(`control socket ${shown}: there is a file that is no socket`)
  }
  const reply = await exchange(path, "status")
  if (typeof reply === "string") throw new GatewayThere(`control socket ${shown}: ${gatewayThere(reply)}`)
  if (reply.code === "ENOENT") return
  if (reply.code !== "ECONNREFUSED") throw new GatewayThere(`control socket ${shown}: ${reply.message}`)
  if (!path.startsWith("\0")) unlinkSync(path)
}

function gatewayThere(reply: string): string {
  const status = parse(reply)
  const pid = typeof status === "object" && status !== null && "pid" in status ? status.pid : undefined
  return typeof pid === "number"
    ? `a gateway already serves this folder (pid ${pid}); stop it first, or give this one its own --control PATH`
    : "another program listens there; give this gateway its own --control PATH"
}

/**
 * Asks the gateway of a policies folder.
 * @param options `path` as in {@link ControlOptions}
 * @throws NotRunning, ControlFailed
 */
export async function askControl(
  options: { readonly folder: string; readonly path?: string | undefined },
  command: Command,
): Promise<unknown> {
  const places = options.path === undefined ? controlPlaces(options.folder) : [namedPlace(options.path)]
  for (const { path, folder } of places) {
    if (folder !== undefined && !isTrusted(folder)) continue
    const reply = await exchange(path, command)
    if (typeof reply === "string") {
      const value = parse(reply)
      if (value === undefined) throw new ControlFailed(`control socket ${showPath(path)}: the answer is not JSON`)
      return value
    }
    // A folder that is closed to us holds another user's gateway: ours, if there is one, is further on.
    const elsewhere = options.path === undefined && reply.code === "EACCES"
    if (reply.code !== "ENOENT" && reply.code !== "ECONNREFUSED" && !elsewhere)
      throw new ControlFailed(`control socket ${showPath(path)}: ${reply.message}`)
  }
  const where = options.path === undefined ? `for ${options.folder}` : `at ${options.path}`
  throw new NotRunning(`no gateway runs ${where}`)
}

/** What came back, or why nothing did. */
interface Unanswered {
  readonly code: string | undefined
  readonly message: string
}

function exchange(path: string, command: string): Promise<string | Unanswered> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const finish = (result: string | Unanswered) => {
      clearTimeout(timer)
      resolve(result)
    }
    const refused = (error: unknown) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined
      finish({
        code,
        message: code === "EACCES" ? "permission denied: ask as the gateway's user or as root" : messageOf(error),
      })
    }
    Bun.connect({
      unix: path,
      socket: {
        open(socket) {
          if (path.startsWith("\0") && !isOursOrRoot(socket)) {
            finish({ code: undefined, message: "it belongs to another user" })
            return void socket.terminate()
          }
          timer = setTimeout(() => {
            finish({ code: "ETIMEDOUT", message: "no answer within 5 seconds" })
            socket.terminate()
          }, EXCHANGE_MS)
          socket.write(`${JSON.stringify({ command })}\n`)
        },
        data(socket, chunk) {
          chunks.push(chunk)
          bytes += chunk.length
          if (bytes > LONGEST_ANSWER) socket.terminate()
        },
        close() {
          finish(
            bytes > 0 && bytes <= LONGEST_ANSWER
              ? Buffer.concat(chunks).toString()
              : { code: undefined, message: "closed without an answer" },
          )
        },
        error(_socket, error) {
          refused(error)
        },
        connectError(_socket, error) {
          refused(error)
        },
      },
    }).catch(refused)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whoever answered does not speak our language; the caller says so.
    return undefined
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
