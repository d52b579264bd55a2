// The load generator's side of TLS: what it offers, the session it takes up, and whether it got what is to be measured.
import { createSecureContext } from "node:tls"
import type { ClientTls } from "./job.ts"

/** What of a task the handshake decides about. */
interface Task {
  open?(socket: Bun.Socket<never>): void
}

interface To {
  readonly hostname: string
  readonly port: number
}

/** What `Bun.connect` knows and its types do not. */
interface Session {
  session(socket: unknown, session: Buffer): void
}

const SERVER_NAME = "bench.example"
/** No post-quantum group: not every peer's library has one, and everybody has to do the same. P-256 is for signatures. */
const GROUP = "X25519"
const GROUPS = `${GROUP}:P-256`
/** AES first is what clients with hardware for it offer; TLS 1.2 names the key's kind in between. */
const CIPHER = /AES_128_GCM_SHA256$/

export class Encrypted<T extends Task> {
  private static readonly known = new Map<string, Encrypted<Task>>()

  /** One per aim: sessions are kept from job to job. */
  static of<T extends Task>({ hostname, port }: To, tls: ClientTls, handlers: Bun.SocketHandler<T>): Encrypted<T> {
    const id = `${hostname} ${port} ${tls.version} ${tls.resume}`
    let found = Encrypted.known.get(id) as Encrypted<T> | undefined
    if (found === undefined) {
      found = new Encrypted(tls, handlers)
      Encrypted.known.set(id, found as unknown as Encrypted<Task>)
    }
    return found
  }

  readonly options: { readonly tls: Bun.TLSOptions; readonly socket: Bun.SocketHandler<T> }
  /** Connections that have taken up a session. */
  resumed = 0
  private session: Buffer | undefined
  private readonly tls: ClientTls

  private constructor(tls: ClientTls, handlers: Bun.SocketHandler<T>) {
    this.tls = tls
    const { version } = tls
    const { context } = createSecureContext({ minVersion: version, maxVersion: version, ecdhCurve: GROUPS })
    const extra: Session = {
      session: (_, session) => {
        this.session = session
      },
    }
    this.options = {
      // The types have no `secureContext`.
      tls: { secureContext: context, serverName: SERVER_NAME, rejectUnauthorized: false } as Bun.TLSOptions,
      socket: {
        ...handlers,
        open: (socket) => {
          if (tls.resume && this.session !== undefined) socket.setSession(this.session)
        },
        handshake: (socket, success) => {
          if (!success || !this.expected(socket)) return void socket.terminate()
          if (socket.isSessionReused()) this.resumed++
          socket.data.open?.(socket as never)
        },
        ...extra,
      },
    }
  }

  private expected(socket: Bun.Socket<T>): boolean {
    const { standardName } = socket.getCipher() as { standardName?: string }
    const group = (socket.getEphemeralKeyInfo() as { name?: string } | null)?.name
    return (
      socket.getTLSVersion() === this.tls.version &&
      CIPHER.test(standardName ?? "") &&
      // A session of TLS 1.2 is taken up without.
      (group === undefined || group === GROUP)
    )
  }
}
