// The `.internal` endpoints of all files: nobody listens there, `forward-internal` finds them.
import { ServerNames } from "../../policy/server-names.ts"
import { suggest } from "../../policy/suggest.ts"
import { readEndpointUrl, type EndpointUrl, type Protocol } from "./endpoint-url.ts"
import type { Group } from "./groups.ts"
import { ForwardFailure } from "./policy.ts"

/** 1,000: to look for a slip of the hand among more takes longer than it helps. */
const MOST_SUGGESTED = 1000
/** 1,000 URLs: a policy writes its URLs out, or makes them of names that it knows. */
const CACHED = 1000

export class InternalEndpoints {
  readonly groups: readonly Group[]
  /** Another one whenever one of them would do something else. */
  readonly key: string
  /** By protocol and port. */
  private readonly names = new Map<string, ServerNames<Group>>()
  private readonly found = new Map<string, Group | ForwardFailure>()

  constructor(groups: readonly Group[], key: string) {
    this.groups = groups
    this.key = key
    for (const group of groups) {
      const { host, port, protocol } = group.first.url
      const at = `${protocol}:${port}`
      const names = this.names.get(at) ?? new ServerNames<Group>()
      names.set(host, group)
      this.names.set(at, names)
    }
  }

  /** The most specific one; why there is none. @param from the protocol of whoever forwards */
  find(url: string, from: Protocol): Group | ForwardFailure {
    const key = `${from} ${url}`
    let found = this.found.get(key)
    if (found === undefined) {
      found = this.search(url, from)
      if (this.found.size >= CACHED) this.found.delete(this.found.keys().next().value!)
      this.found.set(key, found)
    }
    return found
  }

  /** The URL that was probably meant: of another port or protocol, or nearly of this name. */
  suggestion({ host, port, protocol }: EndpointUrl): EndpointUrl | undefined {
    const urls = this.groups.slice(0, MOST_SUGGESTED).map(({ first }) => first.url)
    const same = urls.filter((url) => url.host === host)
    const nearby = same.find((url) => url.protocol === protocol || url.port === port) ?? same[0]
    if (nearby !== undefined) return nearby
    const name = suggest(
      host,
      urls.map((url) => url.host),
    )
    return urls.find((url) => url.host === name && url.protocol === protocol) ?? urls.find((url) => url.host === name)
  }

  private search(url: string, from: Protocol): Group | ForwardFailure {
    const read = internalUrl(url)
    if (typeof read === "string") return new ForwardFailure("ERR_NGROK_2226", read)
    if (read.protocol !== from)
      return new ForwardFailure(
        "ERR_NGROK_2205",
        `a ${from}:// endpoint forwards to ${from}:// endpoints, found ${JSON.stringify(url)}`,
      )
    const group = this.names.get(`${read.protocol}:${read.port}`)?.find(read.host)
    return (
      group ?? new ForwardFailure("ERR_NGROK_3200", `the endpoint ${read.text} is offline: no file has one of this URL`)
    )
  }
}

/** 10,000 URLs that files write out. */
const CACHED_URLS = 10_000
const urls = new Map<string, EndpointUrl | string>()

/** The URL of an internal endpoint; why it is none. */
export function internalUrl(url: string): EndpointUrl | string {
  let known = urls.get(url)
  if (known !== undefined) return known
  known = parse(url)
  if (urls.size >= CACHED_URLS) urls.delete(urls.keys().next().value!)
  urls.set(url, known)
  return known
}

function parse(url: string): EndpointUrl | string {
  const read = readEndpointUrl(url, ["internal"])
  if (read.kind === "ours") return read.url
  return read.kind === "http"
    ? `${JSON.stringify(url)} is not a tcp:// or tls:// URL that ends in .internal`
    : `${JSON.stringify(url)}: ${read.problem.message}`
}
