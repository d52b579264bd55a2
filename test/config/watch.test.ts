// A save is noticed soon, many at once are few loads, and folders that are replaced stay watched.
import { expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { watch } from "../../src/config/watch.ts"
import type { Loaded } from "../../src/config/loader.ts"
import { answer, policy, PolicyFolder, states, until, type TestLoader } from "./policy-folder.ts"

/** What the gateway does: loads when something may have changed, one load at a time. */
class Following implements AsyncDisposable {
  loaded: Loaded | undefined
  /** Loads that found a change. */
  changes = 0
  /** All loads. */
  loads = 0
  private readonly loader: TestLoader
  private readonly watching
  private running: Promise<void> | undefined
  private due = false

  constructor(loader: TestLoader) {
    this.loader = loader
    this.watching = watch(
      () => loader.folders(),
      () => this.load(),
    )
    this.load()
  }

  private load(): void {
    this.due = true
    this.running ??= this.work().finally(() => (this.running = undefined))
  }

  private async work(): Promise<void> {
    while (this.due) {
      this.due = false
      const loaded = await this.loader.reload()
      this.loads++
      if (loaded.changed) this.changes++
      this.loaded = loaded
      this.watching.refresh()
    }
  }

  async answers(file: string, value: unknown): Promise<void> {
    await until(() => {
      const { loaded } = this
      return loaded?.snapshot.policies.some((one) => one.file === file) === true && answer(loaded, file) === value
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.watching.close()
    await this.running
  }
}

/** Less than the rescan: what comes within it came by an event. */
async function soon(work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error("nothing came by an event")), 1000)
  await Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

test("saves in place, by rename, in sub-folders, outside of the folder, and deletions are noticed by events", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("[x, y].join()", { before: `import { x } from "./lib/x.ts"; import { y } from "../out/y.ts"` }),
    "lib/x.ts": "export const x = 1",
    "../out/y.ts": "export const y = 1",
  })
  await using following = new Following(folder.loader())
  await soon(following.answers("a.ts", "1,1"))
  folder.write("lib/x.ts", "export const x = 2")
  await soon(following.answers("a.ts", "2,1"))
  folder.replace("lib/x.ts", "export const x = 3")
  await soon(following.answers("a.ts", "3,1"))
  folder.write("../out/y.ts", "export const y = 2")
  await soon(following.answers("a.ts", "3,2"))
  folder.replace("a.ts", policy("4"))
  await soon(following.answers("a.ts", 4))
  folder.write("b.ts", policy("5"))
  await soon(following.answers("b.ts", 5))
  folder.remove("b.ts")
  await soon(until(() => following.loaded?.snapshot.policies.length === 1))
  folder.write("b.ts", policy("z", { before: `import { z } from "./new/deep/z.ts"` }))
  await soon(until(() => following.loaded?.snapshot.files.some(({ state }) => state === "bad") === true))
  folder.write("new/deep/z.ts", "export const z = 6")
  await soon(following.answers("b.ts", 6))
  folder.chmod("b.ts", 0o666)
  await soon(until(() => states(following.loaded!)["b.ts"] === "kept"))
})

test("a folder that is moved away and replaced, also by a link, is followed and watched again", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  await using following = new Following(folder.loader())
  await soon(following.answers("a.ts", 1))
  renameSync(folder.path, join(folder.root, "old"))
  mkdirSync(folder.path)
  folder.write("a.ts", policy("2"))
  await following.answers("a.ts", 2)
  folder.write("a.ts", policy("3"))
  await soon(following.answers("a.ts", 3))
  rmSync(folder.path, { recursive: true })
  mkdirSync(folder.path)
  folder.write("a.ts", policy("4"))
  await following.answers("a.ts", 4)
  folder.write("a.ts", policy("5"))
  await soon(following.answers("a.ts", 5))
  rmSync(folder.path, { recursive: true })
  symlinkSync("old", folder.path)
  await following.answers("a.ts", 1)
  folder.write("a.ts", policy("6"))
  await soon(following.answers("a.ts", 6))
}, 20_000)

test("a swap of links inside of the folder is noticed, and so is a write behind them", async () => {
  await using folder = new PolicyFolder({ "..1/a.ts": policy("1"), "..2/a.ts": policy("2") })
  symlinkSync("..1", folder.at("..data"))
  symlinkSync("..data/a.ts", folder.at("a.ts"))
  await using following = new Following(folder.loader())
  await soon(following.answers("a.ts", 1))
  symlinkSync("..2", folder.at("..tmp"))
  renameSync(folder.at("..tmp"), folder.at("..data"))
  await soon(following.answers("a.ts", 2))
  folder.write("..2/a.ts", policy("3"))
  await soon(following.answers("a.ts", 3))
})

test("a folder that is a link is followed when the link is swapped, or one further up", async () => {
  await using folder = new PolicyFolder()
  for (const n of ["1", "2", "3"]) folder.write(`../r${n}/policies/a.ts`, policy(n))
  rmSync(folder.path, { recursive: true })
  const swap = (target: string, link: string) => {
    symlinkSync(target, join(folder.root, "next"))
    renameSync(join(folder.root, "next"), link)
  }
  swap("r1", join(folder.root, "current"))
  swap("current/policies", folder.path)
  await using following = new Following(folder.loader())
  await following.answers("a.ts", 1)
  swap("r2", join(folder.root, "current"))
  await following.answers("a.ts", 2)
  swap("r3/policies", folder.path)
  await following.answers("a.ts", 3)
  folder.write("a.ts", policy("4"))
  await soon(following.answers("a.ts", 4))
}, 20_000)

test("fifty files at once are one or two changes", async () => {
  await using folder = new PolicyFolder({ "p0.ts": policy("0") })
  await using following = new Following(folder.loader())
  await soon(following.answers("p0.ts", 0))
  const before = following.changes
  for (let i = 0; i < 50; i++) folder.replace(`p${i}.ts`, policy(String(i + 1), { port: 9000 + i }))
  await soon(following.answers("p49.ts", 50))
  await soon(following.answers("p0.ts", 1))
  expect(following.changes - before).toBeLessThanOrEqual(2)
})

test("a folder that never rests is looked at all the same", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("0") })
  await using following = new Following(folder.loader())
  await soon(following.answers("a.ts", 0))
  let n = 0
  const restless = setInterval(() => folder.write("noise.txt", String(n++)), 1)
  folder.write("a.ts", policy("1"))
  await soon(following.answers("a.ts", 1)).finally(() => clearInterval(restless))
  expect(n).toBeGreaterThan(0)
})

/** The inodes that this process watches, as the kernel has them. */
function watchedInodes(): Set<number> {
  const inodes = new Set<number>()
  for (const fd of readdirSync("/proc/self/fdinfo")) {
    const info = existsSync(`/proc/self/fdinfo/${fd}`) ? readFileSync(`/proc/self/fdinfo/${fd}`, "latin1") : ""
    for (const [, inode] of info.matchAll(/^inotify wd:\w+ ino:(\w+)/gm)) inodes.add(Number.parseInt(inode!, 16))
  }
  return inodes
}

test("what is beside the folder costs nothing: its parent is not watched, also while the folder is missing", async () => {
  await using folder = new PolicyFolder({ "lib/x.ts": "" })
  const [own, lib, parent] = [folder.path, folder.at("lib"), folder.root].map((path) => statSync(path).ino)
  const watching = watch(
    () => [folder.path, folder.at("lib")],
    () => {},
  )
  const before = watchedInodes()
  expect([own, lib, parent].map((each) => before.has(each!))).toEqual([true, true, false])
  rmSync(folder.path, { recursive: true })
  watching.refresh()
  expect(watchedInodes().has(parent!)).toBe(false)
  watching.close()
})

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length
}

test("closing gives back every descriptor, and a folder that is missing is no error", async () => {
  await using folder = new PolicyFolder({ "lib/x.ts": "" })
  const open = () =>
    watch(
      () => [folder.path, folder.at("lib"), folder.at("missing/deep")],
      () => {},
    )
  open().close()
  const before = openDescriptors()
  const watches = Array.from({ length: 20 }, open)
  rmSync(folder.path, { recursive: true })
  for (const one of watches) one.refresh()
  for (const one of watches) one.close()
  expect(openDescriptors()).toBe(before)
})
