// Categories of addresses, from a folder of lists: `blocklist.firehol.level1.txt` has the addresses of the category
// blocklist.firehol.level1. The lists are those of addressSet(), and follow their files as they do.
import { readdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { formatIp, type Ip } from "../policy/address.ts"
import { AddressListInvalid, shownPath } from "./address-list.ts"
import { addressLists, type AddressList, type AddressLists } from "./address-lists.ts"
import { linkFolders } from "./link-folders.ts"
import { Recent } from "./recent.ts"
import { whyUnreadable } from "./unreadable.ts"

/** What is wrong with the folder or with one of its lists. */
export interface CategoryProblem {
  /** Absolute. */
  readonly path: string
  readonly message: string
}

/** Who is told what becomes of the folder. */
export interface CategoryNews {
  info(message: string): void
  error(message: string): void
}

/** 1,000 lists: ngrok has 309 categories, and each is looked into for an address that was not asked about lately. */
export const MOST_CATEGORIES = 1000
/** 4,096 addresses, twice: clients come back, and a look-up in hundreds of lists takes some 50 microseconds. */
const REMEMBERED = 4096
/** What lists are called: as ngrok's categories, with an ending of the public feeds. */
const NAME = /^([a-z0-9][a-z0-9_-]*(?:\.[a-z0-9_-]+)*?)\.(?:txt|netset|ipset|list|cidr)$/i

interface Category {
  readonly name: string
  readonly list: AddressList
}

export class IpCategories {
  /** Absolute. */
  readonly folder: string
  private readonly lists: AddressLists
  private categories: readonly Category[] = []
  /** Why lists are not used, by path. */
  private problems = new Map<string, string>()
  private recent = new Recent<number | string, readonly string[]>(REMEMBERED)
  /** The sizes and contents that `recent` is of. */
  private versions: readonly unknown[] = []

  private constructor(folder: string, lists: AddressLists) {
    this.folder = resolve(folder)
    this.lists = lists
  }

  /** Reads the lists of a folder; `problems` say what is wrong with those that cannot be used. */
  static open(
    folder: string,
    lists: AddressLists = addressLists,
  ): { readonly categories: IpCategories; readonly problems: readonly CategoryProblem[] } {
    const categories = new IpCategories(folder, lists)
    categories.read()
    const problems = Array.from(categories.problems, ([path, message]) => ({ path, message }))
    if (problems.length === 0 && categories.categories.length === 0)
      problems.push({ path: categories.folder, message: "there is no list in this folder, such as blocklist.mine.txt" })
    return { categories, problems }
  }

  /** The categories that an address is in, by name. */
  of(ip: Ip): readonly string[] {
    this.forget()
    const key = ip.family === "IPv4" ? ip.a : formatIp(ip)
    let found = this.recent.get(key)
    if (found === undefined) {
      found = this.categories.filter(({ list }) => list.contains(ip)).map(({ name }) => name)
      this.recent.set(key, found)
    }
    return found
  }

  names(): readonly string[] {
    return this.categories.map(({ name }) => name)
  }

  /** The folders whose changes can bring or take a list. */
  folders(): readonly string[] {
    return linkFolders(join(this.folder, "any.txt"))
  }

  /** Looks for lists that came or went. What became of the others, their followers say. */
  look(news: CategoryNews): void {
    const before = new Set(this.names())
    const known = this.problems
    this.read()
    for (const [path, message] of this.problems)
      if (known.get(path) !== message) news.error(`${shownPath(path)}: ${message}; it has no addresses`)
    const names = new Set(this.names())
    for (const name of names.difference(before)) news.info(`${shownPath(this.folder)}: ${name} is a category now`)
    for (const name of before.difference(names)) news.info(`${shownPath(this.folder)}: ${name} is no category any more`)
  }

  private read(): void {
    this.problems = new Map()
    const before = new Map(this.categories.map((category) => [category.name, category]))
    this.categories = this.files().flatMap(({ name, path }) => before.get(name) ?? this.open(name, path) ?? [])
  }

  private open(name: string, path: string): Category | undefined {
    try {
      return { name, list: this.lists.open(path, undefined) }
    } catch (error) {
      if (!(error instanceof AddressListInvalid)) throw error
      this.problems.set(path, error.message)
      return undefined
    }
  }

  /** The lists, sorted by name; what is called otherwise is no list. */
  private files(): readonly { readonly name: string; readonly path: string }[] {
    try {
      const files = new Map<string, string>()
      for (const file of readdirSync(this.folder).sort()) {
        const name = NAME.exec(file)?.[1]?.toLowerCase()
        if (name !== undefined && !files.has(name)) files.set(name, join(this.folder, file))
      }
      if (files.size > MOST_CATEGORIES)
        this.problems.set(this.folder, `${files.size} lists; a folder of categories has at most ${MOST_CATEGORIES}`)
      return Array.from(files, ([name, path]) => ({ name, path })).slice(0, MOST_CATEGORIES)
    } catch (error) {
      this.problems.set(this.folder, whyUnreadable(error))
      return []
    }
  }

  /** What was found in lists that have changed is not true any more. */
  private forget(): void {
    const { categories, versions } = this
    if (versions.length === categories.length && categories.every(({ list }, i) => list.version === versions[i])) return
    this.versions = categories.map(({ list }) => list.version)
    this.recent = new Recent(REMEMBERED)
  }
}
