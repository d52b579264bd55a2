// Deployments and Pods of a manifest, as echo servers: how many, what they speak, and which certificate they show.
import type { Certificate } from "./certificates.ts"
import { podName, type Pod } from "./echo.ts"
import { list, record, type Manifested } from "./manifest.ts"
import type { EchoProtocol } from "./supplies.ts"

/** Set where the suite's image is to speak TCP instead of HTTP. */
const SPEAKS_TCP = "TCP_ECHO_SERVER"
const SERVICE = "SERVICE_NAME"
/** 20: a manifest that wants more wants a cluster. */
const MOST_REPLICAS = 20

const WORKLOADS = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]

export function podsOfDeployments(
  written: readonly Manifested[],
  protocol: EchoProtocol,
  certificates: readonly Certificate[],
): Pod[] {
  return written.flatMap((object): Pod[] => {
    const { kind, name, namespace, value } = object
    if (kind === "Pod") return [podOf(name, name, namespace, value, certificates)]
    if (!WORKLOADS.includes(kind)) return []
    const spec = record(value["spec"])
    const replicas = typeof spec["replicas"] === "number" ? Math.min(spec["replicas"], MOST_REPLICAS) : 1
    const template = record(spec["template"])
    return Array.from({ length: replicas }, (_, i) =>
      podOf(podName(protocol, name, i), name, namespace, template, certificates),
    )
  })
}

function podOf(
  name: string,
  deployment: string,
  namespace: string,
  template: Readonly<Record<string, unknown>>,
  certificates: readonly Certificate[],
): Pod {
  const spec = record(template["spec"])
  const containers = list(spec["containers"])
  const env = new Map(
    containers.flatMap((container) => list(container["env"])).map((each) => [each["name"], each["value"]]),
  )
  const secrets = list(spec["volumes"]).map(({ secret }) => record(secret)["secretName"])
  const mounted = certificates.find(({ wish }) => secrets.includes(wish.name) && wish.namespaces.includes(namespace))
  const labels = record(record(template["metadata"])["labels"])
  return {
    name,
    namespace,
    deployment,
    labels: Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, String(value)])),
    kind: env.has(SPEAKS_TCP) ? "tcp-echo" : "https-json-echo",
    service: String(env.get(SERVICE) ?? deployment),
    certificate: mounted ?? certificateOf(deployment, certificates),
    portNames: new Map(
      containers
        .flatMap((container) => list(container["ports"]))
        .flatMap(({ containerPort, name }) =>
          typeof name === "string" ? [[name, Number(containerPort)] as const] : [],
        ),
    ),
  }
}

/** The one that is said to be for it, or any. */
export function certificateOf(deployment: string, certificates: readonly Certificate[]): Certificate | undefined {
  const used = certificates.find(({ wish }) => wish.usedBy.includes(deployment))
  return used ?? certificates.find(({ wish }) => wish.kind === "secret")
}
