// Ends of TLS connections with the promise API of wires, of clients and of servers.
import { echo, type Serve, type Upstream } from "./upstream.ts"
import { Wire, type Where, type WireOptions } from "./wire.ts"

export interface TlsWireOptions extends WireOptions {
  /** Sent as soon as the handshake is over. */
  readonly hail?: string | Uint8Array
}

/** What a handshake came to, and what of it the other end chose. */
export interface Agreed {
  readonly ok: boolean
  readonly error: Error | null
  readonly serverName: string | undefined
  readonly alpn: string | undefined
  /** The CN of the other end's certificate. */
  readonly peer: string | undefined
}

interface Facts {
  readonly alpnProtocol: string | false | null
  getServername(): string | false | undefined
  getPeerCertificate(): { readonly subject?: { readonly CN?: string } } | undefined
}

export class TlsWire extends Wire {
  /** `undefined` before the end of the handshake. */
  agreed: Agreed | undefined = undefined
  /** The first error that TLS told of, such as an alert of the other end. */
  tlsError: string | undefined = undefined
  private readonly hail: string | Uint8Array | undefined

  constructor(options: TlsWireOptions = {}) {
    super(options)
    this.hail = options.hail
  }

  static readonly tlsHandlers: Bun.SocketHandler<TlsWire, "uint8array"> = {
    ...(Wire.handlers as Bun.SocketHandler<TlsWire, "uint8array">),
    handshake(socket, ok, error) {
      const wire = socket.data
      const facts = socket as unknown as Facts
      wire.agreed = {
        ok,
        error,
        serverName: facts.getServername() || undefined,
        alpn: facts.alpnProtocol || undefined,
        peer: facts.getPeerCertificate()?.subject?.CN,
      }
      if (ok && wire.hail !== undefined) wire.written += socket.write(wire.hail)
      look(socket)
    },
    error(socket, error) {
      socket.data.tlsError ??= error.message
    },
  }

  /** The end of the handshake, or of the connection. Returns whether the handshake succeeded. */
  async secured(): Promise<boolean> {
    await this.until(() => this.agreed !== undefined || this.closed)
    return this.agreed?.ok === true
  }
}

/** Something has changed: those who wait look again. */
function look(socket: Bun.Socket<TlsWire>): void {
  Wire.handlers.drain!(socket as Bun.Socket<Wire>)
}

/** A client. Fails when nobody listens, not when the handshake fails. */
export async function connectTls(where: Where, tls: Bun.TLSOptions, options: TlsWireOptions = {}): Promise<TlsWire> {
  const wire = new TlsWire(options)
  const at = typeof where === "number" ? { hostname: "127.0.0.1", port: where } : where
  const socketOptions = { ...at, socket: TlsWire.tlsHandlers, data: wire, allowHalfOpen: true, tls }
  await Bun.connect(socketOptions as unknown as Bun.TCPSocketConnectOptions<TlsWire>)
  return wire
}

export interface SecureUpstream extends Upstream {
  readonly accepted: TlsWire[]
}

/** A server on port 0 of 127.0.0.1 (or on `hostname`). `serve` is called once the handshake is over. */
export function secureUpstream(
  tls: Bun.TLSOptions,
  serve: (wire: TlsWire, nth: number) => unknown = echo as Serve,
  hostname = "127.0.0.1",
): SecureUpstream {
  const accepted: TlsWire[] = []
  const problems: unknown[] = []
  const waiting: (() => void)[] = []
  const { open, handshake, ...handlers } = TlsWire.tlsHandlers
  const server = Bun.listen<TlsWire>({
    hostname,
    port: 0,
    allowHalfOpen: true,
    tls,
    socket: {
      ...handlers,
      open(socket: Bun.Socket<TlsWire>) {
        const wire = (socket.data = new TlsWire())
        open!(socket)
        accepted.push(wire)
        for (const resolve of waiting.splice(0)) resolve()
      },
      handshake(socket: Bun.Socket<TlsWire>, ok: boolean, error: Error | null) {
        const wire = socket.data
        handshake!(socket, ok, error)
        if (ok) void (async () => serve(wire, accepted.indexOf(wire)))().catch((problem) => problems.push(problem))
      },
    },
  } as unknown as Bun.TCPSocketListenOptions<TlsWire>)
  return {
    url: `tls://${hostname.includes(":") ? `[${hostname}]` : hostname}:${server.port}`,
    port: server.port,
    accepted,
    problems,
    async connection(n = 0) {
      while (accepted[n] === undefined) await new Promise<void>((resolve) => waiting.push(resolve))
      return accepted[n]
    },
    [Symbol.dispose]() {
      server.stop(true)
    },
  }
}
