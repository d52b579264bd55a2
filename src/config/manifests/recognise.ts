// What kind of document a value is, by its content alone. What belongs to nobody is left alone: policies import data
// files that lie beside them.
import { didYouMean, suggest } from "../../policy/suggest.ts"
import { describe } from "../../policy/describe.ts"
import { problemAt, type Document, type ObjectDocument, type ObjectHead } from "./document.ts"
import type { Diagnostic } from "../diagnostic.ts"

/** The phases that ngrok has, old and new; a policy is known by them. */
const PHASES = [
  "on_tcp_connect",
  "on_http_request",
  "on_http_response",
  "on_event_stream_message",
  "inbound",
  "outbound",
]
/** What is at the top of each format. Whatever has none of them is no business of ours. */
const MARKS = [...PHASES, "apiVersion", "endpoints"]

export type Recognised =
  /** An ngrok traffic policy on its own. */
  | { readonly format: "traffic-policy"; readonly document: Document }
  /** An ngrok agent configuration. */
  | { readonly format: "agent"; readonly document: Document }
  | { readonly format: "object"; readonly document: ObjectDocument }
  /** @param of what kind of object it would be: many are none of ours */
  | { readonly format: "problem"; readonly problem: Diagnostic; readonly of?: ObjectKind }

type Problem = Extract<Recognised, { readonly format: "problem" }>

export interface ObjectKind {
  readonly group: string
  readonly kind: string
}

/** 64 KiB: what a file is shows at its beginning. */
export const LOOKED_AT = 64 * 1024
/** A key at the beginning of a line, or of a document. */
const KEYS = /^(?:---\s+\{?\s*)?["']?([A-Za-z_][\w-]*)["']?\s*:/gm
/** What Helm, or another one, has still to write out. */
const TEMPLATE = /^\s*\{\{/

/** Whether a text may hold documents of ours: cheap, and before anything is read in earnest. */
export function looksLikeManifest(text: string): boolean {
  const start = text.slice(0, LOOKED_AT)
  const beginning = isUtf16(start) ? start.slice(2).replaceAll("\0", "") : start
  const keys =
    /^\s*[[{]/.test(beginning) && !TEMPLATE.test(beginning)
      ? jsonKeys(beginning)
      : new Set([...beginning.matchAll(KEYS)].map(([, key]) => key!))
  for (const key of keys) if (isMark(key)) return true
  return isAgent(keys) || isObject(keys)
}

/** Read as UTF-8, the byte order mark of UTF-16 is two bytes that mean nothing; PowerShell's `>` writes such files. */
export function isUtf16(text: string): boolean {
  return text.startsWith("\uFFFD\uFFFD") && text.includes("\0")
}

const WORD = /[\w-]/

/** The keys of the object, or of the objects of a list, in quotes or as YAML has them; each character is looked at once. */
function jsonKeys(text: string): ReadonlySet<string> {
  const keys = new Set<string>()
  const deepest = text.trimStart().startsWith("[") ? 2 : 1
  let depth = 0
  for (let i = 0; i < text.length;) {
    const character = text[i]!
    let end = i + 1
    if (character === "{" || character === "[") depth++
    else if (character === "}" || character === "]") depth--
    else if (character === '"') {
      while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1
      if (depth === deepest && isKey(text, end + 1)) keys.add(text.slice(i + 1, end))
      end++
    } else if (WORD.test(character)) {
      while (end < text.length && WORD.test(text[end]!)) end++
      if (depth === deepest && isKey(text, end)) keys.add(text.slice(i, end))
    }
    i = end
  }
  return keys
}

/** Whether a colon stands there, after at most a few spaces. */
function isKey(text: string, at: number): boolean {
  return /^\s*:/.test(text.slice(at, at + 16))
}

/** ngrok's agent has configurations without endpoints, and old ones; others have a `version` too. */
function isAgent(names: ReadonlySet<string>): boolean {
  return names.has("version") && ["agent", "tunnels", "authtoken"].some((name) => names.has(name))
}

/** Whoever forgot the apiVersion, or misspelt it, wants to hear of it. */
function isObject(names: ReadonlySet<string>): boolean {
  return names.has("kind") && (names.has("metadata") || names.has("spec"))
}

/** A name that is nearly one of ours counts: whoever misspelt it wants to hear of it. */
function isMark(key: string): boolean {
  return MARKS.includes(key) || (key.length > 8 && suggest(key, PHASES) !== undefined)
}

/** One document to what it is; a `List` to what its items are. Nothing for an empty one. */
export function recognise(document: Document): readonly Recognised[] {
  const { value } = document
  if (value === null || value === undefined) return []
  if (typeof value !== "object" || Array.isArray(value))
    return [
      problem(
        document,
        [],
        `expected a traffic policy, an agent configuration or a Kubernetes object, found ${describe(value)}`,
      ),
    ]
  const names = Object.keys(value)
  if ("apiVersion" in value || "kind" in value) return objects(document, value)
  if (PHASES.some((phase) => names.includes(phase))) return [{ format: "traffic-policy", document }]
  if (names.includes("endpoints")) return [{ format: "agent", document }]
  if (isAgent(new Set(names))) return [{ format: "agent", document }]
  for (const name of names) {
    const meant = suggest(name, PHASES)
    if (meant !== undefined)
      return [
        problem(document, [name], `there is no phase ${JSON.stringify(name)}; did you mean ${JSON.stringify(meant)}?`),
      ]
  }
  return [
    problem(
      document,
      [],
      "this document is nothing that is known here: expected `on_tcp_connect`, `version: 3` with `endpoints`, or `apiVersion` and `kind`",
    ),
  ]
}

function objects(document: Document, value: object): readonly Recognised[] {
  const { apiVersion, items, kind, metadata } = value as Record<"apiVersion" | "items" | "kind" | "metadata", unknown>
  if (typeof apiVersion !== "string" || apiVersion === "") {
    const wants = 'a Kubernetes object needs an apiVersion like "gateway.networking.k8s.io/v1"'
    const name = apiVersion === undefined ? suggest("apiVersion", Object.keys(value)) : undefined
    if (name !== undefined) return [problem(document, [name], `${wants}, found ${JSON.stringify(name)}`)]
    return [problem(document, ["apiVersion"], `${wants}, found ${describe(apiVersion)}`)]
  }
  if (typeof kind !== "string" || kind === "") {
    const near = didYouMean("kind", Object.keys(value))
    return [
      problem(document, ["kind"], `a Kubernetes object needs a kind like "TCPRoute", found ${describe(kind)}${near}`),
    ]
  }
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/", 2) : ["", apiVersion]
  if (kind.endsWith("List")) {
    if (Array.isArray(items)) {
      const missing = kind === "List" ? {} : { apiVersion, kind: kind.slice(0, -"List".length) }
      return items.flatMap((_, i) => recognise(itemOf(document, i, missing)))
    }
    // How Go writes a list without items.
    if (items === null) return []
  }
  const head = headOf(document, group!, version!, kind, metadata)
  return "format" in head
    ? [{ ...head, of: { group: group!, kind } }]
    : [{ format: "object", document: { ...document, place: document.place, head } }]
}

/** One item of a `List`, as if it stood alone: the API itself leaves out what a `TCPRouteList` says already. */
function itemOf(document: Document, i: number, missing: object): Document {
  const { items } = document.value as { items: readonly unknown[] }
  const item = items[i]
  const says = typeof item === "object" && item !== null && !Array.isArray(item)
  return {
    ...document,
    value: says && !("apiVersion" in item) && !("kind" in item) ? { ...missing, ...item } : item,
    place: (path, what) => document.place(["items", i, ...path], what),
  }
}

/** RFC 1123 subdomain: what Kubernetes takes for the name of an object. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
/** 253 characters, as Kubernetes. */
const LONGEST_NAME = 253
/** Kinds that no namespace holds. */
const CLUSTER_WIDE = new Set(["GatewayClass", "Namespace"])

function headOf(
  document: Document,
  group: string,
  version: string,
  kind: string,
  metadata: unknown,
): ObjectHead | Problem {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata))
    return problem(document, ["metadata"], `expected an object with a name, found ${describe(metadata)}`)
  const { name, namespace } = metadata as { name?: unknown; namespace?: unknown }
  if (typeof name !== "string" || name === "")
    return problem(document, ["metadata", "name"], `expected a name, found ${describe(name)}`)
  if (!NAME.test(name) || name.length > LONGEST_NAME)
    return problem(
      document,
      ["metadata", "name"],
      `${JSON.stringify(name)} is not a name: expected lower-case letters, digits, "-" and ".", at most ${LONGEST_NAME}`,
    )
  if (
    namespace !== undefined &&
    namespace !== null &&
    (typeof namespace !== "string" || !NAME.test(namespace) || namespace.includes("."))
  )
    return problem(
      document,
      ["metadata", "namespace"],
      `expected the name of a namespace, found ${describe(namespace)}`,
    )
  const inNamespace = typeof namespace === "string" && namespace !== "" ? namespace : "default"
  return { group, version, kind, name, namespace: CLUSTER_WIDE.has(kind) ? "" : inNamespace }
}

function problem(document: Document, path: readonly PropertyKey[], message: string): Problem {
  return { format: "problem", problem: problemAt(document, path, message) }
}
