// The steps of a probe on a socket, each an Effect that ends with its event. The sockets are Node's: a pending connect
// is cancelled by destroying them, and the descriptor is gone at once.
import type { Socket } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { Effect } from "effect"
import type { Target } from "../policy/target.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"
import { handshakeProblem, identityProblem, requestedName } from "./certificate.ts"
import { NOTHING, type Dialogue } from "./check/dialogue.ts"
import { failed, failedBy, type ProbeFailed } from "./probe-failed.ts"
import { requestProblem, SSL_REQUEST } from "./tls-request.ts"

/** 16 KiB: what a probe reads at most. Greetings, errors and status lines are below 1 KiB; INFO of Redis has a line per replica. */
export const READ_AT_MOST = 16_384
/** 250 ms for a server to close after it was left: a connection that is closed on both sides first is not reset. */
const LEAVE_WITHIN = 250
/** 60 characters of what a server said instead. */
const LONGEST_QUOTE = 60

/** How far a probe has come: what a time-out is told with. */
export interface Progress {
  awaits: string
  read: Uint8Array
  isAlive: boolean
}

/** What was missing, and what came instead. */
export function missing({ awaits, read }: Progress): string {
  if (read.length === 0) return `no ${awaits}`
  const quote = Buffer.from(read.subarray(0, LONGEST_QUOTE)).toString("latin1")
  return `no ${awaits}, but ${JSON.stringify(quote)}${read.length > LONGEST_QUOTE ? "..." : ""}`
}

/** Ends when the socket is connected. */
export function connected(socket: Socket): Effect.Effect<void, ProbeFailed> {
  return Effect.callback((resume) => {
    socket.once("connect", () => resume(Effect.void))
    socket.once("error", (error) => resume(failedBy(error)))
  })
}

/** Asks a PostgreSQL server whether it speaks TLS here. */
export function requestTls(socket: Socket, progress: Progress): Effect.Effect<void, ProbeFailed> {
  progress.awaits = "answer to the request for TLS"
  return Effect.callback((resume) => {
    const heard = (chunk: Uint8Array) => {
      socket.off("data", heard)
      const problem = requestProblem(chunk)
      resume(problem === undefined ? Effect.void : failed(problem))
    }
    socket.on("data", heard)
    whenOver(socket, (error) =>
      resume(error === undefined ? failed(`it closed: ${missing(progress)}`) : failedBy(error)),
    )
    socket.write(SSL_REQUEST)
  })
}

export interface TlsStart {
  readonly target: Target
  readonly tls: UpstreamTls | undefined
  readonly context: object
  /** Protocols to offer, preferred first. */
  readonly alpn: readonly string[] | undefined
}

/** Starts TLS; the handshake goes on in {@link secured}. May throw for settings that cannot be. */
export function startTls(socket: Socket, { target, tls, context, alpn }: TlsStart): TLSSocket {
  const servername = requestedName(target, tls)
  const secure = connectTls({
    socket,
    // What Node calls a context is an object around the one that Bun's sockets take.
    secureContext: { context },
    rejectUnauthorized: tls?.insecureSkipVerify !== true,
    checkServerIdentity(_host, certificate) {
      const problem = identityProblem(target, tls, certificate)
      return problem === undefined ? undefined : new Error(problem)
    },
    ...(servername === undefined ? {} : { servername }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  })
  secure.on("error", heardElsewhere)
  return secure
}

/** Ends when the handshake is complete, and the certificate is right. */
export function secured(socket: TLSSocket, progress: Progress): Effect.Effect<void, ProbeFailed> {
  progress.awaits = "TLS handshake"
  return Effect.callback((resume) => {
    socket.once("secureConnect", () => resume(Effect.void))
    whenOver(socket, (error) =>
      resume(error === undefined ? failed("TLS: it closed during the handshake") : failedHandshake(error)),
    )
  })
}

/** Holds the dialogue to its verdict. Ends with what there is to say before leaving. */
export function converse(
  socket: Socket,
  dialogue: Dialogue,
  progress: Progress,
): Effect.Effect<Uint8Array, ProbeFailed> {
  return Effect.callback((resume) => {
    let said = 0
    let over = false
    const judge = () => {
      if (over) return
      const answer = dialogue.hear(progress.read)
      if (answer.kind === "more") {
        progress.awaits = answer.awaits
        for (; said < (answer.replies?.length ?? 0); said++) socket.write(answer.replies![said]!)
        if (progress.read.length < READ_AT_MOST) return
      }
      over = true
      if (answer.kind === "alive") resume(Effect.succeed(answer.farewell ?? NOTHING))
      else if (answer.kind === "bad") resume(failed(answer.why))
      else resume(failed(`no ${answer.awaits} in the first ${READ_AT_MOST} bytes`))
    }
    socket.on("data", (chunk: Uint8Array) => {
      // What comes after the verdict is read, so that leaving is no reset, and thrown away.
      if (over) return
      progress.read = Buffer.concat([progress.read, chunk.subarray(0, READ_AT_MOST - progress.read.length)])
      judge()
    })
    whenOver(socket, (error) => {
      if (error === undefined) resume(failed(`it closed: ${missing(progress)}`))
      else resume(isAlert(error) ? failed(handshakeProblem(error)) : failedBy(error))
    })
    if (dialogue.opening.length > 0) socket.write(dialogue.opening)
    judge()
  })
}

/** Says goodbye, and waits a little for the other end's. An alert that comes only now counts: TLS 1.3 sends them late. */
export function leave(socket: Socket, farewell: Uint8Array): Effect.Effect<void, ProbeFailed> {
  const left = Effect.callback<void, ProbeFailed>((resume) => {
    whenOver(socket, (error) =>
      resume(error !== undefined && isAlert(error) ? failed(handshakeProblem(error)) : Effect.void),
    )
    socket.resume()
    socket.end(farewell)
  })
  return Effect.asVoid(Effect.timeoutOption(left, LEAVE_WITHIN))
}

/** A reset is told as such; everything else in a handshake has the words that connections have for it. */
function failedHandshake(error: NodeJS.ErrnoException): ProbeFailed {
  return error.syscall === "read" ? failedBy(error) : failed(handshakeProblem(error))
}

/** What TLS tells after the handshake. */
function isAlert(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith("ERR_SSL_") === true
}

/** Calls back when the other end has closed, or the connection has failed. More than once; an Effect takes the first. */
function whenOver(socket: Socket, over: (error: NodeJS.ErrnoException | undefined) => void): void {
  socket.once("error", over)
  socket.once("end", () => over(undefined))
  socket.once("close", () => over(undefined))
}

/** Each step hears of errors by itself; between two of them nobody would, and Node throws what nobody hears. */
export function heardElsewhere(): void {}
