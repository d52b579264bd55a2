import { expect, test } from "bun:test"
import { chmodSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AddressListInvalid, shownPath } from "../../src/limit/address-list.ts"
import { addressSet } from "../../src/limit/address-set.ts"
import { parseIp } from "../../src/policy/address.ts"
import { folder, run } from "../helper/cli.ts"
import { deno } from "../helper/deno.ts"
import { inner } from "./lists/inner-fixture.ts"

const FIXTURE = join(import.meta.dir, "address-set-fixture.ts")
const SAID = JSON.stringify([2, ["10.0.0.0/8", "2001:db8::/32"], true, true, false, true, true])

test("a relative path is resolved against the file that asks, wherever the process runs", async () => {
  await using elsewhere = await folder()
  const ran = await run([process.execPath, "--no-install", FIXTURE], { cwd: elsewhere.path })
  expect({ ...ran, stdout: ran.stdout.trim() }).toEqual({ code: 0, stdout: SAID, stderr: "" })
})

test.skipIf(deno === undefined)("on Deno likewise", async () => {
  await using cache = await folder()
  const env = { DENO_DIR: join(cache.path, "cache"), NPM_CONFIG_REGISTRY: "http://127.0.0.1:1" }
  const ran = await run([deno!, "run", "--allow-read", FIXTURE], { cwd: cache.path, env })
  expect({ code: ran.code, stdout: ran.stdout.trim() }).toEqual({ code: 0, stdout: SAID })
})

test("stacks that are cut short do not matter", () => {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    expect(addressSet("lists/fixture.txt")).toBe(inner)
    expect(Error.stackTraceLimit).toBe(0)
  } finally {
    Error.stackTraceLimit = before
  }
})

test("a list that is read again after a change has the new addresses, in the same set", async () => {
  await using dir = await folder({ "a.txt": "10.0.0.0/8\n" })
  const path = join(dir.path, "a.txt")
  const set = addressSet(path)
  writeFileSync(`${path}.new`, "192.0.2.0/24\n")
  renameSync(`${path}.new`, path)
  expect(set.contains("192.0.2.1")).toBe(false)
  expect(addressSet(path)).toBe(set)
  expect(set.contains("192.0.2.1")).toBe(true)
  writeFileSync(path, "nonsense\n")
  expect(() => addressSet(path)).toThrow("a.txt:1:1: ")
  expect(set.contains("192.0.2.1")).toBe(true)
})

test("an address is asked for as text, as value, or not at all", () => {
  const set = addressSet("lists/fixture.txt")
  expect(set.contains(parseIp("10.0.0.1")!)).toBe(true)
  expect(set.contains("::ffff:10.0.0.1")).toBe(true)
  expect(set.contains(undefined)).toBe(false)
  for (const text of ["", "10.0.0.0/8", "example.com", "10.1"])
    expect(() => set.contains(text)).toThrow(`${JSON.stringify(text)} is no IP address`)
})

test("a path is a text", () => {
  for (const value of [undefined, "", 3, ["a.txt"]])
    expect(() => Reflect.apply(addressSet, undefined, [value])).toThrow("expected the path of a list of addresses")
})

test("the error names the file as seen from where the process runs, and its stack begins at who asked", () => {
  try {
    addressSet("lists/none.txt")
    expect.unreachable()
  } catch (error) {
    if (!(error instanceof AddressListInvalid)) throw error
    expect(error.path).toBe(join(import.meta.dir, "lists/none.txt"))
    expect(error.message).toBe(`${shownPath(error.path)}: cannot be read: there is no such file`)
    expect(error.stack?.split("\n")[1]).toContain(import.meta.path)
  }
})

test("a list that others may write to is no list", async () => {
  await using dir = await folder({ "a.txt": "10.0.0.0/8\n" })
  const path = join(dir.path, "a.txt")
  chmodSync(path, 0o666)
  expect(() => addressSet(path)).toThrow(
    new AddressListInvalid(path, `not loaded, because everyone may write to it (mode 0666): chmod o-w ${path}`),
  )
  chmodSync(path, 0o644)
  expect(addressSet(path).size).toBe(1)
})
