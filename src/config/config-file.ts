// tidegate.yaml: its text to what a policy file would give.
import { dirname, resolve } from "node:path"
import { next, type Route } from "../policy/decision.ts"
import { identity, parseListen, type ListenEntry } from "../policy/listen.ts"
import type { PoolSpec } from "../policy/pool.ts"
import { configName } from "./config-source.ts"
import type { Contents, Rule } from "./contents.ts"
import { diagnostic, type Diagnostic, type Place } from "./diagnostic.ts"
import type { Module } from "./module-graph.ts"
import { poolSpecs } from "./pools.ts"
import { decode, shownFault, type Fault } from "./schema/faults.ts"
import { file as schema, type Configuration } from "./schema/file.ts"
import { listenOf, routeOf } from "./schema/listener.ts"
import { readYaml, type YamlDocument } from "./yaml.ts"

/** 20: all that is wrong is said at once, but not without end. */
const MOST_PROBLEMS = 20

/** Compiles the text of the file. */
export async function compileConfig({ path, text }: Module): Promise<Contents | readonly Diagnostic[]> {
  const { documents, problems } = readYaml(path, text)
  if (problems.length > 0) return problems
  const [document, second] = documents
  if (document === undefined || document.value === null) return [diagnostic({ path }, "the file is empty")]
  if (second !== undefined)
    return [diagnostic(second.place([]), "a second document begins here; the file is one", undefined, text)]
  const decoded = decode(schema, document.value)
  if ("faults" in decoded) return shown(decoded.faults, document, path, text)
  const listeners = (decoded.value.listeners ?? []).map((written) => ({
    listen: parseListen(listenOf(written)),
    route: routeOf(written),
  }))
  const twice = namedTwice(listeners, configName(path))
  return twice.length > 0
    ? shown(twice, document, path, text)
    : contents(path, document, listeners, poolSpecs(decoded.value.pools ?? {}), databases(decoded.value))
}

interface Listener {
  readonly listen: readonly ListenEntry[]
  readonly route: Route | undefined
}

function contents(
  path: string,
  document: YamlDocument,
  listeners: readonly Listener[],
  pools: ReadonlyMap<string, PoolSpec>,
  geoip: readonly string[],
): Contents {
  // The document is many times as large as what it says, and is not kept.
  const places = new Map([...pools.keys()].map((name) => [name, document.place(["pools", name], "key")]))
  return {
    setup: undefined,
    rules: listeners.map((listener, i) => ruleOf(listener, document, i)),
    pools,
    geoip: geoip.map((database) => resolve(dirname(path), database)),
    limits: [],
    placeOfPool: (name) => places.get(name) ?? { path },
  }
}

/** Like a policy that names the listener, and answers the route, or `next` where there is none. */
function ruleOf({ listen, route: decided }: Listener, document: YamlDocument, i: number): Rule {
  const places: Record<"listen" | "route", Place> = {
    listen: document.place(["listeners", i, "url"]),
    route: document.place(["listeners", i, "route"]),
  }
  const answer = decided ?? next
  return {
    title: undefined,
    listen,
    deadline: undefined,
    connect: () => answer,
    closed: undefined,
    last: true,
    route: decided,
    place: (what) => places[what],
  }
}

/** Two entries of one listener and name would have two routes. */
function namedTwice(listeners: readonly Listener[], file: string): Fault[] {
  const seen = new Map<string, number>()
  return listeners.flatMap(({ listen }, i) =>
    listen.flatMap(({ bind, pattern, scheme, url }) => {
      const key = `${scheme} ${identity(bind, file)} ${pattern ?? ""}`
      const first = seen.get(key)
      if (first === undefined) seen.set(key, i)
      return first === undefined || first === i
        ? []
        : [{ path: ["listeners", i, "url"], message: `${url} is listeners[${first}] already` }]
    }),
  )
}

function databases({ geoip }: Configuration): readonly string[] {
  return geoip === undefined ? [] : typeof geoip === "string" ? [geoip] : geoip
}

/** In the order of the text. */
function shown(faults: readonly Fault[], document: YamlDocument, path: string, text: string): Diagnostic[] {
  const placed = faults.map((fault) => ({ fault, place: document.place(fault.path, fault.unknown ? "key" : "value") }))
  placed.sort(({ place: a }, { place: b }) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  const first = placed
    .slice(0, MOST_PROBLEMS)
    .map(({ fault, place }) => diagnostic(place, shownFault(fault), undefined, text))
  const more = faults.length - first.length
  return more > 0 ? [...first, diagnostic({ path }, `and ${more} more problems in this file`)] : first
}
