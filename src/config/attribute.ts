// Says which policy an error comes from: an unhandled rejection, a throw in a timer, a failed answer.
import { relative } from "node:path"
import { shownPath, shownPlace } from "./diagnostic.ts"
import { placeOfExport } from "./failure.ts"
import type { Frame, Instances } from "./instances.ts"
import type { PolicyVersion } from "./snapshot.ts"
import type { Version } from "./version.ts"

export interface Attribution {
  readonly policy: Pick<PolicyVersion, "file" | "version" | "failures">
  /** `file:line:column` of the innermost line of the stack that is in a file of the policy. */
  readonly position?: string
  /** The stack has no line of the policy: the position is only that of its `on_tcp_connect`. */
  readonly vague?: true
}

/** 5: deep enough for wrapped errors, and an end for causes that go in circles. */
const DEEPEST_CAUSE = 5
/** 1,000 versions that are gone, or that never came to serve, have their failures counted. */
const MOST_STRAYS = 1000

/** Failures of code that no live version has: a timer of an old version that nobody stopped. */
const strays = new Map<string, PolicyVersion["failures"]>()

/** Where versions have their `on_tcp_connect`: found by parsing, which a broken policy under load is not to cost each time. */
const places = new WeakMap<Version, string>()

/** The policy whose file is in the stack of the error, or of one of its causes; else `asked`. */
export function attribute(
  error: unknown,
  folder: string,
  instances: Instances,
  versions: Iterable<Version>,
  asked?: PolicyVersion,
): Attribution | undefined {
  let at = error
  for (let depth = 0; depth < DEEPEST_CAUSE && at instanceof Error; depth++, at = at.cause) {
    const found = byStack(at.stack ?? "", folder, instances, versions)
    if (found !== undefined) return found
  }
  return asked === undefined ? undefined : byName(asked, versions)
}

/**
 * JavaScriptCore leaves no line of a function that ended in `return route("db")`: a call in that place takes the
 * function's place on the stack. The function itself is the nearest that can be named then.
 */
function byName(policy: PolicyVersion, versions: Iterable<Version>): Attribution {
  const version = [...versions].find(({ failures }) => failures === policy.failures)
  if (version === undefined) return { policy }
  let position = places.get(version)
  if (position === undefined) {
    position = shownPlace(placeOfExport(version.facts.held.entry.module, "on_tcp_connect"))
    places.set(version, position)
  }
  return { policy, position, vague: true }
}

function byStack(
  stack: string,
  folder: string,
  instances: Instances,
  versions: Iterable<Version>,
): Attribution | undefined {
  const frames = instances.frames(stack)
  const [first] = frames
  if (first === undefined) return stray(stack, folder)
  const { line, column } = first
  const position = shownPlace({ path: first.instance.module.path, line, column })
  const version = owner(frames, versions)
  if (version === undefined) return { ...stray(first.instance.specifier, folder)!, position }
  const { file, hash } = version.facts
  return { policy: { file, version: hash, failures: version.failures }, position }
}

/** The policy whose own file is in the stack; else one that imports the file which is. */
function owner(frames: readonly Frame[], versions: Iterable<Version>): Version | undefined {
  const all = [...versions]
  for (const { instance } of frames) {
    const own = all.find(({ facts }) => facts.held.entry === instance)
    if (own !== undefined) return own
  }
  return all.find(({ facts }) => facts.held.all.has(frames[0]!.instance))
}

function stray(stack: string, folder: string): Attribution | undefined {
  const match = /(\/.*)\?h=([0-9a-f]{12})-\d+(?::(\d+):(\d+))?/.exec(stack)
  if (match === null) return undefined
  const [specifier, path = "", version = "", line, column] = match
  const inside = relative(folder, path)
  const policy = {
    file: inside.startsWith("..") ? shownPath(path) : inside,
    version,
    failures: strayFailures(specifier),
  }
  return line === undefined ? { policy } : { policy, position: `${shownPath(path)}:${line}:${column}` }
}

function strayFailures(specifier: string): PolicyVersion["failures"] {
  const id = /^.*\?h=[0-9a-f]{12}-\d+/.exec(specifier)![0]
  const known = strays.get(id)
  if (known !== undefined) return known
  const failures = { count: 0, logged: new Set<string>() }
  strays.set(id, failures)
  if (strays.size > MOST_STRAYS) strays.delete(strays.keys().next().value!)
  return failures
}
