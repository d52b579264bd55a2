// Gateway API manifests for a task: one Gateway, as many TLSRoutes as there are names, ten in a file, to one Service.
import { serverName } from "./hello.ts"
import type { Task } from "./system.ts"

/** 10 routes in a file: 1,000 files of 10,000. */
export const ROUTES_IN_FILE = 10
const API = "gateway.networking.k8s.io/v1"

/** By file name. */
export function manifestFiles({ address, first, upstream, names = 0 }: Task): Map<string, string> {
  const files = new Map([
    ["gateway.yaml", gateway(address, first)],
    ["service.yaml", service(upstream)],
  ])
  for (let i = 0; i < names; i += ROUTES_IN_FILE)
    files.set(routesFile(i), routes(i, Math.min(names, i + ROUTES_IN_FILE)))
  return files
}

/** The file that the i-th route is in. */
export function routesFile(i: number): string {
  return `routes-${String(Math.floor(i / ROUTES_IN_FILE)).padStart(4, "0")}.yaml`
}

/** Routes from..to; `moved`: the name that the first of them has instead of its own. */
export function routes(from: number, to: number, moved = from): string {
  return Array.from({ length: to - from }, (_, i) => route(from + i, i === 0 ? moved : from + i)).join("---\n")
}

function route(i: number, name: number): string {
  return `apiVersion: ${API}
kind: TLSRoute
metadata:
  name: route-${i}
spec:
  parentRefs:
    - name: edge
      sectionName: tls
  hostnames:
    - ${serverName(name)}
  rules:
    - backendRefs:
        - name: web
          port: 443
`
}

function gateway(address: string, port: number): string {
  return `apiVersion: ${API}
kind: Gateway
metadata:
  name: edge
spec:
  gatewayClassName: tidegate
  addresses:
    - value: ${address}
  listeners:
    - name: tls
      port: ${port}
      protocol: TLS
      tls:
        mode: Passthrough
`
}

function service(upstream: number): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
    - port: 443
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web
  labels:
    kubernetes.io/service-name: web
addressType: IPv4
endpoints:
  - addresses: ["127.0.0.1"]
ports:
  - port: ${upstream}
`
}
