// `tidegate status`: what the gateway of a policies folder is doing, as a table, as JSON, or as one word for a health
// check. Asks the running gateway and loads nothing itself.
import { gatewaySubject } from "../admin/control-path.ts"
import {
  askControl,
  ControlFailed,
  NotRunning,
  type AddressListStatus,
  type CertificateStatus,
  type DatabaseStatus,
  type FileStatus,
  type ListenerStatus,
  type Status,
} from "../admin/control.ts"
import { span } from "../observe/events.ts"
import { painter, wantsColor } from "../observe/paint.ts"
import { printable, printableJson } from "../observe/printable.ts"
import { columns, STATE_COLORS } from "./columns.ts"
import { asYaml } from "./object-yaml.ts"
import { poolTable } from "./pool-table.ts"

export interface StatusOptions {
  /** The policies folder of the gateway. */
  readonly folder: string
  /** Its configuration file; names the gateway where there is no folder. */
  readonly config?: string | undefined
  /** The control socket, where `serve --control` named one. */
  readonly control?: string | undefined
  /** `yaml`: the Kubernetes objects of manifests with their status. */
  readonly output: "table" | "json" | "yaml"
  /** Print one word, and count listeners that are down as not ready. @default false */
  readonly ready?: boolean | undefined
}

/** Prints the status. Gives the exit code: 0 when ready, 1 when not, or when there is no gateway to ask. */
export async function status(options: StatusOptions): Promise<number> {
  let found: Status
  let objects: readonly unknown[] = []
  try {
    const subject = gatewaySubject(options.folder, options.config)
    const control = { folder: subject, path: options.control }
    found = checked(await askControl(control, "status"))
    if (options.output === "yaml") objects = checkedList(await askControl(control, "objects"))
  } catch (error) {
    await Bun.write(Bun.stderr, `${help(error, options)}\n`)
    return 1
  }
  const word = readiness(found, options.ready === true)
  const text =
    options.ready === true
      ? word
      : options.output === "json"
        ? JSON.stringify(found, null, 2).split("\n").map(printableJson).join("\n")
        : options.output === "yaml"
          ? asYaml(objects)
          : table(found, word)
  await Bun.write(Bun.stdout, `${text}\n`)
  return word === "ready" ? 0 : 1
}

function checked(value: unknown): Status {
  if (typeof value === "object" && value !== null && "listeners" in value && "ready" in value) return value as Status
  const told = typeof value === "object" && value !== null && "error" in value ? String(value.error) : undefined
  throw new ControlFailed(told ?? "the gateway's answer is not a status; is it another version of Tidegate?")
}

function checkedList(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new ControlFailed("the gateway's answer is no list of objects; is it another version of Tidegate?")
}

function readiness(found: Status, listeners: boolean): "ready" | "draining" | "not ready" | "listeners down" {
  if (found.draining) return "draining"
  if (!found.ready) return "not ready"
  return listeners && found.listeners.some(({ state }) => state === "down") ? "listeners down" : "ready"
}

function help(error: unknown, options: StatusOptions): string {
  if (error instanceof ControlFailed) {
    const paths = options.control === undefined ? "; with serve --control PATH, give status the same" : ""
    return error instanceof NotRunning
      ? `tidegate: ${error.message}\n  Start one with: tidegate serve ${options.folder}${paths}`
      : `tidegate: ${error.message}`
  }
  const code = error instanceof Error && "code" in error ? error.code : undefined
  if (code === "ENOENT") return `tidegate: there is no folder ${options.folder}`
  return `tidegate: ${error instanceof Error ? error.message : String(error)}`
}

function table(found: Status, word: string): string {
  const paint = painter(wantsColor(1))
  const { certificates = [], connections, listeners, files, lists = [], databases = [], pools = [], events } = found
  const state = (name: string) => paint(STATE_COLORS[name] ?? "bold", name)
  const held = connections.held === undefined || connections.held === 0 ? "" : `, ${connections.held} of them held`
  const since = span(Date.now() - Date.parse(found.startedAt))
  const lines = [
    `${state(word)}  pid ${found.pid}, version ${printable(found.version)}, up ${since}, snapshot ${printable(found.snapshot)}`,
    `${connections.active} of at most ${connections.max} connections${held}, ${connections.accepted} accepted since the start`,
  ]
  if (events.dropped > 0) lines.push(paint("yellow", `${events.dropped} events dropped: they were not read in time`))
  const heads = ["LISTENER", "STATE", "ADDRESS", "ACTIVE", "POLICIES"]
  const named = listeners.some(({ names }) => names !== undefined)
  const rows = listeners.map((listener) => [...listenerRow(listener), ...(named ? [shownNames(listener)] : [])])
  lines.push("", ...columns(paint, named ? [...heads, "NAMES"] : heads, rows))
  for (const { name, error } of listeners)
    if (error !== undefined) lines.push(`  ${printable(name)}: ${printable(error)}`)
  lines.push("", ...columns(paint, ["FILE", "STATE", "VERSION"], files.map(fileRow)))
  for (const { problems } of files)
    for (const problem of problems) lines.push(...problem.split("\n").map((line) => `  ${printable(line)}`))
  lines.push(...poolTable(paint, pools))
  if (certificates.length > 0)
    lines.push("", ...columns(paint, ["CERTIFICATE", "EXPIRES", "KEY", "NAMES"], certificates.map(certificateRow)))
  if (lists.length > 0)
    lines.push("", ...columns(paint, ["ADDRESS LIST", "STATE", "PREFIXES", "LOADED"], lists.map(listRow)))
  if (databases.length > 0)
    lines.push("", ...columns(paint, ["DATABASE", "STATE", "BUILT", "TYPE"], databases.map(databaseRow)))
  for (const { problem } of [...lists, ...databases]) if (problem !== undefined) lines.push(`  ${printable(problem)}`)
  return lines.join("\n")
}

function listRow({ file, loaded, prefixes, problem, took }: AddressListStatus): string[] {
  const state = problem === undefined ? "good" : "kept"
  return [file, state, String(prefixes), `${loaded.slice(0, 19).replace("T", " ")}Z in ${took} ms`]
}

function databaseRow({ built, file, problem, type }: DatabaseStatus): string[] {
  return [file, problem === undefined ? "good" : "kept", built.slice(0, 10), type]
}

function listenerRow(listener: ListenerStatus): string[] {
  const { name, state, address, active, files } = listener
  return [name, state, address ?? "-", String(active), files.join(", ") || "-"]
}

/** 3: a row is a line. */
const MOST_NAMES = 3

function shownNames({ names }: ListenerStatus): string {
  return names === undefined ? "-" : some(names.first, names.count)
}

function certificateRow({ algorithm, expires, file, names }: CertificateStatus): string[] {
  return [file, expires.slice(0, 10), algorithm, some(names, names.length) || "-"]
}

function some(names: readonly string[], count: number): string {
  const shown = names.slice(0, MOST_NAMES)
  return `${shown.join(", ")}${count === shown.length ? "" : ` and ${count - shown.length} more`}`
}

function fileRow(file: FileStatus): string[] {
  return [file.file, file.state, file.version ?? "-"]
}
