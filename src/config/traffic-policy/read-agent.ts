// An ngrok agent configuration, `version: 3`, from a document to a checked value.
import type { Document, Read } from "../manifests/document.ts"

export interface AgentDocument {
  readonly document: Document
}

export function readAgent(document: Document): Read<AgentDocument> {
  return { value: { document }, problems: [], warnings: [] }
}
