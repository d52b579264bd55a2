// The address lists of this process, by path. In a running gateway they follow their files: a version that is bad is
// reported once, and the last good one stays.
import { realpathSync } from "node:fs"
import { setTimeout as later } from "node:timers"
import { parseIp, type Ip } from "../policy/address.ts"
import type { CidrSet } from "../policy/cidr.ts"
import { describe } from "../policy/describe.ts"
import { AddressListInvalid, shownPath } from "./address-list.ts"
import { signatureOf } from "./file-signature.ts"
import { FollowedFile, SETTLED, type Kind } from "./followed-file.ts"
import { linkFolders } from "./link-folders.ts"
import { readList, readListNow, type ListRead } from "./list-file.ts"

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

/** 1,000 lists that policies could not be loaded for: their policies are reported, and tell as much. */
const MOST_FAILED = 1000

const LIST: Kind<ListRead> = {
  read: readList,
  isProblem: (error) => error instanceof AddressListInvalid,
  isDoubtful: ({ size }) => size === 0,
}

/** The addresses of one list, as its policies have it. */
export class AddressList implements CidrSet {
  readonly #file: FollowedFile<ListRead>

  constructor(path: string, read: ListRead) {
    this.#file = new FollowedFile(path, LIST, read)
  }

  get path(): string {
    return this.#file.path
  }

  get size(): number {
    return this.#file.read.size
  }

  get cidrs(): readonly string[] {
    return this.#file.read.table.cidrs()
  }

  /** Another one when the list has changed. */
  get version(): unknown {
    return this.#file.read
  }

  contains(address: Ip | string | undefined): boolean {
    if (address === undefined) return false
    if (typeof address === "object") return this.#file.read.table.contains(address)
    const ip = parseIp(address)
    if (ip === undefined) throw new TypeError(`contains: ${describe(address)} is no IP address`)
    return this.#file.read.table.contains(ip)
  }

  /** What it follows. */
  static fileOf(list: AddressList): FollowedFile<ListRead> {
    return list.#file
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
      listed = { path, list: new WeakRef(list), modules: new Set(), unknown: false }
      this.lists.set(path, listed)
    } else if (this.news === undefined) this.refresh(AddressList.fileOf(list))
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
    for (const { path, read } of this.live()) if (read.size === 0) news.warn(`${shownPath(path)}: the list is empty`)
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
    return this.live().map(({ path, problem, read: { at, size, took } }) => {
      return { file: shownPath(path), prefixes: size, loaded: at.toISOString(), took: Math.round(took), problem }
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
      for (const file of this.live()) if (this.news !== undefined) await this.lookAt(file, this.news)
      const mended = [...this.failed].filter(([path, signature]) => signatureOf(path) !== signature)
      for (const [path] of mended) this.failed.delete(path)
      if (mended.length > 0) this.news?.again()
    }
  }

  private async lookAt(file: FollowedFile<ListRead>, news: ListNews): Promise<void> {
    const { path, problem: before, read: old } = file
    const looked = await file.look((signature) => this.sameAs(path, signature))
    const { problem, read } = file
    if (looked === "later") later(() => void this.look(), SETTLED).unref()
    if (looked === "bad") news.error(`${problem}; the last good version stays (${counted(read.size)})`)
    if (looked !== "good") return
    const shown = shownPath(path)
    if (before !== undefined) news.info(`${shown}: the list is good again: ${counted(read.size)}`)
    else if (read.size > 0) news.info(`${shown}: ${counted(read.size)}, read in ${Math.ceil(read.took)} ms`)
    if (read.size === 0 && old.size > 0) news.warn(`${shown}: the list is empty now`)
  }

  /** Reads it again on the spot when it has changed. */
  private refresh(file: FollowedFile<ListRead>): void {
    const { path, read } = file
    if (read.unsure || signatureOf(path) !== read.signature) file.read = this.readNow(path)
  }

  private readNow(path: string): ListRead {
    try {
      const read = this.sameAs(path, signatureOf(path)) ?? readListNow(path)
      this.failed.delete(path)
      return read
    } catch (error) {
      if (this.failed.size < MOST_FAILED) this.failed.set(path, signatureOf(path))
      throw error
    }
  }

  /** What another path to the same file has been read as. */
  private sameAs(path: string, signature: string): ListRead | undefined {
    return this.live().find(({ read }) => read.signature === signature && !read.unsure && isAt(path, read.real))?.read
  }

  /** The files of the lists that somebody still has. */
  private live(): FollowedFile<ListRead>[] {
    return [...this.lists.values()].flatMap(({ list, path }) => {
      const found = list.deref()
      if (found === undefined) this.lists.delete(path)
      return found === undefined ? [] : [AddressList.fileOf(found)]
    })
  }
}

/** Those of this process: policies that are loaded by different loaders share them too. */
export const addressLists = new AddressLists()

function isAt(path: string, real: string): boolean {
  try {
    return realpathSync(path) === real
  } catch {
    // It went while it was looked at; reading it says so.
    return false
  }
}

function counted(prefixes: number): string {
  return `${prefixes} ${prefixes === 1 ? "prefix" : "prefixes"}`
}
