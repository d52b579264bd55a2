// Where an endpoint leads: ngrok's ways to write an upstream, and two of ours.
import { describe } from "../../policy/describe.ts"
import { parsePort, parseTarget, splitHostPort, TargetInvalid } from "../../policy/target.ts"

export type Upstream =
  | { readonly kind: "target"; readonly url: string; readonly host: string; readonly port: number }
  | { readonly kind: "pool"; readonly name: string }

export type UpstreamRead =
  | { readonly upstream: Upstream; readonly warning: string | undefined }
  | { readonly problem: string; readonly hint: string | undefined }

const EXPECTED = "expected a port, host:port, tcp://host:port, tls://host:port, unix:/path or pool://name"
/** What ngrok's SDK takes where no port is written. */
const DEFAULT_PORTS = { tcp: 80, tls: 443 } as const
const POOL = /^pool:\/\/(.*)$/
const POOL_NAME = /^[a-z][a-z0-9-]*$/

/** A host that is left out is `localhost`. */
export function readUpstream(written: unknown): UpstreamRead {
  if (typeof written !== "number" && typeof written !== "string") return bad(`${EXPECTED}, found ${describe(written)}`)
  const text = String(written).trim()
  if (text === "") return bad(`${EXPECTED}, found an empty text`)
  const pool = POOL.exec(text)
  if (pool !== null)
    return POOL_NAME.test(pool[1]!)
      ? { upstream: { kind: "pool", name: pool[1]! }, warning: undefined }
      : bad(
          `${JSON.stringify(pool[1])} is not the name of a pool: expected lower-case letters, digits and "-", a letter first`,
        )
  if (/^\d+$/.test(text)) {
    const port = parsePort(text)
    return port === undefined || port === 0
      ? bad(`${text} is not a port: expected 1 to 65535`)
      : target(`tcp://localhost:${port}`)
  }
  if (text.startsWith("unix:")) return target(text)
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text)
  const scheme = match?.[1]!.toLowerCase() ?? "tcp"
  const rest = (match?.[2] ?? text).replace(/\/$/, "")
  if (scheme !== "tcp" && scheme !== "tls") {
    const near = /^(https|ssl|wss)$/.test(scheme) ? "tls" : "tcp"
    const split = splitHostPort(rest)
    const port = split?.port === "" ? `:${DEFAULT_PORTS[near]}` : ""
    return bad(`${scheme}:// is not for bytes that pass through: ${EXPECTED}; did you mean "${near}://${rest}${port}"?`)
  }
  const split = splitHostPort(rest)
  if (split === undefined || (rest === "" && match !== null)) return bad(`${JSON.stringify(text)}: ${EXPECTED}`)
  const bracketed = split.bracketed ? `[${split.host}]` : split.host
  const host = bracketed === "" ? "localhost" : bracketed
  if (split.port !== "") return target(`${scheme}://${host}:${split.port}`)
  const assumed = `${scheme}://${host}:${DEFAULT_PORTS[scheme]}`
  const read = target(assumed)
  return "problem" in read
    ? read
    : {
        ...read,
        warning: `no port is written, and ${DEFAULT_PORTS[scheme]} is taken, as ngrok does; write ${JSON.stringify(assumed)}`,
      }
}

function target(url: string): UpstreamRead {
  try {
    const found = parseTarget(url)
    const [host, port] = found.kind === "unix" ? ["", 0] : [found.host, found.port]
    return { upstream: { kind: "target", url: found.url, host, port }, warning: undefined }
  } catch (error) {
    if (error instanceof TargetInvalid)
      return bad(error.message.replace(/^target "[^"]*": /, `${JSON.stringify(url)}: `))
    throw error
  }
}

function bad(problem: string, hint?: string): UpstreamRead {
  return { problem, hint }
}
