// The certificates of a folder, read again when their files change. What a pair gave last stays when its files turn
// bad, and goes when they are gone.
import { realpathSync, statSync, type Stats } from "node:fs"
import { resolve } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import { distrust } from "../trust.ts"
import { CertificateIndex } from "./certificate-index.ts"
import { checkDates, contentsOf, date, IdentityInvalid, isAuthority, readIdentity, type Identity } from "./identity.ts"
import { isAuthorityName, listPairs, pairName, type Listing, type Pair } from "./pairs.ts"
import { readPem, type PemFile } from "./read-pem.ts"

export interface CertificateProblem {
  /** Relative to the folder; `.` is the folder itself. */
  readonly file: string
  readonly path: string
  readonly message: string
  readonly hint: string | undefined
  /** What the pair gave before is still presented. */
  readonly kept: boolean
}

export interface CertificatesLoaded {
  /** Whether `identities` is another list than before. */
  readonly changed: boolean
  readonly problems: readonly CertificateProblem[]
}

/** 10,000 pairs: looking at their files takes 50 ms of every 2 seconds. */
export const MOST_PAIRS = 10_000
/** 1,000 folders: a system has some thousand watches for everyone. What is in the others is seen at the next rescan. */
const MOST_WATCHED = 1000
/** 5 ms: connections wait no longer for a look at many files. */
const SLICE = 5
/** 2 seconds: the coarsest steps in which file systems stamp times. Another change since may bear the same time. */
const UNSURE_FOR = 2000

/** What is known of one pair. */
interface Known {
  /** What its files looked like before they were read. */
  readonly signature: string
  /** Read again at the next load, whatever the files look like. */
  readonly unsure: boolean
  /** The file of the key, if there is one. */
  readonly key: string | undefined
  readonly identity: Identity | undefined
  readonly problem: IdentityInvalid | undefined
  /** Where links of the files lead to. */
  readonly elsewhere: readonly string[]
}

/** What is in the folder, and what it looked like then. */
interface Listed extends Listing {
  readonly signature: string
  readonly unsure: boolean
}

interface Look {
  readonly key: string | undefined
  readonly signature: string
  /** Milliseconds since the epoch. */
  readonly changedAt: number
}

export class CertificateStore {
  private readonly folder: string
  private readonly read: typeof readPem
  /** By the file of the certificate. */
  private known: ReadonlyMap<string, Known> = new Map()
  private listed: Listed | undefined
  private list: readonly Identity[] = Object.freeze([])
  private index = indexOf([])
  private last: Promise<unknown> = Promise.resolve()

  /** Nothing is read before the first `load`. */
  constructor(folder: string, read: typeof readPem = readPem) {
    this.folder = resolve(folder)
    this.read = read
  }

  /** In the order of their file names. */
  get identities(): readonly Identity[] {
    return this.list
  }

  /**
   * What to present to a client that asks for `name` (`undefined`: for none) at `address`, one certificate for each
   * algorithm; the same list as long as nothing changes. Empty when no certificate covers the name.
   */
  choose(name: string | undefined, address: string | undefined): readonly Identity[] {
    return this.index.choose(name, address)
  }

  /** The folders whose changes can change the outcome of a load, the store's own first. */
  folders(): readonly string[] {
    const below = (this.listed?.folders ?? []).map((name) => this.at(name))
    const elsewhere = [...this.known.values()].flatMap((pair) => pair.elsewhere)
    return [...new Set([this.folder, ...below, ...elsewhere])].slice(0, MOST_WATCHED)
  }

  /** Looks at every file, and reads what changed; loads run one after the other. Never rejects for what is in the folder. */
  load(): Promise<CertificatesLoaded> {
    const loaded = this.last.then(() => this.loadNow())
    this.last = loaded.catch(() => {})
    return loaded
  }

  private async loadNow(): Promise<CertificatesLoaded> {
    const listing = this.listFolder()
    const problems: CertificateProblem[] = []
    if ("pairs" in listing) {
      this.listed = listing
      this.known = await this.look(listing.pairs, problems)
    } else problems.push(listing)
    const before = this.list
    const found = [...this.known.values()].flatMap(({ identity }) => identity ?? [])
    const changed = found.length !== before.length || found.some((identity, i) => identity !== before[i])
    if (changed) {
      this.list = Object.freeze(found)
      this.index = indexOf(found)
    }
    const now = Date.now()
    for (const [file, { problem, identity }] of this.known) {
      if (problem !== undefined) problems.push(this.problem(problem, identity !== undefined))
      if (identity === undefined || identity.notAfter.getTime() > now) continue
      const message = `expired on ${date(identity.notAfter)}; it is presented where no other certificate has its names`
      problems.push(this.problem(new IdentityInvalid(file, message), true))
    }
    return { changed, problems }
  }

  /** Nothing is dropped for a folder that cannot be used: it may be on its way back. */
  private listFolder(): Listed | CertificateProblem {
    const failed = (message: string, hint?: string): CertificateProblem => {
      return { file: ".", path: this.folder, message, hint, kept: this.list.length > 0 }
    }
    try {
      const stat = statSync(this.folder, { bigint: true })
      if (!stat.isDirectory()) return failed("is not a folder")
      const found = distrust(realpathSync(this.folder), stat)
      if (found !== undefined) return failed(found.message, found.hint)
      const signature = `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.ctimeNs}`
      if (this.listed?.signature === signature && !this.listed.unsure) return this.listed
      const unsure = Date.now() - Number(stat.ctimeMs) < UNSURE_FOR
      return { ...listPairs(this.folder), signature, unsure }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return failed(code === "ENOENT" ? "there is no such folder" : `cannot be read: ${code ?? String(error)}`)
    }
  }

  private async look(pairs: readonly Pair[], problems: CertificateProblem[]): Promise<ReadonlyMap<string, Known>> {
    const found = new Map<string, Known>()
    const keys = new Set<string>()
    let since = performance.now()
    for (const pair of pairs) {
      if (performance.now() - since > SLICE) {
        await nextTurn()
        since = performance.now()
      }
      const look = this.lookAt(pair)
      if (look === undefined) continue
      if (found.size === MOST_PAIRS) {
        const message = `more than ${MOST_PAIRS} pairs; those after ${[...found.keys()].at(-1)} are left out`
        problems.push(this.problem(new IdentityInvalid(".", message), false))
        break
      }
      found.set(pair.cert, this.current(pair, look))
      if (look.key !== undefined) keys.add(look.key)
    }
    return this.withHalves(found, keys)
  }

  /** Adds the pairs of which only the certificate is gone: it is being replaced, or was forgotten. */
  private withHalves(found: Map<string, Known>, keys: ReadonlySet<string>): ReadonlyMap<string, Known> {
    const halves = [...this.known].filter(
      ([cert, { key, identity }]) =>
        identity !== undefined &&
        key !== undefined &&
        !found.has(cert) &&
        !keys.has(key) &&
        statOf(this.at(cert)) === undefined &&
        statOf(this.at(key)) !== undefined,
    )
    if (halves.length === 0) return found
    for (const [cert, known] of halves) {
      const problem = new IdentityInvalid(cert, `the certificate is gone, and its key ${known.key} is still there`)
      found.set(cert, { ...known, signature: "", problem })
    }
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** `undefined` when there is no certificate. */
  private lookAt({ cert, keys }: Pair): Look | undefined {
    const own = statOf(this.at(cert))
    if (own === undefined) return undefined
    for (const key of keys) {
      const stat = statOf(this.at(key))
      if (stat === undefined) continue
      const signature = `${signatureOf(own)} ${key} ${signatureOf(stat)}`
      return { key, signature, changedAt: Math.max(own.ctimeMs, stat.ctimeMs) }
    }
    return { key: undefined, signature: signatureOf(own), changedAt: own.ctimeMs }
  }

  private current(pair: Pair, look: Look): Known {
    const known = this.known.get(pair.cert)
    if (known === undefined || known.unsure || known.signature !== look.signature) return this.readPair(pair, look)
    const { goodFrom } = known.problem ?? {}
    return goodFrom !== undefined && goodFrom <= new Date() ? this.readPair(pair, look) : known
  }

  private readPair(pair: Pair, { changedAt, ...look }: Look): Known {
    const before = this.known.get(pair.cert)
    const known = { ...look, identity: before?.identity, problem: undefined, elsewhere: before?.elsewhere ?? [] }
    let files: readonly PemFile[]
    try {
      const wanted = look.key === undefined ? [pair.cert] : [pair.cert, look.key]
      files = wanted.map((file) => this.read(this.at(file), file))
    } catch (error) {
      // What hinders the reading may end without a change of the file.
      return { ...known, unsure: true, problem: invalid(pair, error) }
    }
    const elsewhere = files.flatMap((file) => file.elsewhere ?? [])
    const facts = { ...known, elsewhere, unsure: Date.now() - changedAt < UNSURE_FOR }
    try {
      const identity = identityOf(pair, files, known.identity !== undefined)
      // What it is already may expire, and stays.
      if (identity?.id === known.identity?.id) return facts
      if (identity !== undefined) checkDates(identity, new Date())
      return { ...facts, identity }
    } catch (error) {
      return { ...facts, problem: invalid(pair, error) }
    }
  }

  private at(file: string): string {
    return `${this.folder}/${file}`
  }

  private problem({ file, message, hint }: IdentityInvalid, kept: boolean): CertificateProblem {
    return { file, path: this.at(file), message, hint, kept }
  }
}

/** `undefined` for what is no pair and never was one. @throws IdentityInvalid */
function identityOf(pair: Pair, [cert, key]: readonly PemFile[], wasPair: boolean): Identity | undefined {
  if (cert === undefined) return undefined
  if (!wasPair && isAuthorityName(pair.cert) && isAuthority(cert)) return undefined
  if (key === undefined) {
    const has = contentsOf(cert)
    if (!wasPair && !has.certificate && pair.cert.endsWith(".pem")) return undefined
    if (has.certificate && !has.key) {
      const message = `there is no private key for it: expected ${pair.keys[0]}, or a key in the same file`
      throw new IdentityInvalid(pair.cert, message)
    }
  }
  return readIdentity(cert, key)
}

/** One file must not keep the others from being read, whatever is in it. */
function invalid(pair: Pair, error: unknown): IdentityInvalid {
  return error instanceof IdentityInvalid ? error : new IdentityInvalid(pair.cert, `cannot be used: ${String(error)}`)
}

function indexOf(identities: readonly Identity[]): CertificateIndex {
  return new CertificateIndex(identities, ({ file }) => pairName(file) === "default")
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    // Below a file, or a loop of links: nothing to read either way.
    return undefined
  }
}

function signatureOf(stat: Stats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`
}
