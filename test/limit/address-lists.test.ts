import { describe, expect, test } from "bun:test"
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AddressLists, type AddressList, type ListNews } from "../../src/limit/address-lists.ts"
import { folder, type Folder } from "../helper/cli.ts"
import { random } from "../helper/random.ts"

interface Following extends AsyncDisposable {
  readonly lists: AddressLists
  readonly said: string[]
  at(name: string): string
  /** Looks until the condition holds. */
  until(condition: () => boolean): Promise<void>
}

/** Lists in a folder of their own, which are followed. */
async function following(files: Readonly<Record<string, string>>): Promise<Following> {
  const dir: Folder = await folder(files)
  const lists = new AddressLists()
  const said: string[] = []
  const say = (level: string) => (message: string) =>
    void said.push(`${level} ${message.replaceAll(`${dir.path}/`, "").replace(/read in \d+ ms/, "read")}`)
  const news: ListNews = {
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    again: () => void said.push("again"),
  }
  const follow = lists.follow(news)
  return {
    lists,
    said,
    at: (name) => join(dir.path, name),
    async until(condition) {
      while (!condition()) {
        await lists.look()
        await Bun.sleep(2)
      }
    },
    async [Symbol.asyncDispose]() {
      follow[Symbol.dispose]()
      await lists.look()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** As most programs save: a new file takes the old one's name. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

const held = (list: AddressList, ...addresses: string[]) => addresses.map((address) => list.contains(address))

describe.concurrent("a list that is followed", () => {
  test("changes in place when its file is replaced, or written in place", async () => {
    await using on = await following({ "a.txt": "10.0.0.0/8\n" })
    const list = on.lists.open(on.at("a.txt"), "m1")
    replace(on.at("a.txt"), "192.0.2.0/24\n198.51.100.1\n")
    await on.until(() => list.contains("192.0.2.1"))
    expect(held(list, "10.0.0.1", "198.51.100.1")).toEqual([false, true])
    expect(list.size).toBe(2)
    writeFileSync(on.at("a.txt"), "10.0.0.1\n")
    await on.until(() => list.contains("10.0.0.1"))
    expect(list.cidrs).toEqual(["10.0.0.1/32"])
    expect(on.said).toEqual(["info a.txt: 2 prefixes, read", "info a.txt: 1 prefix, read"])
  })

  test("keeps its last good version when the new one is bad, says so once, and says when it is good again", async () => {
    await using on = await following({ "a.txt": "10.0.0.0/8\n" })
    const list = on.lists.open(on.at("a.txt"), "m1")
    replace(on.at("a.txt"), "10.0.0.0/8\n\nnonsense\n")
    await on.until(() => on.said.length > 0)
    await on.lists.look()
    await on.lists.look()
    const [problem] = on.said
    expect(on.said).toEqual([
      'error a.txt:3:1: "nonsense" is not a CIDR: expected an address and a prefix length, like "10.0.0.0/8" or "2001:db8::/32"; the last good version stays (1 prefix)',
    ])
    expect(held(list, "10.0.0.1")).toEqual([true])
    const [status] = on.lists.status()
    expect(problem).toContain(status!.problem!.replace(on.at("a.txt"), "a.txt"))
    replace(on.at("a.txt"), "192.0.2.0/24\n")
    await on.until(() => on.said.length > 1)
    expect(on.said[1]).toBe("info a.txt: the list is good again: 1 prefix")
    expect(on.lists.status()[0]!.problem).toBeUndefined()
    expect(held(list, "10.0.0.1", "192.0.2.1")).toEqual([false, true])
  })

  test("stays when its file is deleted, and follows the next one of that name", async () => {
    await using on = await following({ "a.txt": "10.0.0.0/8\n" })
    const list = on.lists.open(on.at("a.txt"), "m1")
    rmSync(on.at("a.txt"))
    await on.until(() => on.said.length > 0)
    expect(on.said).toEqual([
      "error a.txt: cannot be read: there is no such file; the last good version stays (1 prefix)",
    ])
    expect(held(list, "10.0.0.1")).toEqual([true])
    writeFileSync(on.at("a.txt"), "192.0.2.0/24\n")
    await on.until(() => list.contains("192.0.2.1"))
    expect(on.said[1]).toBe("info a.txt: the list is good again: 1 prefix")
  })

  test("may be emptied, which is said", async () => {
    await using on = await following({ "a.txt": "10.0.0.0/8\n" })
    const list = on.lists.open(on.at("a.txt"), "m1")
    truncateSync(on.at("a.txt"))
    await on.until(() => list.size === 0)
    expect(held(list, "10.0.0.1")).toEqual([false])
    expect(on.said).toEqual(["warn a.txt: the list is empty now"])
  })

  test("what is written in two steps is never half taken, nor found bad, when the second step comes soon", async () => {
    await using on = await following({ "a.txt": "10.0.0.0/8\n" })
    const list = on.lists.open(on.at("a.txt"), "m1")
    let empty = false
    for (let round = 0; round < 20; round++) {
      truncateSync(on.at("a.txt"))
      await on.lists.look()
      empty ||= list.size === 0
      appendFileSync(on.at("a.txt"), `10.0.0.0/8\n192.0.2.${round}/`)
      await on.lists.look()
      appendFileSync(on.at("a.txt"), "32\n")
      await on.until(() => list.contains(`192.0.2.${round}`))
    }
    expect(empty).toBe(false)
    expect(on.said.filter((line) => !line.startsWith("info "))).toEqual([])
  })

  test("behind links follows each of them", async () => {
    await using on = await following({ "..one/a.txt": "10.0.0.0/8\n", "..two/a.txt": "192.0.2.0/24\n" })
    symlinkSync("..one", on.at("..data"))
    symlinkSync("..data/a.txt", on.at("a.txt"))
    const list = on.lists.open(on.at("a.txt"), "m1")
    expect(on.lists.folders().toSorted()).toEqual(["", "/..one"].map((name) => on.at(".") + name))
    expect(held(list, "10.0.0.1")).toEqual([true])
    // As the kubelet does it.
    symlinkSync("..two", on.at("..data_tmp"))
    renameSync(on.at("..data_tmp"), on.at("..data"))
    rmSync(on.at("..one"), { recursive: true })
    await on.until(() => list.contains("192.0.2.1"))
    expect(held(list, "10.0.0.1")).toEqual([false])
    expect(on.said).toEqual(["info a.txt: 1 prefix, read"])
  })

  test("that is replaced all the time is always one whole version", async () => {
    await using on = await following({ "a.txt": "10.0.0.0/32\n" })
    const list = on.lists.open(on.at("a.txt"), "m1")
    const { below } = random(21)
    let writing = true
    const writer = (async () => {
      for (let version = 1; version <= 60; version++) {
        const lines = Array.from({ length: 1 + below(20_000) }, (_, i) => `10.${version}.${i >> 8}.${i & 255}`)
        const text = `${lines.join("\n")}\n`
        if (below(2) === 0) replace(on.at("a.txt"), text)
        else {
          const half = below(text.length)
          writeFileSync(on.at("a.txt"), text.slice(0, half))
          await Bun.sleep(below(3))
          appendFileSync(on.at("a.txt"), text.slice(half))
        }
        await Bun.sleep(below(4))
      }
      replace(on.at("a.txt"), "192.0.2.0/24\n")
      writing = false
    })()
    await on.until(() => !writing && list.contains("192.0.2.1"))
    await writer
    expect(on.said.filter((line) => line.startsWith("error"))).toEqual([])
  })
})

test("equal paths are one list, and other paths to the same file share what was read", async () => {
  await using on = await following({ "a.txt": "10.0.0.0/8\n" })
  // Older than the steps in which times are stamped.
  await Bun.sleep(30)
  symlinkSync("a.txt", on.at("b.txt"))
  const list = on.lists.open(on.at("a.txt"), "m1")
  expect(on.lists.open(on.at("a.txt"), "m2")).toBe(list)
  const other = on.lists.open(on.at("b.txt"), "m1")
  expect(other).not.toBe(list)
  // When it was read, and how long that took, is the same.
  const [first, second] = on.lists.status()
  expect(second).toEqual({ ...first!, file: second!.file })
  // The link goes its own way.
  rmSync(on.at("b.txt"))
  writeFileSync(on.at("b.txt"), "192.0.2.0/24\n")
  await on.until(() => other.contains("192.0.2.1"))
  expect(held(list, "10.0.0.1", "192.0.2.1")).toEqual([true, false])
})

test("a list that no policy has any more is let go, and not reported", async () => {
  await using on = await following({ "a.txt": "10.0.0.0/8\n", "b.txt": "10.0.0.0/8\n", "c.txt": "10.0.0.0/8\n" })
  const lists = ["a.txt", "b.txt", "c.txt"].map((name) => on.lists.open(on.at(name), "m1"))
  on.lists.open(on.at("b.txt"), "m2")
  on.lists.open(on.at("c.txt"), undefined)
  on.lists.release("m1")
  expect(on.lists.status().map(({ file }) => file)).toEqual([on.at("b.txt"), on.at("c.txt")])
  for (const name of ["a.txt", "b.txt"]) rmSync(on.at(name))
  await on.until(() => on.said.length > 0)
  expect(on.said).toEqual([expect.stringContaining("error b.txt: ")])
  on.lists.release("m2")
  expect(on.lists.status().map(({ file }) => file)).toEqual([on.at("c.txt")])
  expect(lists.map((list) => list.size)).toEqual([1, 1, 1])
})

test("a list that could not be read for a policy asks for another try when it is another one", async () => {
  await using on = await following({ "bad.txt": "nonsense\n" })
  expect(() => on.lists.open(on.at("bad.txt"), "m1")).toThrow("bad.txt:1:1: ")
  expect(() => on.lists.open(on.at("gone/a.txt"), "m1")).toThrow("there is no such file")
  expect(on.lists.folders().toSorted()).toEqual([on.at("."), on.at("gone")].map((path) => path.replace(/\/\.$/, "")))
  await on.lists.look()
  expect(on.said).toEqual([])
  replace(on.at("bad.txt"), "10.0.0.0/8\n")
  await on.until(() => on.said.length === 1)
  mkdirSync(on.at("gone"))
  writeFileSync(on.at("gone/a.txt"), "10.0.0.0/8\n")
  await on.until(() => on.said.length === 2)
  await on.lists.look()
  expect(on.said).toEqual(["again", "again"])
  expect(on.lists.open(on.at("bad.txt"), "m1").size).toBe(1)
})

test("what cannot be read is an error that says why", async () => {
  await using dir = await folder({ "a.txt": "10.0.0.0/8\n" })
  const lists = new AddressLists()
  symlinkSync("loop", join(dir.path, "loop"))
  expect(() => lists.open(join(dir.path, "none.txt"), undefined)).toThrow(
    "none.txt: cannot be read: there is no such file",
  )
  expect(() => lists.open(join(dir.path, "a.txt/b"), undefined)).toThrow("cannot be read: there is no such file")
  expect(() => lists.open(join(dir.path, "loop"), undefined)).toThrow("cannot be read: its links lead in a circle")
  expect(() => lists.open(dir.path, undefined)).toThrow("cannot be read: it is not a file")
  expect(() => lists.open("/dev/null", undefined)).toThrow("cannot be read: it is not a file")
})
