// The address lists of this process, by path. In a running gateway they follow their files: a version that is bad is
// reported once, and the last good one stays.
import { realpathSync } from "node:fs"
import { setTimeout as later } from "node:timers"
import { parseIp, type Ip } from "../policy/address.ts"
import type { CidrSet } from "../policy/cidr.ts"
import { describe } from "../policy/describe.ts"
import { AddressListInvalid, shownPath } from "./address-list.ts"
import { linkFolders } from "./link-folders.ts"
import { readList, readListNow, signatureOf, type ListRead } from "./list-file.ts"

/** Who is told what becomes of the lists. */
export interface ListNews {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
  /** A list that a policy could not be loaded for is another one now. */
  again(): void
}

/** What `tidegate status` shows of a list. */
export interface ListStatus {
  /** As people write it. */
  readonly file: string
  readonly prefixes: number
  /** When it was read: ISO 8601. */
  readonly loaded: string
  /** How long that took, in milliseconds. */
  readonly took: number
  /** Why the file that is there now is not used. */
  readonly problem: string | undefined
}

/** 200 ms: what is bad, empty or gone for less may be half of a change. */
const SETTLED = 200
/** 10 seconds: what has changed all the time for so long is not going to be a list. */
const PATIENCE = 10_000
/** 1,000 lists that policies could not be loaded for: their policies are reported, and tell as much. */
const MOST_FAILED = 1000
/** What stands for the signature of a file that is not there. */
const MISSING = "missing"

/** The addresses of one list, as its policies have it. */
export class AddressList implements CidrSet {
  readonly path: string
  #read: ListRead

  constructor(path: string, read: ListRead) {
    this.path = path
    this.#read = read
  }

  get size(): number {
    return this.#read.size
  }

  get cidrs(): readonly string[] {
    return this.#read.table.cidrs()
  }

  contains(address: Ip | string | undefined): boolean {
    if (address === undefined) return false
    if (typeof address === "object") return this.#read.table.contains(address)
    const ip = parseIp(address)
    if (ip === undefined) throw new TypeError(`contains: ${describe(address)} is no IP address`)
    return this.#read.table.contains(ip)
  }

  /** What it was read from. */
  static readOf(list: AddressList): ListRead {
    return list.#read
  }

  /** From now on it has these addresses. */
  static take(list: AddressList, read: ListRead): void {
    list.#read = read
  }
}

/** What is known of one path. */
interface Listed {
  readonly path: string
  readonly list: WeakRef<AddressList>
  /** The modules of policies that have it. */
  readonly modules: Set<string>
  /** Something that no loader knows has it too. */
  unknown: boolean
  problem: string | undefined
  /** The signature that the problem is of. */
  refused: string | undefined
  /** What does not look like a list, so far. */
  doubt: { readonly signature: string; readonly seen: number; readonly since: number } | undefined
}

export class AddressLists {
  private readonly lists = new Map<string, Listed>()
  /** Lists that could not be read when a policy asked for them, with the signature that they had. */
  private readonly failed = new Map<string, string>()
  private news: ListNews | undefined
  private due = false
  private looking: Promise<void> | undefined

  /**
   * The list at an absolute path.
   * @param module of the policy that has it from now on
   * @throws AddressListInvalid
   */
  open(path: string, module: string | undefined): AddressList {
    let listed = this.lists.get(path)
    let list = listed?.list.deref()
    if (listed === undefined || list === undefined) {
      list = new AddressList(path, this.readNow(path))
      listed = {
        path,
        list: new WeakRef(list),
        modules: new Set(),
        unknown: false,
        problem: undefined,
        refused: undefined,
        doubt: undefined,
      }
      this.lists.set(path, listed)
    } else if (this.news === undefined && !isCurrent(list)) AddressList.take(list, this.readNow(path))
    if (module === undefined) listed.unknown = true
    else listed.modules.add(module)
    return list
  }

  /** A module of a policy is not loaded any more. */
  release(module: string): void {
    for (const { modules, path, unknown } of this.lists.values())
      if (modules.delete(module) && modules.size === 0 && !unknown) this.lists.delete(path)
  }

  /** From now on {@link look} is called when something may have changed, and lists change in place. */
  follow(news: ListNews): Disposable {
    this.news = news
    for (const [, list] of this.live()) if (list.size === 0) news.warn(`${shownPath(list.path)}: the list is empty`)
    return {
      [Symbol.dispose]: () => {
        if (this.news === news) this.news = undefined
      },
    }
  }

  /** The folders whose changes can change a list. */
  folders(): readonly string[] {
    const paths = [...this.lists.keys(), ...this.failed.keys()]
    return [...new Set(paths.flatMap(linkFolders))]
  }

  status(): readonly ListStatus[] {
    return this.live().map(([{ problem }, list]) => {
      const { at, size, took } = AddressList.readOf(list)
      return { file: shownPath(list.path), prefixes: size, loaded: at.toISOString(), took: Math.round(took), problem }
    })
  }

  /** Looks at the files, and reads again what has changed. */
  look(): Promise<void> {
    this.due = true
    return (this.looking ??= this.lookAll().finally(() => (this.looking = undefined)))
  }

  private async lookAll(): Promise<void> {
    while (this.due) {
      this.due = false
      for (const [listed, list] of this.live()) if (this.news !== undefined) await this.lookAt(listed, list, this.news)
      const mended = [...this.failed].filter(([path, signature]) => (signatureOf(path) ?? MISSING) !== signature)
      for (const [path] of mended) this.failed.delete(path)
      if (mended.length > 0) this.news?.again()
    }
  }

  private async lookAt(listed: Listed, list: AddressList, news: ListNews): Promise<void> {
    const { path } = listed
    const signature = signatureOf(path) ?? MISSING
    const before = AddressList.readOf(list)
    if (signature === before.signature && !before.unsure) return this.good(listed, list, before, news)
    if (signature === listed.refused) return
    const { doubt } = listed
    const now = performance.now()
    if (doubt?.signature === signature && now - doubt.seen < SETTLED) return this.lookLater()
    const read = this.sameAs(path, signature) ?? (await attempt(path))
    if (!(read instanceof AddressListInvalid) && read.size > 0) return this.good(listed, list, read, news)
    const since = doubt?.since ?? now
    if (doubt?.signature !== signature && now - since < PATIENCE) {
      listed.doubt = { signature, seen: now, since }
      return this.lookLater()
    }
    if (!(read instanceof AddressListInvalid)) return this.good(listed, list, read, news)
    listed.doubt = undefined
    listed.refused = signature
    if (listed.problem === read.message) return
    listed.problem = read.message
    news.error(`${read.message}; the last good version stays (${counted(before.size)})`)
  }

  private good(listed: Listed, list: AddressList, read: ListRead, news: ListNews): void {
    const before = AddressList.readOf(list)
    const { problem } = listed
    listed.problem = listed.refused = listed.doubt = undefined
    AddressList.take(list, read)
    const file = shownPath(listed.path)
    if (problem !== undefined) news.info(`${file}: the list is good again: ${counted(read.size)}`)
    else if (read.signature !== before.signature && read.size > 0)
      news.info(`${file}: ${counted(read.size)}, read in ${Math.ceil(read.took)} ms`)
    if (read.size === 0 && before.size > 0) news.warn(`${file}: the list is empty now`)
  }

  private lookLater(): void {
    later(() => void this.look(), SETTLED).unref()
  }

  private readNow(path: string): ListRead {
    try {
      const read = this.sameAs(path, signatureOf(path)) ?? readListNow(path)
      this.failed.delete(path)
      return read
    } catch (error) {
      if (this.failed.size < MOST_FAILED) this.failed.set(path, signatureOf(path) ?? MISSING)
      throw error
    }
  }

  /** What another path to the same file has been read as. */
  private sameAs(path: string, signature: string | undefined): ListRead | undefined {
    for (const [, list] of this.live()) {
      const read = AddressList.readOf(list)
      if (read.signature === signature && !read.unsure && isAt(path, read.real)) return read
    }
    return undefined
  }

  /** The lists that somebody still has. */
  private live(): [Listed, AddressList][] {
    return [...this.lists.values()].flatMap((listed): [Listed, AddressList][] => {
      const list = listed.list.deref()
      if (list !== undefined) return [[listed, list]]
      this.lists.delete(listed.path)
      return []
    })
  }
}

/** Those of this process: policies that are loaded by different loaders share them too. */
export const addressLists = new AddressLists()

function isCurrent(list: AddressList): boolean {
  const { signature, unsure } = AddressList.readOf(list)
  return !unsure && signatureOf(list.path) === signature
}

function isAt(path: string, real: string): boolean {
  try {
    return realpathSync(path) === real
  } catch {
    // It went while it was looked at; reading it says so.
    return false
  }
}

async function attempt(path: string): Promise<ListRead | AddressListInvalid> {
  try {
    return await readList(path)
  } catch (error) {
    if (error instanceof AddressListInvalid) return error
    throw error
  }
}

function counted(prefixes: number): string {
  return `${prefixes} ${prefixes === 1 ? "prefix" : "prefixes"}`
}
