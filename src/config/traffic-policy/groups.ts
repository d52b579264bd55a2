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
    if (this.members.length === 1) return this.members[0]!
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
  const refused: Refused[] = []
  const byUrl = new Map<string, Endpoint[]>()
  for (const endpoint of endpoints) {
    const { key } = claimOf(endpoint)
    const members = byUrl.get(key)
    if (members === undefined) byUrl.set(key, [endpoint])
    else members.push(endpoint)
  }
  const groups = [...byUrl.values()].map((members) =>
    members.length === 1 ? new Group(members) : new Group(poolOf(members.toSorted(wasFirst), refused).sort(inOrder)),
  )
  return { groups: withoutRivals(groups, refused), refused }
}

const POOLING_HINT =
  "endpoints share a URL when each of them has pooling enabled: write `pooling_enabled: true` (of a CloudEndpoint `poolingEnabled: true`) in all of them. Here URL and pooling may change at any time; ngrok's manual says that they cannot, its API that they can"

/** The endpoints of one URL that share it; the first one is alone with it unless all of them have pooling enabled. */
function poolOf(endpoints: readonly Endpoint[], refused: Refused[]): Endpoint[] {
  const first = endpoints[0]!
  return endpoints.filter((endpoint) => {
    if (endpoint === first || (endpoint.pooling && first.pooling)) return true
    const [code, path] = endpoint.pooling
      ? (["ERR_NGROK_18016", endpoint.at.url] as const)
      : (["ERR_NGROK_18017", endpoint.at.pooling] as const)
    const message = `${endpoint.url.text} is the URL of ${whereIs(first, endpoint)} already (${code})`
    refused.push({ endpoint, message, problem: problemAt(endpoint.document, path, message, POOLING_HINT) })
    return false
  })
}

/** Without those that need an address and port which an earlier one has for another scheme or URL. */
function withoutRivals(groups: readonly Group[], refused: Refused[]): readonly Group[] {
  const claims = new Map<string, Group>()
  for (const group of groups) {
    for (const id of claimOf(group.first).ids) {
      const known = claims.get(id)
      if (known === undefined || wasFirst(group.first, known.first) < 0) claims.set(id, group)
    }
  }
  return groups.filter((group) => {
    const rival = rivalOf(group, claims)
    if (rival === undefined) return true
    for (const endpoint of group.members) {
      const { at, document, url } = endpoint
      const { first } = rival
      const message = `${url.text} and ${first.url.text} of ${whereIs(first, endpoint)} are one address and port`
      refused.push({ endpoint, message, problem: problemAt(document, at.url, message, hintFor(endpoint, first)) })
    }
    return false
  })
}

function rivalOf(group: Group, claims: ReadonlyMap<string, Group>): Group | undefined {
  for (const id of claimOf(group.first).ids) {
    const other = claims.get(id)
    if (other !== undefined && other !== group && excludes(other.first, group.first)) return other
  }
  return undefined
}

function excludes({ url: a }: Endpoint, { url: b }: Endpoint): boolean {
  if (a.protocol !== b.protocol) return true
  // Names tell clients apart where they send them.
  return a.protocol === "tcp" || a.binding !== b.binding
}

function hintFor({ url }: Endpoint, rival: Endpoint): string {
  return url.protocol === "tcp" && rival.url.protocol === "tcp"
    ? "clients of tcp:// say no name that they could be told apart by: write another port, or tls:// URLs"
    : "a listener has one scheme: write another port"
}

/** What of an endpoint others may have as well. */
interface Claim {
  /** Equal for endpoints of one URL. */
  readonly key: string
  /** The listeners that it needs. */
  readonly ids: readonly string[]
}

const claimed = new WeakMap<Endpoint, Claim>()

function claimOf(endpoint: Endpoint): Claim {
  let known = claimed.get(endpoint)
  if (known !== undefined) return known
  const { document, url } = endpoint
  const { file } = document.source
  known = {
    // Any free port is another one in each file.
    key: `${url.protocol} ${url.host} ${url.port} ${url.binding} ${url.port === 0 ? file : ""}`,
    ids: url.listen.map(({ bind }) => identity(bind, file)),
  }
  claimed.set(endpoint, known)
  return known
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
  const { source: from } = a.document
  const { source: to } = b.document
  return byName(from.file, to.file) || (a.places.listen.line ?? 0) - (b.places.listen.line ?? 0)
}
