// What Kubernetes knows of every object.
import type { ObjectDocument } from "../manifests/document.ts"
import { decoderOf, type Fault } from "../schema/faults.ts"
import { metadata } from "./schema/object.ts"
import type { Metadata } from "./types.ts"

const decode = decoderOf(metadata)

export function readMetadata({ head, value }: ObjectDocument): { value: Metadata } | { faults: readonly Fault[] } {
  const written = typeof value === "object" && value !== null ? Reflect.get(value, "metadata") : undefined
  const decoded = decode(written)
  if ("faults" in decoded)
    return { faults: decoded.faults.map((fault) => ({ ...fault, path: ["metadata", ...fault.path] })) }
  const { annotations, creationTimestamp, generation, labels } = decoded.value
  return {
    value: {
      name: head.name,
      namespace: head.namespace,
      labels: labels ?? {},
      annotations: annotations ?? {},
      generation: generation ?? undefined,
      creationTimestamp: creationTimestamp ?? undefined,
    },
  }
}
