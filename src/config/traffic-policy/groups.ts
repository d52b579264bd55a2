// Endpoints of one URL: those that share it as a pool, and those that contradict each other.
import { byName } from "../compile.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt } from "../manifests/document.ts"
import { identity } from "../../policy/listen.ts"
import type { Endpoint } from "./endpoint.ts"

/** Endpoints that serve one URL by turns. */
export class Group {
  /** By file and title. */
  readonly members: readonly Endpoint[]
  private turn = -1

  constructor(members: readonly Endpoint[]) {
    this.members = members
  }

  /** In whose file the rule is. */
  get first(): Endpoint {
    return this.members[0]!
  }

  /** Each member comes up equally often. */
  pick(): Endpoint {
    this.turn = (this.turn + 1) % this.members.length
    return this.members[this.turn]!
  }
}

/** An endpoint that does not serve, because of another one. */
export interface Refused {
  readonly endpoint: Endpoint
  readonly problem: Diagnostic
  readonly message: string
}

export interface Grouped {
  readonly groups: readonly Group[]
  readonly refused: readonly Refused[]
}

/** The first to be saved was there first; one that contradicts it does not serve. */
export function groupEndpoints(endpoints: readonly Endpoint[]): Grouped {
  const byUrl = new Map<string, Endpoint[]>()
  const refused: Refused[] = []
  const refuse = (endpoint: Endpoint, path: readonly PropertyKey[], message: string, hint: string) =>
    void refused.push({ endpoint, message, problem: problemAt(endpoint.document, path, message, hint) })
  const claims = new Map<string, Endpoint>()
  for (const endpoint of endpoints.toSorted(wasFirst)) {
    const { at, url } = endpoint
    const rival = rivalOf(endpoint, claims)
    if (rival !== undefined) {
      refuse(
        endpoint,
        at.url,
        `${url.text} and ${rival.url.text} of ${whereIs(rival, endpoint)} are one address and port`,
        rivalHint(endpoint, rival),
      )
      continue
    }
    const key = keyOf(endpoint)
    const members = byUrl.get(key)
    const first = members?.[0]
    if (members === undefined || first === undefined) {
      byUrl.set(key, [endpoint])
      continue
    }
    if (!endpoint.pooling || !first.pooling) {
      const code = endpoint.pooling ? "ERR_NGROK_18016" : "ERR_NGROK_18017"
      refuse(
        endpoint,
        endpoint.pooling ? at.url : at.pooling,
        `${url.text} is the URL of ${whereIs(first, endpoint)} already (${code})`,
        POOLING_HINT,
      )
    } else members.push(endpoint)
  }
  const groups = [...byUrl.values()].map((members) => new Group(members.length > 1 ? members.sort(inOrder) : members))
  return { groups, refused }
}

const POOLING_HINT =
  "endpoints share a URL when each of them has pooling enabled: write `pooling_enabled: true` (of a CloudEndpoint `poolingEnabled: true`) in all of them. Here URL and pooling may change at any time; ngrok's manual says that they cannot, its API that they can"

/** What an earlier endpoint of another URL, scheme or binding has taken. Takes it otherwise. */
function rivalOf(endpoint: Endpoint, claims: Map<string, Endpoint>): Endpoint | undefined {
  const { document, url } = endpoint
  for (const { bind } of url.listen) {
    const id = identity(bind, document.source.file)
    const known = claims.get(id)
    if (known === undefined) continue
    const other = known.url
    if (other.protocol !== url.protocol || other.binding !== url.binding) return known
    // Names tell clients apart where they send them.
    if (url.protocol === "tcp" && other.text !== url.text) return known
  }
  for (const { bind } of url.listen) {
    const id = identity(bind, document.source.file)
    if (!claims.has(id)) claims.set(id, endpoint)
  }
  return undefined
}

function rivalHint({ url }: Endpoint, rival: Endpoint): string {
  return url.protocol === "tcp" && rival.url.protocol === "tcp"
    ? "clients of tcp:// say no name that they could be told apart by: write another port, or tls:// URLs"
    : "a listener has one scheme: write another port"
}

function keyOf({ document, url }: Endpoint): string {
  // Any free port is another one in each file.
  const file = url.port === 0 ? document.source.file : ""
  return `${url.protocol} ${url.host} ${url.port} ${url.binding} ${file}`
}

/** As messages name an endpoint to another one. */
function whereIs({ document, title }: Endpoint, from: Endpoint): string {
  return document.source.file === from.document.source.file ? title : `${title} in ${document.source.file}`
}

function wasFirst(a: Endpoint, b: Endpoint): number {
  return a.document.source.savedAt - b.document.source.savedAt || byPlace(a, b)
}

function inOrder(a: Endpoint, b: Endpoint): number {
  return byName(a.document.source.file, b.document.source.file) || byName(a.title, b.title)
}

/** In one file, the one further up. */
function byPlace(a: Endpoint, b: Endpoint): number {
  const files = byName(a.document.source.file, b.document.source.file)
  if (files !== 0) return files
  return a.document.index - b.document.index || Number(a.at.url[1] ?? 0) - Number(b.at.url[1] ?? 0) || 0
}
