// Who a simulated connection comes from: a client, or one for which a load balancer speaks by a PROXY header.
import { formatIp, parseIp, type Ip } from "./address.ts"
import { describe } from "./describe.ts"
import { checkFacts, FactsInvalid } from "./first-bytes.ts"
import type { ProxyFacts, ProxySsl } from "./proxy-facts.ts"
import { parsePort, splitHostPort } from "./target.ts"

/** What a PROXY header says; what is left out it does not say. */
export interface ProxyGiven extends Partial<Omit<ProxyFacts, "ssl">> {
  readonly ssl?: Partial<ProxySsl>
}

export interface SimulatedAddress {
  readonly ip: Ip
  readonly port: number
}

/** A load balancer, and what its header says. On a unix listener it has no address. */
export interface Passed {
  readonly at: SimulatedAddress | undefined
  readonly address: string | undefined
  readonly port: number | undefined
  readonly proxy: ProxyFacts
}

/** A port where the facts name none: the first of the ephemeral range of RFC 6335. */
const PORT = 49_152
const FACTS = [
  "version",
  "command",
  "alpn",
  "authority",
  "uniqueId",
  "ssl",
  "netns",
  "paths",
  "tlvs",
] as const satisfies readonly (keyof ProxyFacts)[]
const SSL = [
  "client",
  "verify",
  "verified",
  "version",
  "commonName",
  "cipher",
  "signatureAlgorithm",
  "keyAlgorithm",
] as const satisfies readonly (keyof ProxySsl)[]

/** @throws FactsInvalid */
export function addressIn(name: "from" | "via", value: unknown): SimulatedAddress {
  const [who, example] = name === "from" ? ["client", "203.0.113.9"] : ["load balancer", "10.0.0.5"]
  const expected = `expected the ${who}'s address, like "${example}", "${example}:4711" or "[2001:db8::1]:4711"`
  if (typeof value !== "string") throw new FactsInvalid(`${name}: ${expected}`)
  const bare = parseIp(value)
  if (bare !== undefined) return { ip: bare, port: PORT }
  const split = splitHostPort(value)
  const ip = split === undefined ? undefined : parseIp(split.host)
  const port = split === undefined ? undefined : split.port === "" ? PORT : parsePort(split.port)
  if (ip === undefined || port === undefined || port === 0)
    throw new FactsInvalid(`${name}: ${JSON.stringify(value)}: ${expected}`)
  return { ip, port }
}

/** The load balancer that the facts name, if they do. @throws FactsInvalid */
export function passedOn(
  { proxy, via }: { readonly via?: string; readonly proxy?: ProxyGiven },
  onUnix: boolean,
): Passed | undefined {
  if (via === undefined) {
    if (proxy !== undefined) throw new FactsInvalid("proxy: expected via too: the load balancer that says it")
    return undefined
  }
  const facts = factsOf(proxy ?? {})
  if (via === "unix" && onUnix) return { at: undefined, address: undefined, port: undefined, proxy: facts }
  if (onUnix) throw new FactsInvalid(`via: expected "unix" on a unix: listener, found ${describe(via)}`)
  const at = addressIn("via", via)
  return { at, address: formatIp(at.ip), port: at.port, proxy: facts }
}

function factsOf(given: ProxyGiven): ProxyFacts {
  checkFacts("proxy: ", given, FACTS)
  const { command = "proxy", ssl, version = 2 } = given
  if (version !== 1 && version !== 2)
    throw new FactsInvalid(`proxy: version: expected 1 or 2, found ${describe(version)}`)
  if (command !== "proxy" && command !== "local")
    throw new FactsInvalid(`proxy: command: expected "proxy" or "local", found ${describe(command)}`)
  return Object.freeze({
    version,
    command,
    alpn: given.alpn,
    authority: given.authority,
    uniqueId: given.uniqueId,
    ssl: ssl === undefined ? undefined : sslOf(ssl),
    netns: given.netns,
    paths: given.paths,
    tlvs: given.tlvs ?? [],
  })
}

function sslOf(given: Partial<ProxySsl>): ProxySsl {
  checkFacts("proxy: ssl: ", given, SSL)
  const { verified = given.commonName !== undefined && (given.verify ?? 0) === 0 } = given
  return Object.freeze({
    client: given.client ?? (given.commonName === undefined ? 1 : 7),
    verify: given.verify ?? (verified ? 0 : 1),
    verified,
    version: "version" in given ? given.version : "TLSv1.3",
    commonName: given.commonName,
    cipher: given.cipher,
    signatureAlgorithm: given.signatureAlgorithm,
    keyAlgorithm: given.keyAlgorithm,
  })
}
