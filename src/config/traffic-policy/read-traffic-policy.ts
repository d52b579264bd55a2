// A document that is a traffic policy and nothing else: asked on every listener, on those that its `listen` names, or by
// the endpoint that names its file.
import { ListenInvalid, parseListen, type ListenEntry } from "../../policy/listen.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type Document, type Read } from "../manifests/document.ts"
import { mayForward, trapsIn } from "./contradictions.ts"
import { readPolicy, type Situation, type TrafficPolicy } from "./policy.ts"

export interface PolicyDocument {
  readonly document: Document
  /** As nobody's endpoint has it; `undefined` with {@link problems}. */
  readonly policy: TrafficPolicy | undefined
  readonly listen: readonly ListenEntry[] | undefined
  /** The policy as it is written, without `listen`. */
  readonly value: unknown
  readonly forwards: boolean
  /** Of one with phases of HTTP alone: nothing, as long as it is an http:// endpoint's. */
  readonly problems: readonly Diagnostic[]
  /** What is told of it wherever it is. */
  readonly warnings: readonly Diagnostic[]
}

/** Phases that ngrok has, and nobody here. */
const HTTP_PHASES = ["on_http_request", "on_http_response", "on_event_stream_message"]

export function isHttpPhase(name: string): boolean {
  return HTTP_PHASES.includes(name)
}

export function readTrafficPolicy(document: Document): Read<PolicyDocument> {
  const { listen: written, ...value } = document.value as Readonly<Record<string, unknown>>
  const listen = written === undefined ? undefined : entries(document, written)
  if (listen !== undefined && "message" in listen) return { value: undefined, problems: [listen], warnings: [] }
  const read = readPolicy(document, [], value, situationOf(listen))
  const warnings = [...read.warnings, ...trapsIn(document, [], value)]
  const known = { document, listen, value, forwards: mayForward(value), warnings }
  if (read.value === undefined && isForHttp(value) && listen === undefined)
    return { value: { ...known, policy: undefined, problems: read.problems }, problems: [], warnings }
  if (read.value === undefined) return { value: undefined, problems: read.problems, warnings }
  return { value: { ...known, policy: read.value, problems: [] }, problems: [], warnings }
}

function entries(document: Document, written: unknown): readonly ListenEntry[] | Diagnostic {
  try {
    return parseListen(written)
  } catch (error) {
    if (!(error instanceof ListenInvalid)) throw error
    return problemAt(document, ["listen"], error.message.replace(/^listen:? /, ""))
  }
}

/** What its listeners read before it is asked decides what it may look at. */
function situationOf(listen: readonly ListenEntry[] | undefined): Situation {
  const schemes = new Set(listen?.map(({ scheme }) => (scheme === "tls" ? "tls" : "tcp")))
  const [only, other] = schemes
  return { protocol: other === undefined ? (only ?? "unknown") : "unknown", endpoint: "file", isInternal: false }
}

function isForHttp(value: object): boolean {
  const phases = Object.keys(value)
  return phases.some(isHttpPhase) && !phases.includes("on_tcp_connect")
}
