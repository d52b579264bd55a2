// `connection.terminate()`: ends the client's TLS here. The bytes read so far, which begin with its hello, go into the
// handshake; after it the connection's client side carries plain text.
import type { X509Certificate } from "node:crypto"
import { formatIp } from "../policy/address.ts"
import {
  checkTerminate,
  HandshakeFailed,
  type CertificatePair,
  type Terminated,
  type TlsVersion,
} from "../policy/terminate.ts"
import type { Termination as Wanted } from "../policy/terminate.ts"
import { readable } from "../policy/thrown.ts"
import type { ClientHello } from "../protocol/index.ts"
import { alert, type Alert } from "../protocol/alert.ts"
import { postgresError } from "../protocol/refusal/postgres.ts"
import { alpnWire, POSTGRES_ALPN } from "./alpn.ts"
import { startTls, tlsFacts, type Socket, type TlsFacts } from "./bun-socket.ts"
import type { Connection } from "./connection.ts"
import { linger } from "./ending.ts"
import { count, isTaken } from "./share.ts"
import type { Side } from "./side.ts"
import { ipOf } from "./socket-address.ts"
import { tlsError } from "../policy/tls-error.ts"

/** 60 seconds for the handshake once the hello is there: a person may have to type the PIN of a smart card. */
const HANDSHAKE_DEADLINE = 60_000
/** 5 seconds where a quarter of the connections shake hands already: two round trips, and a key that nobody has to unlock. */
const CROWDED_DEADLINE = 5000

/** What a handshake gave, read while the socket was there for certain. */
interface Handshake {
  readonly agreed: Omit<Terminated, "clientCertificate">
  readonly certificate: X509Certificate | undefined
  /** Why the certificate is not verified. */
  readonly unverified: string | undefined
}

/** The end of a connection's TLS, from the call on. */
export class Termination {
  readonly connection: Connection
  private readonly wanted: Wanted
  /** From here on what is written to the client is taken for plain text. */
  begun = false
  /** Whether the handshake is under way. */
  shaking = false
  result: Terminated | undefined = undefined
  /** Why there will be no result. */
  failure: unknown = undefined
  private readonly handshake = Promise.withResolvers<Handshake>()
  private deadline: number
  private due = Number.POSITIVE_INFINITY

  constructor(connection: Connection, wanted: Wanted) {
    this.connection = connection
    this.wanted = wanted
    this.deadline = connection.path.settings.handshakeDeadline ?? HANDSHAKE_DEADLINE
    // Whoever called waits for it, or for what comes before it.
    this.handshake.promise.catch(() => undefined)
  }

  async run(): Promise<Terminated> {
    try {
      return await this.terminate()
    } catch (error) {
      this.failure = error
      throw error
    }
  }

  private async terminate(): Promise<Terminated> {
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
    // A FIN is told of once: the handshake would wait to its deadline for more.
    if (connection.client.ended) throw this.refuse("the client's FIN came behind its hello", undefined)
    if (pairs.length === 0) {
      const name = hello.sni === undefined ? "a client that names no server" : JSON.stringify(hello.sni)
      throw this.refuse(`no certificate for ${name} in the folder of --certs`, "unrecognized_name")
    }
    this.start(hello, pairs, wanted.alpn ?? (connection.plan.scheme === "postgres" ? POSTGRES_ALPN : undefined))
    this.result = Object.freeze(await this.presented(await this.handshake.promise))
    return this.result
  }

  private start(hello: ClientHello, pairs: readonly CertificatePair[], alpn: readonly string[] | undefined): void {
    const { connection, wanted } = this
    const { client, path } = connection
    const ahead = connection.ahead()
    const mode = wanted.clientCertificate
    const context = path.contexts.forClients({ ...wanted, alpn }, pairs, hello.sni)
    const initialData = ahead.take(ahead.size)
    // From here on the plain text is counted.
    client.received = 0
    client.written = 0
    this.begun = true
    this.shaking = true
    if (isTaken(connection, "shaking")) this.deadline = Math.min(this.deadline, CROWDED_DEADLINE)
    count(connection, "shaking", 1)
    connection.waiting(true)
    this.due = connection.wake(this.deadline)
    startTls(
      client.socket!,
      {
        context,
        alpn: alpnWire(alpn),
        initialData,
        requestCert: mode !== undefined,
        // With it Bun itself closes unverified clients, which `require-any` takes, and PostgreSQL's are told first.
        rejectUnauthorized: mode === "require-and-verify" && connection.plan.scheme !== "postgres",
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
      const { text, byPeer } = tlsError(error)
      // Bun has sent its alert, if there is one for it.
      return this.fail(text, byPeer ? "client" : "gateway", "finish")
    }
    const handshake = this.read(tlsFacts(this.connection.client.socket!))
    const refused = this.refusal(handshake)
    if (refused === undefined) return this.handshake.resolve(handshake)
    if (this.connection.plan.scheme === "postgres") return this.failInBand(refused)
    // RST: the handshake has succeeded on the client's side, and a close would look like an answer without content.
    this.fail(refused, "gateway", "abort")
  }

  /** The client is gone, which may be before the handshake is over. Returns whether it was. */
  gone(): boolean {
    if (!this.shaking) return false
    this.ended()
    this.fail("the connection was closed during the handshake", "client", "finish")
    return true
  }

  private read(facts: TlsFacts): Handshake {
    const certificate = this.wanted.clientCertificate === undefined ? undefined : facts.getPeerX509Certificate()
    const { alpnProtocol } = facts
    return {
      agreed: {
        version: facts.getTLSVersion() as TlsVersion,
        cipher: facts.getCipher().name ?? "",
        alpn: typeof alpnProtocol === "string" && alpnProtocol !== "" ? alpnProtocol : undefined,
        sni: this.connection.hello!.sni,
        resumed: facts.isSessionReused(),
      },
      certificate,
      unverified: certificate === undefined ? undefined : this.doubt(facts, certificate),
    }
  }

  /** Why nothing in a certificate is known to be true. A session that was taken up brings the verdict of its beginning. */
  private doubt(facts: TlsFacts, certificate: X509Certificate): string | undefined {
    if (this.wanted.ca === undefined) return "no ca was given"
    if (!facts.authorized) return (facts.getAuthorizationError() as { code?: string } | null)?.code ?? "not verified"
    return certificate.validToDate.getTime() < Date.now() ? "CERT_HAS_EXPIRED" : undefined
  }

  /** The handshake's own word is that it succeeded, also for certificates that do not verify: nothing is taken on trust. */
  private refusal({ certificate, unverified }: Handshake): string | undefined {
    const { clientCertificate: mode } = this.wanted
    if (mode === undefined || mode === "request") return undefined
    if (certificate === undefined) return "the client has no certificate"
    return mode === "require-any" || unverified === undefined ? undefined : `the client's certificate: ${unverified}`
  }

  private async presented({ agreed, certificate, unverified }: Handshake): Promise<Terminated> {
    if (certificate === undefined) return { ...agreed, clientCertificate: undefined }
    try {
      const known = await this.connection.path.exits.clientCertificate(certificate)
      const verified = unverified === undefined
      return { ...agreed, clientCertificate: Object.freeze({ ...known, verified, unverified }) }
    } catch (error) {
      const why = `the client's certificate: ${readable(error).message}`
      this.fail(why, "gateway", "abort")
      throw new HandshakeFailed(why, { cause: error })
    }
  }

  /** The deadline has come, or the tick at which it will. */
  expire(now: number): number {
    if (this.shaking && now >= this.due) {
      this.ended()
      this.fail(`no handshake within ${this.deadline} ms`, "gateway", "abort")
    }
    return this.shaking ? this.due : Number.POSITIVE_INFINITY
  }

  /** The connection is over. */
  lost(why: string): void {
    if (!this.shaking) return
    this.shaking = false
    count(this.connection, "shaking", -1)
    this.handshake.reject(new HandshakeFailed(why))
  }

  private ended(): void {
    this.shaking = false
    count(this.connection, "shaking", -1)
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

  /** A PostgreSQL client reads an error inside its TLS, and prints it. */
  private failInBand(why: string): void {
    const { connection } = this
    connection.stopDeciding("tls-handshake-failed", why)
    connection.closeReason = "tls-handshake-failed"
    connection.closedBy = "gateway"
    connection.client.send(postgresError(why))
    linger(connection)
    this.handshake.reject(new HandshakeFailed(why))
  }

  /** The connection ends here and now, whatever the policy decides. */
  private fail(why: string, by: "client" | "gateway", how: "finish" | "abort"): void {
    const { connection } = this
    connection.stopDeciding("tls-handshake-failed", why)
    connection[how]("tls-handshake-failed", by)
    this.handshake.reject(new HandshakeFailed(why))
  }
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

/** The callback of the handshake, of either kind of failure too, and of our own reset of the socket. */
export function clientHandshaken(socket: Socket, ok: boolean, error: Error | null): void {
  const side: Side = socket.data
  if (!side.closed) side.connection.termination?.handshaken(ok, error)
}
