// Follows the DNS: targets come and go with its records, without a reload, and no connection waits for an answer once
// there has been one. While the DNS says nothing, its last good answer stands.
import { route, type Connection, type Pools } from "tidegate"

const CACHE = 9116
const SEARCH = 9117

export const listen = [`tcp://127.0.0.1:${CACHE}`, `tcp://127.0.0.1:${SEARCH}`]

export const pools = {
  // Each address of the name is a target: what a headless Service of Kubernetes has, or a service of Docker Compose.
  cache: { targets: ["dns://cache.shop.svc.cluster.local:6379"], balance: "least-connections", health: "redis" },
  // SRV records say host, port, weight and priority: Consul has them, and Kubernetes for the named ports of a Service.
  search: { targets: ["srv://_search._tcp.service.consul"], health: { check: { http: { path: "/_cluster/health" } } } },
} satisfies Pools

export function on_tcp_connect({ server }: Connection) {
  return route(server.port === SEARCH ? "search" : "cache")
}
