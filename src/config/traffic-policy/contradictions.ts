// Where ngrok's own material contradicts itself, and an author may have believed the wrong half: told with what to write.
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type Document } from "../manifests/document.ts"

type Path = readonly PropertyKey[]

interface Trap {
  readonly pattern: RegExp
  readonly message: string
  readonly hint: string
}

const TRAPS: readonly Trap[] = [
  {
    pattern: /\bconn\.(server|client)_port\s*(==|!=)\s*["']|["']\s*(==|!=)\s*conn\.(server|client)_port\b/,
    message: "a port is a number, also where an example of ngrok's has it as a text: this is never equal",
    hint: "write it without quotes, like conn.server_port == 443",
  },
  {
    pattern: /k8s\.ngrok\.com\//,
    message: "annotations of pods begin with ngrok.com/ for ngrok's operator; k8s.ngrok.com/ stands in its guide only",
    hint: "write ngrok.com/",
  },
]

/** 64: as deep as documents are. */
const DEEPEST = 64

/** All that a policy says against what is so. */
export function trapsIn(document: Document, path: Path, value: unknown): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  walk(value, path, 0, (text, at) => {
    for (const { hint, message, pattern } of TRAPS)
      if (pattern.test(text)) found.push(problemAt(document, at, message, hint))
  })
  return found
}

/** Annotations with the prefix that only the guide has. */
export function annotationTraps(
  document: Document,
  annotations: Readonly<Record<string, string>>,
): readonly Diagnostic[] {
  return Object.keys(annotations)
    .filter((name) => name.startsWith("k8s.ngrok.com/"))
    .map((name) =>
      problemAt(
        document,
        ["metadata", "annotations", name],
        "ngrok's operator reads annotations that begin with ngrok.com/; k8s.ngrok.com/ stands in its guide only",
        `write ${JSON.stringify(name.slice("k8s.".length))}`,
        "key",
      ),
    )
}

function walk(value: unknown, path: Path, depth: number, each: (text: string, path: Path) => void): void {
  if (typeof value === "string") return each(value, path)
  if (typeof value !== "object" || value === null || depth > DEEPEST) return
  if (Array.isArray(value)) value.forEach((inner, i) => walk(inner, [...path, i], depth + 1, each))
  else for (const [name, inner] of Object.entries(value)) walk(inner, [...path, name], depth + 1, each)
}

/** Whether a policy may hand connections to internal endpoints. */
export function mayForward(value: unknown): boolean {
  let found = false
  walk(value, [], 0, (text) => {
    found ||= text.includes("forward-internal")
  })
  return found
}
