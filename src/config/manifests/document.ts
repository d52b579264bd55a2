// One document of a file that is no TypeScript: a value that knows where it stands. What a format reads from it, and what
// a format compiles to, as all formats have it. Values only: nothing here touches a file.
import type { Contents, Modules } from "../contents.ts"
import { diagnostic, type Diagnostic, type Place } from "../diagnostic.ts"
import { shownPath } from "../shown-path.ts"

/** The file that documents come from. */
export interface Source {
  /** Relative to the policies folder. */
  readonly file: string
  /** Absolute path. */
  readonly path: string
  /** Hash of the text. */
  readonly digest: string
  /** Milliseconds since the epoch. */
  readonly savedAt: number
  /** As it is shown: without private keys, passwords and the data of Secrets, and with as many lines and columns. */
  readonly shown: string
}

export interface Document {
  readonly source: Source
  /** Where it stands among those of its file, from 0. */
  readonly index: number
  readonly value: unknown
  /** Where the value at this path stands, or its key. */
  place(path: readonly PropertyKey[], what?: "key" | "value"): Place
}

/** A Kubernetes object, known by its head; its body is not looked at yet. */
export interface ObjectDocument extends Document {
  readonly head: ObjectHead
}

export interface ObjectHead {
  /** `""` for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  /** `""` for what has no namespace. */
  readonly namespace: string
  readonly name: string
}

/** What is wrong with a document, or worth a look. */
export function problemAt(
  { place, source }: Document,
  path: readonly PropertyKey[],
  message: string,
  hint?: string,
  what?: "key" | "value",
): Diagnostic {
  const at = shownPath(path)
  return diagnostic(place(path, what), at === "" ? message : `${at}: ${message}`, hint, source.shown)
}

/** What became of reading one document. */
export interface Read<Value> {
  /** `undefined` where there are problems. */
  readonly value: Value | undefined
  readonly problems: readonly Diagnostic[]
  /** Worth a look, and no reason not to serve. */
  readonly warnings: readonly Diagnostic[]
}

/** A module that a document names, to be loaded with it. */
export interface ModuleRequest {
  /** As in an import: `./lib/guard.ts`, from the folder of the file. */
  readonly specifier: string
  readonly place: Place
}

/** What one file gives to the gateway, with all that it needs of others. */
export interface Part {
  /** Another one whenever {@link contents} would be others: a short text, or a hash. */
  readonly key: string
  readonly modules: readonly ModuleRequest[]
  /** Called once for each new key. Diagnostics: the file keeps its last good version. */
  contents(modules: Modules): Contents | readonly Diagnostic[]
  /** What others say against it. The file serves all the same: what cannot be carried out is left out. */
  readonly problems: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

/** What a format makes of all documents together. */
export interface Compiled {
  /** By file. */
  readonly parts: ReadonlyMap<string, Part>
  readonly objects: readonly ObjectState[]
}

/** What the compilers know of where they run: they look at nothing themselves. */
export interface Surroundings {
  /** Whether a listener can be bound to this address here: one of an interface, a loopback one, or all of them. */
  isOwnAddress(address: string): boolean
  /** The address that a client would use for a listener on all of them. */
  readonly mainAddress: string
  /** The names under which a Service may be found that has no EndpointSlices, the best first. */
  serviceHosts(namespace: string, name: string): readonly string[]
  /** `metadata.generation` where a cluster has not given one: counts the versions of an object's `spec`, from 1. */
  generation(document: ObjectDocument): number
  /** When an object was seen first: `metadata.creationTimestamp`, or when we read it. Milliseconds since the epoch. */
  created(document: ObjectDocument): number
  /** Since when a condition has this status: ISO 8601. `owner` names the object, and the part of it. */
  since(owner: string, type: string, status: ConditionStatus): string
}

export type ConditionStatus = "True" | "False" | "Unknown"

/** metav1.Condition. */
export interface Condition {
  readonly type: string
  readonly status: ConditionStatus
  readonly observedGeneration: number
  readonly lastTransitionTime: string
  readonly reason: string
  readonly message: string
}

/** An object with its status, as a cluster would show it. */
export interface ObjectState {
  readonly file: string
  readonly line: number | undefined
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly generation: number
  /** As it was written, without secrets and without a status. */
  readonly written: Readonly<Record<string, unknown>>
  /** `undefined` for what has none: Secrets, Services. May be made on the first look, and is then as of the compilation. */
  readonly status: Readonly<Record<string, unknown>> | undefined
  /**
   * The listeners of ours that serve each listener of a Gateway or ListenerSet, by its name: identities as in
   * policy/listen.ts. One that is down takes `Programmed` from it.
   */
  readonly serves?: ReadonlyMap<string, readonly string[]>
}
