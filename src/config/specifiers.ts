// Finds the import specifiers of a source text, and replaces them. Bun's parser says what is imported but not where,
// so each place where the specifier stands in quotes is tried: put a mark there, and see whether the parser reports it.

export type CodeLoader = "ts" | "tsx" | "js" | "jsx"

/** One specifier in a source text. */
export interface ImportSite {
  readonly specifier: string
  /** Offsets of the specifier, without its quotes. */
  readonly start: number
  readonly end: number
  /** The `type` of its import attributes. */
  readonly type: string | undefined
}

/** The imports and exports that a text has when it runs: type-only ones are not among them. */
export interface Scanned {
  readonly imports: readonly ImportSite[]
  readonly exports: readonly string[]
}

/** An import that the parser reports and that stands nowhere in the text as it is: it is written with escapes. */
export class ImportNotFound extends Error {
  override readonly name = "ImportNotFound"
}

interface Span {
  readonly specifier: string
  readonly start: number
  readonly end: number
}

const FOLLOWED = new Set(["import-statement", "dynamic-import", "require-call"])
const ATTRIBUTE =
  /^["'`]\s*(?:,\s*\{\s*)?(?:with|assert)\s*:?\s*\{\s*(?:type|["']type["'])\s*:\s*["']([^"']*)["']\s*,?\s*\}/

const transpilers = new Map<CodeLoader, Bun.Transpiler>()

function transpiler(loader: CodeLoader): Bun.Transpiler {
  let known = transpilers.get(loader)
  if (known === undefined) {
    // TypeScript drops an import of which no value is used, and so does Bun when it runs the file.
    known = new Bun.Transpiler({ loader, trimUnusedImports: loader === "ts" || loader === "tsx" })
    transpilers.set(loader, known)
  }
  return known
}

/** Scans a module. @throws what Bun's parser throws (BuildMessage, AggregateError), ImportNotFound */
export function scan(text: string, loader: CodeLoader): Scanned {
  // `scan` leaves out what `require` asks for, and only it knows the exports.
  const { exports } = transpiler(loader).scan(text)
  const specifiers = new Set([...imported(text, loader), ...unreported(text)])
  if (specifiers.size === 0) return { imports: [], exports }
  const mark = unusedMark(text)
  const sites = layers(spans(text, specifiers)).flatMap((layer) => confirmed(text, loader, layer, mark))
  sites.sort((a, b) => a.start - b.start)
  for (const specifier of imported(marked(text, sites, mark), loader)) {
    if (!specifier.startsWith(mark)) throw new ImportNotFound(specifier)
  }
  const imports = sites.map((site) => ({ ...site, type: ATTRIBUTE.exec(text.slice(site.end, site.end + 200))?.[1] }))
  return { imports, exports }
}

/** Where the text exports `name`, by the same trick. */
export function exportOffset(text: string, loader: CodeLoader, name: string): number | undefined {
  const mark = unusedMark(text).replaceAll("-", "_")
  for (const { index } of text.matchAll(new RegExp(`(?<![\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`, "g"))) {
    // A declaration takes the mark as its name, and `export { name }` as the name that it is exported under.
    for (const marked of [mark, `${name} as ${mark}`]) {
      if (exportsMark(text.slice(0, index) + marked + text.slice(index + name.length), loader, mark)) return index
    }
  }
  return undefined
}

function exportsMark(text: string, loader: CodeLoader, mark: string): boolean {
  try {
    return transpiler(loader).scan(text).exports.includes(mark)
  } catch {
    // The name stood where a mark breaks the syntax or a declaration, so it was not the exported one.
    return false
  }
}

function imported(text: string, loader: CodeLoader): Set<string> {
  const found = transpiler(loader).scanImports(text)
  return new Set(found.filter(({ kind }) => FOLLOWED.has(kind)).map(({ path }) => path))
}

/** `import("./größe.ts")` is not reported: Bun leaves out dynamic imports that are not ASCII. Every such string is tried. */
function unreported(text: string): string[] {
  const found: string[] = []
  for (const line of /[^\0-\x7f]/.test(text) ? text.split("\n") : []) {
    for (const { 0: quote, index } of line.matchAll(/["'`]/g)) {
      const end = line.indexOf(quote, index + 1)
      const inner = line.slice(index + 1, Math.max(end, index + 1))
      if (/[^\0-\x7f]/.test(inner)) found.push(inner)
    }
  }
  return found
}

function unusedMark(text: string): string {
  let mark = "tidegate-import-"
  while (text.includes(mark)) mark += "x-"
  return mark
}

/** Every place where one of the specifiers stands in quotes: in code, but also in comments and strings. */
function spans(text: string, specifiers: Iterable<string>): Span[] {
  const found: Span[] = []
  for (const specifier of specifiers) {
    for (const quote of ['"', "'", "`"]) {
      const literal = quote + specifier + quote
      for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + 1)) {
        found.push({ specifier, start: at + 1, end: at + 1 + specifier.length })
      }
    }
  }
  return found.sort((a, b) => a.start - b.start || a.end - b.end)
}

/** Spans that overlap cannot be tried together. */
function layers(all: readonly Span[]): Span[][] {
  const result: Span[][] = []
  let rest = all
  while (rest.length > 0) {
    const layer: Span[] = []
    const later: Span[] = []
    for (const span of rest) (span.start > (layer.at(-1)?.end ?? -1) ? layer : later).push(span)
    result.push(layer)
    rest = later
  }
  return result
}

function confirmed(text: string, loader: CodeLoader, layer: readonly Span[], mark: string): Span[] {
  try {
    const found = imported(marked(text, layer, mark), loader)
    return layer.filter((span) => found.has(mark + span.start))
  } catch {
    // A mark broke the text, so one of the spans was no specifier: try fewer at a time.
    if (layer.length === 1) return []
    const half = layer.length >> 1
    return [layer.slice(0, half), layer.slice(half)].flatMap((part) => confirmed(text, loader, part, mark))
  }
}

function marked(text: string, layer: readonly Span[], mark: string): string {
  return replaceSpans(text, layer, (span) => `${text[span.end]}${mark}${span.start}${text[span.end]}`)
}

/** Replaces what stands in quotes, with the quotes. */
function replaceSpans<S extends Span>(text: string, sorted: readonly S[], replacement: (span: S) => string): string {
  let result = ""
  let from = 0
  for (const span of sorted) {
    result += text.slice(from, span.start - 1) + replacement(span)
    from = span.end + 1
  }
  return result + text.slice(from)
}

/** A replaced specifier: how the columns behind it moved. Columns count from 1, in the rewritten text. */
export interface Shift {
  readonly line: number
  readonly end: number
  readonly by: number
}

/** Replaces specifiers; lines stay, and `shifts` tell how columns moved. `undefined` leaves a specifier as it is. */
export function rewrite(
  text: string,
  imports: readonly ImportSite[],
  target: (site: ImportSite) => string | undefined,
): { readonly text: string; readonly shifts: readonly Shift[] } {
  const shifts: Shift[] = []
  let line = 1
  let lineStart = 0
  let moved = 0
  const rewritten = replaceSpans(text, imports, (site) => {
    for (let at = text.indexOf("\n", lineStart); at >= 0 && at < site.start; at = text.indexOf("\n", lineStart)) {
      line++
      lineStart = at + 1
      moved = 0
    }
    const wanted = target(site)
    if (wanted === undefined) return text.slice(site.start - 1, site.end + 1)
    const literal = quoted(wanted)
    const by = literal.length - site.specifier.length - 2
    moved += by
    shifts.push({ line, end: site.end - lineStart + 2 + moved, by })
    return literal
  })
  return { text: rewritten, shifts }
}

/** The column in the original text of a column in the rewritten one. */
export function originalColumn(shifts: readonly Shift[], line: number, column: number): number {
  let original = column
  for (const shift of shifts) if (shift.line === line && column >= shift.end) original -= shift.by
  return original
}

/** In double quotes whatever stood there: in backquotes a specifier with escapes is none to the parser. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`)
}
