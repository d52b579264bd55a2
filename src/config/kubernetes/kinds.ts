// The kinds that are read, by group and version, and what is said of those that are not.
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type ObjectDocument } from "../manifests/document.ts"
import { didYouMean, suggest } from "../../policy/suggest.ts"
import type { Kind } from "./types.ts"

const GATEWAY_GROUP = "gateway.networking.k8s.io"

/** The versions of each kind, the best first. */
const GROUPS: Readonly<Record<string, Readonly<Partial<Record<Kind, readonly string[]>>>>> = {
  [GATEWAY_GROUP]: {
    GatewayClass: ["v1", "v1beta1"],
    Gateway: ["v1", "v1beta1"],
    ListenerSet: ["v1"],
    TCPRoute: ["v1", "v1alpha2"],
    TLSRoute: ["v1", "v1alpha3", "v1alpha2"],
    HTTPRoute: ["v1", "v1beta1"],
    GRPCRoute: ["v1", "v1alpha2"],
    UDPRoute: ["v1", "v1alpha2"],
    ReferenceGrant: ["v1", "v1beta1", "v1alpha2"],
    BackendTLSPolicy: ["v1", "v1alpha3"],
  },
  "": { Service: ["v1"], Endpoints: ["v1"], Secret: ["v1"], ConfigMap: ["v1"], Namespace: ["v1"] },
  "discovery.k8s.io": { EndpointSlice: ["v1"] },
  "tidegate.dev": { TidegatePolicy: ["v1alpha1"] },
  "configuration.konghq.com": { TCPIngress: ["v1beta1"], KongUpstreamPolicy: ["v1beta1"] },
  "ngrok.k8s.ngrok.com": {
    AgentEndpoint: ["v1alpha1"],
    CloudEndpoint: ["v1alpha1"],
    NgrokTrafficPolicy: ["v1alpha1"],
  },
  "ingress.k8s.ngrok.com": { IPPolicy: ["v1alpha1"] },
}

export interface KindFound {
  /** `undefined`: not read, for the problems that there are, or because it is none of ours. */
  readonly kind: Kind | undefined
  readonly problems: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

export function kindOf(document: ObjectDocument): KindFound {
  const { group, kind, version } = document.head
  const kinds = GROUPS[group]
  if (kinds === undefined) return { kind: undefined, problems: [], warnings: [] }
  const known = Object.keys(kinds) as Kind[]
  const found = known.find((one) => one === kind)
  if (found === undefined) {
    if (group === "" && suggest(kind, known) === undefined) return { kind: undefined, problems: [], warnings: [] }
    const message = `there is no kind ${JSON.stringify(kind)} in ${group}${didYouMean(kind, known)}`
    return { kind: undefined, problems: [problemAt(document, ["kind"], message)], warnings: [] }
  }
  const versions = kinds[found] ?? []
  if (versions.includes(version)) return { kind: found, problems: [], warnings: [] }
  const message = `${found} is read as ${versions.join(", ")}, found ${JSON.stringify(version)}`
  return { kind: undefined, problems: [problemAt(document, ["apiVersion"], message)], warnings: [] }
}
