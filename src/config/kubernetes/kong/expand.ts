// TCPIngresses among the objects: each is compiled as what it is in Gateway API, and is shown as itself.
import type { Diagnostic } from "../../diagnostic.ts"
import { problemAt, type Condition, type ObjectDocument, type ObjectState } from "../../manifests/document.ts"
import { readObject } from "../read.ts"
import type { AnyObject, ObjectOf } from "../types.ts"
import { gatewayForms, type Form } from "./ingress.ts"

export interface Expanded {
  readonly objects: readonly AnyObject[]
  /** The TCPIngress that an object stands for. */
  readonly originOf: ReadonlyMap<string, ObjectOf<"TCPIngress">>
  /** By file. */
  readonly warnings: ReadonlyMap<string, readonly Diagnostic[]>
}

export function expandIngresses(objects: readonly AnyObject[]): Expanded {
  const originOf = new Map<string, ObjectOf<"TCPIngress">>()
  const warnings = new Map<string, Diagnostic[]>()
  const taken = new Set(objects.filter(({ kind }) => kind === "Gateway").map(({ document }) => idOf(document)))
  const all = objects.flatMap((object): readonly AnyObject[] => {
    if (object.kind !== "TCPIngress") return [object]
    const { forms, notes } = formsOf(object)
    const { document } = object
    const { file } = document.source
    const said = [...(warnings.get(file) ?? [])]
    for (const { hint, message, path } of notes) said.push(problemAt(document, path, message, hint))
    const documents = forms.map((form) => documentOf(document, form))
    const clash = documents.find((one) => taken.has(idOf(one)))
    if (clash !== undefined)
      said.push(problemAt(document, ["metadata", "name"], `takes no connections: there is a Gateway of that name`))
    warnings.set(file, said)
    if (clash !== undefined) return [object]
    const made = documents.flatMap((one) => readObject(one).value ?? [])
    for (const { document: one } of made) originOf.set(idOf(one), object)
    return [object, ...made]
  })
  return { objects: all, originOf, warnings }
}

const forms = new WeakMap<ObjectOf<"TCPIngress">, ReturnType<typeof gatewayForms>>()
const documents = new WeakMap<Form, ObjectDocument>()

/** The same objects for the same text, so that what is remembered of them is found again. */
function formsOf(ingress: ObjectOf<"TCPIngress">): ReturnType<typeof gatewayForms> {
  let known = forms.get(ingress)
  if (known === undefined) forms.set(ingress, (known = gatewayForms(ingress)))
  return known
}

function documentOf(origin: ObjectDocument, form: Form): ObjectDocument {
  let known = documents.get(form)
  if (known === undefined) {
    const { object, path } = form
    const { apiVersion, kind, metadata } = object as {
      apiVersion?: unknown
      kind?: unknown
      metadata: { name: string }
    }
    const [group = "", version = ""] = String(apiVersion).split("/")
    known = {
      source: origin.source,
      index: origin.index,
      value: { ...object, metadata: { ...agesOf(origin), ...metadata } },
      // Whatever is wrong with the object is wrong with what it stands for.
      place: () => origin.place(path, "key"),
      head: { group, version, kind: String(kind), name: metadata.name, namespace: origin.head.namespace },
    }
    documents.set(form, known)
  }
  return known
}

/** An object that stands for another is as old. */
function agesOf({ value }: ObjectDocument): object {
  const { creationTimestamp, generation } = (value as { metadata: Record<string, unknown> }).metadata
  return {
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(generation === undefined ? {} : { generation }),
  }
}

function idOf({ head: { kind, name, namespace } }: ObjectDocument): string {
  return `${kind} ${namespace}/${name}`
}

/** The states of the objects that were written: a TCPIngress has what became of those that stand for it. */
export function foldIngresses(states: readonly ObjectState[], { originOf }: Expanded): readonly ObjectState[] {
  if (originOf.size === 0) return states
  const parts = new Map<ObjectOf<"TCPIngress">, ObjectState[]>()
  const own = states.filter((state) => {
    const origin = originOf.get(`${state.kind} ${state.namespace}/${state.name}`)
    if (origin === undefined) return true
    parts.set(origin, [...(parts.get(origin) ?? []), state])
    return false
  })
  const ingresses = [...parts].map(([origin, of]) => ingressState(origin, of))
  return [...own.filter(({ kind }) => kind !== "TCPIngress"), ...ingresses]
}

interface Loose {
  readonly [name: string]: unknown
}

function ingressState({ body, document }: ObjectOf<"TCPIngress">, parts: readonly ObjectState[]): ObjectState {
  const gateway = parts.find(({ kind }) => kind === "Gateway")
  const { group, kind, name, namespace, version } = document.head
  const { metadata } = document.value as { metadata: Loose }
  const addresses = listOf(gateway?.status?.["addresses"])
  const spec: Loose = body.spec as never
  return {
    file: document.source.file,
    line: document.place([]).line,
    apiVersion: `${group}/${version}`,
    kind,
    namespace,
    name,
    generation: gateway?.generation ?? 1,
    written: { metadata, spec },
    status: {
      loadBalancer: { ingress: addresses.map(({ value }) => ({ ip: value })) },
      conditions: ["Accepted", "ResolvedRefs", "Programmed"].flatMap((type) => summed(type, parts)),
    },
    ...(gateway?.serves === undefined ? {} : { serves: gateway.serves }),
  }
}

/** The worst of what is said of the parts. */
function summed(type: string, parts: readonly ObjectState[]): Condition[] {
  const all = parts
    .flatMap(({ status = {} }) => [
      ...listOf(status["conditions"]),
      ...[...listOf(status["listeners"]), ...listOf(status["parents"])].flatMap(({ conditions }) => listOf(conditions)),
    ])
    .filter((condition) => condition["type"] === type) as unknown as Condition[]
  const worst = all.find(({ status }) => status === "False") ?? all.find(({ status }) => status === "Unknown") ?? all[0]
  return worst === undefined ? [] : [worst]
}

function listOf(value: unknown): readonly Loose[] {
  return Array.isArray(value) ? (value as readonly Loose[]) : []
}
