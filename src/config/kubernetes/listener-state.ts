// A listener of a Gateway or of a ListenerSet, looked at with all that it refers to: what the routes attach to.
import type { ListenEntry } from "../../policy/listen.ts"
import type { TerminateOptions } from "../../policy/terminate.ts"
import type { GatewayListener, ObjectOf } from "./types.ts"

/** The kinds of routes that a listener may serve. */
export type RouteKind = "TCPRoute" | "TLSRoute"

export interface ListenerState {
  /** Whose `spec.listeners` it stands in. */
  readonly owner: ObjectOf<"Gateway"> | ObjectOf<"ListenerSet">
  /** The Gateway that serves it. */
  readonly gateway: ObjectOf<"Gateway">
  /** Its place in `spec.listeners`. */
  readonly index: number
  readonly spec: GatewayListener
  readonly port: number
  /** Lower case; `undefined`: every name, and none. */
  readonly hostname: string | undefined
  /** `undefined` for TCP. */
  readonly mode: "Terminate" | "Passthrough" | undefined
  /** What may attach, of what the protocol allows: empty where `allowedRoutes.kinds` leaves nothing, or for HTTP. */
  readonly kinds: readonly RouteKind[]
  /** Whether routes of this namespace may attach. */
  allows(namespace: string): boolean
  /** Without conflict, with a protocol of ours, and with all that it refers to as far as it cannot serve without. */
  readonly serves: boolean
  /**
   * What it binds, one entry per address, with the pattern of {@link hostname} and the options of the listener; empty
   * where it does not serve.
   */
  readonly listen: readonly ListenEntry[]
  /**
   * How TLS ends for a client that asks for this name, which the hello has in lower case: of several certificates each
   * name has its own. `undefined` for listeners where it does not end, or cannot. Equal options are the same object.
   */
  readonly terminate: ((sni: string | undefined) => TerminateOptions) | undefined
  /** Equal for equal {@link terminate}, and no secret. */
  readonly terminateKey: string
  /** What `spec.tls.backend` presents to targets. */
  readonly clientCertificate: { readonly cert: string; readonly key: string } | undefined
  /**
   * More specific hostnames that other listeners have on the same addresses and port: their names are theirs, also of
   * those that refuse every client because something is wrong with them.
   */
  readonly shadowedBy: readonly string[]
  /** The routes that are attached: counted by whoever attaches them, before statuses are made. */
  attachedRoutes: number
  /**
   * Whether a route has the traffic of the hostname itself; set by whoever attaches routes. The rules of routes are asked
   * last, after policies without `listen`, and in no order with the listener's own one, which is to answer `next` then.
   */
  isTaken: boolean
}
