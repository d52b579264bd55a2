// The policies folder: which of its files are policies, and whether it is to be trusted.
import { readdirSync, realpathSync, statSync, type Dirent } from "node:fs"
import { join } from "node:path"
import { byName } from "./compile.ts"
import { diagnostic, type Diagnostic } from "./diagnostic.ts"
import { lookAt } from "./look-at.ts"
import { distrust } from "../trust.ts"

/** The names of the policy files, by code point, or why the folder cannot be used. */
export function policyFiles(folder: string): readonly string[] | Diagnostic {
  try {
    const stat = statSync(folder, { bigint: true })
    if (!stat.isDirectory()) return diagnostic({ path: folder }, "is not a folder")
    const distrusted = distrust(realpathSync(folder), stat)
    if (distrusted !== undefined) return diagnostic({ path: folder }, distrusted.message, distrusted.hint)
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => isPolicyName(entry.name) && !isFolder(folder, entry))
      .map(({ name }) => name)
      .sort(byName)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== "ENOENT") return diagnostic({ path: folder }, `the folder cannot be read: ${code ?? String(error)}`)
    return diagnostic({ path: folder }, "there is no such folder", "`tidegate init` makes one, with a first policy")
  }
}

/** Tests lie beside policies, and declarations have no code. */
export function isPolicyName(name: string): boolean {
  return /\.(ts|js|mts)$/.test(name) && !/^\.|\.(test|spec)\.|\.d\.m?ts$/.test(name)
}

function isFolder(folder: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return lookAt(join(folder, entry.name))?.isDirectory() ?? false
}
