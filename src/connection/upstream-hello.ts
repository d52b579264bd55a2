// What goes before the relay once an upstream is connected: a PROXY header, PostgreSQL's request for TLS and its answer,
// the TLS handshake. Each step either leads to the next, or the attempt has failed and another target may do.
import type { Target } from "../policy/target.ts"
import { readable } from "../policy/thrown.ts"
import {
  expectedName,
  handshakeProblem,
  identityProblem,
  isVerdict,
  misnamed,
  requestedName,
  type HandshakeError,
} from "../upstream/certificate.ts"
import { requestProblem, SSL_REQUEST } from "../upstream/tls-request.ts"
import { startTls, tlsFacts } from "./bun-socket.ts"
import type { Connection } from "./connection.ts"
import type { Side } from "./side.ts"
import { alpnWire, POSTGRES_ALPN } from "./alpn.ts"
import { proxyHeader } from "./proxy-out.ts"

export interface UpstreamHelloOutcome {
  readonly ready: (side: Side) => void
  readonly failed: (side: Side, error: string) => void
}

export class UpstreamHello {
  readonly side: Side
  private readonly connection: Connection
  private readonly target: Target
  private readonly outcome: UpstreamHelloOutcome
  private step: "header" | "request" | "handshake" = "header"

  constructor(side: Side, target: Target, outcome: UpstreamHelloOutcome) {
    this.side = side
    this.connection = side.connection
    this.target = target
    this.outcome = outcome
  }

  /** What it waits for. */
  get awaited(): string {
    return AWAITED[this.step]
  }

  /** Whether a target of this connection needs anything before the relay. */
  static isNeeded(connection: Connection, target: Target): boolean {
    return connection.route?.proxyProtocol !== undefined || target.kind === "tls" || isRequested(connection)
  }

  /** The header comes first, and is followed at once by what comes next: nobody answers it. */
  begin(): void {
    const { connection, side } = this
    const version = connection.route?.proxyProtocol
    if (version !== undefined) side.send(proxyHeader(connection, version))
    if (side.queued === 0) this.request()
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (this.step === "header" && this.side.flush()) this.request()
  }

  private request(): void {
    const { connection, side, target } = this
    this.step = "request"
    // The header is none of the connection's bytes, so that another target may still do.
    side.written = 0
    if (target.kind !== "tls" && !isRequested(connection)) return this.outcome.ready(side)
    if (connection.plan.scheme !== "postgres") return this.handshake()
    side.send(SSL_REQUEST)
  }

  /** The upstream's answer to the request. */
  spoke(chunk: Uint8Array): void {
    if (this.step === "header") return this.fail("it spoke before it had taken the PROXY header")
    if (this.step === "handshake")
      return this.fail("TLS: it spoke before the handshake, so it does not speak TLS there")
    const problem = requestProblem(chunk)
    if (problem !== undefined) return this.fail(problem)
    // Neither the request nor its answer are bytes of the connection.
    this.side.written = 0
    if (this.target.kind === "tls") this.handshake()
    else this.outcome.ready(this.side)
  }

  handshaken(ok: boolean, error: Error | null): void {
    const facts = tlsFacts(this.side.socket!)
    const doubt: HandshakeError = error ?? facts.getAuthorizationError()
    if (this.connection.route?.tls?.insecureSkipVerify === true) {
      return ok || isVerdict(doubt) ? this.outcome.ready(this.side) : this.fail(handshakeProblem(doubt))
    }
    // Bun looks for a name once everything else is right: for `localhost` where there is no server name.
    const isNamed = doubt?.code !== "ERR_TLS_CERT_ALTNAME_INVALID"
    if (isNamed && !(ok && facts.authorized)) return this.fail(handshakeProblem(doubt))
    const certificate = facts.getPeerCertificate()
    const wanted = this.connection.route?.tls
    const problem =
      !isNamed && this.serverName !== undefined && wanted?.names === undefined
        ? misnamed(expectedName(this.target, wanted), certificate)
        : identityProblem(this.target, wanted, certificate)
    if (problem !== undefined) return this.fail(`TLS: ${problem}`)
    this.outcome.ready(this.side)
  }

  private get serverName(): string | undefined {
    return requestedName(this.target, this.connection.route?.tls)
  }

  private handshake(): void {
    this.step = "handshake"
    const { connection, serverName, side } = this
    const wanted = connection.route?.tls
    const alpn = wanted?.alpn ?? (connection.plan.scheme === "postgres" ? POSTGRES_ALPN : undefined)
    try {
      const context = connection.path.contexts.forUpstream(wanted)
      startTls(
        side.socket!,
        {
          context,
          alpn: alpnWire(alpn),
          // With it Bun closes what it does not trust, which it judges by another name than ours where there is none.
          rejectUnauthorized:
            wanted?.insecureSkipVerify !== true && wanted?.names === undefined && serverName !== undefined,
          ...(serverName === undefined ? {} : { serverName }),
        },
        connection.path.stages.tlsUpstreamHandlers,
        side,
      )
    } catch (error) {
      this.fail(readable(error).message)
    }
  }

  private fail(why: string): void {
    this.outcome.failed(this.side, why)
  }
}

const AWAITED = {
  header: "room for the PROXY header",
  request: "answer to the request for TLS",
  handshake: "TLS handshake",
} as const

/** Whether the client's TLS goes through, and was asked for: the upstream has to be asked too. */
function isRequested({ postgres, terminated }: Connection): boolean {
  return postgres?.kind === "ssl-request" && terminated === undefined
}
