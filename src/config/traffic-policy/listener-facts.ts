// What a policy that is nobody's endpoint is told as `endpoint.*`: the listener that the connection came to.
import { formatHostPort } from "../../policy/address.ts"
import type { Connection } from "../../policy/connection.ts"
import { parsePort, splitHostPort } from "../../policy/target.ts"
import { digestOf } from "../module-graph.ts"
import type { EndpointFacts } from "./cel/index.ts"

/** 1,000 listeners: more than a folder has. */
const KEPT = 1000

export class ListenerFacts {
  private readonly owner: string
  private readonly known = new Map<string, EndpointFacts>()

  constructor(owner: string) {
    this.owner = owner
  }

  of({ listener: { url }, server }: Connection): EndpointFacts {
    let facts = this.known.get(url)
    if (facts === undefined) {
      facts = this.read(url, server.port)
      if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value!)
      this.known.set(url, facts)
    }
    return facts
  }

  private read(url: string, bound: number | undefined): EndpointFacts {
    const [, scheme = "", rest = ""] = /^([a-z]+):\/\/(.*)$/.exec(url) ?? []
    const split = splitHostPort(rest)
    const host = split?.host ?? ""
    // Of a listener on any free port, the one that it got.
    const port = parsePort(split?.port ?? "") || (bound ?? 0)
    return Object.freeze({
      id: `ep_${digestOf(`${this.owner} ${url}`)}`,
      url,
      addr: formatHostPort(host, port),
      host,
      port,
      protocol: scheme === "tls" ? "tls" : "tcp",
    })
  }
}
