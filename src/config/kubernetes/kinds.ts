// The kinds that are read, by group and version.
import { backendTlsPolicy } from "./schema/backend-tls-policy.ts"
import { configMap, endpoints, endpointSlice, namespace, secret, service } from "./schema/core.ts"
import { gateway, gatewayClass, listenerSet } from "./schema/gateways.ts"
import { kongUpstreamPolicy, tcpIngress } from "./schema/kong.ts"
import { agentEndpoint, cloudEndpoint, ipPolicy, ngrokTrafficPolicy } from "./schema/ngrok.ts"
import { referenceGrant } from "./schema/reference-grant.ts"
import { otherRoute, tcpRoute, tcpRouteAlpha, tlsRoute, tlsRouteAlpha } from "./schema/routes.ts"
import { tidegatePolicy } from "./schema/tidegate-policy.ts"
import type { Shape } from "./shape.ts"
import { TIDEGATE_GROUP } from "./tidegate-policy.ts"
import type { Bodies, Kind } from "./types.ts"

export const GATEWAY_GROUP = "gateway.networking.k8s.io"

interface Version<Body> {
  readonly shape: Shape<Body>
  /** Why, or what else is to be written in the one that comes after it. */
  readonly deprecated?: string
}

export interface KindEntry<Body> {
  readonly group: string
  /** The best first. */
  readonly versions: Readonly<Record<string, Version<Body>>>
}

/** A version that says the same as the best one. */
const sameShape = "it is written the same way"

export const KINDS: { readonly [K in Kind]: KindEntry<Bodies[K]> } = {
  GatewayClass: gatewayKind({ v1: { shape: gatewayClass }, v1beta1: { shape: gatewayClass } }),
  Gateway: gatewayKind({ v1: { shape: gateway }, v1beta1: { shape: gateway } }),
  ListenerSet: gatewayKind({ v1: { shape: listenerSet } }),
  TCPRoute: gatewayKind({
    v1: { shape: tcpRoute },
    v1alpha2: { shape: tcpRouteAlpha, deprecated: "in v1, there is exactly one rule" },
  }),
  TLSRoute: gatewayKind({
    v1: { shape: tlsRoute },
    v1alpha3: { shape: tlsRoute, deprecated: sameShape },
    v1alpha2: { shape: tlsRouteAlpha, deprecated: "in v1, there are hostnames and exactly one rule" },
  }),
  HTTPRoute: gatewayKind({
    v1: { shape: otherRoute },
    v1beta1: { shape: otherRoute },
    v1alpha2: { shape: otherRoute },
  }),
  GRPCRoute: gatewayKind({ v1: { shape: otherRoute }, v1alpha2: { shape: otherRoute } }),
  UDPRoute: gatewayKind({ v1: { shape: otherRoute }, v1alpha2: { shape: otherRoute } }),
  ReferenceGrant: gatewayKind({
    v1: { shape: referenceGrant },
    v1beta1: { shape: referenceGrant },
    v1alpha2: { shape: referenceGrant, deprecated: sameShape },
  }),
  BackendTLSPolicy: gatewayKind({
    v1: { shape: backendTlsPolicy },
    v1alpha3: { shape: backendTlsPolicy, deprecated: sameShape },
  }),
  Service: { group: "", versions: { v1: { shape: service } } },
  Endpoints: { group: "", versions: { v1: { shape: endpoints } } },
  Secret: { group: "", versions: { v1: { shape: secret } } },
  ConfigMap: { group: "", versions: { v1: { shape: configMap } } },
  Namespace: { group: "", versions: { v1: { shape: namespace } } },
  EndpointSlice: {
    group: "discovery.k8s.io",
    versions: {
      v1: { shape: endpointSlice },
      v1beta1: { shape: endpointSlice, deprecated: "clusters since 1.25 have v1 only" },
    },
  },
  TidegatePolicy: { group: TIDEGATE_GROUP, versions: { v1alpha1: { shape: tidegatePolicy } } },
  TCPIngress: { group: "configuration.konghq.com", versions: { v1beta1: { shape: tcpIngress } } },
  KongUpstreamPolicy: { group: "configuration.konghq.com", versions: { v1beta1: { shape: kongUpstreamPolicy } } },
  AgentEndpoint: ngrokKind({ v1alpha1: { shape: agentEndpoint } }),
  CloudEndpoint: ngrokKind({ v1alpha1: { shape: cloudEndpoint } }),
  NgrokTrafficPolicy: ngrokKind({ v1alpha1: { shape: ngrokTrafficPolicy } }),
  IPPolicy: { group: "ingress.k8s.ngrok.com", versions: { v1alpha1: { shape: ipPolicy } } },
}

function gatewayKind<Body>(versions: Readonly<Record<string, Version<Body>>>): KindEntry<Body> {
  return { group: GATEWAY_GROUP, versions }
}

function ngrokKind<Body>(versions: Readonly<Record<string, Version<Body>>>): KindEntry<Body> {
  return { group: "ngrok.k8s.ngrok.com", versions }
}

/** Ours. */
export const GROUPS: ReadonlySet<string> = new Set(Object.values(KINDS).map(({ group }) => group))

export function isKind(kind: string): kind is Kind {
  return Object.hasOwn(KINDS, kind)
}
