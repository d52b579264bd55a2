// Where the control socket of a policies folder is, for the gateway that opens it and for `status` that looks for it:
// both compute the same list and take the first place that works.
import { createHash } from "node:crypto"
import { existsSync, lstatSync, mkdirSync, realpathSync } from "node:fs"
import { tmpdir } from "node:os"
import { isAbsolute, join } from "node:path"
import { UNIX_PATH_BYTES } from "../policy/target.ts"

/** Root's, or the one that systemd makes for a service with RuntimeDirectory=tidegate. */
const SYSTEM_FOLDER = "/run/tidegate"

/** One place. An abstract name starts with NUL and has no folder: it lives in no file system. */
export interface ControlPlace {
  readonly path: string
  /** The folder that must be ours. */
  readonly folder: string | undefined
}

/** What names a gateway: its policies folder, or its configuration file where there is no folder. */
export function gatewaySubject(folder: string, config: string | undefined): string {
  return config !== undefined && !existsSync(folder) ? config : folder
}

/** Every place for the gateway of this policies folder or configuration file, best first. @throws when it does not exist */
export function controlPlaces(subject: string): readonly ControlPlace[] {
  const hash = createHash("sha256").update(realpathSync(subject)).digest("hex").slice(0, 16)
  const user = process.getuid?.() ?? 0
  const runtime = process.env["XDG_RUNTIME_DIR"]
  const folders = [
    ...(runtime !== undefined && isAbsolute(runtime) ? [join(runtime, "tidegate")] : []),
    SYSTEM_FOLDER,
    join(tmpdir(), `tidegate-${user}`),
  ]
  const places: ControlPlace[] = folders
    .map((folder) => ({ path: join(folder, `${hash}.sock`), folder }))
    .filter(({ path }) => Buffer.byteLength(path) <= UNIX_PATH_BYTES)
  return [...places, { path: `\0tidegate-${user}-${hash}`, folder: undefined }]
}

/** The place that `--control` names; `@name` is an abstract one. */
export function namedPlace(path: string): ControlPlace {
  return { path: path.startsWith("@") ? `\0${path.slice(1)}` : path, folder: undefined }
}

/** As people write it: abstract names with `@`, like `ss` does. */
export function showPath(path: string): string {
  return path.startsWith("\0") ? `@${path.slice(1)}` : path
}

/** Makes the folder if it is missing; false when it cannot be made, is not ours, or others may write into it. */
export function claim(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) return false
  }
  const found = owner(folder)
  return found !== undefined && found === process.getuid?.()
}

/** Whether what is in the folder can be believed: in a folder that everybody may write to, anybody may have made it. */
export function isTrusted(folder: string): boolean {
  const found = owner(folder)
  return found !== undefined && (found === process.getuid?.() || found === 0 || folder === SYSTEM_FOLDER)
}

/** The owner of a folder that only its owner may write to. */
function owner(folder: string): number | undefined {
  const found = lstatSync(folder, { throwIfNoEntry: false })
  return found !== undefined && found.isDirectory() && (found.mode & 0o022) === 0 ? found.uid : undefined
}
