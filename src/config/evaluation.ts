// One text of a policy file being evaluated, from its import until a load takes what came of it.
import { GivenUp, within } from "../policy/within.ts"
import { diagnostic, type Diagnostic } from "./diagnostic.ts"
import { contentsOf, type Compile, type Contents } from "./contents.ts"
import { readExports, type ReadPools } from "./exports.ts"
import { evaluationFailures, faultProblems } from "./failure.ts"
import type { Held, Instances } from "./instances.ts"
import type { Node } from "./module-graph.ts"
import { Version, type Releasing } from "./version.ts"

/** The text of a file, as one load finds it. */
export interface Text {
  readonly file: string
  readonly path: string
  readonly hash: string
  readonly node: Node
  /** `undefined` for modules, which are imported. */
  readonly compile: Compile | undefined
}

/** What an evaluation gives: a version, or why there is none. */
type Evaluated = Version | readonly Diagnostic[]

export class Evaluation {
  readonly hash: string
  /** Settles when there is a result. */
  readonly work: Promise<void>
  private readonly abandoned = new AbortController()
  private result: Evaluated | undefined

  constructor(text: Text, held: Held, instances: Instances, releasing: Releasing) {
    this.hash = text.hash
    this.work = this.run(text, held, instances, releasing)
  }

  /** The result, once there is one. A version is held, which is the taker's from now on. */
  take(): Evaluated | undefined {
    const { result } = this
    this.result = undefined
    return result
  }

  /** Nobody wants the result. */
  abandon(): void {
    this.abandoned.abort("a newer text has come")
    const result = this.take()
    if (result instanceof Version) result.drop()
  }

  private async run(text: Text, held: Held, instances: Instances, releasing: Releasing): Promise<void> {
    const { signal } = this.abandoned
    const result = await evaluate(text, held, instances, releasing, signal)
    if (result instanceof Version) result.hold()
    else held.release()
    if (!signal.aborted) this.result = result
    else if (result instanceof Version) result.drop()
  }
}

/** The schema is loaded for the first file that has pools. */
const readPools: ReadPools = async (value) => (await import("./pools.ts")).readPools(value)

async function evaluate(
  text: Text,
  held: Held,
  instances: Instances,
  releasing: Releasing,
  abandoned: AbortSignal,
): Promise<Evaluated> {
  const { compile, file, hash, node, path } = text
  const contents =
    compile === undefined
      ? await imported(text, held, instances, releasing, abandoned)
      : await compiled(compile, text, held, instances, releasing, abandoned)
  if (!("rules" in contents)) return contents
  held.entry.limits.push(...contents.limits)
  return new Version({ file, path, hash, savedAt: node.module.savedAt, held, contents }, releasing)
}

/** A file that is no module, after the modules that it names. */
async function compiled(
  compile: Compile,
  { node }: Text,
  held: Held,
  instances: Instances,
  { limit, signal }: Releasing,
  abandoned: AbortSignal,
): Promise<Contents | readonly Diagnostic[]> {
  const modules = new Map<string, Readonly<Record<string, unknown>>>()
  for (const [{ specifier }, { specifier: instance }] of held.entry.links) {
    const work: Promise<Record<string, unknown>> = import(instance)
    try {
      modules.set(specifier, await within(limit, "the top-level code", work, signal, abandoned))
    } catch (error) {
      if (!(error instanceof GivenUp)) return evaluationFailures(error, held, instances)
      work.then(held.unload, held.unload)
      return [diagnostic({ path: node.module.path }, `${specifier}: ${error.message}`)]
    }
  }
  return compile(node.module, modules)
}

async function imported(
  { node }: Text,
  held: Held,
  instances: Instances,
  releasing: Releasing,
  abandoned: AbortSignal,
): Promise<Contents | readonly Diagnostic[]> {
  const work: Promise<Record<string, unknown>> = import(held.entry.specifier)
  try {
    const namespace = await within(releasing.limit, "the top-level code", work, releasing.signal, abandoned)
    const exports = await readExports(namespace, readPools)
    return "connect" in exports ? contentsOf(node.module, exports) : faultProblems(node.module, exports)
  } catch (error) {
    if (!(error instanceof GivenUp)) return evaluationFailures(error, held, instances)
    work.then(held.unload, held.unload)
    const hint = "an await outside of functions waits for something that does not come; SIGHUP tries again"
    return [diagnostic({ path: node.module.path }, error.message, hint)]
  }
}
