// What is said of Gateways, ListenerSets and their listeners, once routes are attached.
import { identity } from "../../policy/listen.ts"
import type { ObjectState, Surroundings } from "../manifests/document.ts"
import { conditions, isFalse, isTrue, type Said } from "./conditions.ts"
import type { GatewayState } from "./gateways.ts"
import type { SetState } from "./listener-sets.ts"
import { gatewayValidity, setValidity, type Validity } from "./validity.ts"
import { shown, type Listener } from "./listener.ts"
import { stateOf } from "./object-states.ts"
import { GATEWAY_GROUP } from "./objects.ts"

export function gatewayState(surroundings: Surroundings, state: GatewayState): ObjectState {
  const { addresses, gateway, listeners, sets } = state
  return stateOf(
    surroundings,
    gateway,
    {
      ...(state.rejected === undefined && addresses.shown.length > 0 ? { addresses: addresses.shown } : {}),
      attachedListenerSets: sets.filter(isAttached).length,
      conditions: conditions(surroundings, gateway, "", saidOfGateway(state)),
      listeners: listeners.map((listener) => listenerStatus(surroundings, listener, state.rejected !== undefined)),
    },
    servesOf(listeners),
  )
}

/** @param state of the Gateway that it asks for; `undefined` where there is none */
export function listenerSetState(
  surroundings: Surroundings,
  set: SetState,
  state: GatewayState | undefined,
): ObjectState {
  return stateOf(
    surroundings,
    set.set,
    {
      conditions: conditions(surroundings, set.set, "", saidOfSet(set, state)),
      listeners: set.listeners.map((listener) => listenerStatus(surroundings, listener, false)),
    },
    servesOf(set.listeners),
  )
}

/** By the name of each listener that is bound, the listeners of ours that it is. */
function servesOf(listeners: readonly Listener[]): ReadonlyMap<string, readonly string[]> {
  return new Map(
    listeners
      .filter(({ serves }) => serves)
      .map(({ binds, owner, spec }) => [
        spec.name,
        binds.map(({ bind }) => identity(bind, owner.document.source.file)),
      ]),
  )
}

function isAttached({ listeners, rejected }: SetState): boolean {
  return rejected === undefined && setValidity(listeners).accepted
}

function saidOfGateway(state: GatewayState): readonly Said[] {
  const { addresses, backend, frontend, listeners, note, rejected, sets } = state
  const validity = gatewayValidity(listeners)
  const accepted =
    rejected === undefined
      ? accepting("Gateway", validity, note)
      : isFalse("Accepted", rejected.reason, rejected.message)
  const all = [...listeners, ...sets.flatMap((set) => set.listeners)]
  const said = [accepted, gatewayProgrammed(accepted, addresses.unusable, all), gatewayRefs(backend, listeners)]
  if (frontend.insecure !== undefined)
    said.push(isTrue("InsecureFrontendValidationMode", "ConfigurationChanged", frontend.insecure))
  return said
}

function gatewayProgrammed(accepted: Said, unusable: string | undefined, all: readonly Listener[]): Said {
  if (accepted.status !== "True") return isFalse("Programmed", "Invalid", "The Gateway is not accepted")
  if (unusable !== undefined) return isFalse("Programmed", "AddressNotUsable", unusable)
  if (all.every(({ rejected }) => rejected !== undefined))
    return isTrue("Programmed", "Programmed", "There is nothing of TCP or TLS to serve")
  const ours = all.filter(({ rejected }) => rejected === undefined)
  if (ours.length > 0 && !ours.some(({ serves }) => serves))
    return isFalse("Programmed", "Invalid", `No listener can serve: ${names(ours)}; the status of each says why`)
  return isTrue("Programmed", "Programmed", "Its listeners are served, as far as they are accepted")
}

function gatewayRefs(backend: GatewayState["backend"], listeners: readonly Listener[]): Said {
  if (backend !== undefined)
    return isFalse("ResolvedRefs", backend.reason, `spec.tls.backend.clientCertificateRef: ${backend.message}`)
  const unresolved = listeners.filter((listener) => listener.unresolved.length > 0)
  if (unresolved.length === 0) return isTrue("ResolvedRefs", "ResolvedRefs", "All references are resolved")
  return isFalse("ResolvedRefs", "ListenersNotResolved", `References of listeners lead nowhere: ${names(unresolved)}`)
}

function saidOfSet({ listeners, rejected }: SetState, state: GatewayState | undefined): readonly Said[] {
  if (rejected !== undefined) {
    const { message, reason } = rejected
    const programmed = reason === "ParentNotAccepted" ? "ParentNotProgrammed" : reason
    return [isFalse("Accepted", reason, message), isFalse("Programmed", programmed, message)]
  }
  const validity = setValidity(listeners)
  const accepted = accepting("ListenerSet", validity, undefined)
  return [accepted, setProgrammed(validity, listeners, state)]
}

function setProgrammed(validity: Validity, listeners: readonly Listener[], state: GatewayState | undefined): Said {
  if (!validity.accepted) {
    const isTaken = listeners.every(({ rejected }) => rejected?.reason === "PortUnavailable")
    return isFalse("Programmed", isTaken ? "PortUnavailable" : "ListenersNotValid", `None of its listeners is accepted`)
  }
  const ours = listeners.filter(({ rejected }) => rejected === undefined)
  if (ours.length > 0 && !ours.some(({ serves }) => serves)) {
    const unusable = state?.addresses.unusable
    if (unusable !== undefined) return isFalse("Programmed", "ParentNotProgrammed", unusable)
    return isFalse(
      "Programmed",
      "ListenersNotValid",
      `No listener can serve: ${names(ours)}; the status of each says why`,
    )
  }
  return isTrue("Programmed", "Programmed", "Its listeners are served, as far as they are accepted")
}

function accepting(kind: "Gateway" | "ListenerSet", validity: Validity, note: string | undefined): Said {
  const { accepted, foreign, invalid, reason } = validity
  const more = note === undefined ? "" : `. ${note}`
  const which = `${names(invalid)}; the status of each says why${more}`
  if (!accepted) return isFalse("Accepted", reason, `No listener is accepted: ${which}`)
  if (foreign) return isTrue("Accepted", reason, `The ${kind} has only listeners that are not served here: ${which}`)
  if (invalid.length > 0) return isTrue("Accepted", reason, `Some listeners are not accepted: ${which}`)
  return isTrue("Accepted", reason, `The ${kind} is accepted${more}`)
}

function listenerStatus(surroundings: Surroundings, listener: Listener, isGatewayRejected: boolean) {
  const { attachedRoutes, kinds, owner, spec } = listener
  return {
    name: spec.name,
    supportedKinds: kinds.map((kind) => ({ group: GATEWAY_GROUP, kind })),
    attachedRoutes,
    conditions: conditions(surroundings, owner, `listener ${spec.name}`, saidOfListener(listener, isGatewayRejected)),
  }
}

function saidOfListener(listener: Listener, isGatewayRejected: boolean): readonly Said[] {
  const { conflict, notes, overlap, rejected, unresolved } = listener
  const [first] = unresolved
  const accepted = ["The listener is accepted", ...notes].join("; ")
  return [
    rejected === undefined
      ? isTrue("Accepted", "Accepted", accepted)
      : isFalse("Accepted", rejected.reason, rejected.message),
    conflict === undefined
      ? isFalse("Conflicted", "NoConflicts", "Nobody else asks for the same")
      : isTrue("Conflicted", conflict.reason, conflict.message),
    first === undefined
      ? isTrue("ResolvedRefs", "ResolvedRefs", "All references are resolved")
      : isFalse("ResolvedRefs", first.reason, shown(unresolved)),
    programmed(listener, isGatewayRejected),
    ...(overlap === undefined ? [] : [isTrue("OverlappingTLSConfig", overlap.reason, overlap.message)]),
  ]
}

function programmed({ conflict, refuses, rejected, serves }: Listener, isGatewayRejected: boolean): Said {
  if (rejected !== undefined) {
    const reason = conflict?.reason ?? (rejected.reason === "PortUnavailable" ? rejected.reason : "Invalid")
    const bound = refuses === undefined ? "" : "; its port is bound, and refuses every client"
    return isFalse("Programmed", reason, `The listener is not accepted${bound}`)
  }
  if (isGatewayRejected) return isFalse("Programmed", "Pending", "The Gateway is not accepted")
  if (refuses !== undefined) return isFalse("Programmed", "Invalid", `Every client is refused: ${refuses}`)
  if (!serves) return isFalse("Programmed", "Pending", "None of the addresses of the Gateway can be bound")
  return isTrue("Programmed", "Programmed", "The listener is served")
}

/** 10 are enough to see where to look. */
const SHOWN = 10

function names(listeners: readonly Listener[]): string {
  const more = listeners.length > SHOWN ? ` and ${listeners.length - SHOWN} more` : ""
  return (
    listeners
      .slice(0, SHOWN)
      .map(({ spec }) => spec.name)
      .join(", ") + more
  )
}
