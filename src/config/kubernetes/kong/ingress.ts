// A TCPIngress in the words of Gateway API: what `convert` prints is what is served.
import type { ObjectOf } from "../types.ts"
import { CONTROLLER, GATEWAY_CLASS } from "../tidegate-policy.ts"

/** An object that stands for a part of another one. */
export interface Form {
  readonly object: Readonly<Record<string, unknown>> & { readonly metadata: { readonly name: string } }
  /** The part of the original that it comes from. */
  readonly path: readonly PropertyKey[]
}

/** What of the original has no equal, or counts for nothing. */
export interface Note {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly hint?: string
}

export interface Forms {
  readonly forms: readonly Form[]
  readonly notes: readonly Note[]
}

type TCPIngress = ObjectOf<"TCPIngress">
type IngressRule = TCPIngress["body"]["spec"]["rules"][number]

const API = "gateway.networking.k8s.io/v1"
/** 253 characters have the names of objects; what is put behind one has at most 30. */
const LONGEST_STEM = 220

/** A Gateway with a listener for each port and name, and a route for each rule. */
export function gatewayForms({ body: { spec }, metadata }: TCPIngress): Forms {
  const { annotations, name, namespace } = metadata
  const passthrough = protocolsOf(annotations).includes("tls_passthrough")
  const notes: Note[] = []
  const seen = new Map<string, number>()
  const listeners: object[] = []
  const routes: Form[] = []
  const stem = name.slice(0, LONGEST_STEM)
  spec.rules.forEach((rule, i) => {
    const { host = "", port } = rule
    const first = seen.get(`${port} ${host}`)
    if (first !== undefined) {
      const message = `takes no connections: rules[${first}] is for the same port${host === "" ? "" : " and name"}`
      notes.push({ path: ["spec", "rules", i], message })
      return
    }
    seen.set(`${port} ${host}`, i)
    if (host === "") {
      if (passthrough)
        notes.push({
          path: ["spec", "rules", i],
          message: "a rule without a host takes whatever comes, TLS or not",
        })
      listeners.push({ name: `tcp-${port}`, port, protocol: "TCP" })
      routes.push(routeForm(rule, i, "TCPRoute", { name: `${stem}-${port}`, namespace }, name, `tcp-${port}`))
      return
    }
    const section = `tls-${port}-${i}`
    listeners.push({ name: section, port, protocol: "TLS", hostname: host, tls: tlsOf(spec.tls, host, passthrough) })
    routes.push(routeForm(rule, i, "TLSRoute", { name: `${stem}-${port}-${i}`, namespace }, name, section))
  })
  if (passthrough)
    for (const [i] of (spec.tls ?? []).entries())
      notes.push({ path: ["spec", "tls", i], message: "has no effect: TLS passes through (konghq.com/protocols)" })
  const gateway = {
    apiVersion: API,
    kind: "Gateway",
    metadata: { name, namespace },
    spec: { gatewayClassName: GATEWAY_CLASS, listeners },
  }
  return { forms: [{ object: gateway, path: [] }, ...routes], notes }
}

function routeForm(
  { backend, host }: IngressRule,
  i: number,
  kind: "TCPRoute" | "TLSRoute",
  metadata: { readonly name: string; readonly namespace: string },
  gateway: string,
  sectionName: string,
): Form {
  const object = {
    apiVersion: API,
    kind,
    metadata,
    spec: {
      parentRefs: [{ name: gateway, sectionName }],
      ...(kind === "TLSRoute" ? { hostnames: [host] } : {}),
      rules: [{ backendRefs: [{ name: backend.serviceName, port: backend.servicePort }] }],
    },
  }
  return { object, path: ["spec", "rules", i] }
}

function tlsOf(tls: TCPIngress["body"]["spec"]["tls"], host: string, passthrough: boolean): object {
  if (passthrough) return { mode: "Passthrough" }
  const entry =
    tls?.find(({ hosts = [] }) => hosts.some((name) => name.toLowerCase() === host.toLowerCase())) ??
    tls?.find(({ hosts = [] }) => hosts.some((name) => covers(name, host))) ??
    tls?.find(({ hosts = [] }) => hosts.length === 0)
  // Kong presents a certificate of its own where none is named; ours are those of `--certs`.
  if (entry?.secretName === undefined) return { mode: "Terminate", options: { [STORE_OPTION]: "store" } }
  return { mode: "Terminate", certificateRefs: [{ name: entry.secretName }] }
}

/** A TLS option: the certificates are those of the gateway's own store. */
export const STORE_OPTION = `${CONTROLLER.split("/")[0]}/certificates`

function covers(pattern: string, host: string): boolean {
  return pattern.startsWith("*.") && host.toLowerCase().endsWith(pattern.slice(1).toLowerCase())
}

function protocolsOf(annotations: Readonly<Record<string, string>>): readonly string[] {
  return (annotations["konghq.com/protocols"] ?? "").split(",").map((protocol) => protocol.trim())
}
