// The manifests of a test as they are given to the gateway: the texts of the folder, with what a file cannot know filled
// in. Whatever is not touched stays as it was written.
import { readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { isMap, parseAllDocuments, type Document } from "yaml"
import { Unreadable } from "./expectations.ts"

export interface Listener {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly hostname?: string
}

/** An object, as far as a replay looks at it. */
export interface Described {
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly value: Readonly<Record<string, unknown>>
}

/** An object of a manifest. */
export interface Manifested extends Described {
  /** In the text, for edits. */
  readonly document: Document
}

export interface ManifestFile {
  readonly file: string
  readonly documents: Document[]
}

const CLASS_PLACEHOLDER = "{GATEWAY_CLASS_NAME}"

export class Manifests {
  readonly files: readonly ManifestFile[]
  private readonly namespace: string

  private constructor(files: readonly ManifestFile[], namespace: string) {
    this.files = files
    this.namespace = namespace
  }

  /** @param namespace of objects that name none */
  static read(folder: string, files: readonly string[], className: string, namespace: string): Manifests {
    const read = files.map((file) => {
      const text = textOf(join(folder, file)).replaceAll(CLASS_PLACEHOLDER, className)
      const documents = [...parseAllDocuments(text)].filter((document) => isMap(document.contents))
      const broken = documents.flatMap(({ errors }) => errors)[0]
      if (broken !== undefined) throw new Unreadable(`${file}: ${broken.message}`)
      return { file: basename(file), documents }
    })
    return new Manifests(read, namespace)
  }

  objects(): readonly Manifested[] {
    return this.files.flatMap(({ documents }) =>
      documents.map((document): Manifested => {
        const value = document.toJS() as Record<string, unknown>
        const metadata = record(value["metadata"])
        return {
          kind: String(value["kind"]),
          name: String(metadata["name"]),
          namespace: typeof metadata["namespace"] === "string" ? metadata["namespace"] : this.namespace,
          value,
          document,
        }
      }),
    )
  }

  ofKind(kind: string): readonly Manifested[] {
    return this.objects().filter((object) => object.kind === kind)
  }

  remove(document: Document): void {
    for (const { documents } of this.files) {
      const index = documents.indexOf(document)
      if (index >= 0) documents.splice(index, 1)
    }
  }

  /** The files as they stand now. */
  texts(): readonly (readonly [file: string, text: string])[] {
    return this.files.map(({ documents, file }) => [file, documents.map(String).join("---\n")] as const)
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    throw new Unreadable(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The value as an object; an empty one where it is none. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {}
}

export function list(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(record) : []
}

/** `spec.listeners` of a Gateway or a ListenerSet. */
export function listenersOf({ value }: Manifested): readonly Listener[] {
  return list(record(value["spec"])["listeners"]).map(({ hostname, name, port, protocol }) => ({
    name: String(name),
    port: Number(port),
    protocol: String(protocol),
    ...(typeof hostname === "string" ? { hostname } : {}),
  }))
}
