// One listener of a Gateway or ListenerSet while it is looked at: what it asks for, what was found, what is said of it.
import type { ListenEntry } from "../../policy/listen.ts"
import type { TerminateOptions } from "../../policy/terminate.ts"
import { allowedKinds, isServed, namespaceFilter, unsupported } from "./allowed.ts"
import type { ListenerState, RouteKind } from "./listener-state.ts"
import type { ClientValidation, Ending } from "./listener-tls.ts"
import { endingOf, readTlsOptions } from "./listener-tls.ts"
import { titleOf, type Objects } from "./objects.ts"
import type { Policies } from "./policies.ts"
import { resolveCertificates, type Unresolved } from "./references.ts"
import type { TidegatePolicySpec } from "./tidegate-policy.ts"
import type { GatewayListener, ObjectOf } from "./types.ts"

/** What of the Gateway a listener is read with. */
export interface Surrounding {
  readonly gateway: ObjectOf<"Gateway">
  readonly clientCertificate: ListenerState["clientCertificate"]
  /** What is demanded of the clients of a port, and what of that cannot be. */
  validation(port: number): Validation
}

export interface Validation {
  readonly clients: ClientValidation | undefined
  readonly unresolved: readonly Unresolved[]
  /** Nothing is left to verify clients by. */
  readonly failed: boolean
}

/** A reason with its message. */
export interface Why {
  readonly reason: string
  readonly message: string
}

export class Listener implements ListenerState {
  readonly owner: ObjectOf<"Gateway"> | ObjectOf<"ListenerSet">
  readonly gateway: ObjectOf<"Gateway">
  readonly index: number
  readonly spec: GatewayListener
  readonly hostname: string | undefined
  readonly mode: "Terminate" | "Passthrough" | undefined
  readonly kinds: readonly RouteKind[]
  readonly allows: (namespace: string) => boolean
  readonly clientCertificate: ListenerState["clientCertificate"]
  shadowedBy: readonly string[] = []
  attachedRoutes = 0
  isTaken = false

  /** Why it is not accepted; the first that is found. */
  rejected: Why | undefined = undefined
  conflict: Why | undefined = undefined
  /** What of its references leads nowhere; the first one gives the reason. */
  readonly unresolved: Unresolved[] = []
  /** Why it refuses every client on its port; it is bound all the same, so that nobody else is asked for its names. */
  refuses: string | undefined = undefined
  /** Why nothing is bound, although nothing is wrong with it. */
  idle: string | undefined = undefined
  /** What is worth knowing, and changes nothing. */
  readonly notes: string[] = []
  /** It names certificates, and none of them can be used. */
  uncertified = false
  /** The names that its certificates are for. */
  certified: readonly string[] = []
  /** What others on its port have of its names. */
  overlap: Why | undefined = undefined
  /** What its socket is bound to, whether it serves or refuses. */
  binds: readonly ListenEntry[] = []
  private ending: Ending | undefined = undefined

  constructor(
    objects: Objects,
    policies: Policies,
    owner: ObjectOf<"Gateway"> | ObjectOf<"ListenerSet">,
    surrounding: Surrounding,
    index: number,
  ) {
    this.owner = owner
    this.gateway = surrounding.gateway
    this.clientCertificate = surrounding.clientCertificate
    this.index = index
    const spec = (this.spec = owner.body.spec.listeners[index]!)
    const { hostname, protocol } = spec
    this.hostname = hostname === undefined || hostname === "" ? undefined : hostname.toLowerCase()
    this.mode = protocol === "TLS" ? (spec.tls?.mode ?? "Terminate") : undefined
    const { kinds, problem } = allowedKinds(spec)
    this.kinds = kinds
    if (problem !== undefined) this.unresolved.push(problem)
    const { namespace } = owner.metadata
    this.allows = namespaceFilter(objects, spec.allowedRoutes?.namespaces, namespace, "Same")
    if (!isServed(protocol)) this.reject("UnsupportedProtocol", unsupported(protocol))
    if (this.mode === "Terminate" || protocol === "HTTPS") this.readTls(objects, surrounding, policies)
    else if (this.mode === "Passthrough" && Object.keys(spec.tls?.options ?? {}).length > 0)
      this.notes.push("tls.options has no effect where TLS is passed through")
  }

  get port(): number {
    return this.spec.port
  }

  /** As messages name it: `the listener db of Gateway default/edge`. */
  get title(): string {
    return `the listener ${this.spec.name} of ${titleOf(this.owner)}`
  }

  get serves(): boolean {
    return this.binds.length > 0 && this.refuses === undefined
  }

  get listen(): readonly ListenEntry[] {
    return this.serves ? this.binds : []
  }

  get terminate(): ((sni: string | undefined) => TerminateOptions) | undefined {
    return this.ending?.terminate
  }

  get terminateKey(): string {
    return this.ending?.key ?? ""
  }

  /** The first reason stays. */
  reject(reason: string, message: string): void {
    this.rejected ??= { reason, message }
  }

  private readTls(objects: Objects, surrounding: Surrounding, policies: Policies): void {
    const { certificateRefs = [], options } = this.spec.tls ?? {}
    const certificates = resolveCertificates(objects, this.owner, certificateRefs, "InvalidCertificateRef")
    this.certified = certificates.values.flatMap(({ names }) => names)
    this.uncertified = certificateRefs.length > 0 && certificates.values.length === 0
    const { clients, failed, unresolved } = surrounding.validation(this.port)
    this.unresolved.push(...certificates.unresolved, ...unresolved)
    const { foreign, problem, settings } = readTlsOptions(options)
    if (foreign.length > 0) this.notes.push(`tls.options of others are left to them: ${foreign.join(", ")}`)
    // HTTPS: its references are looked at, as every implementation does, and that is all.
    if (this.mode === undefined) return
    if (failed) this.refuse("NoValidCACertificate", `Clients cannot be verified: ${shown(unresolved)}`)
    if (problem !== undefined) this.refuse("UnsupportedValue", problem)
    if (this.uncertified) this.refuses ??= `no certificate can be used: ${shown(certificates.unresolved)}`
    if (certificateRefs.length === 0)
      this.notes.push("without certificateRefs, certificates come from the folder of --certs, by the names of clients")
    const applied = policies.ofListener(this.owner, this.gateway, this.spec.name)
    // What stands in the listener itself is more specific than any policy.
    const asked: Tls = Object.assign({}, ...applied.map(({ body }) => body.spec.tls).toReversed(), settings)
    const ending = endingOf(certificates.values, asked, clients)
    if (typeof ending !== "string") {
      if (this.refuses === undefined) this.ending = ending
      return
    }
    this.refuse("UnsupportedValue", `TLS cannot be ended as asked for: ${ending}`)
    for (const policy of applied) {
      if (policy.body.spec.tls === undefined) continue
      const message = `tls: ${this.title} cannot end TLS like that, and refuses its clients: ${ending}`
      for (const target of [this.owner, this.gateway])
        policies.reject(policy, target, "Invalid", message, this.spec.name)
    }
  }

  /** Not accepted, and its port refuses: a less specific listener is not to get the clients of this one. */
  private refuse(reason: string, message: string): void {
    this.reject(reason, message)
    this.refuses ??= message
  }
}

type Tls = NonNullable<TidegatePolicySpec["tls"]>

export function shown(unresolved: readonly Unresolved[]): string {
  return unresolved.map(({ message }) => message).join("; ")
}
