// All Gateways with their ListenerSets: the listeners of each, in the order in which they come before each other.
import type { Surroundings } from "../manifests/document.ts"
import { addressesOf, type Addresses } from "./addresses.ts"
import { namespaceFilter } from "./allowed.ts"
import { Claims } from "./claims.ts"
import { inOrderOfAge } from "./conditions.ts"
import { Ports } from "./conflicts.ts"
import { frontendOf, type Frontend } from "./frontend.ts"
import { classNote } from "./gateway-class.ts"
import { Listener, type Surrounding, type Why } from "./listener.ts"
import { attachments, orphaned, setRejection, type SetState } from "./listener-sets.ts"
import { titleOf, type Objects } from "./objects.ts"
import { findOverlaps } from "./overlaps.ts"
import type { Policies } from "./policies.ts"
import { resolveCertificates, type Unresolved } from "./references.ts"
import type { ObjectOf } from "./types.ts"
import { gatewayValidity } from "./validity.ts"

/** 10,000 listeners of one Gateway: as many as certificates are kept, and each may have a descriptor. */
export const MOST_LISTENERS = 10_000

export interface GatewayState {
  readonly gateway: ObjectOf<"Gateway">
  readonly addresses: Addresses
  readonly frontend: Frontend
  readonly listeners: readonly Listener[]
  /** Those that ask to be attached to it, in the order in which they come before each other. */
  readonly sets: readonly SetState[]
  /** What keeps the whole Gateway from being accepted, but for its listeners. */
  readonly rejected: Why | undefined
  /** What is wrong with the certificate for targets. */
  readonly backend: Unresolved | undefined
  /** What is worth knowing of its class. */
  readonly note: string | undefined
}

export interface Gateways {
  readonly gateways: readonly GatewayState[]
  /** ListenerSets whose Gateway is nowhere. */
  readonly orphans: readonly SetState[]
  /** What routes may attach to. */
  readonly listeners: readonly Listener[]
}

export function readGateways(objects: Objects, policies: Policies, surroundings: Surroundings): Gateways {
  const claims = new Claims(policies)
  const { byGateway, orphans } = attachments(objects, surroundings)
  const gateways = inOrderOfAge(surroundings, objects.all("Gateway")).map((gateway) =>
    readGateway({ objects, policies, surroundings, claims }, gateway, byGateway.get(gateway) ?? []),
  )
  claims.shadow()
  const listeners = gateways.flatMap((state) => [...state.listeners, ...state.sets.flatMap((set) => set.listeners)])
  return {
    gateways,
    listeners,
    orphans: orphans.map(({ set, why }) => orphaned(objects, policies, set, why)),
  }
}

interface Reading {
  readonly objects: Objects
  readonly policies: Policies
  readonly surroundings: Surroundings
  readonly claims: Claims
}

function readGateway(
  { claims, objects, policies, surroundings }: Reading,
  gateway: ObjectOf<"Gateway">,
  sets: readonly ObjectOf<"ListenerSet">[],
): GatewayState {
  const addresses = addressesOf(gateway, surroundings)
  const frontend = frontendOf(objects, gateway)
  const { infrastructure, listeners: written, tls } = gateway.body.spec
  const ref = tls?.backend?.clientCertificateRef
  const backend = resolveCertificates(objects, gateway, ref === undefined ? [] : [ref], "InvalidClientCertificateRef")
  const [identity] = backend.values
  const surrounding: Surrounding = {
    gateway,
    clientCertificate: identity === undefined ? undefined : { cert: identity.cert, key: identity.key },
    validation: frontend.validation,
  }
  const rejected = rejection(addresses, infrastructure?.parametersRef)
  const read = (owner: ObjectOf<"Gateway"> | ObjectOf<"ListenerSet">) =>
    owner.body.spec.listeners.map((_, i) => new Listener(objects, policies, owner, surrounding, i))
  const bind = (listener: Listener) => {
    if (isBound(listener)) claims.bind(listener, addresses.bound)
  }
  const listeners = read(gateway)
  const ports = new Ports()
  ports.addOwn(listeners)
  if (rejected === undefined) listeners.forEach(bind)
  const isAccepted = rejected === undefined && gatewayValidity(listeners).accepted
  const allows = namespaceFilter(
    objects,
    gateway.body.spec.allowedListeners?.namespaces,
    gateway.metadata.namespace,
    "None",
  )
  let room = MOST_LISTENERS - written.length
  const states = sets.map((set): SetState => {
    const own = read(set)
    const refused = setRejection(gateway, set, allows(set.metadata.namespace), isAccepted)
    if (refused !== undefined) {
      for (const listener of own) listener.reject(refused.reason, refused.message)
      return { set, listeners: own, rejected: refused }
    }
    for (const listener of own) {
      if (room <= 0) listener.reject("TooManyListeners", `${titleOf(gateway)} has ${MOST_LISTENERS} listeners already`)
      if (listener.rejected?.reason === "TooManyListeners") continue
      room--
      ports.add(listener)
      bind(listener)
    }
    return { set, listeners: own, rejected: undefined }
  })
  for (const port of ports.tls()) findOverlaps(port)
  const note = classNote(objects, gateway)
  return { gateway, addresses, frontend, listeners, sets: states, rejected, backend: backend.unresolved[0], note }
}

/** Also one that refuses everybody has its port. */
function isBound({ refuses, rejected }: Listener): boolean {
  return rejected === undefined || refuses !== undefined
}

function rejection(addresses: Addresses, parameters: { kind?: string; name: string } | undefined): Why | undefined {
  if (addresses.unsupported !== undefined) return { reason: "UnsupportedAddress", message: addresses.unsupported }
  if (parameters === undefined) return undefined
  const message = `spec.infrastructure.parametersRef names ${parameters.kind} ${parameters.name}, and parameters of no kind are known here: leave it out; a TidegatePolicy has options for Gateways`
  return { reason: "InvalidParameters", message }
}
