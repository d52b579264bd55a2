// Which module has called a function of ours, by the stack: what a policy names, like files, it names as seen from its
// own place, and what it makes lives as long as its code.
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

export interface Caller {
  /** The file that called, as people know it: an absolute path. */
  readonly path: string
  /** The policy's module that the call comes from, as its loader names it; `undefined` where no loader knows it. */
  readonly module: string | undefined
}

/** Tells the path of a module that it has loaded under a name of its own; `undefined` for all others. */
export type Loading = (module: string) => string | undefined

/** The gateway's own files: whoever calls from elsewhere is meant. */
const OWN = `${dirname(dirname(fileURLToPath(import.meta.url)))}/`
/** 50: our own functions, and some of the policy's libraries. */
const FRAMES = 50
/** As engines write it: `at name (place:1:2)`, or without the name and the parentheses. */
const FRAME = /^\s*at (?:.*? \()?((?:file:\/\/)?\/.*):\d+:\d+\)?$/

const loadings = new Set<Loading>()

/** From now on the modules of a loader are known. */
export function addLoading(loading: Loading): Disposable {
  loadings.add(loading)
  return { [Symbol.dispose]: () => void loadings.delete(loading) }
}

/**
 * Who called the function of ours that calls this. An engine may leave out a function that ended in `return ours()`:
 * then it is who called that one.
 */
export function caller(): Caller | undefined {
  const frames = stack().filter((place) => !place.startsWith(OWN))
  const [first] = frames
  if (first === undefined) return undefined
  for (const frame of frames) {
    const path = pathOf(frame)
    if (path !== undefined) return { path: frame === first ? path : unversioned(first), module: frame }
  }
  return { path: unversioned(first), module: undefined }
}

function pathOf(module: string): string | undefined {
  for (const loading of loadings) {
    const path = loading(module)
    if (path !== undefined) return path
  }
  return undefined
}

/** Where each frame lies, the innermost first. */
function stack(): string[] {
  const before = Error.stackTraceLimit
  // Whoever shortens stacks means those that are shown.
  Error.stackTraceLimit = FRAMES
  const { stack = "" } = new Error("who calls?")
  Error.stackTraceLimit = before
  return stack.split("\n").flatMap((line) => {
    const place = FRAME.exec(line)?.[1]
    if (place === undefined) return []
    return [place.startsWith("file://") ? fileURLToPath(place) : place]
  })
}

/** Without what a loader or a reload has put behind the path. */
function unversioned(place: string): string {
  return place.replace(/\?.*$/, "")
}
