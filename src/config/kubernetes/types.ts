// The objects that are read, as far as they matter at layer 4, in the words of their own documentation. The schemas check
// that a document is one of these; the compiler sees nothing else.
import type { ObjectDocument } from "../manifests/document.ts"
import type { TidegatePolicySpec } from "./tidegate-policy.ts"

/** A document with the body that its schema has taken. */
export interface Object<Body> {
  readonly document: ObjectDocument
  readonly metadata: Metadata
  readonly body: Body
}

export interface Metadata {
  readonly name: string
  /** `"default"` where none is written; `""` for what no namespace holds. */
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly generation: number | undefined
  readonly creationTimestamp: string | undefined
}

export interface ObjectReference {
  readonly group?: string
  readonly kind?: string
  readonly name: string
  readonly namespace?: string
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist"
    readonly values?: readonly string[]
  }[]
}

export interface NamespaceFilter {
  readonly from?: "All" | "Selector" | "Same" | "None"
  readonly selector?: LabelSelector
}

export interface GatewayClassBody {
  readonly spec: {
    readonly controllerName: string
    readonly parametersRef?: ObjectReference
    readonly description?: string
  }
}

export interface ListenerTls {
  readonly mode?: "Terminate" | "Passthrough"
  readonly certificateRefs?: readonly ObjectReference[]
  readonly options?: Readonly<Record<string, string>>
}

export interface GatewayListener {
  readonly name: string
  readonly hostname?: string
  readonly port: number
  /** HTTP, HTTPS, TLS, TCP and UDP in upper case, whatever is written. */
  readonly protocol: string
  readonly tls?: ListenerTls
  readonly allowedRoutes?: {
    readonly namespaces?: NamespaceFilter
    readonly kinds?: readonly { readonly group?: string; readonly kind: string }[]
  }
}

export interface FrontendTls {
  readonly validation?: {
    readonly caCertificateRefs: readonly ObjectReference[]
    readonly mode?: "AllowValidOnly" | "AllowInsecureFallback"
  }
}

export interface GatewayBody {
  readonly spec: {
    readonly gatewayClassName: string
    readonly listeners: readonly GatewayListener[]
    readonly addresses?: readonly { readonly type?: string; readonly value?: string }[]
    readonly infrastructure?: {
      readonly labels?: Readonly<Record<string, string>>
      readonly annotations?: Readonly<Record<string, string>>
      readonly parametersRef?: ObjectReference
    }
    readonly allowedListeners?: { readonly namespaces?: NamespaceFilter }
    readonly tls?: {
      readonly frontend?: {
        readonly default: FrontendTls
        readonly perPort?: readonly { readonly port: number; readonly tls: FrontendTls }[]
      }
      readonly backend?: { readonly clientCertificateRef?: ObjectReference }
    }
  }
}

export interface ListenerSetBody {
  readonly spec: { readonly parentRef: ObjectReference; readonly listeners: readonly GatewayListener[] }
}

export interface ParentReference extends ObjectReference {
  readonly sectionName?: string
  readonly port?: number
}

export interface BackendReference extends ObjectReference {
  readonly port?: number
  readonly weight?: number
}

export interface RouteRule {
  readonly name?: string
  readonly backendRefs: readonly BackendReference[]
}

export interface TCPRouteBody {
  readonly spec: { readonly parentRefs?: readonly ParentReference[]; readonly rules: readonly RouteRule[] }
}

export interface TLSRouteBody {
  readonly spec: {
    readonly parentRefs?: readonly ParentReference[]
    /** Empty for what v1alpha2 lets out. */
    readonly hostnames?: readonly string[]
    readonly rules: readonly RouteRule[]
  }
}

/** HTTPRoute, GRPCRoute, UDPRoute: not served, and told so. */
export interface OtherRouteBody {
  readonly spec: { readonly parentRefs?: readonly ParentReference[] }
}

export interface ReferenceGrantBody {
  readonly spec: {
    readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[]
    readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[]
  }
}

export interface BackendTLSPolicyBody {
  readonly spec: {
    readonly targetRefs: readonly {
      readonly group: string
      readonly kind: string
      readonly name: string
      /** The name of a Service's port. */
      readonly sectionName?: string
    }[]
    readonly validation: {
      readonly hostname: string
      readonly caCertificateRefs?: readonly ObjectReference[]
      readonly wellKnownCACertificates?: string
      readonly subjectAltNames?: readonly {
        readonly type: "Hostname" | "URI"
        readonly hostname?: string
        readonly uri?: string
      }[]
    }
    readonly options?: Readonly<Record<string, string>>
  }
}

export interface ServiceBody {
  readonly spec: {
    readonly type?: string
    readonly clusterIP?: string
    readonly externalName?: string
    readonly ports?: readonly {
      readonly name?: string
      readonly port: number
      readonly targetPort?: number | string
      readonly protocol?: string
      readonly appProtocol?: string
    }[]
    readonly selector?: Readonly<Record<string, string>>
  }
}

export interface EndpointSliceBody {
  readonly addressType: "IPv4" | "IPv6" | "FQDN"
  readonly endpoints?: readonly {
    readonly addresses: readonly string[]
    readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean }
    readonly hostname?: string
    readonly targetRef?: { readonly kind?: string; readonly name?: string }
    readonly zone?: string
  }[]
  readonly ports?: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[]
}

export interface EndpointsBody {
  readonly subsets?: readonly {
    readonly addresses?: readonly { readonly ip: string; readonly hostname?: string }[]
    readonly notReadyAddresses?: readonly { readonly ip: string }[]
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[]
  }[]
}

export interface SecretBody {
  readonly type?: string
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>
  readonly stringData?: Readonly<Record<string, string>>
}

export interface ConfigMapBody {
  readonly data?: Readonly<Record<string, string>>
  readonly binaryData?: Readonly<Record<string, string>>
}

export type NamespaceBody = Readonly<Record<string, never>>

// Tidegate

export interface TidegatePolicyBody {
  readonly spec: TidegatePolicySpec
}

// Kong

export interface TCPIngressBody {
  readonly spec: {
    readonly rules: readonly {
      readonly host?: string
      readonly port: number
      readonly backend: { readonly serviceName: string; readonly servicePort: number }
    }[]
    readonly tls?: readonly { readonly hosts?: readonly string[]; readonly secretName?: string }[]
  }
}

export type KongProtocol = "http" | "https" | "tcp" | "grpc" | "grpcs"

/** One of these; at layer 4 only `input: ip` and `none` mean anything. */
export interface KongHash {
  readonly input?: "ip" | "consumer" | "path" | "none"
  readonly header?: string
  readonly cookie?: string
  readonly cookiePath?: string
  readonly queryArg?: string
  readonly uriCapture?: string
}

export interface KongHealthy {
  readonly httpStatuses?: readonly number[]
  /** Seconds; 0 never checks. Active checks only. */
  readonly interval?: number
  /** 0 never. */
  readonly successes?: number
}

export interface KongUnhealthy {
  readonly httpFailures?: number
  readonly httpStatuses?: readonly number[]
  /** 0 never. */
  readonly tcpFailures?: number
  readonly timeouts?: number
  /** Seconds; 0 never checks. Active checks only. */
  readonly interval?: number
}

export interface KongUpstreamPolicyBody {
  readonly spec: {
    readonly algorithm?: "round-robin" | "consistent-hashing" | "least-connections" | "latency" | "sticky-sessions"
    readonly slots?: number
    readonly hashOn?: KongHash
    readonly hashOnFallback?: KongHash
    readonly healthchecks?: {
      readonly active?: {
        readonly type?: KongProtocol
        readonly concurrency?: number
        readonly healthy?: KongHealthy
        readonly unhealthy?: KongUnhealthy
        readonly httpPath?: string
        readonly httpsSni?: string
        readonly httpsVerifyCertificate?: boolean
        /** Seconds. */
        readonly timeout?: number
        readonly headers?: Readonly<Record<string, readonly string[]>>
      }
      readonly passive?: {
        readonly type?: KongProtocol
        readonly healthy?: KongHealthy
        readonly unhealthy?: KongUnhealthy
      }
      /** Per cent of the weight that has to be healthy. */
      readonly threshold?: number
    }
    readonly stickySessions?: { readonly cookie: string; readonly cookiePath?: string }
  }
}

// ngrok; what `trafficPolicy` holds is read by the compiler of traffic policies

export interface TrafficPolicyReference {
  /** Of old operators; says nothing. */
  readonly type?: string
  readonly inline?: unknown
  readonly targetRef?: { readonly name: string }
  /** Deprecated: the policy as a text, or as an object. */
  readonly policy?: unknown
}

export interface AgentEndpointBody {
  readonly spec: {
    readonly url: string
    readonly upstream: {
      readonly url: string
      readonly protocol?: "http1" | "http2"
      readonly proxyProtocolVersion?: "1" | "2"
    }
    readonly trafficPolicy?: TrafficPolicyReference
    readonly description?: string
    readonly metadata?: unknown
    readonly bindings?: readonly string[]
    readonly clientCertificateRefs?: readonly ObjectReference[]
    readonly tlsTermination?: {
      readonly serverCertificateRef: ObjectReference
      readonly mutualTLS?: { readonly clientCAsRef: ObjectReference; readonly mode?: "require" | "request" }
    }
  }
}

export interface CloudEndpointBody {
  readonly spec: {
    readonly url: string
    readonly trafficPolicy?: TrafficPolicyReference
    readonly trafficPolicyName?: string
    readonly poolingEnabled?: boolean
    readonly description?: string
    readonly metadata?: unknown
    readonly bindings?: readonly string[]
  }
}

export interface NgrokTrafficPolicyBody {
  readonly spec: { readonly policy?: unknown }
}

export interface IPPolicyBody {
  readonly spec: {
    readonly description?: string
    readonly metadata?: unknown
    readonly rules?: readonly {
      readonly cidr: string
      readonly action: "allow" | "deny"
      readonly description?: string
      readonly metadata?: unknown
    }[]
  }
}

/** The bodies by kind. */
export interface Bodies {
  readonly GatewayClass: GatewayClassBody
  readonly Gateway: GatewayBody
  readonly ListenerSet: ListenerSetBody
  readonly TCPRoute: TCPRouteBody
  readonly TLSRoute: TLSRouteBody
  readonly HTTPRoute: OtherRouteBody
  readonly GRPCRoute: OtherRouteBody
  readonly UDPRoute: OtherRouteBody
  readonly ReferenceGrant: ReferenceGrantBody
  readonly BackendTLSPolicy: BackendTLSPolicyBody
  readonly Service: ServiceBody
  readonly EndpointSlice: EndpointSliceBody
  readonly Endpoints: EndpointsBody
  readonly Secret: SecretBody
  readonly ConfigMap: ConfigMapBody
  readonly Namespace: NamespaceBody
  readonly TidegatePolicy: TidegatePolicyBody
  readonly TCPIngress: TCPIngressBody
  readonly KongUpstreamPolicy: KongUpstreamPolicyBody
  readonly AgentEndpoint: AgentEndpointBody
  readonly CloudEndpoint: CloudEndpointBody
  readonly NgrokTrafficPolicy: NgrokTrafficPolicyBody
  readonly IPPolicy: IPPolicyBody
}

export type Kind = keyof Bodies

/** An object of any kind that is known, told apart by `kind`. */
export type AnyObject = { readonly [K in Kind]: Object<Bodies[K]> & { readonly kind: K } }[Kind]

export type ObjectOf<K extends Kind> = Extract<AnyObject, { readonly kind: K }>
