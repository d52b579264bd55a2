// What a process holds, from /proc.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { eventually } from "./eventually.ts"

/** Resident memory in bytes. */
export function memoryOf(pid: number): number {
  return statusOf(pid, "VmRSS")
}

/** The most resident memory that it has had, in bytes. */
export function peakOf(pid: number): number {
  return statusOf(pid, "VmHWM")
}

function statusOf(pid: number, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return Number(found![1]) * 1024
}

/** Descriptors that are open. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Seconds on a CPU, over all threads. */
export function cpuOf(pid: number): number {
  let nanoseconds = 0
  for (const tid of readdirSync(`/proc/${pid}/task`))
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, "utf8").split(" ")[0])
  return nanoseconds / 1e9
}

/** Resolves when it holds no more descriptors than that. */
export async function givenBack(pid: number, descriptors: number): Promise<void> {
  await eventually(() => descriptorsOf(pid) <= descriptors)
}

/** From here on {@link peakOf} is that of the time since. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5")
}
