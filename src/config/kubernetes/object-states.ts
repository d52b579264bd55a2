// Objects as they are shown: as they were written, with what is said of them, and without anything that is secret.
import type { ObjectState, Surroundings } from "../manifests/document.ts"
import { generationOf } from "./conditions.ts"
import type { AnyObject } from "./types.ts"

const KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/
/** Where kubectl keeps all of an object once more. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

export function stateOf(
  surroundings: Surroundings,
  object: AnyObject,
  status: Readonly<Record<string, unknown>> | undefined,
  serves?: ReadonlyMap<string, readonly string[]>,
): ObjectState {
  const generation = generationOf(surroundings, object)
  const known = bare.get(object)
  if (known !== undefined && status === undefined && serves === undefined && known.generation === generation)
    return known
  const made = known === undefined ? bareState(object, generation) : { ...known, generation }
  if (known === undefined) bare.set(object, made)
  return status === undefined && serves === undefined
    ? made
    : { ...made, status, ...(serves === undefined ? {} : { serves }) }
}

/** As {@link stateOf}, with a status that is made when somebody looks: of ten thousand routes that takes a while. */
export function laterStateOf(
  surroundings: Surroundings,
  object: AnyObject,
  status: () => Readonly<Record<string, unknown>>,
): ObjectState {
  return new LaterState(stateOf(surroundings, object, undefined), status)
}

class LaterState implements ObjectState {
  readonly file: string
  readonly line: number | undefined
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly generation: number
  readonly written: ObjectState["written"]
  #make: (() => Readonly<Record<string, unknown>>) | undefined
  #status: ObjectState["status"]

  constructor(state: ObjectState, make: () => Readonly<Record<string, unknown>>) {
    const { apiVersion, file, generation, kind, line, name, namespace, written } = state
    this.file = file
    this.line = line
    this.apiVersion = apiVersion
    this.kind = kind
    this.namespace = namespace
    this.name = name
    this.generation = generation
    this.written = written
    this.#make = make
  }

  get status(): ObjectState["status"] {
    if (this.#make !== undefined) {
      this.#status = this.#make()
      this.#make = undefined
    }
    return this.#status
  }
}

/** Without a status. There may be tens of thousands, and nearly all are the same objects as at the last reload. */
const bare = new WeakMap<AnyObject, ObjectState>()

function bareState(object: AnyObject, generation: number): ObjectState {
  const { document, kind, metadata } = object
  const { group, version } = document.head
  return {
    file: document.source.file,
    line: document.place([]).line,
    apiVersion: group === "" ? version : `${group}/${version}`,
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
    generation,
    written: withoutSecrets(object),
    status: undefined,
  }
}

function withoutSecrets({ document, kind }: AnyObject): Readonly<Record<string, unknown>> {
  const { data, metadata, status: _, stringData, ...rest } = document.value as Readonly<Record<string, unknown>>
  const head = { ...rest, metadata: withoutCopy(metadata) }
  if (kind === "Secret") return head
  return {
    ...head,
    ...(data === undefined ? {} : { data: kind === "ConfigMap" ? withoutKeys(data) : data }),
    ...(stringData === undefined ? {} : { stringData }),
  }
}

function withoutCopy(metadata: unknown): unknown {
  const { annotations, ...rest } = metadata as { readonly annotations?: Readonly<Record<string, unknown>> | null }
  if (annotations === undefined || annotations === null || !Object.hasOwn(annotations, LAST_APPLIED)) return metadata
  const { [LAST_APPLIED]: _, ...others } = annotations
  return { ...rest, annotations: others }
}

/** A key is as secret in the wrong place. */
function withoutKeys(data: unknown): unknown {
  if (typeof data !== "object" || data === null) return data
  return Object.fromEntries(Object.entries(data).filter(([, value]) => !KEY.test(String(value))))
}
