// Questions to DNS servers and what their answers say (RFC 1035, 2308, 2782, 6891). Pure, and total: dns-packet throws
// for messages that are none, which ends here.
import { randomInt } from "node:crypto"
import { decode, encode, RECURSION_DESIRED, type Answer as PacketRecord, type DecodedPacket } from "dns-packet"
import { parseIp, type Ip } from "../policy/address.ts"
import { isHostName } from "../policy/target.ts"
import { u16 } from "../protocol/bytes.ts"

export interface Question {
  /** Absolute, without a final dot. */
  readonly name: string
  readonly type: "A" | "AAAA" | "SRV"
}

export interface Query {
  readonly question: Question
  readonly id: number
  readonly bytes: Uint8Array
}

/** An SRV record. */
export interface Service {
  /** Lower case, without a final dot; `""` says that there is no such service. */
  readonly host: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** What a server says. Times to live are seconds. */
export type DnsAnswer =
  | { readonly kind: "addresses"; readonly addresses: readonly Ip[]; readonly ttl: number }
  | {
      readonly kind: "services"
      readonly services: readonly Service[]
      /** Addresses of their hosts, as far as the server brought them along. */
      readonly addresses: ReadonlyMap<string, readonly Ip[]>
      readonly ttl: number
    }
  /** There is no such name, or it has nothing of this type. */
  | { readonly kind: "nothing"; readonly why: string; readonly ttl: number }
  /** The name is another one for this, and no more was said. */
  | { readonly kind: "alias"; readonly to: string; readonly ttl: number }
  /** Too long for a datagram. */
  | { readonly kind: "truncated" }
  | { readonly kind: "failed"; readonly why: string; readonly isOld: boolean }

/** 1,232 bytes fit into one packet on every path (DNS flag day 2020). */
const DATAGRAM = 1232
/** 16 names one for another: resolvers give up after about as many. */
const MOST_ALIASES = 16
/** 5 s for an answer that does not say how long it holds (RFC 2308 section 5 asks for that by its SOA). */
const UNSAID = 5
/** The highest bit of a TTL is 0 (RFC 2181 section 8). */
const LONGEST_TTL = 0x7fff_ffff

const TRUNCATED = 0x02
const RESPONSE = 0x80
const RCODES: Readonly<Record<number, string>> = { 1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED" }
const NXDOMAIN = 3

/** @param withOptions EDNS, which servers of before 1999 take for an error in the format */
export function makeQuery(question: Question, withOptions: boolean): Query {
  const id = randomInt(0x10000)
  const bytes = encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [question],
    additionals: withOptions
      ? [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: DATAGRAM,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  })
  return { question, id, bytes }
}

/** Reads an answer; `undefined` for what answers something else, or nothing. */
export function readAnswer(bytes: Uint8Array, { id, question }: Query): DnsAnswer | undefined {
  if (bytes.length < 12 || u16(bytes, 0) !== id || (bytes[2]! & RESPONSE) === 0) return undefined
  const rcode = bytes[3]! & 15
  const packet = decoded(bytes)
  // An error need not repeat the question.
  if (packet !== undefined && !isAbout(packet, question, rcode)) return undefined
  if ((bytes[2]! & TRUNCATED) !== 0) return { kind: "truncated" }
  if (rcode !== 0 && rcode !== NXDOMAIN) {
    return { kind: "failed", why: RCODES[rcode] ?? `error ${rcode}`, isOld: rcode === 1 || rcode === 4 }
  }
  if (packet === undefined) return failed("an answer that cannot be read")
  return read(packet, question, rcode === NXDOMAIN)
}

function failed(why: string): DnsAnswer {
  return { kind: "failed", why, isOld: false }
}

function decoded(bytes: Uint8Array): DecodedPacket | undefined {
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  } catch {
    // Whatever it was: the caller says that it cannot be read.
    return undefined
  }
}

function isAbout({ questions = [] }: DecodedPacket, { name, type }: Question, rcode: number): boolean {
  const [asked, ...more] = questions
  if (asked === undefined) return rcode !== 0 && rcode !== NXDOMAIN
  return more.length === 0 && asked.type === type && asked.class === "IN" && normal(asked.name) === normal(name)
}

function read(packet: DecodedPacket, { name, type }: Question, isAbsent: boolean): DnsAnswer {
  const { additionals = [], answers = [], authorities = [] } = packet
  const aliased = followAliases(answers, normal(name))
  if (aliased === undefined) return failed("its aliases have no end")
  const records = answers.filter((record) => record.type === type && isIn(record) && normal(record.name) === aliased.to)
  const ttl = Math.min(aliased.ttl, ...records.map(ttlOf))
  if (records.length > 0) {
    if (type === "SRV") return servicesOf(records, additionals, ttl)
    const addresses = addressesOf(records)
    return addresses.length > 0 ? { kind: "addresses", addresses, ttl } : failed("an answer that cannot be read")
  }
  const authority = authorities.find((record) => record.type === "SOA")
  if (authority?.type === "SOA") {
    const negative = Math.min(ttlOf(authority), seconds(authority.data.minimum))
    return nothing(isAbsent, type, Math.min(negative, aliased.ttl))
  }
  if (isAbsent) return nothing(isAbsent, type, UNSAID)
  if (aliased.to !== normal(name)) return { kind: "alias", ...aliased }
  // Neither an answer nor anybody's word that there is none: it points to other servers.
  if (!packet.flag_aa && !packet.flag_ra) return failed("a referral to other servers")
  return nothing(isAbsent, type, UNSAID)
}

function nothing(isAbsent: boolean, type: Question["type"], ttl: number): DnsAnswer {
  return { kind: "nothing", why: isAbsent ? "NXDOMAIN: there is no such name" : `it has no ${type} records`, ttl }
}

/** Where the aliases of a name lead; `undefined` where they do not end. */
function followAliases(
  answers: readonly PacketRecord[],
  name: string,
): { readonly to: string; readonly ttl: number } | undefined {
  let to = name
  let ttl = LONGEST_TTL
  for (let steps = 0; steps <= MOST_ALIASES; steps++) {
    const alias = answers.find((record) => record.type === "CNAME" && isIn(record) && normal(record.name) === to)
    if (alias?.type !== "CNAME") return { to, ttl }
    ttl = Math.min(ttl, ttlOf(alias))
    to = normal(alias.data)
  }
  return undefined
}

function addressesOf(records: readonly PacketRecord[]): readonly Ip[] {
  const found: Ip[] = []
  for (const record of records) {
    const ip = record.type === "A" || record.type === "AAAA" ? parseIp(record.data) : undefined
    if (ip !== undefined) found.push(ip)
  }
  return found
}

function servicesOf(records: readonly PacketRecord[], additionals: readonly PacketRecord[], least: number): DnsAnswer {
  const services: Service[] = []
  for (const record of records) {
    if (record.type !== "SRV") continue
    const { port, priority = 0, target, weight = 0 } = record.data
    const host = normal(target)
    // The root says that there is no such service (RFC 2782); other hosts that cannot be are left out.
    if (host === "" || (port > 0 && isHostName(host))) services.push({ host, port, priority, weight })
  }
  if (services.length === 0) return failed("its SRV records name no host and port")
  const hosts = new Set(services.map(({ host }) => host))
  const addresses = new Map<string, Ip[]>()
  let ttl = least
  for (const record of additionals) {
    const host = normal(record.name)
    if ((record.type !== "A" && record.type !== "AAAA") || !isIn(record) || !hosts.has(host)) continue
    const known = addresses.get(host) ?? []
    known.push(...addressesOf([record]))
    addresses.set(host, known)
    ttl = Math.min(ttl, ttlOf(record))
  }
  return { kind: "services", services, addresses, ttl }
}

/** Of the internet; the options of EDNS have no class. */
function isIn(record: PacketRecord): boolean {
  return record.type !== "OPT" && record.class === "IN"
}

function ttlOf(record: PacketRecord): number {
  return record.type === "OPT" ? 0 : seconds(record.ttl)
}

function seconds(value: number | undefined): number {
  return value === undefined || value > LONGEST_TTL ? 0 : value
}

/** Lower case, without a final dot; `""` for the root. */
function normal(name: string): string {
  return name.replace(/\.$/, "").toLowerCase()
}
