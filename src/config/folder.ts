// The policies folder: which of its files are policies, which may hold manifests, and whether it is to be trusted.
import { readdirSync, realpathSync, statSync, type Dirent } from "node:fs"
import { join } from "node:path"
import { byName } from "./compile.ts"
import { diagnostic, type Diagnostic } from "./diagnostic.ts"
import { lookAt } from "./look-at.ts"
import { distrust } from "../trust.ts"

export interface FolderFiles {
  /** The names of the policy files, by code point. */
  readonly policies: readonly string[]
  /** Those of the files that may hold manifests; what they are shows in their texts. */
  readonly manifests: readonly string[]
}

/** What lies at the top level of the folder, or why it cannot be used. */
export function folderFiles(folder: string): FolderFiles | Diagnostic {
  try {
    const stat = statSync(folder, { bigint: true })
    if (!stat.isDirectory()) return diagnostic({ path: folder }, "is not a folder")
    const distrusted = distrust(realpathSync(folder), stat)
    if (distrusted !== undefined) return diagnostic({ path: folder }, distrusted.message, distrusted.hint)
    const names = readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => isPolicyName(name) || isManifestName(name))
      .filter((entry) => !isFolder(folder, entry))
      .map(({ name }) => name)
      .sort(byName)
    return { policies: names.filter(isPolicyName), manifests: names.filter(isManifestName) }
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

/** What other tools of a folder of TypeScript keep there is none of ours. */
const FOREIGN = new Set(["package.json", "package-lock.json", "tsconfig.json", "deno.json", "jsconfig.json"])

/** Whether a file may hold manifests, by its name. */
export function isManifestName(name: string): boolean {
  return /^[^.].*\.(ya?ml|json)$/.test(name) && !FOREIGN.has(name)
}

function isFolder(folder: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return lookAt(join(folder, entry.name))?.isDirectory() ?? false
}
