// GatewayClasses: which of them are ours, and what we can do. In files nobody else serves what lies there, so Gateways are
// served whatever class they are of.
import type { ObjectState, Surroundings } from "../manifests/document.ts"
import { conditions, isFalse, isTrue } from "./conditions.ts"
import { stateOf } from "./object-states.ts"
import type { Objects } from "./objects.ts"
import { CONTROLLER } from "./tidegate-policy.ts"
import type { ObjectOf } from "./types.ts"

/** As Gateway API calls them, by name. */
export const SUPPORTED_FEATURES: readonly string[] = [
  "BackendTLSPolicy",
  "BackendTLSPolicySANValidation",
  "Gateway",
  "GatewayAddressEmpty",
  "GatewayBackendClientCertificate",
  "GatewayFrontendClientCertificateValidation",
  "GatewayFrontendClientCertificateValidationInsecureFallback",
  "GatewayPort8080",
  "GatewayStaticAddresses",
  "ListenerSet",
  "ReferenceGrant",
  "TCPRoute",
  "TLSRoute",
  "TLSRouteModeMixed",
  "TLSRouteModeTerminate",
].sort()

/** The versions whose objects are read. */
const VERSION = "Gateway API v1.6"

export function classState(surroundings: Surroundings, object: ObjectOf<"GatewayClass">): ObjectState {
  const { controllerName, parametersRef } = object.body.spec
  const others =
    controllerName === CONTROLLER
      ? "Gateways of this class are served"
      : `Gateways of this class are served, although it names the controller ${controllerName}: nobody else serves what lies in these files (${CONTROLLER} says that it is meant)`
  const accepted =
    parametersRef === undefined
      ? isTrue("Accepted", "Accepted", others)
      : isFalse(
          "Accepted",
          "InvalidParameters",
          `spec.parametersRef names ${parametersRef.kind} ${parametersRef.name}, and parameters of no kind are known here: leave it out. ${others}`,
        )
  const version = isTrue(
    "SupportedVersion",
    "SupportedVersion",
    `Objects of ${VERSION} are read; there is no cluster with others`,
  )
  return stateOf(surroundings, object, {
    conditions: conditions(surroundings, object, "", [accepted, version]),
    supportedFeatures: SUPPORTED_FEATURES.map((name) => ({ name })),
  })
}

/** What is worth knowing of the class of a Gateway. */
export function classNote(objects: Objects, { body }: ObjectOf<"Gateway">): string | undefined {
  const { gatewayClassName: name } = body.spec
  const found = objects.find("GatewayClass", "", name)
  if (found === undefined) return `GatewayClass ${name} is in no file, which keeps nothing from being served here`
  const { controllerName } = found.body.spec
  return controllerName === CONTROLLER
    ? undefined
    : `GatewayClass ${name} names the controller ${controllerName}; it is served here, as nobody else serves what lies in these files`
}
