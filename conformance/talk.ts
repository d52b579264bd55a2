// Clients of a replay: connections through the gateway to what answers behind it, plain or with TLS.
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls"
import { covers, type Certificate } from "./certificates.ts"
import { readEcho, type Echoed } from "./echo.ts"
import type { EchoKind, EchoProtocol } from "./supplies.ts"

export interface Peer {
  readonly address: string
  readonly port: number
  /** Talk TLS, with this name or without one; `undefined`: no TLS. */
  readonly tls: { readonly sni: string | undefined } | undefined
}

/** What a client knows of the certificates that it may be shown. */
export interface Trust {
  readonly certificates: readonly Certificate[]
  /** The fingerprints of those that backends show: what they are for is their own affair. */
  readonly ofBackends: ReadonlySet<string>
}

/** What happened instead of an answer. */
export class NoAnswer extends Error {}

/** 3 s for everything that one connection is for. */
const PATIENCE = 3000
/** 1 MiB: an answer is a line. */
const LONGEST_ANSWER = 1024 * 1024

/** Talks to the echo server behind. @throws NoAnswer */
export async function talk(
  peer: Peer,
  kind: EchoKind,
  protocol: EchoProtocol,
  trust: Trust,
  signal: AbortSignal,
): Promise<Echoed> {
  using tcp = await dial(peer, signal)
  const socket = peer.tls === undefined ? tcp.socket : await handshake(tcp.socket, peer.tls.sni, trust)
  const lines = linesOf(socket)
  if (kind === "https-json-echo") return await requestOverHttp(socket, lines, peer.tls?.sni ?? peer.address)
  // The server speaks first: nothing is sent before its line is here.
  const welcome = await lines()
  if (welcome !== protocol.welcome) throw new NoAnswer(`${JSON.stringify(welcome)} instead of the welcome`)
  const pong = protocol.commands.get("PING")
  if (pong !== undefined) {
    socket.write("PING\n")
    const answer = await lines()
    if (answer !== pong) throw new NoAnswer(`${JSON.stringify(answer)} as the answer to PING`)
  }
  socket.write("TEST\n")
  return echoed(await lines())
}

async function requestOverHttp(socket: Socket, lines: () => Promise<string>, host: string): Promise<Echoed> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  const status = await lines()
  if (!status.startsWith("HTTP/1.1 200")) throw new NoAnswer(`${JSON.stringify(status)} as the answer to GET /`)
  while ((await lines()) !== "") continue
  return echoed(await lines())
}

function echoed(line: string): Echoed {
  const found = readEcho(line)
  if (found === undefined)
    throw new NoAnswer(`${JSON.stringify(line.slice(0, 80))} instead of what an echo server says`)
  return found
}

/** How the gateway turned the client away. @throws NoAnswer for what is no rejection */
export async function rejected(peer: Peer, signal: AbortSignal): Promise<string> {
  using tcp = await dial(peer, signal)
  const { socket } = tcp
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // Only what dial() gave up on is no rejection.
  const failed = (error: NodeJS.ErrnoException) =>
    error instanceof NoAnswer ? reject(error) : resolve(String(error.code ?? error.message))
  socket.on("error", failed)
  socket.on("close", () => resolve("closed"))
  if (peer.tls === undefined) {
    socket.on("end", () => resolve("closed"))
    socket.once("data", () => reject(new NoAnswer("the connection was served")))
    return await promise
  }
  const { sni } = peer.tls
  const secure = connectTls({ socket, ...(sni === undefined ? {} : { servername: sni }), rejectUnauthorized: false })
  secure.on("error", failed)
  secure.on("secureConnect", () => reject(new NoAnswer("the handshake succeeded")))
  return await promise
}

async function dial({ address, port }: Peer, signal: AbortSignal): Promise<Disposable & { readonly socket: Socket }> {
  signal.throwIfAborted()
  const socket = connectTcp({ host: address, port })
  const giveUp = () => void socket.destroy(new NoAnswer("the replay is over"))
  const timer = setTimeout(
    () => void socket.destroy(new NoAnswer(`nothing happened for ${PATIENCE / 1000} s`)),
    PATIENCE,
  )
  signal.addEventListener("abort", giveUp, { once: true })
  const end = () => {
    clearTimeout(timer)
    signal.removeEventListener("abort", giveUp)
    socket.destroy()
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once("connect", () => resolve())
  socket.once("error", (error) => reject(new NoAnswer(`${address}:${port}: ${error.message}`)))
  try {
    await promise
  } catch (error) {
    end()
    throw error
  }
  // Whoever waits has listeners of their own; an error that nobody waits for is none of ours.
  socket.on("error", () => undefined)
  return { socket, [Symbol.dispose]: end }
}

async function handshake(socket: Socket, sni: string | undefined, trust: Trust): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const secure = connectTls({
    socket,
    ...(sni === undefined ? {} : { servername: sni }),
    ca: [...new Set(trust.certificates.map(({ ca }) => ca))],
    checkServerIdentity: (_, shown) => identityFault(sni, shown, trust),
  })
  secure.once("secureConnect", resolve)
  secure.on("error", (error) => reject(new NoAnswer(`TLS: ${error.message}`)))
  secure.on("close", () => reject(new NoAnswer("TLS: closed during the handshake")))
  await promise
  return secure
}

/** A gateway has to show the certificate of the name, where there is one. */
function identityFault(
  sni: string | undefined,
  shown: PeerCertificate,
  { certificates, ofBackends }: Trust,
): Error | undefined {
  const known = certificates.find(({ fingerprint }) => fingerprint === shown.fingerprint256)
  if (known === undefined) return new Error("a certificate that is none of those that were given")
  if (sni === undefined || ofBackends.has(known.fingerprint) || covers(known.wish, sni)) return undefined
  if (!certificates.some(({ wish }) => covers(wish, sni))) return undefined
  return new Error(`the certificate ${known.wish.name}, which is not for ${sni}`)
}

/** The lines that come, one after the other; rejects when there are no more. */
function linesOf(socket: Socket): () => Promise<string> {
  let text = ""
  let over: NoAnswer | undefined
  let wake = Promise.withResolvers<void>()
  const happened = () => {
    wake.resolve()
    wake = Promise.withResolvers()
  }
  const end = (message: string) => {
    over ??= new NoAnswer(message)
    happened()
  }
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString()
    if (text.length > LONGEST_ANSWER) end("too long an answer")
    else happened()
  })
  socket.on("error", (error) => end(error.message))
  socket.on("end", () => end("closed instead of an answer"))
  socket.on("close", () => end("closed instead of an answer"))
  return async () => {
    for (;;) {
      const at = text.indexOf("\n")
      if (at >= 0) {
        const line = text.slice(0, at).replace(/\r$/, "")
        text = text.slice(at + 1)
        return line
      }
      if (over !== undefined) {
        if (text === "") throw over
        const rest = text
        text = ""
        return rest
      }
      await wake.promise
    }
  }
}
