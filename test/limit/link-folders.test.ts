import { expect, test } from "bun:test"
import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { linkFolders } from "../../src/limit/link-folders.ts"
import { folder } from "../helper/cli.ts"

async function tree(files: Readonly<Record<string, string>>, links: Readonly<Record<string, string>>) {
  const dir = await folder(files)
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(dir.path, name))
  return {
    /** Relative to the tree. */
    folders: (name: string) =>
      linkFolders(join(dir.path, name))
        .map((path) => path.replace(dir.path, "."))
        .toSorted(),
    path: dir.path,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

test("the folder of a file, whether it is there or not", async () => {
  await using at = await tree({ "a/list.txt": "" }, {})
  expect(at.folders("a/list.txt")).toEqual(["./a"])
  expect(at.folders("a/none.txt")).toEqual(["./a"])
  expect(at.folders("none/none.txt")).toEqual(["./none"])
})

test("the folders of the links on the way, and of what they lead to", async () => {
  await using at = await tree(
    { "releases/42/lists/list.txt": "" },
    { current: "releases/42", "link.txt": "current/lists/list.txt", lists: "current/lists", dangling: "gone/list.txt" },
  )
  expect(at.folders("link.txt")).toEqual([".", "./releases/42/lists"])
  expect(at.folders("lists/list.txt")).toEqual([".", "./releases/42/lists"])
  expect(at.folders("current/lists/none.txt")).toEqual([".", "./releases/42/lists"])
  expect(at.folders("dangling")).toEqual([".", "./gone"])
})

test("links in a circle come to an end", async () => {
  await using at = await tree({}, { a: "b", b: "a" })
  expect(at.folders("a")).toEqual(["."])
  expect(at.folders("a/list.txt")).toEqual(["."])
})
