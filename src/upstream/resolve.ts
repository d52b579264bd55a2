// Names to addresses, through the system's own resolver (hosts file and search domains included), with a cache of our
// own: Bun dials up to four addresses of a name at once, and its resolver gives no TTL.
import { parseIp, type Ip } from "../policy/address.ts"

/** 5 s: the system's resolver gives no TTL, and a name that moves should be followed about as fast as a health check. */
const FRESH = 5000
/** 30 s: an older answer still serves while a new one is fetched, so that connections do not wait for it. */
const STALE = 30_000
/** 1 s: a name that fails is not asked for again by every connection. */
const FAILED = 1000
/** 10,000 names. */
const KEPT = 10_000

interface Entry {
  addresses: readonly Ip[]
  error: Error | undefined
  at: number
  pending: Promise<readonly Ip[]> | undefined
}

/** Looks a name up; rejects when it has no address. */
export type Lookup = (host: string) => Promise<readonly string[]>

const systemLookup: Lookup = async (host) => (await Bun.dns.lookup(host)).map((record) => record.address)

export class Resolver {
  private readonly entries = new Map<string, Entry>()
  private readonly lookup: Lookup
  private readonly now: () => number

  constructor(lookup: Lookup = systemLookup, now: () => number = () => performance.now()) {
    this.lookup = lookup
    this.now = now
  }

  /** The addresses of a name, families interleaved (RFC 8305 section 4): at once when they are known, and never empty. */
  resolve(host: string): readonly Ip[] | Promise<readonly Ip[]> {
    const entry = this.entries.get(host)
    if (entry === undefined) return this.ask(host, this.newEntry(host))
    const age = this.now() - entry.at
    if (entry.error !== undefined) return age < FAILED ? Promise.reject(entry.error) : this.ask(host, entry)
    if (entry.addresses.length === 0 || age > STALE) return this.ask(host, entry)
    // The old answer serves; a failed refresh shows when it is too old.
    if (age > FRESH) this.ask(host, entry).catch(() => undefined)
    return entry.addresses
  }

  private newEntry(host: string): Entry {
    if (this.entries.size >= KEPT) this.entries.delete(this.entries.keys().next().value!)
    const entry: Entry = { addresses: [], error: undefined, at: this.now(), pending: undefined }
    this.entries.set(host, entry)
    return entry
  }

  private ask(host: string, entry: Entry): Promise<readonly Ip[]> {
    return (entry.pending ??= this.fetch(host, entry).finally(() => (entry.pending = undefined)))
  }

  private async fetch(host: string, entry: Entry): Promise<readonly Ip[]> {
    try {
      const found = (await this.lookup(host)).map(parseIp).filter((ip) => ip !== undefined)
      if (found.length === 0) throw new Error("the name has no address")
      entry.addresses = interleave(found)
      entry.error = undefined
      entry.at = this.now()
      return entry.addresses
    } catch (error) {
      const late = this.now() - entry.at > STALE
      if (entry.addresses.length === 0 || late) {
        entry.error = error instanceof Error ? error : new Error(String(error))
        entry.at = this.now()
      }
      throw error
    }
  }
}

/** The family that the resolver put first stays first. */
export function interleave(addresses: readonly Ip[]): readonly Ip[] {
  const first = addresses.filter((ip) => ip.family === addresses[0]?.family)
  const second = addresses.filter((ip) => ip.family !== addresses[0]?.family)
  return first.flatMap((ip, i) => (second[i] === undefined ? [ip] : [ip, second[i]])).concat(second.slice(first.length))
}
