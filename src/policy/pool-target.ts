// Targets of pools: those of routes, and names that follow the DNS.
import { parseIp } from "./address.ts"
import type { TargetSpec } from "./pool.ts"
import {
  EXPECTED_TARGET,
  isHostName,
  parsePort,
  parseTarget,
  splitHostPort,
  TargetInvalid,
  type Target,
} from "./target.ts"

export const EXPECTED_POOL_TARGET =
  "expected tcp://host:port, tls://host:port, unix:/path, dns://name:port or srv://_service._proto.name"

/**
 * Parses the URL of a pool's target.
 * @param tls whether what the DNS names is to be encrypted
 * @throws TargetInvalid
 */
export function parsePoolTarget(text: string, tls: boolean): Pick<TargetSpec, "url" | "source"> {
  const [, scheme = "", rest = ""] = /^([a-z]+):\/\/(.*)$/i.exec(text) ?? []
  const kind = scheme.toLowerCase()
  if (kind === "dns") return dnsTarget(text, rest, tls)
  if (kind === "srv") return srvTarget(text, rest, tls)
  const target = ordinary(text)
  if (tls)
    throw invalid(
      text,
      `tls is for dns:// and srv://${target.kind === "tcp" ? `; write ${target.url.replace("tcp:", "tls:")}` : ""}`,
    )
  return { url: target.url, source: { kind: "target", target } }
}

function ordinary(text: string): Target {
  try {
    return parseTarget(text)
  } catch (error) {
    if (!(error instanceof TargetInvalid)) throw error
    throw new TargetInvalid(error.message.replace(EXPECTED_TARGET, EXPECTED_POOL_TARGET))
  }
}

function dnsTarget(text: string, rest: string, tls: boolean): Pick<TargetSpec, "url" | "source"> {
  const split = splitHostPort(rest)
  if (split === undefined) throw invalid(text, "expected dns://name:port")
  if (split.bracketed || parseIp(split.host) !== undefined)
    throw invalid(text, `an address does not follow the DNS; write tcp://${rest}`)
  if (split.port === "") throw invalid(text, `a target needs a port, like dns://${split.host || "db.internal"}:5432`)
  const port = parsePort(split.port)
  if (port === undefined || port === 0)
    throw invalid(text, `${JSON.stringify(split.port)} is not a port: expected 1 to 65535`)
  if (!isHostName(split.host)) throw invalid(text, `${JSON.stringify(split.host)} is not a host name`)
  const host = split.host.toLowerCase()
  return { url: `dns://${host}:${port}`, source: { kind: "dns", host, port, tls } }
}

function srvTarget(text: string, rest: string, tls: boolean): Pick<TargetSpec, "url" | "source"> {
  if (/:\d+$/.test(rest)) throw invalid(text, "SRV records have the port: leave it out")
  // RFC 2782: _service._proto.name
  const service = rest.toLowerCase()
  if (!isHostName(service) || !/^_[^.]+\._[^.]+\.[^.]/.test(service))
    throw invalid(text, "expected srv://_service._proto.name, like srv://_postgresql._tcp.db.internal")
  return { url: `srv://${service}`, source: { kind: "srv", service, tls } }
}

function invalid(text: string, why: string): TargetInvalid {
  return new TargetInvalid(`target ${JSON.stringify(text)}: ${why}`)
}
