// `connection.terminate()`: ends the client's TLS here. The bytes read so far, which begin with its hello, go into the
// handshake; after it the connection's client side carries plain text.
import { formatIp } from "../policy/address.ts"
import {
  checkTerminate,
  HandshakeFailed,
  type CertificatePair,
  type PresentedCertificate,
  type Terminated,
  type TlsVersion,
} from "../policy/terminate.ts"
import type { Termination as Wanted } from "../policy/terminate.ts"
import { readable } from "../policy/thrown.ts"
import { alert, type Alert } from "../protocol/alert.ts"
import { alpnWire, POSTGRES_ALPN } from "./alpn.ts"
import { startTls, tlsFacts, type Socket, type TlsFacts } from "./bun-socket.ts"
import type { Connection } from "./connection.ts"
import { linger } from "./ending.ts"
import type { Side } from "./side.ts"
import { ipOf } from "./socket-address.ts"

/** 60 seconds for the handshake once the hello is there: a person may have to type the PIN of a smart card. */
const HANDSHAKE_DEADLINE = 60_000
/** The end of a connection's TLS, from the call on. */
export class Termination {
  readonly connection: Connection
  private readonly wanted: Wanted
  /** Whether the handshake is under way. */
  shaking = false
  result: Terminated | undefined = undefined
  /** Resolves with the handshake. */
  private readonly done = Promise.withResolvers<void>()
  private due = Number.POSITIVE_INFINITY

  constructor(connection: Connection, wanted: Wanted) {
    this.connection = connection
    this.wanted = wanted
    // Whoever called waits for it, or for what comes before it.
    this.done.promise.catch(() => undefined)
  }

  async run(): Promise<Terminated> {
    const { connection, wanted } = this
    this.checkOpen()
    const hello = connection.hello ?? (await connection.ahead().hello())
    if (hello === undefined) throw this.refuse("the client does not speak TLS", undefined)
    connection.hello = hello
    const address = ipOf(connection.local)
    const pairs =
      wanted.certificates ??
      (await connection.path.exits.certificates(hello.sni, address === undefined ? undefined : formatIp(address)))
    // What was awaited may have taken until the connection was decided or gone.
    this.checkOpen()
    if (pairs.length === 0) {
      const name = hello.sni === undefined ? "a client that names no server" : JSON.stringify(hello.sni)
      throw this.refuse(`no certificate for ${name}`, "unrecognized_name")
    }
    const alpn = wanted.alpn ?? (connection.plan.scheme === "postgres" ? POSTGRES_ALPN : undefined)
    this.start(pairs, alpn)
    await this.done.promise
    return this.agreed()
  }

  private start(pairs: readonly CertificatePair[], alpn: readonly string[] | undefined): void {
    const { connection, wanted } = this
    const { client, path } = connection
    const ahead = connection.ahead()
    const mode = wanted.clientCertificate
    const context = path.contexts.forClients({ ...wanted, alpn }, pairs, connection.hello!.sni)
    const initialData = ahead.take(ahead.size)
    // From here on the plain text is counted.
    client.received = 0
    client.written = 0
    this.shaking = true
    connection.waiting(true)
    this.due = connection.wake(HANDSHAKE_DEADLINE)
    startTls(
      client.socket!,
      {
        context,
        alpn: alpnWire(alpn),
        initialData,
        requestCert: mode !== undefined,
        // With it Bun closes unverified clients, which `require-any` takes.
        rejectUnauthorized: mode === "require-and-verify",
      },
      path.stages.tlsClientHandlers,
      client,
    )
  }

  /** The handshake is over, or cannot be. */
  handshaken(ok: boolean, error: Error | null): void {
    if (!this.shaking) return
    this.ended()
    if (!ok) {
      const message = error === null ? "the handshake failed" : readable(error).message
      // Bun has sent its alert, if there is one for it; the client's own alerts come as errors of this name.
      return this.fail(message, /ALERT|disconnected/.test(message) ? "client" : "gateway", "finish")
    }
    const refused = this.refusal(tlsFacts(this.connection.client.socket!))
    if (refused === undefined) return this.done.resolve()
    // RST: the handshake has succeeded on the client's side, and a close would look like an answer without content.
    this.fail(refused, "gateway", "abort")
  }

  /** The client is gone, which may be before the handshake is over. Returns whether it was. */
  gone(): boolean {
    if (!this.shaking) return false
    this.ended()
    this.fail("the client closed the connection during the handshake", "client", "finish")
    return true
  }

  /** `ok` is also true for certificates that do not verify, and for sessions that were taken up: nothing is taken on trust. */
  private refusal(facts: TlsFacts): string | undefined {
    switch (this.wanted.clientCertificate) {
      case undefined:
      case "request":
        return undefined
      case "require-any":
        return facts.getPeerX509Certificate() === undefined ? "the client has no certificate" : undefined
      case "require-and-verify":
        if (facts.getPeerX509Certificate() === undefined) return "the client has no certificate"
        return facts.authorized ? undefined : `the client's certificate: ${unverified(facts)}`
    }
  }

  private async agreed(): Promise<Terminated> {
    const { connection } = this
    const facts = tlsFacts(connection.client.socket!)
    const certificate = this.wanted.clientCertificate === undefined ? undefined : facts.getPeerX509Certificate()
    const { alpnProtocol } = facts
    const agreed = {
      version: facts.getTLSVersion() as TlsVersion,
      cipher: facts.getCipher().name ?? "",
      alpn: typeof alpnProtocol === "string" && alpnProtocol !== "" ? alpnProtocol : undefined,
      sni: connection.hello!.sni,
      resumed: facts.isSessionReused(),
    }
    let clientCertificate: PresentedCertificate | undefined
    if (certificate !== undefined) {
      const verified = this.wanted.ca !== undefined && facts.authorized
      const reason = verified ? undefined : this.wanted.ca === undefined ? "no ca was given" : unverified(facts)
      try {
        const known = await connection.path.exits.clientCertificate(certificate)
        clientCertificate = Object.freeze({ ...known, verified, unverified: reason })
      } catch (error) {
        const why = `the client's certificate: ${readable(error).message}`
        this.fail(why, "gateway", "abort")
        throw new HandshakeFailed(why, { cause: error })
      }
    }
    this.result = Object.freeze({ ...agreed, clientCertificate })
    return this.result
  }

  /** The deadline has come, or the tick at which it will. */
  expire(now: number): number {
    if (this.shaking && now >= this.due) {
      this.ended()
      this.fail(`no handshake within ${HANDSHAKE_DEADLINE} ms`, "client", "abort")
    }
    return this.shaking ? this.due : Number.POSITIVE_INFINITY
  }

  /** The connection is over. */
  lost(why: string): void {
    if (!this.shaking) return
    this.shaking = false
    this.done.reject(new HandshakeFailed(why))
  }

  private ended(): void {
    this.shaking = false
    this.connection.waiting(false)
  }

  private checkOpen(): void {
    const { connection } = this
    if (connection.client.closed || connection.decidedAt !== undefined)
      throw new Error("terminate: the connection is decided or over")
  }

  /** Before the handshake: an alert where the client waits for one, then FIN. */
  private refuse(why: string, description: Alert | undefined): HandshakeFailed {
    const { connection } = this
    connection.stopDeciding("tls-handshake-failed", why)
    connection.closeReason = "tls-handshake-failed"
    connection.closedBy = "gateway"
    if (description !== undefined) connection.client.send(alert(description))
    linger(connection)
    return new HandshakeFailed(why)
  }

  /** The connection ends here and now, whatever the policy decides. */
  private fail(why: string, by: "client" | "gateway", how: "finish" | "abort"): void {
    const { connection } = this
    connection.stopDeciding("tls-handshake-failed", why)
    connection[how]("tls-handshake-failed", by)
    this.done.reject(new HandshakeFailed(why))
  }
}

function unverified(facts: TlsFacts): string {
  const error = facts.getAuthorizationError()
  return (error as { code?: string } | null)?.code ?? "not verified"
}

/** Carries out a policy's `terminate(options)`. */
export async function terminate(connection: Connection, options: unknown): Promise<Terminated> {
  if (connection.termination !== undefined) throw new Error("terminate: once per connection")
  const wanted = checkTerminate(options)
  const termination = (connection.termination = new Termination(connection, wanted))
  // The policy has to have returned its promise: callbacks may come before the handshake's first call returns.
  await undefined
  return termination.run()
}

/** The callback of the handshake, of either kind of failure too. */
export function clientHandshaken(socket: Socket, ok: boolean, error: Error | null): void {
  const side: Side = socket.data
  side.connection.termination?.handshaken(ok, error)
}
