// `tidegate check`: loads everything without opening anything, and reports every problem.
import { join } from "node:path"
import { byName } from "../config/compile.ts"
import { renderDiagnostic, type Diagnostic } from "../config/diagnostic.ts"
import { folderFiles } from "../config/folder.ts"
import { servingOf, withListeners } from "../config/manifests/status.ts"
import { nameGroups, type NameGroup } from "../config/served-names.ts"
import type { ListenerPlan, Snapshot } from "../config/snapshot.ts"
import { printable } from "../observe/printable.ts"
import { open, type OpenOptions } from "./load.ts"
import { objectTable } from "./object-table.ts"
import { shownNames } from "./names.ts"
import { shownPool } from "./pools.ts"
import { complain, counted, paintErr, paintOut, say, UNUSABLE } from "./say.ts"

/** Gives the exit code: 0, or 2 when anything is wrong. */
export async function check(options: OpenOptions & { readonly types: boolean }): Promise<number> {
  const { loader, problems: found, snapshot, warnings } = await open(options)
  const problems = options.types ? [...found, ...(await typeProblems(loader.folder, found))] : found
  for (const problem of problems) complain(`${renderDiagnostic(problem, paintErr)}\n`)
  for (const warning of warnings) complain(`${paintErr("yellow", "warning:")} ${renderDiagnostic(warning, paintErr)}\n`)
  summarise(snapshot)
  for (const line of objectTable(
    paintOut,
    withListeners(
      snapshot.objects,
      servingOf(snapshot.listeners, () => false),
    ),
  ))
    say(line)
  if (problems.length === 0) return 0
  complain(paintErr("red", counted(problems.length, "problem")))
  return UNUSABLE
}

async function typeProblems(folder: string, found: readonly Diagnostic[]): Promise<readonly Diagnostic[]> {
  const files = folderFiles(folder)
  if (!("policies" in files)) return []
  const { checkTypes, isSyntaxError } = await import("./types.ts")
  const { testsOf } = await import("./test.ts")
  const policies = files.policies.map((name) => join(folder, name))
  const typed = await checkTypes(policies, await testsOf(folder))
  // What was found by loading has been said better already.
  const broken = new Set(found.map(({ path }) => path))
  const said = new Set(found.map(({ line, path }) => `${path}:${line}`))
  return typed
    .filter(({ line, message, path }) => !said.has(`${path}:${line}`) && !(broken.has(path) && isSyntaxError(message)))
    .sort((a, b) => byName(a.path, b.path) || (a.line ?? 0) - (b.line ?? 0))
}

/** What is good: the listeners, and who is asked on each, in order; and the pools. */
function summarise({ listeners, policies, poolFiles, pools }: Snapshot): void {
  if (policies.length > 0) summariseListeners(listeners, policies)
  if (pools.size === 0) return
  say(counted(pools.size, "pool"))
  const width = Math.max(...[...pools.keys()].map((name) => name.length))
  for (const [name, pool] of [...pools].slice(0, MOST_POOLS)) {
    const all = poolFiles.get(name) ?? []
    const first = all.slice(0, MOST_FILES).map((file) => printable(file))
    const files = [...first, ...(all.length > first.length ? [`${all.length - first.length} more`] : [])].join(", ")
    say(`  ${paintOut("bold", name.padEnd(width))}  ${shownPool(pool)}  (${files})`)
  }
  if (pools.size > MOST_POOLS) say(`  and ${pools.size - MOST_POOLS} more`)
}

function summariseListeners(listeners: Snapshot["listeners"], policies: Snapshot["policies"]): void {
  const files = [...new Set(policies.filter(({ last }) => !last).map(({ file }) => file))]
  const lasting = [...new Set(policies.filter(({ last }) => last).map(({ file }) => file))]
  const own = lasting.filter((file) => !files.includes(file))
  const configs = own.length > MOST_FILES ? [`${own.length} more files`] : own.map((file) => printable(file))
  const who = [...(files.length === 0 ? [] : [counted(files.length, "policy", "policies")]), ...configs]
  say(`${who.join(" and ")} on ${counted(listeners.size, "listener")}`)
  const width = Math.max(...[...listeners.values()].map(({ url }) => printable(url).length))
  for (const plan of listeners.values()) {
    const url = paintOut("bold", printable(plan.url).padEnd(width))
    const groups = nameGroups(plan)
    if (groups.every(({ patterns }) => patterns[0] === undefined))
      say(`  ${url}  asks ${asked(plan.policies.map(({ file }) => file))}`)
    else {
      say(`  ${url}  asks by server name`)
      for (const line of nameLines(plan, groups)) say(`    ${line}`)
    }
  }
}

/** 100 pools, each with the files that define it as far as they fit in a line. */
const [MOST_POOLS, MOST_FILES] = [100, 4]
/** 100 lines for one listener: with more nobody reads the first. */
const MOST_GROUPS = 100

function nameLines(plan: ListenerPlan, groups: readonly NameGroup[]): string[] {
  const everywhere = plan.policies.filter(({ listen }) => listen === undefined).map(({ file }) => file)
  const lasting = new Set(plan.policies.filter(({ last }) => last).map(({ file }) => file))
  const order = (files: readonly string[]) => [
    ...files.filter((file) => !lasting.has(file)),
    ...everywhere,
    ...files.filter((file) => lasting.has(file)),
  ]
  const first = groups.slice(0, MOST_GROUPS)
  const names = first.map(({ patterns }) => shownNames(patterns))
  const width = Math.max(...names.map((shown) => shown.length))
  const lines = first.map(({ files }, i) => `${names[i]!.padEnd(width)}  asks ${asked(order(files))}`)
  const more = groups.length - first.length
  return more === 0 ? lines : [...lines, `and ${more} more`]
}

function asked(files: readonly string[]): string {
  // Several parts of one file are asked one after the other.
  return files
    .filter((file, i) => file !== files[i - 1])
    .map((file) => printable(file))
    .join(", then ")
}
