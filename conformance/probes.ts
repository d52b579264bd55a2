// Connections that tests ask for: single ones with what the backend behind has to see, and many with the parts that each
// backend gets.
import type { Destination, DistributionCheck, ProbeCheck } from "./checks.ts"
import type { Cluster } from "./cluster.ts"
import type { Echoed, Pod } from "./echo.ts"
import { list, listenersOf, record, type Listener, type Manifested, type Manifests } from "./manifest.ts"
import type { Shown } from "./statuses.ts"
import type { EchoProtocol } from "./supplies.ts"
import { NoAnswer, rejected, talk, type Peer, type Trust } from "./talk.ts"

/** All that connections of a test need to know. */
export interface Scene {
  readonly manifests: Manifests
  readonly cluster: Cluster
  readonly trust: Trust
  readonly protocol: EchoProtocol
  readonly signal: AbortSignal
}

/** What a distribution counts connections under that got no answer. */
const REJECTED = ["reject", "rejected"]
/** Counts of a small number of connections are never exact. */
const ROUNDING = 1e-9

export function probeTitle(check: ProbeCheck | DistributionCheck): string {
  const { gateway, listener, port, sni } = check
  const where = [gateway, listener, port, sni].filter((each) => each !== undefined).join(" ")
  if (check.about === "distribution")
    return `${check.connections} connections to ${where === "" ? "the Gateway" : where}`
  return `${where} -> ${check.backend ?? "rejected"}`
}

/** What is wrong, or nothing. */
export async function probeFault(
  check: ProbeCheck,
  scene: Scene,
  shown: readonly Shown[],
): Promise<string | undefined> {
  const expected = check.backend === undefined ? "a rejection" : `an answer of ${check.backend}`
  try {
    const peer = peerOf(check, check.backendTLS, scene, shown)
    if (check.backend === undefined) return void (await rejected(peer, scene.signal))
    const pods = podsOf(check.backend, scene, check.backendNamespace)
    const echoed = await talk(peer, pods[0]!.kind, scene.protocol, scene.trust, scene.signal)
    return echoFault(check, echoed, pods)
  } catch (error) {
    if (error instanceof NoAnswer) return `expected ${expected}, found: ${error.message}`
    throw error
  }
}

function echoFault(
  { backend, backendSNI, backendTLS }: ProbeCheck,
  echoed: Echoed,
  pods: readonly Pod[],
): string | undefined {
  if (!pods.some(({ name, namespace }) => name === echoed.pod && namespace === echoed.namespace))
    return `expected an answer of ${backend}, found one of ${echoed.namespace}/${echoed.pod}`
  if (backendTLS !== undefined && echoed.isTLS !== backendTLS)
    return `expected that the backend sees ${backendTLS ? "TLS" : "plain text"}, found ${echoed.isTLS ? "TLS" : "plain text"}`
  if (backendSNI !== undefined && echoed.serverName !== backendSNI)
    return `expected that the backend sees the SNI ${backendSNI}, found ${JSON.stringify(echoed.serverName)}`
  return undefined
}

/** One round of all connections: what is wrong with how they were spread, or nothing. */
export async function distributionFault(
  check: DistributionCheck,
  scene: Scene,
  shown: readonly Shown[],
): Promise<string | undefined> {
  const names = [...check.expect.keys()].filter((name) => !REJECTED.includes(name))
  const members = names.map((name) => [name, podsOf(name, scene)] as const)
  const peer = peerOf(check, undefined, scene, shown)
  const counts = new Map<string, number>()
  let left = check.connections
  let reason = ""
  const worker = async () => {
    while (left-- > 0) {
      const name = await answerer(peer, members, scene).catch((error) => {
        if (!(error instanceof NoAnswer)) throw error
        reason = error.message
        return REJECTED[0]!
      })
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: check.parallel }, worker))
  return spreadFault(check, counts, reason)
}

async function answerer(
  peer: Peer,
  members: readonly (readonly [name: string, pods: readonly Pod[]])[],
  { protocol, signal, trust }: Scene,
): Promise<string> {
  const kind = members[0]?.[1][0]?.kind ?? "tcp-echo"
  const { namespace, pod } = await talk(peer, kind, protocol, trust, signal)
  const found = members.find(([, pods]) => pods.some((each) => each.name === pod && each.namespace === namespace))
  return found?.[0] ?? pod.split("-").slice(0, -2).join("-")
}

function spreadFault(
  { connections, expect, tolerance }: DistributionCheck,
  counts: ReadonlyMap<string, number>,
  reason: string,
): string | undefined {
  const parts = new Map<string, number>()
  for (const [name, part] of expect) parts.set(REJECTED.includes(name) ? REJECTED[0]! : name, part)
  const all = new Set([...parts.keys(), ...counts.keys()])
  const isWrong = [...all].some((name) => {
    const part = (counts.get(name) ?? 0) / connections
    return Math.abs(part - (parts.get(name) ?? 0)) > tolerance + ROUNDING
  })
  if (!isWrong) return undefined
  const wanted = [...parts].map(([name, part]) => `${name} ${part}`).join(", ")
  const found = [...counts].map(([name, count]) => `${name} ${count / connections}`).join(", ")
  return `expected ${wanted} (within ${tolerance}), found ${found}${reason === "" ? "" : ` (${reason})`}`
}

function podsOf(backend: string, { cluster }: Scene, namespace?: string): readonly Pod[] {
  const pods = cluster.podsOf(backend).filter((pod) => namespace === undefined || pod.namespace === namespace)
  if (pods.length === 0)
    throw new NoAnswer(`there are no pods of ${backend}: it is in no manifest, and not in \`backends\``)
  return pods
}

/** Where a client has to go, as the Gateway's status tells. */
function peerOf(to: Destination, backendTls: boolean | undefined, { manifests }: Scene, shown: readonly Shown[]): Peer {
  const gateways = manifests.ofKind("Gateway")
  const named = to.gateway === undefined ? gateways : gateways.filter(({ name }) => name === to.gateway)
  const candidates = named.flatMap((gateway) =>
    listenersAt(gateway, manifests).map((listener) => ({ gateway, listener })),
  )
  const fitting = candidates.filter(
    ({ listener: { name, port } }) =>
      (to.listener === undefined || name === to.listener) && (to.port === undefined || port === to.port),
  )
  const chosen = fitting[0]
  if (chosen === undefined)
    throw new NoAnswer(
      `no Gateway has such a listener: ${[to.gateway, to.listener, to.port].filter(Boolean).join(" ")}`,
    )
  const { gateway, listener } = chosen
  const address = addressOf(gateway, shown)
  const hasPolicy = manifests.ofKind("BackendTLSPolicy").length > 0
  const isTls = to.sni !== undefined || listener.protocol === "TLS" || (backendTls === true && !hasPolicy)
  return { address, port: listener.port, tls: isTls ? { sni: to.sni } : undefined }
}

function listenersAt(gateway: Manifested, manifests: Manifests): readonly Listener[] {
  const sets = manifests.ofKind("ListenerSet").filter(({ value }) => {
    const parent = record(record(value["spec"])["parentRef"])
    return parent["name"] === gateway.name
  })
  return [gateway, ...sets].flatMap(listenersOf)
}

function addressOf(gateway: Manifested, shown: readonly Shown[]): string {
  const { name, namespace } = gateway
  const found = shown.find((each) => each.kind === "Gateway" && each.name === name && each.namespace === namespace)
  const [assigned] = list(found?.status["addresses"])
  const [written] = list(record(gateway.value["spec"])["addresses"])
  const value = assigned?.["value"] ?? written?.["value"]
  if (typeof value !== "string") throw new NoAnswer(`the Gateway ${name} has no address`)
  return value
}
