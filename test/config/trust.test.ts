// What others may write to is refused.
import { expect, test } from "bun:test"
import { chmodSync, mkdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { distrust, isPrivateGroup } from "../../src/trust.ts"
import { policy, PolicyFolder, problems, states } from "./policy-folder.ts"

const users = [
  ["root", "x", "0", "0"],
  ["amy", "x", "1000", "1000"],
  ["bob", "x", "1001", "1001"],
  ["cat", "x", "1002", "50"],
]
const groups = [
  ["root", "x", "0", ""],
  ["staff", "x", "50", "amy"],
  ["amy", "x", "1000", ""],
  ["shared", "x", "60", "amy,bob"],
  ["mine", "x", "70", "amy"],
  ["admins", "x", "80", "amy,root"],
  ["empty", "x", "90", ""],
]

test.each([
  ["amy's own group", 1000, 1000, true],
  ["a group of amy alone", 1000, 70, true],
  ["a group of amy and root", 1000, 80, true],
  ["a group that nobody is in", 1000, 90, true],
  ["a group of amy and bob", 1000, 60, false],
  ["a group that is cat's primary one", 1000, 50, false],
  ["bob's group", 1000, 1001, false],
  ["root's group", 0, 0, true],
  ["a group without an entry and with another number", 1000, 4242, false],
  ["a group without an entry and with the number of an owner without an entry", 4242, 4242, true],
])("%s is private: %p %p %p", (_, uid, gid, expected) => {
  expect(isPrivateGroup(uid, gid, groups, users)).toBe(expected)
})

test("a policy that everybody may write to is refused with the mode and the chmod, and serves after the chmod", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1"), "b.ts": policy("2") })
  folder.chmod("a.ts", 0o666)
  const loader = folder.loader()
  const refused = await loader.reload()
  expect(problems(refused, folder)).toEqual(["a.ts not loaded, because everyone may write to it (mode 0666)"])
  expect(refused.problems[0]?.hint).toBe(`chmod o-w ${folder.at("a.ts")}`)
  folder.chmod("a.ts", 0o644)
  expect(states(await loader.reload())).toEqual({ "a.ts": "good", "b.ts": "good" })
  folder.chmod("a.ts", 0o646)
  expect(states(await loader.reload())).toEqual({ "a.ts": "kept", "b.ts": "good" })
})

test("a policies folder that everybody may write to is refused", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  chmodSync(folder.path, 0o777)
  const loader = folder.loader()
  const refused = await loader.load()
  expect(problems(refused, folder)).toEqual([". not loaded, because everyone may write to it (mode 0777)"])
  expect(refused.snapshot.listeners.size).toBe(0)
  chmodSync(folder.path, 0o755)
  const loaded = await loader.reload()
  expect(states(loaded)).toEqual({ "a.ts": "good" })
  chmodSync(folder.path, 0o757)
  expect((await loader.reload()).snapshot).toBe(loaded.snapshot)
})

test("an imported file and its folder are held to the same", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("x", { before: `import { x } from "./lib/x.ts"` }),
    "lib/x.ts": "export const x = 1",
  })
  const loader = folder.loader()
  await loader.reload()
  folder.chmod("lib", 0o777)
  const refused = await loader.reload()
  expect(states(refused)).toEqual({ "a.ts": "kept" })
  expect(problems(refused, folder)).toEqual(["lib not loaded, because everyone may write to it (mode 0777)"])
  folder.chmod("lib", 0o755)
  expect(states(await loader.reload())).toEqual({ "a.ts": "good" })
  folder.chmod("lib/x.ts", 0o666)
  expect(problems(await loader.reload(), folder)).toEqual([
    "lib/x.ts not loaded, because everyone may write to it (mode 0666)",
  ])
})

test("a group-writable file of an owner who is alone in the group is trusted", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  folder.chmod("a.ts", 0o664)
  const { gid, uid } = statSync(folder.at("a.ts"))
  expect(states(await folder.loader().load())).toEqual({ "a.ts": isPrivateGroup(uid, gid) ? "good" : "bad" })
})

// Mounting needs a name space of its own, which not every sandbox gives.
const mounts = Bun.spawnSync(["unshare", "--mount", "--user", "--map-root-user", "true"]).exitCode === 0

test.skipIf(!mounts)("what lies on a read-only mount is trusted whatever its mode", async () => {
  await using folder = new PolicyFolder()
  const path = join(folder.root, "mount")
  mkdirSync(path)
  chmodSync(path, 0o777)
  expect(distrust(path, statSync(path, { bigint: true }))?.message).toContain("(mode 0777)")
  const source = join(import.meta.dir, "../../src/trust.ts")
  const program = `import { distrust } from ${JSON.stringify(source)}
    import { statSync } from "node:fs"
    process.stdout.write(String(distrust(".", statSync(".", { bigint: true }))))`
  const script = `mount -t tmpfs -o mode=0777 none . && cd "$PWD" && mount -o remount,ro . && exec "$0" -e '${program}'`
  const { stdout, stderr } = Bun.spawnSync(
    ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", script, process.execPath],
    { cwd: path },
  )
  expect([stdout.toString(), stderr.toString()]).toEqual(["undefined", ""])
})
