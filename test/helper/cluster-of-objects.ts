// Kubernetes objects out of YAML texts, as the compilers get them, and surroundings in which nothing changes by itself.
import { recognise } from "../../src/config/manifests/recognise.ts"
import type { Document, ObjectDocument, Source, Surroundings } from "../../src/config/manifests/document.ts"
import { Objects } from "../../src/config/kubernetes/objects.ts"
import type { AnyObject, Kind, Metadata } from "../../src/config/kubernetes/types.ts"
import { readYaml } from "../../src/config/yaml.ts"

/** The documents of a text that are objects. @throws for a text with problems */
export function documentsOf(text: string, file = "objects.yaml"): readonly ObjectDocument[] {
  const source: Source = {
    file,
    path: `/policies/${file}`,
    digest: String(Bun.hash(text)),
    savedAt: 0,
    shown: text,
  }
  const { documents, problems } = readYaml(source.path, text)
  if (problems.length > 0) throw new Error(problems.map(({ line, message }) => `${line}: ${message}`).join("\n"))
  return documents
    .flatMap((document) =>
      recognise({ source, ...document, place: (path, what) => document.place(path, what) } as Document),
    )
    .map((found) => {
      if (found.format === "object") return found.document
      throw new Error(found.format === "problem" ? found.problem.message : `a ${found.format} among the objects`)
    })
}

/** The objects of a text, expected to be valid. */
export function objectsOf(text: string, file?: string): readonly AnyObject[] {
  return documentsOf(text, file).map(asObject)
}

/** The index of the objects of a text. */
export function clusterOf(text: string, file?: string): Objects {
  return new Objects(objectsOf(text, file))
}

/** What the readers do, for objects that are known to be valid. */
function asObject(document: ObjectDocument): AnyObject {
  const { kind, name, namespace } = document.head
  const body = document.value as { readonly metadata: Partial<Metadata> }
  const { annotations = {}, creationTimestamp, generation, labels = {} } = body.metadata
  const metadata: Metadata = { name, namespace, labels, annotations, generation, creationTimestamp }
  return { kind: kind as Kind, document, metadata, body } as unknown as AnyObject
}

/** A moment at which everything was seen first that says nothing else. */
export const LONG_AGO = Date.parse("2026-01-01T00:00:00Z")
export const SINCE = "2026-01-01T00:00:00.000Z"

/** Addresses of a machine: the loopback ones, 192.0.2.1, and all. */
export const STILL: Surroundings = {
  isOwnAddress: (address) => /^(127\.|::1$|192\.0\.2\.1$|0\.0\.0\.0$|::$)/.test(address),
  mainAddress: "192.0.2.1",
  serviceHosts: (namespace, name) => [`${name}.${namespace}.svc.cluster.local`, name],
  generation: () => 1,
  created: ({ value }) => {
    const { creationTimestamp } = (value as { readonly metadata: { readonly creationTimestamp?: string } }).metadata
    return creationTimestamp === undefined ? LONG_AGO : Date.parse(creationTimestamp)
  },
  since: () => SINCE,
}
