// The configuration file among the files that a loader looks at: what it is called, whether it is trusted, and who
// compiles it. What reads it is loaded where there is one, and not before.
import { basename, dirname, extname, resolve } from "node:path"
import { distrust } from "../trust.ts"
import type { Contents } from "./contents.ts"
import { diagnostic, type Diagnostic } from "./diagnostic.ts"
import { lookAt, realPath } from "./look-at.ts"
import { ModuleGraph, type Module } from "./module-graph.ts"

const EXTENSIONS = [".yaml", ".yml", ".json"]
const STICKY = 0o1000

/** How it is called in status, events and messages. */
export function configName(path: string): string {
  return basename(path)
}

/** What is wrong with where it is: who may write to its folder can put another file in its place. */
export function configProblems(path: string): Diagnostic[] {
  if (!EXTENSIONS.includes(extname(path)))
    return [diagnostic({ path }, "a configuration file is a .yaml, .yml or .json file")]
  // The folder of a link, and that of what it leads to.
  const folders = new Set([realPath(dirname(path)), dirname(realPath(path))])
  return [...folders].flatMap((folder) => {
    const stat = lookAt(folder)
    const found = stat === undefined ? undefined : distrust(folder, stat)
    if (stat === undefined || found === undefined) return []
    const isShared = (Number(stat.mode) & STICKY) !== 0
    return [diagnostic({ path: folder }, found.message, isShared ? "give the file a folder of its own" : found.hint)]
  })
}

/**
 * The databases that the file names, for whoever has to open them before policies are loaded. None where the file is bad:
 * the load says so.
 */
export async function configuredDatabases(path: string | undefined): Promise<readonly string[]> {
  if (path === undefined) return []
  const file = resolve(path)
  const { module } = new ModuleGraph(dirname(file), true).entry(file, "text")
  if (module.problems.length > 0) return []
  const contents = await compileConfig(module)
  return "geoip" in contents ? contents.geoip : []
}

export async function compileConfig(file: Module): Promise<Contents | readonly Diagnostic[]> {
  return (await import("./config-file.ts")).compileConfig(file)
}
