// One file of manifests: its text to documents, each read by its format. The same text is parsed once.
import { readObject } from "../kubernetes/read.ts"
import type { AnyObject } from "../kubernetes/types.ts"
import { readAgent, readTrafficPolicy, type AgentDocument, type PolicyDocument } from "../traffic-policy/index.ts"
import { GROUPS, isKind } from "../kubernetes/kinds.ts"
import { diagnostic, type Diagnostic, type Place } from "../diagnostic.ts"
import { masked } from "../mask.ts"
import type { Module } from "../module-graph.ts"
import { readYaml, type YamlDocument } from "../yaml.ts"
import type { Document, ObjectDocument, Read, Source } from "./document.ts"
import { isUtf16, recognise, type ObjectKind } from "./recognise.ts"

/** What a document holds, once it is found good. */
export type Held =
  | { readonly format: "object"; readonly document: ObjectDocument; readonly value: AnyObject }
  | { readonly format: "agent"; readonly document: Document; readonly value: AgentDocument }
  | { readonly format: "traffic-policy"; readonly document: Document; readonly value: PolicyDocument }

/** A document by the name under which its next version is known again. */
export interface Named {
  readonly key: string
  readonly held: Held
}

/** A file as its text alone shows it. */
export interface Parsed {
  /** Those without a problem of their own. */
  readonly good: readonly Named[]
  readonly problems: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
  /** Whether a document is bad, or the whole text: what the file said before and does not say now is kept then. */
  readonly partial: boolean
}

/** @param file its name, relative to the policies folder */
export function parse(file: string, { digest, path, savedAt, text }: Module): Parsed {
  const shown = masked(text)
  const source: Source = { file, path, digest, savedAt, shown }
  if (isUtf16(text)) {
    const problem = diagnostic(
      { path },
      "this file is UTF-16; expected UTF-8",
      "in PowerShell: | Out-File -Encoding utf8",
    )
    return { good: [], problems: [problem], warnings: [], partial: true }
  }
  const { documents, problems: faults } = readYaml(path, text, shown)
  const places = new Places(path, text, documents)
  const good: Named[] = []
  const problems = faults.map((fault) => ofTemplate(fault, text))
  const warnings: Diagnostic[] = []
  const take = <Value>({ problems: bad, value, warnings: minor }: Read<Value>, held: (value: Value) => Named) => {
    problems.push(...bad)
    warnings.push(...minor)
    if (value !== undefined && bad.length === 0) good.push(held(value))
  }
  for (const { index, value } of documents) {
    const place = places.of(index)
    for (const found of recognise({ source, index, value, place })) {
      switch (found.format) {
        case "problem":
          if (found.of === undefined || mayBeOurs(found.of)) problems.push(found.problem)
          break
        case "object": {
          const { document } = found
          take(readObject(document), (of) => ({
            key: objectKey(document),
            held: { format: "object", document, value: of },
          }))
          break
        }
        case "agent": {
          const { document } = found
          take(readAgent(document), (of) => ({ key: `agent ${index}`, held: { format: "agent", document, value: of } }))
          break
        }
        case "traffic-policy": {
          const { document } = found
          take(readTrafficPolicy(document), (of) => ({
            key: `traffic-policy ${index}`,
            held: { format: "traffic-policy", document, value: of },
          }))
        }
      }
    }
  }
  return { good, problems, warnings, partial: problems.length > 0 }
}

/** Others have objects without metadata, and names like `system:node`. */
function mayBeOurs({ group, kind }: ObjectKind): boolean {
  return isKind(kind) || (group !== "" && GROUPS.has(group))
}

/** What a chart's template looks like to a reader of YAML is of no help. */
function ofTemplate(fault: Diagnostic, text: string): Diagnostic {
  if (fault.line === undefined || fault.hint !== undefined) return fault
  const line = text.split("\n")[fault.line - 1]
  if (line?.includes("{{") !== true) return fault
  return { ...fault, hint: "this looks like a template: write it out first, as with `helm template`" }
}

/**
 * Where everything stands in a text. What knows it is many times as large as the text, is asked for when something is wrong,
 * and is made again then.
 */
class Places {
  private readonly path: string
  private readonly text: string
  private documents: WeakRef<readonly YamlDocument[]>
  /** By document: where it begins, which is asked for all the time. */
  private readonly beginnings: ReadonlyMap<number, Place>

  constructor(path: string, text: string, documents: readonly YamlDocument[]) {
    this.path = path
    this.text = text
    this.documents = new WeakRef(documents)
    this.beginnings = new Map(documents.map(({ index, place }) => [index, place([])]))
  }

  of(index: number): Document["place"] {
    return (at, what) => {
      const beginning = this.beginnings.get(index) ?? { path: this.path }
      if (at.length === 0) return beginning
      return (
        this.all()
          .find((document) => document.index === index)
          ?.place(at, what) ?? beginning
      )
    }
  }

  private all(): readonly YamlDocument[] {
    let documents = this.documents.deref()
    if (documents === undefined) {
      documents = readYaml(this.path, this.text).documents
      this.documents = new WeakRef(documents)
    }
    return documents
  }
}

/** One object, whichever version of its kind it is written in. */
export function objectKey({ head: { group, kind, name, namespace } }: ObjectDocument): string {
  return `${kind}.${group} ${namespace}/${name}`
}

/** As people know it: `TCPRoute default/db`. */
export function shownObject({ head: { kind, name, namespace } }: ObjectDocument): string {
  return `${kind} ${namespace === "" ? name : `${namespace}/${name}`}`
}
