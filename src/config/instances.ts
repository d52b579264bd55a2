// The live instances of modules. One file may be loaded in several versions at a time: each has a specifier of its own,
// the real path with `?h=<hash>-<number>`, and is shared by all policies that import the same text with the same imports.
import { dataExports } from "./data.ts"
import type { MadeLimit } from "./limit-claims.ts"
import { reach, type Module, type ModuleGraph, type Node } from "./module-graph.ts"
import { isCode } from "./module-kind.ts"
import { provide, withdraw } from "./plugin.ts"
import { originalColumn, rewrite, type ImportSite, type Shift } from "./specifiers.ts"

/** A number is never used again: what failed or hung under one specifier is stuck under it, also after a delete. */
let last = 0

export interface Instance {
  readonly specifier: string
  readonly module: Module
  readonly links: ReadonlyMap<ImportSite, Instance>
  holders: number
  /** Known once Bun has asked for the text. */
  shifts: readonly Shift[]
  /** The limits that its code has made. */
  readonly limits: MadeLimit[]
}

/** The instances of one policy and of all that it imports. */
export interface Held {
  readonly entry: Instance
  readonly all: ReadonlySet<Instance>
  /** To be called once, when nothing runs the code any more. */
  release(): void
  /** To be called when an import has settled that nobody waited for: Bun caches what was released meanwhile only then. */
  unload(): void
}

/** A line of a stack that lies in one of our modules, with the position in the file as it was written. */
export interface Frame {
  readonly instance: Instance
  readonly line: number
  readonly column: number
}

export class Instances {
  /** By key and hash: what may be shared. */
  private readonly live = new Map<string, Instance>()
  private readonly bySpecifier = new Map<string, Instance>()
  private readonly released: (specifier: string) => void

  /** @param released told of every instance that is not loaded any more */
  constructor(released: (specifier: string) => void = () => undefined) {
    this.released = released
  }

  /**
   * Holds the instances of a node and of what it reaches, new ones where there are none. An equal hash means equal text
   * and equal imports all the way down, so that a shared instance brings everything that it needs.
   */
  hold(graph: ModuleGraph, node: Node): Held {
    const created = new Map<Node, { instance: Instance; links: Map<ImportSite, Instance> }>()
    const ensure = (of: Node): Instance => {
      const id = `${of.module.key}\0${of.module.kind}\0${graph.hashOf(of)}`
      const known = this.live.get(id)
      if (known !== undefined) return known
      const links = new Map<ImportSite, Instance>()
      const instance = this.create(of.module, graph.hashOf(of), links)
      this.live.set(id, instance)
      created.set(of, { instance, links })
      return instance
    }
    const entry = ensure(node)
    for (const of of reach(node)) ensure(of)
    for (const [of, { links }] of created) for (const [site, target] of of.links) links.set(site, ensure(target))
    const all = closure(entry)
    for (const instance of all) instance.holders++
    return { entry, all, release: () => this.release(all), unload: () => unload(all) }
  }

  /** The frames of a stack that lie in live modules, innermost first. */
  frames(stack: string): Frame[] {
    return stack.split("\n").flatMap((text) => {
      const match = /(\/.*\?h=[0-9a-f]{12}-\d+):(\d+):(\d+)\)?$/.exec(text)
      const instance = match === null ? undefined : this.bySpecifier.get(match[1]!)
      return instance === undefined ? [] : [frameAt(instance, Number(match![2]), Number(match![3]))]
    })
  }

  get(specifier: string): Instance | undefined {
    return this.bySpecifier.get(specifier)
  }

  private create(module: Module, hash: string, links: ReadonlyMap<ImportSite, Instance>): Instance {
    const specifier = `${module.real}?h=${hash}-${++last}`
    const instance: Instance = { specifier, module, links, holders: 0, shifts: [], limits: [] }
    this.bySpecifier.set(specifier, instance)
    provide(specifier, () => {
      const { kind, text, imports } = module
      if (!isCode(kind)) return { exports: dataExports(kind, text), loader: "object" }
      const rewritten = rewrite(text, imports, (site) => links.get(site)?.specifier)
      instance.shifts = rewritten.shifts
      return { contents: rewritten.text, loader: kind }
    })
    return instance
  }

  private release(all: ReadonlySet<Instance>): void {
    for (const instance of all) {
      if (--instance.holders > 0) continue
      withdraw(instance.specifier)
      this.bySpecifier.delete(instance.specifier)
      for (const [id, other] of this.live) if (other === instance) this.live.delete(id)
      this.released(instance.specifier)
    }
  }
}

/** A position that Bun reports, in the file as it was written. */
export function frameAt(instance: Instance, line: number, column: number): Frame {
  return { instance, line, column: originalColumn(instance.shifts, line, column) }
}

function unload(all: ReadonlySet<Instance>): void {
  for (const { holders, specifier } of all) if (holders === 0) withdraw(specifier)
}

function closure(entry: Instance): Set<Instance> {
  const found = new Set([entry])
  for (const next of found) for (const link of next.links.values()) found.add(link)
  return found
}
