// ListenerSets: which Gateway each asks for, and whether that lets it in.
import type { Surroundings } from "../manifests/document.ts"
import { inOrderOfAge } from "./conditions.ts"
import { Listener, type Surrounding, type Why } from "./listener.ts"
import { GATEWAY_GROUP, titleOf, type Objects } from "./objects.ts"
import type { Policies } from "./policies.ts"
import type { ObjectOf } from "./types.ts"

export interface SetState {
  readonly set: ObjectOf<"ListenerSet">
  readonly listeners: readonly Listener[]
  /** What keeps it from being attached, but for its listeners. */
  readonly rejected: Why | undefined
}

export interface Attachments {
  /** In the order in which they come before each other. */
  readonly byGateway: ReadonlyMap<ObjectOf<"Gateway">, readonly ObjectOf<"ListenerSet">[]>
  /** Those whose Gateway is nowhere. */
  readonly orphans: readonly { readonly set: ObjectOf<"ListenerSet">; readonly why: Why }[]
}

/** Which ListenerSets ask for which Gateway. */
export function attachments(objects: Objects, surroundings: Surroundings): Attachments {
  const byGateway = new Map<ObjectOf<"Gateway">, ObjectOf<"ListenerSet">[]>()
  const orphans: { set: ObjectOf<"ListenerSet">; why: Why }[] = []
  for (const set of inOrderOfAge(surroundings, objects.all("ListenerSet"))) {
    const {
      group = GATEWAY_GROUP,
      kind = "Gateway",
      name,
      namespace = set.metadata.namespace,
    } = set.body.spec.parentRef
    if (group !== GATEWAY_GROUP || kind !== "Gateway") {
      const message = `spec.parentRef: expected a Gateway, found ${kind}${group === "" ? "" : `.${group}`}`
      orphans.push({ set, why: { reason: "Invalid", message } })
      continue
    }
    const gateway = objects.find("Gateway", namespace, name)
    if (gateway === undefined) {
      const elsewhere = objects.namespaceWith("Gateway", name)
      const near = elsewhere === undefined ? "" : `; there is one in the namespace ${elsewhere}`
      const message = `Gateway ${namespace}/${name} is in no file${near}`
      orphans.push({ set, why: { reason: "ParentNotAccepted", message } })
      continue
    }
    const known = byGateway.get(gateway)
    if (known === undefined) byGateway.set(gateway, [set])
    else known.push(set)
  }
  return { byGateway, orphans }
}

/** Why a Gateway does not let a ListenerSet in. */
export function setRejection(
  gateway: ObjectOf<"Gateway">,
  set: ObjectOf<"ListenerSet">,
  isAllowed: boolean,
  isAccepted: boolean,
): Why | undefined {
  const title = titleOf(gateway)
  if (!isAllowed) {
    const { namespace } = set.metadata
    const from = gateway.body.spec.allowedListeners?.namespaces?.from ?? "None"
    const message = `${title} takes no ListenerSets from the namespace ${namespace}: its spec.allowedListeners.namespaces.from is ${from}; Same, All or a Selector lets them in`
    return { reason: "NotAllowed", message }
  }
  return isAccepted
    ? undefined
    : { reason: "ParentNotAccepted", message: `${title} is not accepted; its status says why` }
}

/** What can be said of listeners without a Gateway. */
export function orphaned(objects: Objects, policies: Policies, set: ObjectOf<"ListenerSet">, why: Why): SetState {
  const none = { clients: undefined, unresolved: [], failed: false }
  // It is only asked for its name and its policies, of which it has none.
  const { document, metadata } = set
  const gateway: ObjectOf<"Gateway"> = {
    kind: "Gateway",
    document,
    metadata: { ...metadata, ...set.body.spec.parentRef },
    body: { spec: { gatewayClassName: "", listeners: [] } },
  }
  const surrounding: Surrounding = { gateway, clientCertificate: undefined, validation: () => none }
  const listeners = set.body.spec.listeners.map((_, i) => {
    const listener = new Listener(objects, policies, set, surrounding, i)
    listener.reject(why.reason, why.message)
    return listener
  })
  return { set, listeners, rejected: why }
}
