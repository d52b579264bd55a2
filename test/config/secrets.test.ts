import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { Secrets } from "../../src/config/secrets.ts"

function folder(
  files: Record<string, string>,
): Disposable & { readonly path: string; write(name: string, text: string): void } {
  const path = mkdtempSync(join(tmpdir(), "secrets-"))
  const write = (name: string, text: string) => {
    mkdirSync(join(path, name, ".."), { recursive: true, mode: 0o700 })
    writeFileSync(join(path, name), text)
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  return { path, write, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

test("a secret is what its file says, without the last line break", () => {
  using made = folder({
    "db/password": "hunter2\n",
    "db/user": "ana",
    "mail/key": "a\nb\r\n",
    ".hidden/x": "no",
    "db/.x": "no",
  })
  const { problems, secrets } = Secrets.open(made.path)
  expect(problems).toEqual([])
  expect(secrets.get("db", "password")).toBe("hunter2")
  expect(secrets.get("db", "user")).toBe("ana")
  expect(secrets.get("mail", "key")).toBe("a\nb")
  expect(secrets.get("db", ".x")).toBeUndefined()
  expect(secrets.get("db/password", "")).toBeUndefined()
  expect(secrets.get("..", "etc/passwd")).toBeUndefined()
})

test("Kubernetes' swapped links are followed, and a look reads what is new", () => {
  using made = folder({ "db/..2026/password": "one" })
  symlinkSync("..2026/password", join(made.path, "db/password"))
  const { secrets } = Secrets.open(made.path)
  expect(secrets.get("db", "password")).toBe("one")
  made.write("db/..2026/password", "two")
  expect(secrets.look()).toEqual([])
  expect(secrets.get("db", "password")).toBe("two")
})

test("what cannot be used is said, and what was read before stays", () => {
  using made = folder({ "db/password": "one" })
  const { secrets } = Secrets.open(made.path)
  made.write("db/password", "x".repeat(64 * 1024 + 1))
  expect(secrets.look().map(({ message }) => message)).toEqual([
    expect.stringContaining("65537 bytes; a secret has at most 65536"),
  ])
  made.write("db/password", "two")
  chmodSync(join(made.path, "db"), 0o777)
  expect(secrets.look().map(({ path }) => path)).toEqual([join(made.path, "db")])
  expect(secrets.get("db", "password")).toBe("one")
})

test("a folder that is not there is a problem", () => {
  const { problems } = Secrets.open("/nowhere/at/all")
  expect(problems).toEqual([{ path: "/nowhere/at/all", message: "cannot be read: ENOENT" }])
})
