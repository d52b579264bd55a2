// Reads policy files and everything that they import. A file is read again only when its stat says that it changed;
// the hash of a module covers its bytes and those of all modules that it reaches.
import { readFileSync, realpathSync, type BigIntStats } from "node:fs"
import { dirname, relative } from "node:path"
import { dataProblem } from "./data.ts"
import { diagnostic, placeAt, type Diagnostic, type Place } from "./diagnostic.ts"
import { parseFailures } from "./failure.ts"
import { lookAt, realPath } from "./look-at.ts"
import { isCode, kindOf, type ModuleKind } from "./module-kind.ts"
import { importOffset } from "./named-import.ts"
import { resolve, type Resolution } from "./resolve.ts"
import { scan, type ImportSite } from "./specifiers.ts"
import { NO_DATABASE } from "../policy/geo.ts"
import { distrust } from "../trust.ts"

/** What one file held when it was read. */
export interface Module {
  /** The path by which it was found. */
  readonly path: string
  /** The path with all links resolved: where its imports start from. */
  readonly real: string
  /** Names the file over swaps of links: see {@link ModuleGraph.keyOf}. */
  readonly key: string
  readonly kind: ModuleKind
  readonly text: string
  readonly digest: string
  readonly imports: readonly ImportSite[]
  readonly exports: readonly string[]
  /** Where it imports `geo` from us; `undefined` where it does not. */
  readonly geoAt: number | undefined
  /** Not readable, not trusted, not to be parsed. */
  readonly problems: readonly Diagnostic[]
  /** Milliseconds since the epoch. */
  readonly savedAt: number
}

/** A module among the modules that it imports, as found by one walk. */
export interface Node {
  readonly module: Module
  readonly links: Map<ImportSite, Node>
  /** Imports that lead nowhere. */
  readonly problems: Diagnostic[]
  /** What else it depends on, as a hash; `""` for modules. */
  salt: string
  /** Of the text that serves, where that is an older one. @default that of the module */
  digest: string | undefined
  hash: string | undefined
}

interface Read {
  readonly signature: string
  /** Read so soon after the last change that another one may carry the same time stamps. */
  readonly unsure: boolean
  readonly module: Module
}

/** 4 MiB: a policy is some lines; a larger file is a slip, and is read on the thread that serves. */
const LARGEST = 4 * 1024 * 1024
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ELOOP: "its links lead in a circle",
  EACCES: "permission denied",
}
/** 100 ms: file systems stamp times in steps of up to 10 ms, network file systems by another clock. */
const UNSURE_FOR = 100

export class ModuleGraph {
  private readonly folder: string
  private readonly hasDatabases: boolean
  private realFolder: string
  private reads = new Map<string, Read>()
  private seen = new Map<string, Read>()
  private nodes = new Map<Module, Node>()
  private resolved = new Map<string, Resolution>()
  private trusted = new Map<string, Diagnostic | undefined>()

  /**
   * @param folder absolute path of the policies folder
   * @param hasDatabases whether `geo` has any
   */
  constructor(folder: string, hasDatabases: boolean) {
    this.folder = folder
    this.realFolder = folder
    this.hasDatabases = hasDatabases
  }

  /** Starts a walk: every file is looked at once, and all entries see the same text of it. */
  begin(): void {
    this.realFolder = realPath(this.folder)
    this.seen = new Map()
    this.nodes = new Map()
    this.resolved = new Map()
    this.trusted = new Map()
  }

  /** The module of a file, with everything that it reaches. @param type what it is, whatever its extension says */
  entry(path: string, type?: "text"): Node {
    return this.node(this.read(path, type))
  }

  /** Ends a walk: what it did not meet is forgotten. */
  end(): void {
    this.reads = this.seen
  }

  /** The folders whose changes can change the outcome of the last walk, apart from the policies folder itself. */
  folders(): string[] {
    const wanted = [...this.resolved.values()].flatMap((found) => (found.kind === "missing" && found.wanted) || [])
    const files = [...this.reads.keys(), ...[...this.reads.values()].map(({ module }) => module.real), ...wanted]
    return [...new Set(files.map((file) => dirname(file)))]
  }

  /** 12 hex digits over the bytes of the module and of everything that it reaches. */
  hashOf(node: Node): string {
    if (node.hash !== undefined) return node.hash
    const others = reach(node).filter((other) => other !== node)
    const parts = others.map(({ module, problems }) => [module.key, module.kind, module.digest, faults(problems)])
    parts.sort((a, b) => (a.join() < b.join() ? -1 : 1))
    node.hash = digestOf(
      JSON.stringify([
        node.digest ?? node.module.digest,
        faults(node.problems),
        parts,
        ...(node.salt === "" ? [] : [node.salt]),
      ]),
    )
    return node.hash
  }

  private node(module: Module): Node {
    const known = this.nodes.get(module)
    if (known !== undefined) return known
    const node: Node = { module, links: new Map(), problems: [], salt: "", digest: undefined, hash: undefined }
    this.nodes.set(module, node)
    const distrusted = this.distrustOf(dirname(module.real))
    if (distrusted !== undefined) node.problems.push(distrusted)
    const { geoAt, path, text } = module
    if (geoAt !== undefined && !this.hasDatabases)
      node.problems.push(diagnostic(placeAt(path, text, geoAt), NO_DATABASE, undefined, text))
    for (const site of module.imports) this.follow(node, site)
    return node
  }

  /** Who may write to a sub-folder can replace what is imported from it. The policies folder itself is the loader's. */
  private distrustOf(folder: string): Diagnostic | undefined {
    if (!folder.startsWith(`${this.realFolder}/`)) return undefined
    if (this.trusted.has(folder)) return this.trusted.get(folder)
    const stat = lookAt(folder)
    const found = stat === undefined ? undefined : distrust(folder, stat)
    const problem =
      found === undefined ? this.distrustOf(dirname(folder)) : diagnostic({ path: folder }, found.message, found.hint)
    this.trusted.set(folder, problem)
    return problem
  }

  /** Adds a module that a file names which is none itself; what cannot be found is a problem there. */
  link(node: Node, specifier: string, place: Place): void {
    const found = this.resolve(specifier, dirname(node.module.real))
    // One file may name it for another.
    const text = place.path === node.module.path ? node.module.text : undefined
    if (found.kind === "missing") node.problems.push(diagnostic(place, found.message, found.hint, text))
    else if (found.kind !== "file" || kindOf(found.path, undefined) === undefined)
      node.problems.push(diagnostic(place, `${JSON.stringify(specifier)} is no module of this folder`, undefined, text))
    else node.links.set({ specifier, start: 0, end: 0, type: undefined }, this.node(this.read(found.path, undefined)))
  }

  private follow(node: Node, site: ImportSite): void {
    const { path, real, text } = node.module
    const found = this.resolve(site.specifier, dirname(real))
    if (found.kind === "missing") {
      node.problems.push(diagnostic(placeAt(path, text, site.start), found.message, found.hint, text))
    }
    if (found.kind === "file" && kindOf(found.path, site.type) !== undefined) {
      node.links.set(site, this.node(this.read(found.path, site.type)))
    }
  }

  private resolve(specifier: string, folder: string): Resolution {
    const id = `${folder}\0${specifier}`
    let found = this.resolved.get(id)
    if (found === undefined) {
      found = resolve(specifier, folder)
      this.resolved.set(id, found)
    }
    return found
  }

  private read(path: string, type: string | undefined): Module {
    const id = type === undefined ? path : `${path}\0${type}`
    const seen = this.seen.get(id)
    if (seen !== undefined) return seen.module
    const stat = lookAt(path)
    const signature = stat === undefined ? "" : signatureOf(stat)
    let read = this.reads.get(id)
    if (read === undefined || read.unsure || read.signature !== signature) {
      // The stat is older than the text: a change in between is seen by the next walk.
      const unsure = stat === undefined || Date.now() - Number(stat.ctimeMs) < UNSURE_FOR
      const module = this.load(path, kindOf(path, type) ?? "text", stat)
      read = { signature, unsure, module: read !== undefined && isSame(read.module, module) ? read.module : module }
    }
    this.seen.set(id, read)
    return read.module
  }

  private load(path: string, kind: ModuleKind, stat: BigIntStats | undefined): Module {
    const failed = (message: string, hint?: string): Module => ({
      path,
      real: path,
      key: this.keyOf(path),
      kind,
      text: "",
      digest: digestOf(message),
      imports: [],
      exports: [],
      geoAt: undefined,
      problems: [diagnostic({ path }, message, hint)],
      savedAt: Number(stat?.mtimeMs ?? 0),
    })
    if (stat?.isFile() === false) return failed("cannot be read: it is not a file")
    if (stat !== undefined && stat.size > LARGEST)
      return failed(`${stat.size} bytes; such a file has at most ${LARGEST}`)
    try {
      const real = realpathSync(path)
      if (stat === undefined) return failed("cannot be read: it has just come or gone")
      const distrusted = distrust(real, stat)
      if (distrusted !== undefined) return failed(distrusted.message, distrusted.hint)
      const text = readFileSync(real, "utf8").replace(/^\uFEFF/, "")
      const facts = { path, real, key: this.keyOf(real), kind, digest: digestOf(text), savedAt: Number(stat.mtimeMs) }
      return { ...facts, ...parse(path, kind, text) }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return failed(`cannot be read: ${REASONS[code ?? ""] ?? code ?? String(error)}`)
    }
  }

  /**
   * The path from the policies folder to the file, the same whichever folder a link points to now: with a ConfigMap
   * (`..data -> ..2026_01`), and with `current -> releases/42`. So a module that a swap did not change stays loaded.
   */
  private keyOf(real: string): string {
    return relative(this.realFolder, real).replace(/(^|\/)\.\.[^/]+(?=\/)/g, "$1..data")
  }
}

/** The node and all nodes that it reaches, in the order of the imports. */
export function reach(node: Node): Node[] {
  const found = new Set([node])
  for (const next of found) for (const link of next.links.values()) found.add(link)
  return [...found]
}

export function digestOf(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 12)
}

function parse(
  path: string,
  kind: ModuleKind,
  source: string,
): Pick<Module, "text" | "imports" | "exports" | "geoAt" | "problems"> {
  const none = { imports: [], exports: [], geoAt: undefined }
  if (!isCode(kind)) return { text: source, ...none, problems: dataProblem(path, kind, source) }
  // Bun's parser takes `#!` in files only.
  const text = source.startsWith("#!") ? `//${source.slice(2)}` : source
  try {
    const { exports, imports } = scan(text, kind)
    const own = imports.filter(({ specifier }) => specifier === "tidegate")
    return { text, imports, exports, geoAt: importOffset(text, kind, own, "geo"), problems: [] }
  } catch (error) {
    return { text, ...none, problems: parseFailures(path, text, error) }
  }
}

function signatureOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
}

/** A file that was only touched, or swapped for an equal one. */
function isSame(a: Module, b: Module): boolean {
  return a.digest === b.digest && a.real === b.real && a.problems.length === 0 && b.problems.length === 0
}

function faults(problems: readonly Diagnostic[]): string[] {
  return problems.map(({ message }) => message)
}
