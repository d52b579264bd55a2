// Manifests around real servers of a test: a Service with the addresses behind it, a Secret, and a server that speaks
// first, as the echo servers of the documentations do.
import type { Issued } from "./certificates.ts"
import { connectTls, type TlsWire, type TlsWireOptions } from "./tls-wire.ts"
import { echo, upstream, type Upstream } from "./upstream.ts"
import type { Where, Wire } from "./wire.ts"

/** Ours, as a cluster names it. */
export const GATEWAY_CLASS = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: tidegate }
spec: { controllerName: tidegate.dev/gateway-controller }
`

/** Several documents of one file. */
export function documents(...texts: readonly string[]): string {
  return texts.join("---\n")
}

/** Says `Welcome to <name>` before it is asked anything, then gives back what it reads. */
export function greeter(name: string): Upstream {
  return upstream(async (wire) => {
    await wire.write(welcome(name))
    await echo(wire)
  })
}

export function welcome(name: string): string {
  return `Welcome to ${name}\n`
}

/** Who greets, and whether it gives back what it reads. */
export async function visit(wire: Wire): Promise<string> {
  await wire.until(() => new TextDecoder().decode(wire.soFar()).includes("\n") || wire.ended || wire.closed)
  const greeting = new TextDecoder().decode(wire.soFar())
  if (!greeting.endsWith("\n")) return wire.code ?? "FIN"
  await wire.write("hello, echo")
  const all = new TextDecoder().decode(await wire.atLeast(greeting.length + 11))
  return all === `${greeting}hello, echo` ? greeting.trim().replace("Welcome to ", "") : all
}

/** {@link visit} over TLS; the error of the handshake where it fails. */
export async function visitTls(
  where: Where,
  serverName: string,
  ca: string,
  options?: TlsWireOptions,
): Promise<string> {
  using wire = await trusting(where, serverName, ca, options)
  await wire.until(() => wire.agreed !== undefined || wire.closed)
  return wire.agreed?.ok === true ? await visit(wire) : "no handshake"
}

/** A client that trusts this authority, and checks the name. */
export function trusting(where: Where, serverName: string, ca: string, options?: TlsWireOptions): Promise<TlsWire> {
  return connectTls(where, { serverName, ca, rejectUnauthorized: true }, options)
}

/** A Service, and the EndpointSlice that leads to servers on 127.0.0.1. */
export function service(name: string, port: number, behind: readonly { readonly port: number }[]): string {
  const slices = behind.map(
    (server, i) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-${i}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
endpoints: [{ addresses: [127.0.0.1] }]
ports: [{ name: tcp, protocol: TCP, port: ${server.port} }]
`,
  )
  const own = `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [{ name: tcp, protocol: TCP, port: ${port} }]
`
  return documents(own, ...slices)
}

/** A certificate as a Secret, as `kubectl create secret tls` makes it. */
export function tlsSecret(name: string, { cert, key }: Pick<Issued, "cert" | "key">): string {
  return `apiVersion: v1
kind: Secret
metadata: { name: ${name} }
type: kubernetes.io/tls
data:
  tls.crt: ${Buffer.from(cert).toString("base64")}
  tls.key: ${Buffer.from(key).toString("base64")}
`
}
