// Reads what a policy file exports, and checks it.
import type { Connection, Summary } from "../policy/connection.ts"
import { describe } from "../policy/decision.ts"
import { milliseconds } from "../policy/duration.ts"
import { parseListen, type ListenEntry } from "../policy/listen.ts"
import type { PoolSpec } from "../policy/pool.ts"
import { suggest } from "../policy/suggest.ts"

/** The exports of one policy file, checked. */
export interface PolicyExports {
  readonly listen: readonly ListenEntry[] | undefined
  readonly deadline: number | undefined
  readonly setup: (() => unknown) | undefined
  readonly connect: (connection: Connection, resources: unknown) => unknown
  readonly closed: ((summary: Summary, resources: unknown) => void) | undefined
  readonly pools: ReadonlyMap<string, PoolSpec>
}

/** What is wrong with an export; `name` is the one it is about. */
export interface Fault {
  readonly message: string
  readonly hint?: string
  readonly name?: string
}

const FUNCTIONS = ["setup", "on_tcp_connect", "on_tcp_close"] as const
const KNOWN = ["listen", "deadline", "pools", ...FUNCTIONS] as const
/** `ports`, `posts` and `tools` are as near to `pools`, and are good names for something of one's own. */
const POOLS_MISSPELT = /^(pool|pols|poosl|polls|poolls|poools|opols)$/i
const LONG = KNOWN.filter((name) => name !== "pools")
/** 20: all that is wrong with pools is said at once, but not without end. */
const MOST_FAULTS = 20
const NO_POOLS: ReadonlyMap<string, PoolSpec> = new Map()

/** Reads pools, or says everything that is wrong with them. It needs effect, which not everybody who reads exports has. */
export type ReadPools = (value: unknown) => Promise<ReadonlyMap<string, PoolSpec> | readonly string[]>

/** Reads a module's namespace: named exports, or a default export that is an object of them or `on_tcp_connect` itself. */
export async function readExports(
  namespace: Readonly<Record<string, unknown>>,
  readPools: ReadPools,
): Promise<PolicyExports | readonly Fault[]> {
  const fromDefault = defaultExports(namespace["default"])
  const values: Record<string, unknown> = { ...fromDefault, ...namespace }
  const faults: Fault[] = []
  for (const name of Object.keys(values)) {
    const fault = nameFault(name, name in namespace && Object.hasOwn(fromDefault, name), values)
    if (fault !== undefined) faults.push(fault)
  }
  for (const name of FUNCTIONS) {
    const value = values[name]
    if (value === undefined || typeof value === "function") continue
    faults.push({ name, message: `${name}: expected a function, found ${describe(value)}` })
  }
  const listen = checked(faults, "listen", () =>
    values["listen"] === undefined ? undefined : parseListen(values["listen"]),
  )
  const deadline = checked(faults, "deadline", () => readDeadline(values["deadline"]))
  const pools = values["pools"] === undefined ? NO_POOLS : await checkedPools(faults, () => readPools(values["pools"]))
  if (values["on_tcp_connect"] === undefined && faults.length === 0) faults.push(missing(values))
  if (faults.length > 0) return faults
  return {
    listen,
    deadline,
    setup: values["setup"] as PolicyExports["setup"],
    connect: values["on_tcp_connect"] as PolicyExports["connect"],
    closed: values["on_tcp_close"] as PolicyExports["closed"],
    pools,
  }
}

/** Functions of a default export keep their object as `this`. */
function defaultExports(value: unknown): Record<string, unknown> {
  if (typeof value === "function") return { on_tcp_connect: value }
  if (typeof value !== "object" || value === null) return {}
  const found: Record<string, unknown> = {}
  // Methods of a class are not among the keys.
  const inherited = KNOWN.filter((name) => name in value)
  for (const name of [...Object.keys(value), ...inherited]) {
    const member = (value as Record<string, unknown>)[name]
    found[name] = typeof member === "function" ? member.bind(value) : member
  }
  return found
}

function nameFault(name: string, twice: boolean, values: Readonly<Record<string, unknown>>): Fault | undefined {
  if ((KNOWN as readonly string[]).includes(name)) {
    return twice ? { name, message: `${name} is exported by name and in the default export; leave one out` } : undefined
  }
  // Beside the export that it resembles a name is no slip: `listens` next to `listen`.
  const meant = POOLS_MISSPELT.test(name) ? "pools" : suggest(name, LONG)
  if (meant === undefined || values[meant] !== undefined) return undefined
  return { name, message: `${name} is not an export that a policy has; did you mean "${meant}"?` }
}

function missing(values: Readonly<Record<string, unknown>>): Fault {
  const names = Object.keys(values)
  const instead = names.length === 0 ? "it exports nothing" : `it exports ${names.join(", ")}`
  return {
    message: `on_tcp_connect is missing: ${instead}`,
    hint: "a policy has `export function on_tcp_connect(connection) { ... }`; files that are only imported belong in a sub-folder",
  }
}

function readDeadline(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const deadline = milliseconds(value, "deadline")
  if (deadline === 0)
    throw new RangeError("deadline: 0 would fail every answer that waits; leave it out for the default")
  return deadline
}

async function checkedPools(faults: Fault[], read: () => ReturnType<ReadPools>): Promise<PolicyExports["pools"]> {
  try {
    const found = await read()
    if ("get" in found) return found
    const more = found.length - MOST_FAULTS
    const messages = [...found.slice(0, MOST_FAULTS), ...(more > 0 ? [`pools: and ${more} more`] : [])]
    faults.push(...messages.map((message) => ({ name: "pools", message })))
  } catch (error) {
    // A getter of the policy's own.
    faults.push({ name: "pools", message: `pools: ${error instanceof Error ? error.message : String(error)}` })
  }
  return NO_POOLS
}

function checked<T>(faults: Fault[], name: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    faults.push({ name, message: error instanceof Error ? error.message : String(error) })
    return undefined
  }
}
