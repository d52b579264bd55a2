// All manifests of a folder: which documents are good, which are kept from before, and what each file gives to the
// gateway. One of these lives as long as its loader.
import { compileKubernetes } from "../kubernetes/compile.ts"
import { expandIngresses, foldIngresses } from "../kubernetes/kong/expand.ts"
import { compileTrafficPolicies } from "../traffic-policy/index.ts"
import { byName } from "../compile.ts"
import type { Contents } from "../contents.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { digestOf, type Module } from "../module-graph.ts"
import { problemAt, type Compiled, type ObjectState, type Part } from "./document.ts"
import { parse, shownObject, type Held, type Named, type Parsed } from "./parse.ts"
import { Memory } from "./surroundings.ts"

/** A file as one load finds it. */
export interface ManifestFile {
  /** Relative to the policies folder. */
  readonly file: string
  readonly module: Module
  /** Why its text is not to be read at all. */
  readonly problems: readonly Diagnostic[]
}

/** What becomes of one file. */
export interface Outcome extends Part {
  /** Of the text that it is of: that of the last one without a problem, as long as there are some. */
  readonly digest: string | undefined
  /** Nothing of it can serve, not even from before. */
  readonly empty: boolean
}

export interface Outcomes {
  readonly files: ReadonlyMap<string, Outcome>
  readonly objects: readonly ObjectState[]
}

/** One file in one load. */
interface Look {
  readonly file: string
  readonly module: Module
  readonly parsed: Parsed
  readonly problems: readonly Diagnostic[]
}

interface Known {
  readonly module: Module
  readonly parsed: Parsed
}

export class World {
  private readonly memory = new Memory()
  private known = new Map<string, Known>()
  /** What each file gave at the last load. */
  private kept = new Map<string, readonly Named[]>()
  /** Whose statuses nobody has looked at yet. */
  private unseen: ObjectState[] = []
  private readonly onRead: () => void
  /** By file: the last text without a problem. */
  private whole: ReadonlyMap<string, string> = new Map()
  private latest: { readonly asked: readonly unknown[]; readonly outcomes: Outcomes } | undefined

  /** @param onRead called after each file whose text was read */
  constructor(onRead: () => void) {
    this.onRead = onRead
  }

  /** Whether the file had documents at the last load. */
  has(file: string): boolean {
    return this.kept.has(file)
  }

  async compile(files: readonly ManifestFile[]): Promise<Outcomes> {
    const known = new Map<string, Known>()
    const looks: Look[] = []
    let since = performance.now()
    for (const { file, module, problems } of files) {
      const before = this.known.get(file)
      const parsed = problems.length > 0 ? REFUSED : before?.module === module ? before.parsed : this.read(file, module)
      if (problems.length === 0) known.set(file, { module, parsed })
      looks.push({ file, module, parsed, problems: [...problems, ...parsed.problems] })
      if (performance.now() - since < TURN) continue
      // A checkout may change a thousand files; connections go on meanwhile.
      await new Promise((resolve) => setImmediate(resolve))
      since = performance.now()
    }
    this.known = known
    const kept = new Map<string, readonly Named[]>()
    const whole = new Map<string, string>()
    for (const { file, module, parsed } of looks) {
      const digest = parsed.partial ? this.whole.get(file) : module.digest
      if (digest !== undefined) whole.set(file, digest)
      const now = new Set(parsed.good.map(({ key }) => key))
      const before = parsed.partial ? (this.kept.get(file) ?? []).filter(({ key }) => !now.has(key)) : []
      kept.set(file, before.length === 0 ? parsed.good : [...parsed.good, ...before])
    }
    this.kept = kept
    this.whole = whole
    const asked = [this.memory.addresses(), ...looks.flatMap(({ file, module }) => [file, module, ...kept.get(file)!])]
    if (this.latest !== undefined && isSame(this.latest.asked, asked)) return this.latest.outcomes
    const twice = new Map<string, Diagnostic[]>()
    const documents = unique(
      looks.map(({ file, module }) => ({ file, savedAt: module.savedAt, named: kept.get(file)! })),
      twice,
    )
    // Times of changes are those of the compilation that made them.
    this.look(Number.POSITIVE_INFINITY)
    this.memory.begin()
    const compiled = compileAll(documents, this.memory)
    const outcomes = new Map(
      looks.map(({ file, parsed, problems }): [string, Outcome] => {
        const parts = compiled.flatMap(({ parts: of }) => of.get(file) ?? [])
        const all = [...problems, ...(twice.get(file) ?? [])]
        const empty = parsed.partial && kept.get(file)!.length === 0
        return [file, { ...together(parts, all, parsed.warnings), digest: whole.get(file), empty }]
      }),
    )
    this.latest = { asked, outcomes: { files: outcomes, objects: compiled.flatMap(({ objects }) => objects) } }
    this.unseen = [...this.latest.outcomes.objects]
    setImmediate(this.lookOn)
    return this.latest.outcomes
  }

  private read(file: string, module: Module): Parsed {
    const parsed = parse(file, module)
    this.onRead()
    return parsed
  }

  /** A part at a time: whoever saved a file waits for it to serve, and not for what is said of it. */
  private readonly lookOn = (): void => {
    this.look(SLICE)
    if (this.unseen.length > 0) setImmediate(this.lookOn)
  }

  private look(count: number): void {
    for (let left = count; left > 0; left--) {
      const object = this.unseen.pop()
      if (object === undefined) return
      void object.status
    }
  }
}

/** 200 objects, a millisecond or two. */
const SLICE = 200

/** 20 ms: nobody notices, and a file takes one or two. */
const TURN = 20

const REFUSED: Parsed = { good: [], problems: [], warnings: [], partial: true }

function compileAll(documents: readonly Held[], memory: Memory): readonly Compiled[] {
  const objects = documents.flatMap((held) => (held.format === "object" ? [held.value] : []))
  const policies = documents.flatMap((held) => (held.format === "traffic-policy" ? [held.value] : []))
  const agents = documents.flatMap((held) => (held.format === "agent" ? [held.value] : []))
  const expanded = expandIngresses(objects)
  const cluster = compileKubernetes(expanded.objects, memory)
  return [
    { parts: cluster.parts, objects: foldIngresses(cluster.objects, expanded) },
    { parts: new Map([...expanded.warnings].map(([file, warnings]) => [file, warned(warnings)])), objects: [] },
    compileTrafficPolicies({ policies, agents, objects }, memory),
  ]
}

/** What is said of a file, and nothing that it does. */
function warned(warnings: readonly Diagnostic[]): Part {
  return { key: "", modules: [], problems: [], warnings, contents: () => EMPTY }
}

/** Every object once: of two the one counts that was saved first, and the other file hears of it. */
function unique(
  files: readonly { readonly file: string; readonly savedAt: number; readonly named: readonly Named[] }[],
  problems: Map<string, Diagnostic[]>,
): readonly Held[] {
  const first = new Map<string, string>()
  const lost = new Set<Held>()
  for (const { file, named } of files.toSorted((a, b) => a.savedAt - b.savedAt || byName(a.file, b.file))) {
    for (const { held, key } of named) {
      if (held.format !== "object") continue
      const other = first.get(key)
      if (other === undefined) {
        first.set(key, file)
        continue
      }
      lost.add(held)
      const where = other === file ? "further up in this file" : `in ${other}`
      const message = `${shownObject(held.document)} stands ${where} already`
      const problem = problemAt(
        held.document,
        ["metadata", "name"],
        message,
        "the file that was saved last has to give way",
      )
      problems.set(file, [...(problems.get(file) ?? []), problem])
    }
  }
  return files.flatMap(({ named }) => named.map(({ held }) => held).filter((held) => !lost.has(held)))
}

/** Several formats in one file give what each gives. */
function together(parts: readonly Part[], problems: readonly Diagnostic[], warnings: readonly Diagnostic[]): Part {
  return {
    key: digestOf(parts.map(({ key }) => key).join("\0")),
    modules: parts.flatMap(({ modules }) => modules),
    problems: [...problems, ...parts.flatMap((part) => part.problems)],
    warnings: [...warnings, ...parts.flatMap((part) => part.warnings)],
    contents(modules) {
      const all = parts.map((part) => part.contents(modules))
      const faults = all.flatMap((one) => ("rules" in one ? [] : one))
      return faults.length > 0 ? faults : merged(all.flatMap((one) => ("rules" in one ? [one] : [])))
    },
  }
}

const EMPTY: Contents = Object.freeze({
  setup: undefined,
  rules: [],
  pools: new Map(),
  geoip: [],
  limits: [],
  placeOfPool: () => ({ path: "" }),
})

function merged(all: readonly Contents[]): Contents {
  return {
    setup: undefined,
    rules: all.flatMap(({ rules }) => rules),
    pools: new Map(all.flatMap(({ pools }) => [...pools])),
    geoip: [],
    limits: all.flatMap(({ limits }) => limits),
    placeOfPool: (name) => (all.find(({ pools }) => pools.has(name)) ?? all[0]!).placeOfPool(name),
  }
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
