// The stateful loader: looks at the folder, evaluates what changed, and makes a Snapshot. A broken file keeps its last
// good version. Prints nothing, and never rejects for what a policy does.
import { join, resolve } from "node:path"
import { attribute, type Attribution } from "./attribute.ts"
import { diagnostic, shownPlace, type Diagnostic } from "./diagnostic.ts"
import { readExports } from "./exports.ts"
import { evaluationFailures, faultProblems, placeOfExport, thrown } from "./failure.ts"
import { policyFiles } from "./folder.ts"
import { Instances, type Held } from "./instances.ts"
import { digestOf, ModuleGraph, reach, type Node } from "./module-graph.ts"
import { Plans } from "./plans.ts"
import { install } from "./plugin.ts"
import { choose, drop, reject, stateOf, take, type Found, type Known, type Turn } from "./selection.ts"
import type { PolicyVersion, Snapshot } from "./snapshot.ts"
import { GivenUp, Version, within, type Releasing } from "./version.ts"

export interface LoaderOptions {
  /** Whether `setup` is run: not for `check` and `explain`. */
  readonly runSetup: boolean
  /** Milliseconds for the top-level code of a file, for a `setup` and for a disposal. @default 10_000 */
  readonly limit?: number
  /** Called before code of a policy runs, so that a watchdog can name the file that does not return. */
  readonly onEvaluate?: (file: string) => void
  /** Called when that code has returned, or waits. */
  readonly onEvaluated?: () => void
  /** Called when disposing what `setup` made has failed. */
  readonly onDisposeFailed?: (failure: { file: string; version: string; error: unknown }) => void
}

export interface LoadOptions {
  /** Evaluate files again that failed with the same text. @default false */
  readonly retryFailed?: boolean
}

export interface Loaded {
  readonly snapshot: Snapshot
  /** Whether the snapshot is another than the committed one. */
  readonly changed: boolean
  /** Everything that is wrong now, not only what is new. */
  readonly problems: readonly Diagnostic[]
}

/** 10 seconds: a top-level await or a setup that takes longer hangs. */
const LIMIT = 10_000
/** 100 ms: code that still waits then is waited for beside the next file's. */
const PATIENCE = 100

export class Loader {
  /** Absolute path of the policies folder. */
  readonly folder: string
  private readonly options: LoaderOptions
  private readonly closing = new AbortController()
  private readonly graph: ModuleGraph
  private readonly instances = new Instances()
  private readonly versions = new Set<Version>()
  private readonly plans = new Plans()
  private readonly disposals = new Set<Promise<void>>()
  private readonly known = new Map<string, Known>()
  private readonly releasing: Releasing
  private latest: Loaded | undefined
  private queue: Promise<unknown> = Promise.resolve()

  constructor(folder: string, options: LoaderOptions) {
    install()
    this.folder = resolve(folder)
    this.options = options
    this.graph = new ModuleGraph(this.folder)
    this.releasing = {
      limit: options.limit ?? LIMIT,
      signal: this.closing.signal,
      disposing: (version, work) => this.disposing(version, work),
      released: (version) => void this.versions.delete(version),
    }
  }

  /** Looks at the folder and loads what changed. Calls wait for each other; a problem of a policy never rejects. */
  load(options: LoadOptions = {}): Promise<Loaded> {
    const loaded = this.queue.then(() => this.run(options.retryFailed ?? false))
    // Whoever asked gets the rejection; the next call is not to get it too.
    this.queue = loaded.catch(() => undefined)
    return loaded
  }

  /** The snapshot serves from now on. What only earlier ones had is released when its last connection has ended. */
  commit(snapshot: Snapshot): void {
    this.plans.commit(snapshot)
  }

  /** Releases everything, and waits until what `setup` made is disposed, except what live connections still use. */
  async close(): Promise<void> {
    this.closing.abort()
    await this.queue
    this.plans.close()
    this.forget([...this.known.keys()])
    await Promise.all(this.disposals)
  }

  /** The folders to watch; a change elsewhere cannot change the outcome of a load. */
  folders(): readonly string[] {
    return [...new Set([this.folder, ...this.graph.folders()])]
  }

  /**
   * Which policy an error comes from, by its stack, and where it was thrown.
   * @param asked the policy that threw it, when that is known: the stack may not have a line of it
   */
  attribute(error: unknown, asked?: PolicyVersion): Attribution | undefined {
    return attribute(error, this.folder, this.instances, this.versions, asked)
  }

  private async run(retryFailed: boolean): Promise<Loaded> {
    const files = policyFiles(this.folder)
    if (!isList(files)) return this.keep(files)
    const present = new Set(files)
    this.forget([...this.known.keys()].filter((file) => !present.has(file)))
    const found = this.look(files)
    const id = digestOf(JSON.stringify(found.map(({ file, hash }) => [file, hash])))
    // Equal bytes came to this result before; only what failed by chance could come to another.
    if (this.latest?.snapshot.id === id && !retryFailed) return this.again(this.latest)
    await this.evaluateAll(found, retryFailed)
    const turns = await this.select(found)
    for (const turn of turns) take(turn)
    const versions = turns.flatMap(({ choice }) => choice ?? [])
    const snapshot = this.plans.snapshot(id, versions, turns.map(stateOf))
    this.latest = { snapshot, changed: this.plans.isNew(snapshot), problems: this.problems(turns, snapshot) }
    return this.latest
  }

  private again(latest: Loaded): Loaded {
    return { ...latest, changed: this.plans.isNew(latest.snapshot) }
  }

  /** A folder that cannot be read says nothing about its files: everything stays as it was. */
  private keep(problem: Diagnostic): Loaded {
    const snapshot = this.latest?.snapshot ?? this.plans.snapshot(digestOf(""), [], [])
    return { snapshot, changed: this.plans.isNew(snapshot), problems: [problem] }
  }

  private look(files: readonly string[]): Found[] {
    this.graph.begin()
    const found = files.map((file): Found => {
      const path = join(this.folder, file)
      const node = this.graph.entry(path)
      const problems = reach(node).flatMap((at) =>
        [...at.module.problems, ...at.problems].map((problem) => importedBy(file, node, at, problem)),
      )
      return { file, path, node, hash: this.graph.hashOf(node), problems, known: this.knownOf(file) }
    })
    this.graph.end()
    return found
  }

  private knownOf(file: string): Known {
    let known = this.known.get(file)
    if (known === undefined) {
      known = { good: undefined, selected: undefined, candidate: undefined, failed: undefined }
      this.known.set(file, known)
    }
    return known
  }

  private async evaluateAll(found: readonly Found[], retryFailed: boolean): Promise<void> {
    const waiting: Promise<void>[] = []
    for (const one of found) {
      const { candidate, failed } = one.known
      if (one.problems.length > 0 || candidate?.facts.hash === one.hash) continue
      if (failed?.hash === one.hash && !retryFailed) continue
      this.options.onEvaluate?.(one.file)
      const evaluation = this.evaluate(one)
      waiting.push(evaluation)
      await patiently(evaluation)
      this.options.onEvaluated?.()
    }
    await Promise.all(waiting)
  }

  /** Evaluates the newest text of a file; what it gives becomes the candidate, or the failure. */
  private async evaluate(one: Found): Promise<void> {
    const { hash, known } = one
    const previous = known.candidate
    known.candidate = known.good?.facts.hash === hash ? known.good : undefined
    known.failed = undefined
    if (known.candidate === undefined) {
      // Held before the previous candidate lets go: what both import stays loaded.
      const held = this.instances.hold(this.graph, one.node)
      const result = await this.import(one, held)
      if (result instanceof Version) known.candidate = result
      else {
        known.failed = { hash, problems: result }
        held.release()
      }
    }
    known.candidate?.hold()
    previous?.drop()
  }

  private async import({ file, hash, node, path }: Found, held: Held): Promise<Version | readonly Diagnostic[]> {
    try {
      const namespace = await this.evaluated(held.entry.specifier)
      const exports = readExports(namespace)
      if (!("connect" in exports)) return faultProblems(node.module, exports)
      const { savedAt } = node.module
      const version = new Version({ file, path, hash, savedAt, held, exports }, this.releasing)
      this.versions.add(version)
      return version
    } catch (error) {
      if (!(error instanceof GivenUp)) return evaluationFailures(error, held, this.instances)
      const hint = "an await outside of functions waits for something that does not come; SIGHUP tries again"
      return [diagnostic({ path: node.module.path }, error.message, hint)]
    }
  }

  private evaluated(specifier: string): Promise<Record<string, unknown>> {
    return within(this.releasing.limit, "the top-level code", import(specifier), this.closing.signal)
  }

  /** Decides which version of each file serves: no two contradict each other, and every `setup` has succeeded. */
  private async select(found: readonly Found[]): Promise<Turn[]> {
    for (;;) {
      const turns = choose(found)
      // A failed setup takes its version out, which may end a conflict that another file has lost.
      const ran = !this.options.runSetup || (await this.setUp(turns))
      const chosen = new Set(turns.map(({ choice }) => choice))
      for (const { known } of found) if (!chosen.has(known.candidate)) known.candidate?.disposeUnused()
      if (ran) return turns
    }
  }

  /** Runs the `setup`s that have not run. False when one failed: that version is out, and the choice is made again. */
  private async setUp(turns: readonly Turn[]): Promise<boolean> {
    const results = turns.map(async ({ choice, found: { known } }) => {
      if (choice === undefined || !choice.waits) return true
      const { file, hash, held } = choice.facts
      this.options.onEvaluate?.(file)
      const work = choice.setup()
      this.options.onEvaluated?.()
      try {
        await work
        return true
      } catch (error) {
        const place = placeOfExport(held.entry.module, "setup")
        const problem =
          error instanceof GivenUp
            ? diagnostic(place, error.message)
            : thrown(error, held, this.instances, "setup failed: ", place)
        if (known.candidate === choice) known.failed = { hash, problems: [problem] }
        reject(known, choice)
        return false
      }
    })
    return (await Promise.all(results)).every(Boolean)
  }

  private problems(turns: readonly Turn[], snapshot: Snapshot): Diagnostic[] {
    const unique = firstOfEach(turns.flatMap(({ problems }) => problems))
    if (turns.length === 0) {
      const hint = "a policy is a *.ts, *.js or *.mts file in it; `tidegate init` writes a first one"
      return [diagnostic({ path: this.folder }, "there is no policy in this folder", hint)]
    }
    if (snapshot.listeners.size > 0 || unique.length > 0) return unique
    const hint = 'write for example `export const listen = "tcp://127.0.0.1:9000"` in one of them'
    return [
      diagnostic({ path: this.folder }, "no policy in this folder has a `listen`: there is nothing to serve", hint),
    ]
  }

  private disposing(version: Version, work: Promise<void>): void {
    const { file, hash } = version.facts
    const tracked = work
      .catch((error: unknown) => this.options.onDisposeFailed?.({ file, version: hash, error }))
      .finally(() => this.disposals.delete(tracked))
    this.disposals.add(tracked)
  }

  private forget(files: readonly string[]): void {
    for (const file of files) {
      const known = this.known.get(file)
      this.known.delete(file)
      if (known !== undefined) drop(known)
    }
  }
}

function isList(found: readonly string[] | Diagnostic): found is readonly string[] {
  return Array.isArray(found)
}

/** A problem of an imported file says for which policy it matters. */
function importedBy(file: string, entry: Node, at: Node, problem: Diagnostic): Diagnostic {
  return at === entry || problem.hint !== undefined ? problem : { ...problem, hint: `imported by ${file}` }
}

/** Policies that import the same broken file have the same problem. */
function firstOfEach(problems: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>()
  return problems.filter((problem) => {
    const id = `${shownPlace(problem)} ${problem.message}`
    return !seen.has(id) && seen.add(id)
  })
}

/** Waits for an evaluation, but lets the next one start when it awaits something. */
async function patiently(evaluation: Promise<void>): Promise<void> {
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  const timer = setTimeout(goOn, PATIENCE)
  await Promise.race([evaluation, promise])
  clearTimeout(timer)
}
