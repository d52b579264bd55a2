// What becomes of a Gateway or a ListenerSet by what becomes of its listeners.
import type { Listener } from "./listener.ts"

export interface Validity {
  readonly accepted: boolean
  readonly reason: "Accepted" | "ListenersNotValid"
  /** Those that keep it from being all good. */
  readonly invalid: readonly Listener[]
  /** None of them is for us. */
  readonly foreign: boolean
}

/** A listener whose certificates cannot be used is accepted, and so is its Gateway. */
export function gatewayValidity(listeners: readonly Listener[]): Validity {
  return validityOf(
    listeners,
    listeners.filter(({ rejected }) => rejected !== undefined),
  )
}

/** Not so a ListenerSet: the tests of Gateway API want one that has no other listener refused. */
export function setValidity(listeners: readonly Listener[]): Validity {
  return validityOf(
    listeners,
    listeners.filter(({ rejected, uncertified }) => rejected !== undefined || uncertified),
  )
}

/**
 * HTTP and HTTPS are for every Gateway to have; that we do not serve them is said of the listener, and its Gateway is no
 * worse for it: so do the tests of Gateway API expect it, and whoever else reads the status.
 */
function validityOf(listeners: readonly Listener[], invalid: readonly Listener[]): Validity {
  const foreign = invalid.filter(isForeign).length
  if (invalid.length === 0 || foreign === listeners.length)
    return { accepted: true, reason: "Accepted", invalid, foreign: invalid.length > 0 }
  const accepted = invalid.length < listeners.length || foreign > 0
  return { accepted, reason: "ListenersNotValid", invalid, foreign: false }
}

function isForeign({ conflict, owner, spec: { protocol }, uncertified }: Listener): boolean {
  const isElsewhere = protocol === "HTTP" || protocol === "HTTPS"
  return isElsewhere && conflict === undefined && !(uncertified && owner.kind === "ListenerSet")
}
