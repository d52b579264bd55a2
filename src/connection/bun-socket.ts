// The few things of Bun's sockets that its types leave out, cast in this one file.
import type { X509Certificate } from "node:crypto"
import type { PeerCertificate } from "node:tls"
import type { TlsContext } from "../tls/contexts.ts"
import type { Side } from "./side.ts"

export type Socket = Bun.Socket<Side>
export type Handlers<Data> = Bun.SocketHandler<Data, "uint8array">
export type BunListener<Data> = Bun.TCPSocketListener<Data>

/**
 * The side of a socket that is nobody's: one that never became a connection, or that carries the ciphertext of one. Its
 * callbacks do nothing.
 */
export const NOBODY = { closed: true } as Side

/** The descriptor; -1 once the socket is closed. */
export function descriptor(socket: Socket): number {
  return (socket as unknown as { readonly fd: number }).fd
}

/** The peer's address by Bun's own look-up, where the C library is missing. */
export function remoteAddress(socket: Socket): { address: string; port: number } | undefined {
  const { remoteAddress: address, remotePort: port } = socket as unknown as {
    remoteAddress?: string
    remotePort?: number
  }
  return address === undefined || port === undefined ? undefined : { address, port }
}

/** Serves a listening descriptor; Bun owns it from here and closes it on `stop()`. */
export function listenOn<Data>(fd: number, handlers: Handlers<Data>, data: Data): BunListener<Data> {
  const options = { fd, socket: handlers, data, allowHalfOpen: true }
  return Bun.listen(options as unknown as Bun.TCPSocketListenOptions<Data>)
}

/** The descriptor that Bun serves; -1 once it has stopped. */
export function listeningDescriptor<Data>(listener: BunListener<Data>): number {
  return (listener as unknown as { readonly fd: number }).fd
}

/** Takes over a connecting descriptor: `open` comes at once, the first `drain` means that it is connected. */
export function connectOn(fd: number, handlers: Handlers<Side>, side: Side): Promise<Socket> {
  const options = { fd, socket: handlers, data: side, allowHalfOpen: true }
  return Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<Side>)
}

/** Bun's own dialling, for systems without descriptors: it cannot be cancelled. */
export function dialAddress(hostname: string, port: number, handlers: Handlers<Side>, side: Side): Promise<Socket> {
  const options = { hostname, port, socket: handlers, data: side, allowHalfOpen: true }
  return Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<Side>)
}

/** As {@link dialAddress}, to a unix path. */
export function dialPath(unix: string, handlers: Handlers<Side>, side: Side): Promise<Socket> {
  const options = { unix, socket: handlers, data: side, allowHalfOpen: true }
  return Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<Side>)
}

/** Bun's own listening, for systems without descriptors: its backlog is 512, and pausing drops who waits in it. */
export function listenAt<Data>(
  at: { hostname: string; port: number } | { unix: string },
  handlers: Handlers<Data>,
  data: Data,
): BunListener<Data> {
  const options = { ...at, socket: handlers, data, allowHalfOpen: true }
  return Bun.listen(options as unknown as Bun.TCPSocketListenOptions<Data>)
}

/** An accepted socket carries its listener until its connection is made. */
export function accepted<Data>(socket: Socket): Data {
  return socket.data as unknown as Data
}

/** Sockets of a listener carry sides once they are accepted, so their callbacks are those of sides. */
export function handlersFor<Data>(open: (socket: Socket) => void, handlers: Partial<Handlers<Side>>): Handlers<Data> {
  return { ...handlers, open } as unknown as Handlers<Data>
}

/** How to start TLS on a socket that stands. */
export interface TlsStart {
  readonly context: TlsContext
  /** Protocol names in wire form (RFC 7301 section 3.1). */
  readonly alpn: Uint8Array | undefined
  /** Of a server: to ask for the client's certificate. Of a client: the name to send. */
  readonly requestCert?: boolean
  /** Of a server: a client without a certificate gets the alert for it. Of a client: one that does not verify fails. */
  readonly rejectUnauthorized?: boolean
  readonly serverName?: string
  /** Of a server: what was read of the client, which begins with its hello. */
  readonly initialData?: Uint8Array
}

/**
 * Starts TLS: callbacks about plain text go to `side` from here on, those of the socket beneath to nobody. They may come
 * before this returns.
 */
export function startTls(socket: Socket, start: TlsStart, handlers: Handlers<Side>, side: Side): void {
  const { alpn, context, initialData, ...options } = start
  socket.data = NOBODY
  const upgrade = {
    ...(initialData === undefined ? {} : { isServer: true, initialData }),
    data: side,
    tls: { secureContext: context, ...options, ...(alpn === undefined ? {} : { ALPNProtocols: alpn }) },
    socket: handlers,
  }
  socket.upgradeTLS(upgrade as unknown as Parameters<typeof socket.upgradeTLS<Side>>[0])
}

/** What was agreed on, once the handshake is done. */
export interface TlsFacts {
  readonly authorized: boolean
  readonly alpnProtocol: string | false | null
  getTLSVersion(): string
  getCipher(): { readonly name: string | null }
  isSessionReused(): boolean
  getAuthorizationError(): Error | null
  getPeerX509Certificate(): X509Certificate | undefined
  getPeerCertificate(): PeerCertificate
}

export function tlsFacts(socket: Socket): TlsFacts {
  return socket as unknown as TlsFacts
}
