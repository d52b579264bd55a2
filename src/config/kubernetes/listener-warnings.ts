// What of Gateways, ListenerSets and TidegatePolicies is worth a look, where it is written: the same as their conditions
// say, for whoever looks at files and not at statuses.
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type ObjectDocument } from "../manifests/document.ts"
import type { Gateways, GatewayState } from "./gateways.ts"
import type { SetState } from "./listener-sets.ts"
import type { Listener } from "./listener.ts"
import type { AncestorStatus, TidegatePolicy } from "./policies.ts"

/** 20 of a file: more say nothing new, and each quotes its lines. */
const MOST_WARNINGS = 20

/** By file. */
export function warningsOf(
  gateways: Gateways,
  policies: ReadonlyMap<TidegatePolicy, readonly AncestorStatus[]>,
): ReadonlyMap<string, readonly Diagnostic[]> {
  const found = new Warnings()
  for (const state of gateways.gateways) {
    ofGateway(found, state)
    for (const set of state.sets) ofSet(found, set)
  }
  for (const set of gateways.orphans) ofSet(found, set)
  for (const [{ document }, ancestors] of policies) {
    ancestors.forEach(({ conditions }, i) => {
      for (const { message, status } of conditions)
        if (status === "False") found.add(document, ["spec", "targetRefs", i], message)
    })
  }
  return found.byFile
}

class Warnings {
  readonly byFile = new Map<string, Diagnostic[]>()

  add(document: ObjectDocument, path: readonly PropertyKey[], message: string): void {
    const { file } = document.source
    const known = this.byFile.get(file)
    if (known === undefined) this.byFile.set(file, [problemAt(document, path, message)])
    else if (known.length < MOST_WARNINGS) known.push(problemAt(document, path, message))
  }
}

function ofGateway(found: Warnings, { addresses, backend, gateway, listeners, rejected }: GatewayState): void {
  const { document } = gateway
  if (addresses.unsupported !== undefined) found.add(document, ["spec", "addresses"], addresses.unsupported)
  else if (rejected !== undefined) found.add(document, ["spec", "infrastructure", "parametersRef"], rejected.message)
  if (addresses.unusable !== undefined) found.add(document, ["spec", "addresses"], addresses.unusable)
  if (backend !== undefined) found.add(document, ["spec", "tls", "backend", "clientCertificateRef"], backend.message)
  for (const listener of listeners) ofListener(found, listener)
}

function ofSet(found: Warnings, { listeners, rejected, set }: SetState): void {
  if (rejected !== undefined) found.add(set.document, ["spec", "parentRef"], rejected.message)
  else for (const listener of listeners) ofListener(found, listener)
}

function ofListener(found: Warnings, { index, owner, rejected, unresolved }: Listener): void {
  const path = ["spec", "listeners", index]
  const what = rejected?.reason === "UnsupportedProtocol" ? [...path, "protocol"] : path
  if (rejected !== undefined) found.add(owner.document, what, rejected.message)
  for (const { message, reason } of unresolved)
    found.add(owner.document, reason === "InvalidRouteKinds" ? [...path, "allowedRoutes", "kinds"] : path, message)
}
