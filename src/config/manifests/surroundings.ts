// What the compilers know of the machine that they run on, and of what was there before: generations, ages, and since when
// conditions are what they are. As much is remembered as there are objects.
import { networkInterfaces } from "node:os"
import { formatIp, parseIp } from "../../policy/address.ts"
import { digestOf } from "../module-graph.ts"
import type { ConditionStatus, ObjectDocument, Surroundings } from "./document.ts"
import { objectKey } from "./parse.ts"

interface Seen {
  /** The last compilation that asked for it. */
  round: number
  readonly created: number
  readonly generation: number
  readonly spec: string
}

interface Since {
  round: number
  readonly status: ConditionStatus
  readonly time: string
}

/** Inside of a cluster, its DNS has `name.namespace.svc.cluster.local`; elsewhere a Service is a name like others. */
export interface Place {
  /** `KUBERNETES_SERVICE_HOST` is set. */
  readonly inCluster: boolean
  readonly clusterDomain: string
}

export class Memory implements Surroundings {
  mainAddress = "127.0.0.1"
  private readonly place: Place
  private own = new Set<string>()
  private readonly seen = new Map<string, Seen>()
  private readonly conditions = new Map<string, Since>()
  private round = 0
  private now = 0

  constructor(
    place: Place = { inCluster: process.env["KUBERNETES_SERVICE_HOST"] !== undefined, clusterDomain: "cluster.local" },
  ) {
    this.place = place
  }

  /** A text that changes when the addresses of this machine do. */
  addresses(): string {
    return [...ownAddresses().all].join()
  }

  /** From here to the next call one compilation asks. What it does not ask for is forgotten. */
  begin(): void {
    const { all, main } = ownAddresses()
    this.own = all
    this.mainAddress = main
    this.now = Date.now()
    forget(this.seen, this.round)
    forget(this.conditions, this.round)
    this.round++
  }

  isOwnAddress(address: string): boolean {
    const ip = parseIp(address)
    if (ip === undefined) return false
    const text = formatIp(ip)
    // All of 127.0.0.0/8 can be bound, whatever the loopback interface is given.
    return this.own.has(text) || text.startsWith("127.") || text === "0.0.0.0" || text === "::"
  }

  serviceHosts(namespace: string, name: string): readonly string[] {
    const inside = `${name}.${namespace}.svc.${this.place.clusterDomain}`
    return this.place.inCluster ? [inside] : [inside, name]
  }

  generation(document: ObjectDocument): number {
    const given = metadataOf(document)["generation"]
    if (typeof given === "number" && Number.isInteger(given) && given > 0) return given
    return this.remember(document).generation
  }

  created(document: ObjectDocument): number {
    const given = metadataOf(document)["creationTimestamp"]
    const time = typeof given === "string" ? Date.parse(given) : Number.NaN
    return Number.isNaN(time) ? this.remember(document).created : time
  }

  since(owner: string, type: string, status: ConditionStatus): string {
    const key = `${owner}\0${type}`
    const known = this.current(this.conditions.get(key))
    if (known?.status === status) {
      known.round = this.round
      return known.time
    }
    // Kubernetes writes times without fractions.
    const time = `${new Date(this.now).toISOString().slice(0, 19)}Z`
    this.conditions.set(key, { round: this.round, status, time })
    return time
  }

  /** What the compilation before this one did not ask for was gone: it begins anew. */
  private current<Entry extends { readonly round: number }>(entry: Entry | undefined): Entry | undefined {
    return entry !== undefined && entry.round >= this.round - 1 ? entry : undefined
  }

  private remember(document: ObjectDocument): Seen {
    const key = objectKey(document)
    const known = this.current(this.seen.get(key))
    const spec = specOf(document)
    if (known?.spec === spec) {
      known.round = this.round
      return known
    }
    const { round } = this
    const seen =
      known === undefined
        ? { round, created: this.now, generation: 1, spec }
        : { round, created: known.created, generation: known.generation + 1, spec }
    this.seen.set(key, seen)
    return seen
  }
}

/** 1,000 entries that nobody asks for any more are let be; looking through all of them takes longer than they are large. */
const SLACK = 1000

/** What the last compilation did not ask for goes, as soon as that is most of it. */
function forget(entries: Map<string, { readonly round: number }>, round: number): void {
  let current = 0
  for (const entry of entries.values()) if (entry.round === round) current++
  if (entries.size - current <= current + SLACK) return
  for (const [key, entry] of entries) if (entry.round !== round) entries.delete(key)
}

const specs = new WeakMap<ObjectDocument, string>()

/** A hash of what counts as a change of an object: computed once for each text. */
function specOf(document: ObjectDocument): string {
  let spec = specs.get(document)
  if (spec === undefined) {
    const { metadata: _, status: __, ...rest } = document.value as Record<string, unknown>
    spec = digestOf(JSON.stringify(rest))
    specs.set(document, spec)
  }
  return spec
}

function metadataOf({ value }: ObjectDocument): Record<string, unknown> {
  return (value as { metadata: Record<string, unknown> }).metadata
}

function ownAddresses(): { all: Set<string>; main: string } {
  const found = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const main =
    found.find(({ family, internal }) => family === "IPv4" && !internal) ??
    found.find(({ family }) => family === "IPv4")
  return {
    all: new Set(found.map(({ address }) => address.replace(/%.*$/, "").toLowerCase())),
    main: main?.address ?? "127.0.0.1",
  }
}
