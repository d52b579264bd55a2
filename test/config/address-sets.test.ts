// Policies with address lists: found beside them whatever links lead there, and let go with them.
import { expect, test } from "bun:test"
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { addressLists } from "../../src/limit/address-lists.ts"
import { parseIp } from "../../src/policy/address.ts"
import { answer, policy, PolicyFolder, problems, until, version } from "./policy-folder.ts"

const IMPORT = 'import { addressSet } from "tidegate"'
const withList = (path = "list.txt") =>
  policy("list.cidrs", { before: `${IMPORT}; const list = addressSet(${JSON.stringify(path)})` })

/** The lists below a folder that somebody has. */
const listsOf = (folder: PolicyFolder) =>
  addressLists.status().flatMap(({ file }) => (file.startsWith(folder.root) ? [file.slice(folder.root.length)] : []))

test("a list is found beside the file that names it, also from a sub-folder", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withList(),
    "b.ts": policy("list.cidrs", { port: 9001, before: 'import { list } from "./lib/list.ts"' }),
    "lib/list.ts": `${IMPORT}\nexport const list = addressSet("../lists/b.txt")\n`,
    "list.txt": "10.0.0.0/8\n",
    "lists/b.txt": "192.0.2.0/24\n",
  })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, "a.ts")).toEqual(["10.0.0.0/8"])
  expect(answer(loaded, "b.ts")).toEqual(["192.0.2.0/24"])
})

test("a bad list is an error of the policy, at the call, with the list's own place", async () => {
  await using folder = new PolicyFolder({ "a.ts": withList(), "list.txt": "10.0.0.0/8\n10.0.0\n" })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([
    `a.ts:1:53 AddressListInvalid: ${folder.at("list.txt")}:2:1: "10.0.0" is not a CIDR: expected an address and a prefix length, like "10.0.0.0/8" or "2001:db8::/32"`,
  ])
})

test("a missing list is an error of the policy that names the path that was tried", async () => {
  await using folder = new PolicyFolder({ "a.ts": withList("none/list.txt") })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([
    `a.ts:1:53 AddressListInvalid: ${folder.at("none/list.txt")}: cannot be read: there is no such file`,
  ])
})

test("policies share a list, and it is let go with the last version that has it", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withList(),
    "b.ts": policy("list.cidrs", { port: 9001, before: `${IMPORT}; const list = addressSet("./list.txt")` }),
    "list.txt": "10.0.0.0/8\n",
  })
  const loader = folder.loader()
  await loader.reload()
  expect(listsOf(folder)).toEqual(["/policies/list.txt"])
  folder.write("a.ts", policy('"none"'))
  await loader.reload()
  expect(listsOf(folder)).toEqual(["/policies/list.txt"])
  folder.write("b.ts", policy('"none"', { port: 9001 }))
  await loader.reload()
  expect(listsOf(folder)).toEqual([])
})

test("a version that failed has no list", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy('"none"'), "list.txt": "10.0.0.0/8\n" })
  const loader = folder.loader()
  await loader.reload()
  folder.write("a.ts", `${withList()}\nthrow new Error("no")`)
  await loader.reload()
  expect(listsOf(folder)).toEqual([])
})

test("a connection's own version keeps its list until it has ended", async () => {
  await using folder = new PolicyFolder({ "a.ts": withList(), "list.txt": "10.0.0.0/8\n" })
  const loader = folder.loader()
  const loaded = await loader.reload()
  const { usage } = [...loaded.snapshot.listeners.values()][0]!
  usage.acquire()
  folder.write("a.ts", policy('"none"'))
  await loader.reload()
  expect(listsOf(folder)).toEqual(["/policies/list.txt"])
  usage.release()
  await until(() => listsOf(folder).length === 0)
})

test("in a ConfigMap the list is the one that the links lead to now, though the policy stays as it was", async () => {
  await using folder = new PolicyFolder()
  const release = (name: string, list: string) => {
    mkdirSync(folder.at(name))
    writeFileSync(folder.at(`${name}/a.ts`), withList())
    writeFileSync(folder.at(`${name}/list.txt`), list)
    symlinkSync(name, folder.at("..data_tmp"))
    renameSync(folder.at("..data_tmp"), folder.at("..data"))
  }
  release("..2026_01", "10.0.0.0/8\n")
  for (const name of ["a.ts", "list.txt"]) symlinkSync(`..data/${name}`, folder.at(name))
  const loader = folder.loader()
  const before = await loader.reload()
  expect(answer(before, "a.ts")).toEqual(["10.0.0.0/8"])
  const said: string[] = []
  const say = (message: string) => void said.push(message)
  using _ = addressLists.follow({ info: say, warn: say, error: say, again: () => undefined })
  release("..2026_02", "192.0.2.0/24\n")
  rmSync(folder.at("..2026_01"), { recursive: true })
  const after = await loader.reload()
  expect(version(after, "a.ts")).toBe(version(before, "a.ts"))
  await addressLists.look()
  expect(answer(after, "a.ts")).toEqual(["192.0.2.0/24"])
  expect(said.filter((line) => line.includes("cannot"))).toEqual([])
})

test("behind a link to the folder, likewise", async () => {
  await using folder = new PolicyFolder()
  const release = (name: string, list: string) => {
    mkdirSync(join(folder.root, name))
    writeFileSync(join(folder.root, name, "a.ts"), withList())
    writeFileSync(join(folder.root, name, "list.txt"), list)
    symlinkSync(name, join(folder.root, "next"))
    rmSync(folder.path, { recursive: true })
    renameSync(join(folder.root, "next"), folder.path)
  }
  release("41", "10.0.0.0/8\n")
  const loader = folder.loader()
  const before = await loader.reload()
  using _ = addressLists.follow({ info() {}, warn() {}, error() {}, again() {} })
  release("42", "192.0.2.0/24\n")
  rmSync(join(folder.root, "41"), { recursive: true })
  const after = await loader.reload()
  expect(version(after, "a.ts")).toBe(version(before, "a.ts"))
  await addressLists.look()
  expect(answer(after, "a.ts")).toEqual(["192.0.2.0/24"])
})

test("the set of a policy is a set for within()", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("list", { before: `${IMPORT}; const list = addressSet("list.txt")` }),
    "list.txt": "10.0.0.0/8\n",
  })
  const loaded = await folder.loader().reload()
  const set = answer(loaded, "a.ts") as { contains(ip: unknown): boolean }
  expect([set.contains(parseIp("10.0.0.1")), set.contains(parseIp("192.0.2.1"))]).toEqual([true, false])
})
