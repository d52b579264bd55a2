// URLs of endpoints: which of them are ours, what they listen on, and what ngrok takes otherwise. An `.internal` one is
// never bound.
import { describe } from "../../policy/describe.ts"
import { formatHostPort, parseIp } from "../../policy/address.ts"
import { ListenInvalid, parseListen, type ListenEntry } from "../../policy/listen.ts"
import { didYouMean, suggest } from "../../policy/suggest.ts"
import { isHostName, parsePort, splitHostPort } from "../../policy/target.ts"

export const BINDINGS = ["public", "internal", "kubernetes"] as const
export type Binding = (typeof BINDINGS)[number]
export type Protocol = "tcp" | "tls"

export interface EndpointUrl {
  /** One spelling per endpoint: lower case, and without the port 443 of `tls://`. */
  readonly text: string
  readonly protocol: Protocol
  /** A name, a pattern or an address in lower case, without brackets; `""` for none. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly binding: Binding
  /** Empty for what is reached by `forward-internal` alone. */
  readonly listen: readonly ListenEntry[]
}

export interface Remark {
  readonly field: "url" | "bindings"
  readonly message: string
  readonly hint: string | undefined
}

export type UrlRead =
  | { readonly kind: "ours"; readonly url: EndpointUrl; readonly remarks: readonly Remark[] }
  /** http:// and https://, and what ngrok takes for them. */
  | { readonly kind: "http"; readonly hint: string }
  | { readonly kind: "problem"; readonly problem: Remark }

const EXPECTED = "expected tcp://host:port or tls://name"
/** ngrok reserves addresses like these: `1.tcp.ngrok.io`, `0.tcp.eu.ngrok.io`. */
const RESERVED_ADDRESS = /^\d+\.tcp(\.[a-z0-9-]+)*\.ngrok\.io$/
/** The only port of a public `tls://` endpoint of ngrok's. */
const TLS_PORT = 443
/** ngrok: "at most 5 parts". */
const MOST_PARTS = 5

/** @param bindings as it is written; `undefined` for the one that follows from the URL */
export function readEndpointUrl(written: unknown, bindings: unknown): UrlRead {
  const bound = readBindings(bindings)
  if (typeof bound === "object") return { kind: "problem", problem: bound }
  if (written === undefined || written === null || written === "")
    return { kind: "http", hint: "without a URL ngrok makes it an https:// endpoint; write tcp://:5432 or tls://name" }
  if (typeof written !== "string") return bad(`${EXPECTED}, found ${describe(written)}`)
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(written)
  if (match === null) return withoutScheme(written)
  const scheme = match[1]!.toLowerCase()
  if (scheme === "http" || scheme === "https")
    return { kind: "http", hint: "tcp:// and tls:// endpoints are served here" }
  if (scheme !== "tcp" && scheme !== "tls") {
    const near = /^(ssl|sni|tsl|wss)$/.test(scheme) ? "tls" : (suggest(scheme, ["tcp", "tls"]) ?? "tcp")
    return bad(
      `${scheme}:// is not a scheme of endpoints: ${EXPECTED}; did you mean "${near}://${match[2]}"? (ERR_NGROK_9036)`,
    )
  }
  return readOurs(scheme, match[2]!, bound)
}

function bad(message: string, hint?: string, field: Remark["field"] = "url"): UrlRead & { readonly kind: "problem" } {
  return { kind: "problem", problem: { field, message, hint } }
}

function badBinding(message: string): Remark {
  return { field: "bindings", message, hint: undefined }
}

function readBindings(written: unknown): Binding | undefined | Remark {
  if (written === undefined || written === null) return undefined
  if (!Array.isArray(written)) return badBinding(`expected a list of one binding, found ${describe(written)}`)
  const [first, second] = written as readonly unknown[]
  if (first === undefined) return undefined
  if (second !== undefined)
    return badBinding(
      first === second
        ? `${describe(first)} stands here twice (ERR_NGROK_15006)`
        : `an endpoint has one binding, found ${written.length}: write two endpoints`,
    )
  const known = BINDINGS.find((one) => one === first)
  if (known !== undefined) return known
  // The operator's former way to name a cluster.
  if (typeof first === "string" && first.startsWith("k8s/")) return "kubernetes"
  const near = typeof first === "string" ? didYouMean(first, BINDINGS) : ""
  return badBinding(`${describe(first)} is no binding: expected ${BINDINGS.join(", ")} (ERR_NGROK_15005)${near}`)
}

/** ngrok takes names for https:// endpoints. */
function withoutScheme(written: string): UrlRead {
  if (!/^[\w.*-]+(:\d+)?$/.test(written)) return bad(`${JSON.stringify(written)}: ${EXPECTED} (ERR_NGROK_249)`)
  const scheme = /:\d+$/.test(written) && !written.endsWith(":443") ? "tcp" : "tls"
  return {
    kind: "http",
    hint: `without a scheme ngrok takes it for https://; write ${scheme}://${written} to have it served here`,
  }
}

function readOurs(protocol: Protocol, rest: string, bound: Binding | undefined): UrlRead {
  if (rest.endsWith("/") && !rest.slice(0, -1).includes("/"))
    return bad(`a trailing "/" is not allowed; did you mean "${protocol}://${rest.slice(0, -1)}"? (ERR_NGROK_9038)`)
  if (/[/?#@]/.test(rest))
    return bad(
      `expected nothing but a host and a port, like ${protocol}://${protocol === "tcp" ? "1.tcp.ngrok.io:12345" : "db.example.com"} (ERR_NGROK_9037)`,
    )
  if (rest === "")
    return protocol === "tcp"
      ? bad(
          "ngrok gives this a random address, and there is none to give here (ERR_NGROK_18003)",
          'write "tcp://:5432" for a port of all addresses, or "tcp://:0" for any free port',
        )
      : bad(
          "a tls:// endpoint has a name: clients are told apart by it (ERR_NGROK_249)",
          'write "tls://db.example.com", or "tls://:443" for clients of every name and of none',
        )
  const split = splitHostPort(rest)
  if (split === undefined) return bad(`${JSON.stringify(rest)} is not a host and a port: ${EXPECTED} (ERR_NGROK_249)`)
  const ip = parseIp(split.host)
  const host = split.host.toLowerCase().replace(/\.$/, "")
  if (split.port === "" && protocol === "tcp") return withoutPort(rest, host)
  const port = split.port === "" ? TLS_PORT : parsePort(split.port)
  if (port === undefined)
    return bad(
      `${JSON.stringify(split.port)} is not a port: expected 1 to 65535, or 0 for any free one (ERR_NGROK_9030)`,
    )
  const isInternal = ip === undefined && host.endsWith(".internal")
  const binding = bound ?? (isInternal ? "internal" : "public")
  if (isInternal && binding !== "internal")
    return bad(
      `${JSON.stringify(host)} is the name of an internal endpoint, which is not bound as ${binding}`,
      "leave bindings out, or write [internal]",
      "bindings",
    )
  const at = { protocol, host, port, binding } as const
  if (binding === "internal") return readInternal(at, split.bracketed)
  if (binding === "kubernetes") return readKubernetes(at, rest)
  return readPublic(at, rest, ip !== undefined)
}

function withoutPort(rest: string, host: string): UrlRead {
  const named = isHostName(host) && !RESERVED_ADDRESS.test(host) && !host.endsWith(".internal")
  return bad(
    `a tcp:// endpoint has a port, like "tcp://${rest}:5432" (ERR_NGROK_18003)`,
    named
      ? `ngrok takes no domain here, although its quickstart has one: a reserved TCP address like tcp://1.tcp.ngrok.io:12345; write "tcp://:5432" here, or "tls://${host}" if clients send the name in a TLS hello`
      : undefined,
  )
}

type Parts = Pick<EndpointUrl, "binding" | "host" | "port" | "protocol">

function readPublic({ binding, host, port, protocol }: Parts, rest: string, isAddress: boolean): UrlRead {
  const remarks: Remark[] = []
  const named = host !== "" && host !== "localhost" && !isAddress
  if (protocol === "tcp" && named) {
    if (host.includes("*"))
      return bad(
        `clients of a tcp:// endpoint send no name that ${JSON.stringify(host)} could match (ERR_NGROK_249)`,
        `write "tcp://:${port}", or "tls://${host}:${port}" if clients send the name in a TLS hello`,
      )
    if (!isHostName(host)) return bad(`${JSON.stringify(host)} is not a host: ${EXPECTED} (ERR_NGROK_326)`)
    if (!RESERVED_ADDRESS.test(host))
      remarks.push({
        field: "url",
        message: `port ${port} of all addresses is listened on: a tcp:// client says no name. ngrok itself takes no domain here, only a reserved TCP address like tcp://1.tcp.ngrok.io:12345`,
        hint: `write "tcp://:${port}", or "tls://${host}:${port}" if clients send the name in a TLS hello`,
      })
  }
  if (protocol === "tls" && port !== TLS_PORT)
    remarks.push({
      field: "url",
      message: `port ${port} is listened on; ngrok itself serves tls:// on port ${TLS_PORT} only, although some of its examples have others (ERR_NGROK_9035)`,
      hint: `for both, write "tls://${host}"`,
    })
  // The name of a tcp:// address is ngrok's; the port is ours.
  const where =
    protocol === "tcp" && named ? `:${port}` : rest.includes(":") && !rest.endsWith(":") ? rest : `${host}:${port}`
  return listening(protocol, host, port, binding, isAddress ? formatHostPort(host, port) : where, remarks)
}

function readInternal({ binding, host, port, protocol }: Parts, bracketed: boolean): UrlRead {
  if (host === "") return bad("an internal endpoint has a name, like tcp://db.internal:5432 (ERR_NGROK_9028)")
  if (bracketed || !host.endsWith(".internal"))
    return bad(
      `the URL of an internal endpoint ends in .internal (ERR_NGROK_9029)`,
      `write "${protocol}://${host.split(".")[0]}.internal:${port}", or leave bindings out`,
    )
  if (!isHostName(host.startsWith("*.") ? host.slice(2) : host))
    return bad(
      `${JSON.stringify(host)} is not a name; a "*" stands for whole labels at the start, like "*.db.internal" (ERR_NGROK_326)`,
    )
  if (port === 0) return bad("an internal endpoint has a port of its own: expected 1 to 65535 (ERR_NGROK_9030)")
  const parts = host.split(".").length - 1
  const remarks: Remark[] =
    parts <= MOST_PARTS
      ? []
      : [
          {
            field: "url",
            message: `${parts} parts before .internal; ngrok takes at most ${MOST_PARTS} (ERR_NGROK_9031)`,
            hint: undefined,
          },
        ]
  const url = { text: textOf(protocol, host, port), protocol, host, port, binding, listen: [] }
  return { kind: "ours", url, remarks }
}

function readKubernetes({ binding, host, port, protocol }: Parts, rest: string): UrlRead {
  if (!isHostName(host) || host.split(".").length !== 2)
    return bad(
      `an endpoint of a cluster is called name.namespace, found ${JSON.stringify(host)} (ERR_NGROK_9039)`,
      `write "${protocol}://db.default:${port}", or leave bindings out`,
    )
  const remarks: Remark[] = [
    {
      field: "bindings",
      message: `ngrok offers this endpoint inside of clusters; here it is a listener on port ${port} like others, and conn.k8s is not known`,
      hint: undefined,
    },
  ]
  if (protocol === "tls")
    remarks.push({
      field: "bindings",
      message:
        "ngrok's documentation says that endpoints of a cluster cannot be tls://, its API that they can; it is served here",
      hint: `for both, write "tcp://${host}:${port}": TLS passes through`,
    })
  const where = protocol === "tcp" ? `:${port}` : rest.includes(":") ? rest : `${host}:${port}`
  return listening(protocol, host, port, binding, where, remarks)
}

function listening(
  protocol: Protocol,
  host: string,
  port: number,
  binding: Binding,
  where: string,
  remarks: readonly Remark[],
): UrlRead {
  try {
    const listen = parseListen(`${protocol}://${where}`)
    return {
      kind: "ours",
      url: { text: textOf(protocol, host, port), protocol, host, port, binding, listen },
      remarks,
    }
  } catch (error) {
    if (!(error instanceof ListenInvalid)) throw error
    return bad(`${error.message.replace(/^listen "[^"]*": /, "")} (ERR_NGROK_249)`)
  }
}

/** As `forward-internal` and `endpoint.url` have it. */
export function textOf(protocol: Protocol, host: string, port: number): string {
  const isPlain = protocol === "tls" && port === TLS_PORT && isHostName(host.replace(/^\*\./, ""))
  return `${protocol}://${isPlain ? host : formatHostPort(host, port)}`
}
