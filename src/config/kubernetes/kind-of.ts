// Which kind of ours a document is, and what is said of one that is not read.
import { didYouMean, suggest } from "../../policy/suggest.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type ObjectDocument } from "../manifests/document.ts"
import { GATEWAY_GROUP, GROUPS, isKind, KINDS, type KindEntry } from "./kinds.ts"
import type { Shape } from "./shape.ts"
import type { Bodies, Kind } from "./types.ts"

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
