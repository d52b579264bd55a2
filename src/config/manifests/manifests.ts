// The files of a folder that may hold manifests: which of them do, and what becomes of them. The compilers are loaded for
// the first one, and not before.
import { closeSync, openSync, readSync } from "node:fs"
import { basename } from "node:path"
import { diagnostic } from "../diagnostic.ts"
import type { Module, ModuleGraph, Node } from "../module-graph.ts"
import type { ObjectState } from "./document.ts"
import { LOOKED_AT, looksLikeManifest } from "./recognise.ts"
import type { ManifestFile, Outcome, World } from "./world.ts"

/** One file that holds manifests. */
export interface Manifest {
  readonly file: string
  readonly node: Node
  readonly outcome: Outcome
}

export interface Look {
  readonly files: readonly Manifest[]
  readonly objects: readonly ObjectState[]
}

const NONE: Look = { files: [], objects: [] }

export class Manifests {
  private world: World | undefined
  /** By text: whether it may hold manifests. */
  private readonly looks = new WeakMap<Module, boolean>()
  private readonly onRead: () => void

  /** @param onRead called for each file that was read, so that a watchdog can tell many files from one that hangs */
  constructor(onRead: () => void = () => {}) {
    this.onRead = onRead
  }

  /** @param paths of the files whose names may be those of manifests */
  async look(paths: readonly string[], graph: ModuleGraph): Promise<Look> {
    const found = paths.flatMap((path) => this.find(path, graph))
    if (found.length === 0 && this.world === undefined) return NONE
    if (this.world === undefined) {
      const { World } = await import("./world.ts")
      this.world = new World(this.onRead)
    }
    const { files, objects } = await this.world.compile(found)
    return { files: found.map(({ file, node }) => ({ file, node, outcome: files.get(file)! })), objects }
  }

  private isManifest(module: Module): boolean {
    let known = this.looks.get(module)
    if (known === undefined) this.looks.set(module, (known = looksLikeManifest(module.text)))
    return known
  }

  private find(path: string, graph: ModuleGraph): (ManifestFile & { node: Node })[] {
    const file = basename(path)
    const node = graph.entry(path, "text")
    const { module } = node
    const known = this.world?.has(file) === true
    if (module.problems.length > 0) {
      // A file that is not to be read may be anything; only one that looks like ours is worth a word.
      return known || looksLikeManifest(beginningOf(path)) ? [{ file, module, node, problems: module.problems }] : []
    }
    if (this.isManifest(module)) return [{ file, module, node, problems: [] }]
    if (!known) return []
    const hint = "what it served goes on; delete the file to end that"
    return [
      { file, module, node, problems: [diagnostic({ path }, "there is no manifest in this file any more", hint)] },
    ]
  }
}

function beginningOf(path: string): string {
  try {
    const descriptor = openSync(path, "r")
    try {
      const bytes = new Uint8Array(LOOKED_AT)
      return new TextDecoder().decode(bytes.subarray(0, readSync(descriptor, bytes, 0, LOOKED_AT, 0)))
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // Whoever may not read it cannot tell what it is: it is left alone, like other data.
    return ""
  }
}
