// The Snapshot: everything that decides about new connections, as values, frozen, swapped as a whole.
// A connection keeps the ListenerPlan that it was accepted under until it ends.
import type { Connection, Summary } from "../policy/connection.ts"
import type { Bind, ListenEntry, Scheme } from "../policy/listen.ts"
import type { ListenerSettings } from "../policy/listener-options.ts"
import type { PoolSpec } from "../policy/pool.ts"
import type { ObjectState } from "./manifests/document.ts"
import type { ServerNames } from "../policy/server-names.ts"

/** One loaded version of one policy file. */
export interface PolicyVersion {
  /** The file's name as people know it: relative to the policies folder. */
  readonly file: string
  /** Which part of its file it is, as people know it; `undefined`: all of it. */
  readonly title: string | undefined
  /** Absolute path, as found in the folder (symbolic links not resolved). */
  readonly path: string
  /** Hash of the file and everything that it imports: 12 hex digits. */
  readonly version: string
  /** `undefined`: asked on every listener. */
  readonly listen: readonly ListenEntry[] | undefined
  /** Asked after all others: what a configuration file says is for what no policy has decided. */
  readonly last: boolean | "fallback"
  /** Milliseconds, or `undefined` for the gateway's default. */
  readonly deadline: number | undefined
  /** The pools that its file defines. */
  readonly pools: ReadonlyMap<string, PoolSpec>
  readonly connect: (connection: Connection, resources: unknown) => unknown
  readonly closed: ((summary: Summary, resources: unknown) => void) | undefined
  /** Whether it has a `setup`, run or not. */
  readonly hasSetup: boolean
  /** What `setup` made. */
  readonly resources: unknown
  /** Failures are logged once per version and message, then counted here. */
  readonly failures: { count: number; readonly logged: Set<string> }
}

/** Counts the live connections of a plan, so that what its policies hold can be released after the last one. */
export class Usage {
  private count = 0
  private retired = false
  private readonly released: () => void

  constructor(released: () => void) {
    this.released = released
  }

  /** A connection was accepted under this plan. */
  acquire(): void {
    this.count++
  }

  /** A connection that was accepted under this plan has ended. */
  release(): void {
    if (--this.count === 0 && this.retired) this.released()
  }

  /** The plan is in no current snapshot any more. */
  retire(): void {
    if (this.retired) return
    this.retired = true
    if (this.count === 0) this.released()
  }
}

/** A listener as one snapshot sees it: what to bind, and whom to ask in which order. */
export interface ListenerPlan extends ListenerSettings {
  /** Normalised (address, port) or path: see `identity` in policy/listen.ts. */
  readonly identity: string
  readonly name: string
  readonly url: string
  readonly scheme: Scheme
  readonly bind: Bind
  /** Everybody who may be asked, in the order of asking. */
  readonly policies: readonly PolicyVersion[]
  /** Who is asked for which server name; `undefined` where no hello is read and all are asked. */
  readonly names: ServerNames<readonly PolicyVersion[]> | undefined
  /** The files that name this listener. */
  readonly files: readonly string[]
  readonly usage: Usage
}

/** What is known of one file of the folder. */
export interface FileState {
  readonly file: string
  /**
   * good: the newest text serves. kept: broken, the last good version serves. bad: broken, and no version serves.
   * loading: the newest text is not ready yet; the last good version serves, if there is one.
   */
  readonly state: "good" | "kept" | "bad" | "loading"
  readonly version: string | undefined
  /** Rendered problems, or what a file that loads is waiting for, without colour; empty for a good file. */
  readonly problems: readonly string[]
}

export interface Snapshot {
  /** Hash of the bytes that it came from: 12 hex digits. */
  readonly id: string
  readonly listeners: ReadonlyMap<string, ListenerPlan>
  readonly policies: readonly PolicyVersion[]
  /** By name. A pool that did not change is the same object as in the snapshot before. */
  readonly pools: ReadonlyMap<string, PoolSpec>
  /** The files that define each pool. */
  readonly poolFiles: ReadonlyMap<string, readonly string[]>
  /** Absolute paths of the databases that say where addresses are, as far as configuration files name them. */
  readonly geoip: readonly string[]
  readonly files: readonly FileState[]
  /** The Kubernetes objects of manifests, with what became of them; where nothing changed, the same list. */
  readonly objects: readonly ObjectState[]
}
