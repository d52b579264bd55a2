// What is found wrong with a document, or worth a look, while it is read.
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type Document } from "../manifests/document.ts"

export type Path = readonly PropertyKey[]

export class Findings {
  readonly document: Document
  readonly problems: Diagnostic[] = []
  readonly warnings: Diagnostic[] = []

  constructor(document: Document) {
    this.document = document
  }

  problem(path: Path, message: string, hint?: string, what?: "key" | "value"): void {
    this.problems.push(problemAt(this.document, path, message, hint, what))
  }

  warn(path: Path, message: string, hint?: string): void {
    this.warnings.push(problemAt(this.document, path, message, hint))
  }
}
