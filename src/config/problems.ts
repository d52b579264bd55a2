// What is wrong with a folder as a whole, said once.
import { diagnostic, shownPlace, type Diagnostic } from "./diagnostic.ts"
import { reach, type Node } from "./module-graph.ts"
import type { Turn } from "./selection.ts"
import type { Snapshot } from "./snapshot.ts"

/** What is wrong with the text of a policy file, and with everything that it imports. */
export function textProblems(file: string, entry: Node): Diagnostic[] {
  return reach(entry).flatMap((at) =>
    [...at.module.problems, ...at.problems].map((problem) =>
      // A problem of an imported file says for which policy it matters.
      at === entry || problem.hint !== undefined ? problem : { ...problem, hint: `imported by ${file}` },
    ),
  )
}

/** The problems of all files; without any, whether there is nothing to serve. */
export function folderProblems(
  folder: string,
  config: string | undefined,
  turns: readonly Turn[],
  { listeners, objects }: Pick<Snapshot, "listeners" | "objects">,
): { readonly problems: readonly Diagnostic[]; readonly warnings: readonly Diagnostic[] } {
  if (turns.length === 0) {
    const hint =
      "a policy is a *.ts, *.js or *.mts file in it, or a manifest in a *.yaml, *.yml or *.json file; `tidegate init` writes a first one"
    return { problems: [diagnostic({ path: folder }, "there is no policy in this folder", hint)], warnings: [] }
  }
  const problems = firstOfEach(turns.flatMap((turn) => turn.problems))
  if (listeners.size > 0 || problems.length > 0 || turns.some(({ loading }) => loading !== undefined))
    return { problems, warnings: [] }
  const idle = nothingToServe(folder, config)
  // Objects come and go, and say themselves why none of them listens.
  return objects.length > 0 ? { problems, warnings: [idle] } : { problems: [idle], warnings: [] }
}

function nothingToServe(folder: string, config: string | undefined): Diagnostic {
  if (config !== undefined) {
    const hint = 'write for example `listeners: [{ url: "tcp://127.0.0.1:9000", route: "tcp://127.0.0.1:8080" }]`'
    return diagnostic(
      { path: config },
      "neither this file nor a policy has a listener: there is nothing to serve",
      hint,
    )
  }
  const hint = 'write for example `export const listen = "tcp://127.0.0.1:9000"` in one of them'
  return diagnostic({ path: folder }, "no policy in this folder has a `listen`: there is nothing to serve", hint)
}

/** Policies that import the same broken file have the same problem. */
function firstOfEach(problems: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>()
  return problems.filter((problem) => {
    const id = `${shownPlace(problem)} ${problem.message}`
    return !seen.has(id) && seen.add(id)
  })
}
