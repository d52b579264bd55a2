// Manifests that have to be refused, with a place, and such that have to be taken: `tidegate check` on each alone.
import { cpSync, mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { tidegate } from "./gateway.ts"
import type { Outcome } from "./replay.ts"
import { temporaryFolder } from "./temporary.ts"

export interface Sample {
  /** The folder that it is in: `invalid` or `valid`. */
  readonly set: "invalid" | "valid"
  readonly file: string
}

const MANIFEST = /\.(ya?ml|json)$/
/** How `check` ends. */
const TAKEN = 0
const REFUSED = 2

export function samples(folder: string): readonly Sample[] {
  return (["invalid", "valid"] as const).flatMap((set) => filesOf(join(folder, set)).map((file) => ({ set, file })))
}

/** The manifests of a folder; none where there is no such folder. */
export function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => MANIFEST.test(name))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    throw error
  }
}

export async function checkSample(folder: string, { file, set }: Sample, signal: AbortSignal): Promise<Outcome> {
  using temporary = temporaryFolder()
  const policies = join(temporary.path, "policies")
  mkdirSync(policies, { mode: 0o755 })
  cpSync(join(folder, set, file), join(policies, file))
  const { code, stderr, stdout } = await tidegate(["check", policies], temporary.path, signal)
  const faults = faultsOf({ file, set }, code, `${stdout}\n${stderr}`)
  return { name: `${set}/${file}`, passed: faults.length === 0 ? 1 : 0, faults, skipped: undefined, remark: undefined }
}

function faultsOf({ file, set }: Sample, code: number, output: string): readonly string[] {
  const said = output.trim().split("\n").slice(0, 3).join(" | ")
  if (set === "valid")
    return code === TAKEN ? [] : [`expected that check takes it (exit code 0), found ${code}: ${said}`]
  if (code !== REFUSED) return [`expected that check refuses it (exit code 2), found ${code}: ${said}`]
  return output.includes(`${file}:`) && /:\d+:\d+/.test(output) ? [] : [`expected a place in ${file}, found: ${said}`]
}
