// `tidegate convert`: TCPIngresses and ngrok's manifests as Gateway API. What has no equal is said on stderr, at its place.
import { basename, dirname, join, resolve } from "node:path"
import { convert as converted } from "../config/convert/convert.ts"
import { renderDiagnostic, type Diagnostic } from "../config/diagnostic.ts"
import { folderFiles } from "../config/folder.ts"
import { lookAt } from "../config/look-at.ts"
import { parse } from "../config/manifests/parse.ts"
import { looksLikeManifest } from "../config/manifests/recognise.ts"
import { ModuleGraph } from "../config/module-graph.ts"
import type { AnyObject } from "../config/kubernetes/types.ts"
import { asYaml } from "./object-yaml.ts"
import { complain, fail, paintErr, say, UNUSABLE } from "./say.ts"

/** @param paths of files, or of folders with files. Gives the exit code: 0, or 2 when a file is bad or has nothing to convert. */
export async function convert({ paths }: { readonly paths: readonly string[] }): Promise<number> {
  const problems: Diagnostic[] = []
  const objects: AnyObject[] = []
  const others: string[] = []
  for (const path of paths.flatMap((path) => filesOf(resolve(path), problems))) {
    const { module } = new ModuleGraph(dirname(path), true).entry(path, "text")
    const found = module.problems.length > 0 ? undefined : parse(basename(path), module)
    problems.push(...(found?.problems ?? module.problems))
    for (const { held } of found?.good ?? []) {
      if (held.format === "object") objects.push(held.value)
      else others.push(basename(path))
    }
  }
  for (const problem of problems) complain(`${renderDiagnostic(problem, paintErr)}\n`)
  if (problems.length > 0) return UNUSABLE
  const { notes, objects: forms } = converted(objects)
  for (const note of notes) complain(`${paintErr("yellow", "note:")} ${renderDiagnostic(note, paintErr)}\n`)
  const can = "a TCPIngress, an AgentEndpoint and a CloudEndpoint can be converted"
  if (forms.length === 0)
    return others.length === 0
      ? fail("there is nothing to convert", can)
      : fail(`${[...new Set(others)].join(", ")}: served as it is, but has no form in Gateway API`, can)
  say(asYaml(forms))
  return 0
}

function filesOf(path: string, problems: Diagnostic[]): readonly string[] {
  if (lookAt(path)?.isDirectory() !== true) return [path]
  const files = folderFiles(path)
  if (!("manifests" in files)) {
    problems.push(files)
    return []
  }
  const graph = new ModuleGraph(path, true)
  return files.manifests
    .map((name) => join(path, name))
    .filter((file) => looksLikeManifest(graph.entry(file, "text").module.text))
}
