// A document that is a traffic policy and nothing else.
import type { Document, Read } from "../manifests/document.ts"

export interface PolicyDocument {
  readonly document: Document
}

export function readTrafficPolicy(document: Document): Read<PolicyDocument> {
  return { value: { document }, problems: [], warnings: [] }
}
