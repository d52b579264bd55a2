// An endpoint from its parts: its route and pool, what expressions are told of it, and its key.
import { formatHostPort } from "../../policy/address.ts"
import { poolRoute, route, type RouteBuilder, type RouteOptions } from "../../policy/decision.ts"
import type { PoolSpec } from "../../policy/pool.ts"
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import { targetOf } from "../kubernetes/endpoints.ts"
import { digestOf } from "../module-graph.ts"
import { poolSpec } from "../pool-spec.ts"
import type { EndpointFacts } from "./cel/index.ts"
import type { Endpoint } from "./endpoint.ts"
import type { EndpointUrl } from "./endpoint-url.ts"
import type { ServiceUpstream } from "./service-upstreams.ts"
import type { Upstream } from "./upstream.ts"

/** Where an endpoint with an upstream leads. */
export interface Leads {
  readonly upstream: Upstream
  readonly tls: UpstreamTls | undefined
  readonly proxyProtocol: 1 | 2 | undefined
  /** Where the upstream's host is one of these. */
  readonly service?: ServiceUpstream
}

export interface EndpointParts extends Omit<Endpoint, "at" | "facts" | "key" | "places" | "pool" | "route"> {
  readonly at: Endpoint["at"] & { readonly upstream: readonly PropertyKey[] }
  readonly leads: Leads | undefined
}

export function makeEndpoint({ leads, ...parts }: EndpointParts): Endpoint {
  const { at, document, owner, policy, pooling, termination, title, url } = parts
  const places = { listen: document.place(at.url), route: document.place(at.upstream) }
  const made = leads === undefined ? undefined : madeOf(leads)
  const key = digestOf(
    JSON.stringify([
      [title, owner, url.text, url.binding, pooling, policy?.key, made?.key, termination ?? null],
      // Messages name lines: moving an endpoint is a change.
      [places.listen.line, places.route.line],
    ]),
  )
  return { ...parts, places, facts: factsOf(owner, url), route: made?.route, pool: made?.pool, key }
}

/** Equal for equal owners and URLs, over reloads and on all machines. */
export function factsOf(
  owner: string,
  { host, port, protocol, text }: Pick<EndpointUrl, "host" | "port" | "protocol" | "text">,
): EndpointFacts {
  return Object.freeze({
    id: `ep_${digestOf(`${owner} ${text}`)}`,
    url: text,
    addr: formatHostPort(host, port),
    host,
    port,
    protocol,
  })
}

interface Made {
  readonly route: RouteBuilder
  readonly pool: PoolSpec | undefined
  readonly key: string
}

function madeOf({ proxyProtocol, service, tls, upstream }: Leads): Made {
  const header = proxyProtocol === undefined ? {} : { proxyProtocol }
  if (service !== undefined) return toService(service, tls, header)
  if (upstream.kind === "pool")
    return { route: poolRoute(upstream.name, header), pool: undefined, key: JSON.stringify([upstream.name, header]) }
  const options: RouteOptions = tls === undefined ? header : { ...header, tls }
  // A list: a route that is written as a text alone may be another's as well, and is told apart by what it is.
  return { route: route([upstream.url], options), pool: undefined, key: JSON.stringify([upstream.url, options]) }
}

/** The pool is the one that routes to the Service have, unless it is encrypted. */
function toService(
  { endpoints, host, name }: ServiceUpstream,
  tls: UpstreamTls | undefined,
  header: RouteOptions,
): Made {
  const encryption = tls === undefined ? undefined : { sni: host, ...tls }
  const shownTls = encryption === undefined ? "" : ` (tls ${digestOf(JSON.stringify(encryption))})`
  const pool = poolSpec(`${name}${shownTls}`, {
    targets: endpoints.places.map((place) => targetOf(place, encryption !== undefined)),
    ...(encryption === undefined ? {} : { tls: encryption }),
  })
  const key = JSON.stringify([pool.name, endpoints.places, header])
  return { route: poolRoute(pool.name, header), pool, key }
}
