// What tells one version of a file from another, without reading it.
import { statSync, type BigIntStats } from "node:fs"
import { setTimeout } from "node:timers/promises"

/** 20 ms: file systems stamp times in steps of up to 10 ms, and two changes in one step look like one. */
const STEP = 20
/** What stands for the signature of a file that cannot be looked at: whoever reads it is told why. */
const MISSING = "missing"

/** Another text when the file has changed; the same for all that cannot be looked at. */
export function signatureOf(path: string): string {
  const stat = lookAt(path)
  return stat === undefined ? MISSING : signature(stat)
}

export function signature({ ctimeNs, dev, ino, mtimeNs, size }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

/** Whether the file was changed so shortly before `now` that another change may leave the same signature. */
export function isFresh({ ctimeMs }: BigIntStats, now: number): boolean {
  return now - Number(ctimeMs) < STEP
}

/** Waits until another change of the file can be told from the last one. */
export async function settled(path: string): Promise<void> {
  const stat = lookAt(path)
  if (stat !== undefined && isFresh(stat, Date.now())) await setTimeout(STEP)
}

function lookAt(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    // A loop of links, a folder that is closed to us: reading it says so.
    return undefined
  }
}
