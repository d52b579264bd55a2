// A simulated client while its policies are asked: what it has said so far, and what has become of its TLS.
import { detect, type ClientHello, type Protocol } from "../protocol/index.ts"
import { UNDER_WAY, unfitRoute } from "./check-route.ts"
import type { CloseReason } from "./connection.ts"
import { DecisionInvalid, type Decision } from "./decision.ts"
import type { Scheme } from "./listen.ts"
import { readHello, type Sent, type Start } from "./simulated-start.ts"
import { handshake, type CertificateFacts, type TerminatedFacts } from "./simulated-tls.ts"
import { checkTerminate, HandshakeFailed, type Terminated, type TerminateOptions } from "./terminate.ts"

/** Why the gateway would not do what a policy decided. */
export interface Objection {
  readonly reason: CloseReason
  readonly cause: Error
}

/** What of the facts decides how a handshake ends. */
export interface HandshakeFacts {
  readonly clientCertificate?: CertificateFacts
  readonly terminated?: TerminatedFacts
}

/** What the client has said so far, and what has become of its TLS. */
export class SimulatedClient {
  private readonly facts: HandshakeFacts
  private readonly scheme: Scheme
  private readonly sent: Sent
  bytes: Uint8Array
  readonly closed: boolean
  /** Once it was found. */
  hello: ClientHello | undefined
  private ending: "no" | "under-way" | "terminated" | HandshakeFailed = "no"

  constructor(facts: HandshakeFacts, scheme: Scheme, sent: Sent, start: Start) {
    this.facts = facts
    this.scheme = scheme
    this.sent = sent
    this.bytes = start.bytes
    this.closed = sent.closed
    this.hello = start.hello
  }

  get isTerminated(): boolean {
    return this.ending === "terminated"
  }

  objection(decision: Decision | undefined): Objection | undefined {
    if (this.ending instanceof HandshakeFailed) return { reason: "tls-handshake-failed", cause: this.ending }
    if (decision === undefined) return undefined
    const known = { hello: this.hello !== undefined, terminated: this.isTerminated }
    const unfit = this.ending === "under-way" ? UNDER_WAY : unfitRoute(decision, known)
    return unfit === undefined ? undefined : { reason: "policy-failed", cause: new DecisionInvalid(unfit) }
  }

  readHello(): ClientHello | undefined {
    if (!this.isTerminated) this.hello ??= readHello({ ...this.sent, bytes: this.bytes })
    return this.hello
  }

  protocol(): Protocol | undefined {
    const found = detect(this.bytes, this.closed)
    // A message that is not whole in time names nothing, as silence does.
    if (found === undefined || found === "more") return undefined
    if (found.protocol !== "tls" || this.isTerminated) return found
    return { protocol: "tls", hello: this.readHello() ?? found.hello }
  }

  /** @throws HandshakeFailed, PrereadTimeout, HelloInvalid, PrereadTooLarge */
  async terminate(options: TerminateOptions | undefined): Promise<Terminated> {
    if (this.ending !== "no") throw new Error("terminate: once per connection")
    const termination = checkTerminate(options)
    this.ending = "under-way"
    // A live handshake takes a while: a policy that does not wait for it decides before it is done.
    await Promise.resolve()
    const hello = this.readHello()
    try {
      if (hello === undefined) throw new HandshakeFailed("the client does not speak TLS")
      const alpn = termination.alpn ?? (this.scheme === "postgres" ? ["postgresql"] : undefined)
      const { clientCertificate, terminated } = this.facts
      const done = handshake(hello, { ...termination, alpn }, clientCertificate, terminated)
      this.bytes = this.sent.plain
      this.ending = "terminated"
      return done
    } catch (error) {
      if (error instanceof HandshakeFailed) this.ending = error
      throw error
    }
  }
}
