// What was measured on: the machine and the version of everything, for the report.
import { readFileSync } from "node:fs"
import { availableParallelism, cpus, release, totalmem, type } from "node:os"
import { OWN, PEERS } from "./systems.ts"

export interface Machine {
  readonly date: string
  readonly cores: number
  readonly processor: string
  readonly memory: string
  readonly kernel: string
  readonly system: string
  readonly bun: string
  readonly versions: Readonly<Record<string, string>>
}

export function machine(): Machine {
  const systems = [...OWN, ...PEERS].filter((system) => system.missing() === undefined)
  return {
    date: new Date().toISOString(),
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `${type()} ${release()}`,
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease())?.[1] ?? "unknown",
    bun: Bun.version,
    versions: Object.fromEntries(systems.map((system) => [system.name, system.version()])),
  }
}

function osRelease(): string {
  try {
    return readFileSync("/etc/os-release", "utf8")
  } catch {
    return ""
  }
}
