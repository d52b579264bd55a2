// The kinds that are read, by group and version, and what is said of those that are not.
import { didYouMean, suggest } from "../../policy/suggest.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type ObjectDocument } from "../manifests/document.ts"
import { backendTlsPolicy } from "./schema/backend-tls-policy.ts"
import { configMap, endpoints, endpointSlice, namespace, secret, service } from "./schema/core.ts"
import { gateway, gatewayClass, listenerSet } from "./schema/listeners.ts"
import { kongUpstreamPolicy, tcpIngress } from "./schema/kong.ts"
import { agentEndpoint, cloudEndpoint, ipPolicy, ngrokTrafficPolicy } from "./schema/ngrok.ts"
import { referenceGrant } from "./schema/reference-grant.ts"
import { otherRoute, tcpRoute, tcpRouteAlpha, tlsRoute, tlsRouteAlpha } from "./schema/routes.ts"
import { tidegatePolicy } from "./schema/tidegate-policy.ts"
import type { Shape } from "./shape.ts"
import { TIDEGATE_GROUP } from "./tidegate-policy.ts"
import type { Bodies, Kind } from "./types.ts"

const GATEWAY_GROUP = "gateway.networking.k8s.io"

interface Version<Body> {
  readonly shape: Shape<Body>
  /** Why, or what else is to be written in the one that comes after it. */
  readonly deprecated?: string
}

interface KindEntry<Body> {
  readonly group: string
  /** The best first. */
  readonly versions: Readonly<Record<string, Version<Body>>>
}

/** A version that says the same as the best one. */
const sameShape = "it is written the same way"

const KINDS: { readonly [K in Kind]: KindEntry<Bodies[K]> } = {
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

const GROUPS = new Set(Object.values(KINDS).map(({ group }) => group))

const kongPlugins = "which clients may come in, and how many, is said by a TidegatePolicy"
const ngrokEdges = "ngrok has no edges any more; write an AgentEndpoint or a CloudEndpoint"

/** Kinds that there are beside ours. What would have changed how connections are served is named. */
const OTHERS: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  "": none(
    "Binding ComponentStatus Config Event LimitRange List Node PersistentVolume PersistentVolumeClaim Pod PodTemplate",
    "ReplicationController ResourceQuota ServiceAccount Status",
  ),
  "configuration.konghq.com": {
    KongPlugin: kongPlugins,
    KongClusterPlugin: kongPlugins,
    KongIngress: "write a KongUpstreamPolicy, or annotations of the Service",
    UDPIngress: "there is no UDP here",
    ...noEffect(
      "IngressClassParameters KongConsumer KongConsumerGroup KongCustomEntity KongLicense KongVault KongCACertificate",
      "KongCertificate KongCredentialACL KongCredentialAPIKey KongCredentialBasicAuth KongCredentialHMAC",
      "KongCredentialJWT KongDataPlaneClientCertificate KongKey KongKeySet KongPluginBinding KongRoute KongService",
      "KongSNI KongTarget KongUpstream",
    ),
  },
  "ngrok.k8s.ngrok.com": noEffect("BoundEndpoint KubernetesOperator"),
  "ingress.k8s.ngrok.com": {
    TCPEdge: ngrokEdges,
    TLSEdge: ngrokEdges,
    HTTPSEdge: ngrokEdges,
    Tunnel: ngrokEdges,
    NgrokModuleSet: "write an NgrokTrafficPolicy",
    ...noEffect("Domain"),
  },
}

function none(...kinds: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(kinds.flatMap((line) => line.split(" ")).map((kind) => [kind, undefined]))
}

function noEffect(...kinds: readonly string[]): Record<string, string> {
  return Object.fromEntries(kinds.flatMap((line) => line.split(" ")).map((kind) => [kind, ""]))
}

export interface KindFound {
  /** `undefined`: not read, for the problems that there are, or because it is none of ours. */
  readonly kind: Kind | undefined
  readonly shape: Shape<Bodies[Kind]> | undefined
  readonly problems: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

const NOT_OURS: KindFound = { kind: undefined, shape: undefined, problems: [], warnings: [] }

export function kindOf(document: ObjectDocument): KindFound {
  const { group, kind, version } = document.head
  if (!isKind(kind) || KINDS[kind].group !== group) return notRead(document)
  const { versions }: KindEntry<Bodies[Kind]> = KINDS[kind]
  const [best = ""] = Object.keys(versions)
  const found = Object.hasOwn(versions, version) ? versions[version] : undefined
  if (found === undefined) {
    const read = Object.keys(versions).map((one) => JSON.stringify(apiVersion(group, one)))
    const message = `expected ${read.join(" or ")} for a ${kind}, found ${JSON.stringify(apiVersion(group, version))}`
    return problem(document, ["apiVersion"], message)
  }
  const { deprecated, shape } = found
  if (deprecated === undefined) return { kind, shape, problems: [], warnings: [] }
  const message = `${version} of ${kind} is deprecated; write ${JSON.stringify(apiVersion(group, best))}`
  return { kind, shape, problems: [], warnings: [problemAt(document, ["apiVersion"], message, deprecated)] }
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(KINDS, kind)
}

function apiVersion(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`
}

function shownGroup(group: string): string {
  return group === "" ? "the core group" : group
}

function problem(document: ObjectDocument, path: readonly PropertyKey[], message: string, hint?: string): KindFound {
  return { ...NOT_OURS, problems: [problemAt(document, path, message, hint)] }
}

function notRead(document: ObjectDocument): KindFound {
  const { group, kind, version } = document.head
  if (kind === "XListenerSet") {
    const message = "XListenerSet has become ListenerSet"
    return problem(
      document,
      ["kind"],
      `${message}; write \`apiVersion: ${GATEWAY_GROUP}/v1\` and \`kind: ListenerSet\``,
    )
  }
  const other = OTHERS[group]
  if (other !== undefined && Object.hasOwn(other, kind)) {
    const hint = other[kind]
    if (hint === undefined) return NOT_OURS
    const message = `a ${kind} has no effect here`
    return { ...NOT_OURS, warnings: [problemAt(document, ["kind"], message, hint === "" ? undefined : hint)] }
  }
  if (isKind(kind)) {
    const right = KINDS[kind].group
    if (!isSlipFor(group, right)) return NOT_OURS
    const [best = ""] = Object.keys(KINDS[kind].versions)
    const message = `${kind} is a kind of ${shownGroup(right)}, found ${JSON.stringify(apiVersion(group, version))}`
    return problem(document, ["apiVersion"], `${message}; write ${JSON.stringify(apiVersion(right, best))}`)
  }
  if (!GROUPS.has(group)) return misspeltGroup(document)
  const known = Object.keys(KINDS).filter((one) => isKind(one) && KINDS[one].group === group)
  const near = didYouMean(kind, [...known, ...Object.keys(other ?? {})])
  // The core group has what we have never heard of, and files of other programs say `v1` too.
  if (group === "" && near === "") return NOT_OURS
  const message = `there is no kind ${JSON.stringify(kind)} in ${shownGroup(group)}`
  return problem(document, ["kind"], `${message}${near || `; known are ${known.join(", ")}`}`)
}

/** A kind that we do not know either, in a group that is nearly one of ours. */
function misspeltGroup(document: ObjectDocument): KindFound {
  const { group, kind } = document.head
  const meant = group.includes(".") ? suggest(group, GROUPS) : undefined
  if (meant === undefined || suggest(kind, Object.keys(KINDS)) === undefined) return NOT_OURS
  return problem(
    document,
    ["apiVersion"],
    `there is no group ${JSON.stringify(group)}; did you mean ${JSON.stringify(meant)}?`,
  )
}

/**
 * Whether a kind of ours was meant, though the group is another one. Others have a Gateway, a Service or a TCPRoute of
 * their own, under names of their own: Kubernetes' groups have no dot, or end in `k8s.io`.
 */
function isSlipFor(group: string, right: string): boolean {
  if (!group.includes(".") || GROUPS.has(group)) return true
  if (/[.-]k8s\.io$/u.test(group) || suggest(group, GROUPS) !== undefined) return true
  return right.includes(".") && ownerOf(group) === ownerOf(right)
}

/** `ngrok.com` of `ngrok.k8s.ngrok.com`. */
function ownerOf(group: string): string {
  return group.split(".").slice(-2).join(".")
}
