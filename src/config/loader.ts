// The stateful loader: looks at the folder, evaluates what changed, and makes a Snapshot. A broken file keeps its last
// good version. Prints nothing, and never rejects for what a policy does.
import { join, resolve } from "node:path"
import { addressLists } from "../limit/address-lists.ts"
import { addLoading } from "../limit/caller.ts"
import { names } from "../limit/names.ts"
import { GivenUp } from "../policy/within.ts"
import { attribute, type Attribution } from "./attribute.ts"
import { compileConfig, configName, configProblems } from "./config-source.ts"
import type { Modules } from "./contents.ts"
import { diagnostic, type Diagnostic } from "./diagnostic.ts"
import { Evaluation } from "./evaluation.ts"
import { placeOfExport, thrown } from "./failure.ts"
import { folderFiles, type FolderFiles } from "./folder.ts"
import { Instances, type Held, type Instance } from "./instances.ts"
import { LimitClaims, limitsOf } from "./limit-claims.ts"
import { lookAt } from "./look-at.ts"
import type { ObjectState } from "./manifests/document.ts"
import { Manifests, type Manifest } from "./manifests/manifests.ts"
import { digestOf, ModuleGraph } from "./module-graph.ts"
import { atMost, Patience } from "./patience.ts"
import { Plans } from "./plans.ts"
import { install } from "./plugin.ts"
import { folderProblems, textProblems } from "./problems.ts"
import {
  adopt,
  choose,
  drop,
  isNew,
  overtake,
  reject,
  revert,
  stateOf,
  take,
  type Found,
  type Known,
  type Turn,
} from "./selection.ts"
import type { PolicyVersion, Snapshot } from "./snapshot.ts"
import { Version, type Releasing } from "./version.ts"

export interface LoaderOptions {
  /** A configuration file beside the policies. With one, the folder may be missing from the start. */
  readonly config?: string | undefined
  /** Whether `setup` is run: not for `check` and `explain`. */
  readonly runSetup: boolean
  /** Whether `geo` has databases: without, a file that imports it is bad. @default false */
  readonly hasDatabases?: boolean
  /** Milliseconds for the top-level code of a file, for a `setup` and for a disposal. @default 10_000 */
  readonly limit?: number
  /** Milliseconds in which no file becomes ready, after which a reload goes on without those that are not. @default 25 */
  readonly patience?: number
  /** Called before code of a policy runs, so that a watchdog can name the file that does not return. */
  readonly onEvaluate?: (file: string) => void
  /** Called when that code has returned, or waits; also when a file of manifests has been read. */
  readonly onEvaluated?: () => void
  /** Called when a file is ready, or has failed, for which a load did not wait: another load will see it. */
  readonly onSettled?: () => void
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
  /** Worth a look, and no reason not to serve. */
  readonly warnings: readonly Diagnostic[]
  /** The files whose newest text is not ready yet: no problem so far. */
  readonly loading: readonly Diagnostic[]
}

/** 10 seconds: a top-level await or a setup that takes longer hangs. */
const LIMIT = 10_000
/**
 * 25 ms for the top-level code and 25 ms for the setups that a reload runs: most take less, and another save is to
 * serve within 100 ms whatever the others wait for.
 */
const PATIENCE = 25
/** 100 ms on the first load, then 10: code that still waits after that is waited for beside the next file's. */
const [FIRST_TURN, TURN] = [100, 10]

export class Loader {
  /** Absolute path of the policies folder. */
  readonly folder: string
  private readonly config: string | undefined
  private readonly options: LoaderOptions
  private readonly closing = new AbortController()
  private readonly graph: ModuleGraph
  private readonly instances = new Instances((module) => addressLists.release(module))
  private readonly loading: Disposable
  private readonly limits = new LimitClaims(this.instances, (instance) => this.isLoading(instance))
  /** What is being evaluated. */
  private readonly evaluating = new Set<Held>()
  private readonly versions = new Set<Version>()
  private readonly plans = new Plans()
  private readonly disposals = new Set<Promise<void>>()
  private readonly known = new Map<string, Known>()
  private readonly manifests = new Manifests(() => this.options.onEvaluated?.())
  private readonly releasing: Releasing
  /** What loads did not wait for, and will hear of. */
  private readonly followed = new WeakSet<Promise<void>>()
  /** Something of it has settled since the last load. */
  private settled = false
  private latest: Loaded | undefined
  /** The folder was there once. */
  private seen = false
  private queue: Promise<unknown> = Promise.resolve()

  constructor(folder: string, options: LoaderOptions) {
    install()
    this.folder = resolve(folder)
    this.config = options.config === undefined ? undefined : resolve(options.config)
    this.options = options
    this.graph = new ModuleGraph(this.folder, options.hasDatabases ?? false)
    this.loading = addLoading((specifier) => this.pathOf(specifier))
    this.releasing = {
      limit: options.limit ?? LIMIT,
      signal: this.closing.signal,
      made: (version) => void this.versions.add(version),
      disposing: (version, work) => this.disposing(version, work),
      released: (version) => void this.versions.delete(version),
    }
  }

  /**
   * Looks at the folder and loads what changed. The first load waits for every file; later ones leave a file that takes
   * long as it was, and `onSettled` says when it is ready. Calls wait for each other; a problem of a policy never
   * rejects.
   */
  load(options: LoadOptions = {}): Promise<Loaded> {
    const loaded = this.queue.then(() => this.run(options.retryFailed ?? false))
    // Whoever asked gets the rejection; the next call is not to get it too.
    this.queue = loaded.catch(() => undefined)
    return loaded
  }

  /** The snapshot serves from now on. What only earlier ones had is released when its last connection has ended. */
  commit(snapshot: Snapshot): void {
    this.plans.commit(snapshot)
    const serving = new Set(snapshot.policies.map(({ failures }) => failures))
    const versions = [...this.versions].filter(({ failures }) => serving.has(failures))
    names.keep(
      this,
      versions.flatMap(({ facts }) => limitsOf(facts.held).map(({ claim }) => claim.id)),
    )
  }

  /** Releases everything, and waits until what `setup` made is disposed, except what live connections still use. */
  async close(): Promise<void> {
    this.closing.abort("the gateway ends")
    await this.queue
    this.plans.close()
    this.forget([...this.known.keys()])
    await Promise.all(this.disposals)
    this.loading[Symbol.dispose]()
    this.limits[Symbol.dispose]()
    names.keep(this, [])
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

  /** The file of a module that is loaded, as found from the folder: what links lead to now, not what they led to then. */
  private pathOf(specifier: string): string | undefined {
    const module = this.instances.get(specifier)?.module
    if (module === undefined) return undefined
    const { key, real } = module
    const path = join(this.folder, key)
    return !key.startsWith("../") && lookAt(path) !== undefined ? path : real
  }

  private async run(retryFailed: boolean): Promise<Loaded> {
    const files = this.files()
    if (!("policies" in files)) return this.keep(files)
    const { found, objects } = await this.look(files)
    const present = new Set(found.map(({ file }) => file))
    this.forget([...this.known.keys()].filter((file) => !present.has(file)))
    const id = digestOf(JSON.stringify(found.map(({ file, hash, node }) => [file, hash, node.module.digest])))
    // Equal bytes came to this result before; only what failed by chance or took long could come to another.
    if (this.latest?.snapshot.id === id && !retryFailed && !this.settled) return this.again(this.latest)
    this.settled = false
    const patience = this.latest === undefined ? Infinity : (this.options.patience ?? PATIENCE)
    await this.evaluateAll(found, retryFailed, patience)
    const turns = await this.select(found, patience)
    for (const turn of turns) take(turn)
    const versions = turns.flatMap(({ choice }) => choice ?? [])
    const snapshot = this.plans.snapshot(id, versions, turns.map(stateOf), objects)
    const loading = turns.flatMap((turn) => turn.loading ?? [])
    const warnings = found.flatMap((one) => one.warnings)
    const { problems, warnings: more } = folderProblems(this.folder, this.config, turns, snapshot)
    this.latest = { snapshot, changed: this.plans.isNew(snapshot), problems, warnings: [...warnings, ...more], loading }
    return this.latest
  }

  private again(latest: Loaded): Loaded {
    return { ...latest, changed: this.plans.isNew(latest.snapshot) }
  }

  /** A folder that cannot be read says nothing about its files: everything stays as it was. */
  private keep(problem: Diagnostic): Loaded {
    const snapshot = this.latest?.snapshot ?? this.plans.snapshot(digestOf(""), [], [], [])
    return { snapshot, changed: this.plans.isNew(snapshot), problems: [problem], warnings: [], loading: [] }
  }

  private files(): FolderFiles | Diagnostic {
    const files = folderFiles(this.folder)
    if ("policies" in files) this.seen = true
    // Who writes no code has no folder; one that was there and is gone is a mistake, or on its way back.
    else if (this.config !== undefined && !this.seen && lookAt(this.folder) === undefined)
      return { policies: [], manifests: [] }
    return files
  }

  private async look({
    manifests,
    policies,
  }: FolderFiles): Promise<{ found: Found[]; objects: readonly ObjectState[] }> {
    this.graph.begin()
    const found = policies.map((file): Found => {
      const path = join(this.folder, file)
      const node = this.graph.entry(path)
      const problems = textProblems(file, node)
      const hash = this.graph.hashOf(node)
      return {
        file,
        path,
        node,
        hash,
        problems,
        faults: [],
        warnings: [],
        compile: undefined,
        known: this.knownOf(file),
      }
    })
    if (this.config !== undefined) found.push(this.lookAtConfig(this.config))
    const others = manifests.map((file) => join(this.folder, file)).filter((path) => path !== this.config)
    const { files, objects } = await this.manifests.look(others, this.graph)
    found.push(...files.map((one) => this.manifest(one)))
    this.graph.end()
    return { found, objects }
  }

  private manifest({ file, node, outcome }: Manifest): Found {
    const { path } = node.module
    node.salt = outcome.key
    node.digest = outcome.digest
    for (const { place, specifier } of outcome.modules) this.graph.link(node, specifier, place)
    // What is wrong with the text itself is said by the outcome: the rest of the file goes on.
    const problems = textProblems(file, node).filter((problem) => !node.module.problems.includes(problem))
    const hash = this.graph.hashOf(node)
    const { problems: faults, warnings } = outcome
    const compile = async (_: unknown, modules: Modules) => outcome.contents(modules)
    const found = { file, path, node, hash, faults, warnings, compile, known: this.knownOf(file) }
    return { ...found, problems: outcome.empty ? [...faults, ...problems] : problems }
  }

  private lookAtConfig(path: string): Found {
    const file = configName(path)
    const node = this.graph.entry(path, "text")
    // With the node, so that its hash changes with them.
    node.problems.push(...configProblems(path))
    const problems = textProblems(file, node)
    const hash = this.graph.hashOf(node)
    const known = this.knownOf(file)
    return { file, path, node, hash, problems, faults: [], warnings: [], compile: compileConfig, known }
  }

  private knownOf(file: string): Known {
    let known = this.known.get(file)
    if (known === undefined) {
      known = { good: undefined, selected: undefined, candidate: undefined, evaluation: undefined, failed: undefined }
      this.known.set(file, known)
    }
    return known
  }

  private async evaluateAll(found: readonly Found[], retryFailed: boolean, quiet: number): Promise<void> {
    using patience = new Patience(quiet)
    const waits: Promise<void>[] = []
    for (const one of found) {
      const { hash, known } = one
      if (!isNew(one, retryFailed)) overtake(known, hash)
      else if (known.good?.facts.hash === hash) {
        overtake(known, hash)
        revert(known, known.good)
      } else {
        this.options.onEvaluate?.(one.file)
        const wait = patience.for(this.evaluate(one).work)
        waits.push(wait)
        await atMost(quiet === Infinity ? FIRST_TURN : TURN, wait)
        this.options.onEvaluated?.()
      }
    }
    await Promise.all(waits)
    for (const { known } of found) {
      const { evaluation } = known
      if (!adopt(known)) this.follow(evaluation!.work, () => known.evaluation === evaluation)
    }
  }

  /** Starts to evaluate the newest text of a file. */
  private evaluate(one: Found): Evaluation {
    const { hash, known } = one
    // Held before others let go: what both import stays loaded.
    const held = this.instances.hold(this.graph, one.node)
    overtake(known, hash)
    known.failed = undefined
    this.evaluating.add(held)
    const evaluation = new Evaluation(one, held, this.instances, this.releasing)
    const done = () => void this.evaluating.delete(held)
    evaluation.work.then(done, done)
    known.evaluation = evaluation
    return evaluation
  }

  /** Whether code runs that makes what a policy has from then on. */
  private isLoading(instance: Instance): boolean {
    for (const { all } of this.evaluating) if (all.has(instance)) return true
    for (const { facts, settingUp } of this.versions) if (settingUp && facts.held.all.has(instance)) return true
    return false
  }

  /** When what a load did not wait for has settled, another load is to see it. */
  private follow(work: Promise<void>, isWanted: () => boolean): void {
    if (this.followed.has(work)) return
    this.followed.add(work)
    const settled = () => {
      if (this.closing.signal.aborted || !isWanted()) return
      this.settled = true
      this.options.onSettled?.()
    }
    work.then(settled, settled)
  }

  /** Decides which version of each file serves: no two contradict each other, and every `setup` has succeeded. */
  private async select(found: readonly Found[], quiet: number): Promise<Turn[]> {
    for (;;) {
      const turns = choose(found)
      const before = this.limits.count
      // A setup that failed, or takes long, takes its version out, which may end a conflict that another file has lost.
      const ran = !this.options.runSetup || (await this.setUp(turns, quiet))
      const chosen = new Set(turns.map(({ choice }) => choice))
      for (const { known } of found) if (!chosen.has(known.candidate)) known.candidate?.disposeUnused()
      // A setup may have made limits that contradict those of another file.
      if (ran && this.limits.count === before) return turns
    }
  }

  /** Runs the `setup`s that have not run. False when one is not ready: that version is out, and the choice is made again. */
  private async setUp(turns: readonly Turn[], quiet: number): Promise<boolean> {
    using patience = new Patience(quiet)
    const results = turns.map(async ({ choice, found: { known } }) => {
      if (choice === undefined || !choice.waits) return true
      const { file, hash, held } = choice.facts
      this.options.onEvaluate?.(file)
      const work = choice.setup()
      this.options.onEvaluated?.()
      try {
        await patience.for(work)
        if (choice.settingUp) {
          this.follow(work, () => known.candidate === choice || known.good === choice)
          return false
        }
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
