// What one file gives to the gateway, whatever it is written in: a policy in TypeScript, or a format that is compiled to
// the same. Everything after this knows no formats.
import type { Connection, Summary } from "../policy/connection.ts"
import type { Route } from "../policy/decision.ts"
import type { ListenEntry } from "../policy/listen.ts"
import type { PoolSpec } from "../policy/pool.ts"
import type { Diagnostic, Place } from "./diagnostic.ts"
import type { PolicyExports } from "./exports.ts"
import { placeOfExport } from "./failure.ts"
import type { MadeLimit } from "./limit-claims.ts"
import type { Module } from "./module-graph.ts"

/** Somebody who is asked about connections. */
export interface Rule {
  /** Which part of its file it is, as people know it: `TCPRoute default/db`. `undefined`: all of it. */
  readonly title: string | undefined
  /** `undefined`: asked on every listener. */
  readonly listen: readonly ListenEntry[] | undefined
  readonly deadline: number | undefined
  readonly connect: (connection: Connection, resources: unknown) => unknown
  readonly closed: ((summary: Summary, resources: unknown) => void) | undefined
  /** Asked after everybody else, also after those without `listen`; `"fallback"`: and after all others of these. */
  readonly last: boolean | "fallback"
  /** What it decides without looking at the connection, so that it can be checked before there is one. */
  readonly route: Route | undefined
  /** Where it says so. */
  place(what: "listen" | "route"): Place
}

export interface Contents {
  readonly setup: (() => unknown) | undefined
  /** In the order in which the file has them. */
  readonly rules: readonly Rule[]
  readonly pools: ReadonlyMap<string, PoolSpec>
  /** Absolute paths of databases that say where addresses are. */
  readonly geoip: readonly string[]
  /** The limits that it makes, as far as no code does. */
  readonly limits: readonly MadeLimit[]
  placeOfPool(name: string): Place
}

/** The modules that a file names which is none itself, by specifier. */
export type Modules = ReadonlyMap<string, Readonly<Record<string, unknown>>>

/** Compiles a file that is not a module. It touches no other file, and takes no longer than its text is long. */
export type Compile = (file: Module, modules: Modules) => Promise<Contents | readonly Diagnostic[]>

/** A policy file is one rule. */
export function contentsOf(module: Module, exports: PolicyExports): Contents {
  const { closed, connect, deadline, listen, pools, setup } = exports
  const place = () => placeOfExport(module, "listen")
  return {
    setup,
    rules: [{ title: undefined, listen, deadline, connect, closed, last: false, route: undefined, place }],
    pools,
    geoip: [],
    limits: [],
    placeOfPool: () => placeOfExport(module, "pools"),
  }
}
