import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { eventually } from "../helper/eventually.ts"
import { ROOT, run, type Ran } from "../helper/cli.ts"

// Dozens of gateways, one after the other, beside all other tests.
setDefaultTimeout(300_000)

const MAIN = join(ROOT, "conformance/main.ts")
const OWN = join(import.meta.dir, "manifests")
const SHARED = resolve(ROOT, "../shared/conformance")
const folder = mkdtempSync(join(tmpdir(), "tidegate-replayed-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Ports below 1024 are asked for. */
const CAN_BIND = process.getuid?.() === 0
const isShared = existsSync(join(SHARED, "expectations.yaml"))
if (!CAN_BIND) console.log("skipped: replays of manifests (ports below 1024 need root)")
if (!isShared) console.log("skipped: the replay of ../shared/conformance (it is absent)")

function conformance(...args: string[]): Promise<Ran> {
  return run([process.execPath, "--no-install", MAIN, ...args])
}

/** The own manifests with another expectations file. */
function variant(name: string, expectations: string): string {
  const path = join(folder, name)
  cpSync(OWN, path, { recursive: true })
  rmSync(join(path, "invalid"), { recursive: true })
  rmSync(join(path, "valid"), { recursive: true })
  writeFileSync(join(path, "expectations.yaml"), expectations)
  return path
}

test.skipIf(!CAN_BIND)("our own manifests do what is expected of them", async () => {
  const { code, stderr, stdout } = await conformance(OWN)
  expect(stdout.split("\n").filter((line) => /failed|expected/.test(line))).toEqual(["21 passed, 0 failed, 1 skipped"])
  expect(stdout).toContain("listeners rewritten: HTTPS -> TLS")
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
})

test.skipIf(!CAN_BIND || !isShared)("the manifests of ../shared do what is expected of them", async () => {
  const { code, stderr, stdout } = await conformance()
  expect(stdout).toMatch(/\n\d+ passed, 0 failed, \d+ skipped\n$/)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
})

test.skipIf(!CAN_BIND)("what is not as expected is told, and the exit code is 1", async () => {
  const path = variant(
    "wrong",
    `${readFileSync(join(OWN, "expectations.yaml"), "utf8").split("tests:")[0]}tests:
- name: WrongStatus
  file: port-and-section.yaml
  routes: {by-port: {Accepted: ["False", NoMatchingParent]}}
  attachedRoutes: {ports-gateway: 7}
- name: WrongBackend
  file: port-and-section.yaml
  probes: [{port: 9410, backend: second}, {port: 9411, reject: true}, {port: 9412, backend: third}]
- name: WrongTls
  file: mixed.yaml
  probes:
  - {port: 8883, sni: tls.example.com, backend: lines, backendTLS: true}
  - {port: 8883, sni: abc.example.com, backend: lines, backendSNI: other.example.com}
- name: WrongParts
  file: weights.yaml
  distribution: {connections: 100, attempts: 2, expect: {many: 0.5, some: 0.5}}
- name: UnknownKey
  file: port-and-section.yaml
  probs: []
  routes: {by-port: {Accepted: ["True", Accepted]}}
- name: NoFile
  file: nothing.yaml
  routes: {by-port: {Accepted: ["True", Accepted]}}
- {name: NothingToRemove, file: port-and-section.yaml, steps: [{remove: the moon, statusAddresses: 1}]}
`,
  )
  const { code, stdout } = await conformance(path)
  const text = stdout.replaceAll(/ +/g, " ")
  for (const line of [
    "WrongStatus failed 0 passed, 2 failed",
    "Route by-port Accepted: expected False/NoMatchingParent, found True/Accepted",
    "Gateway ports-gateway attachedRoutes: expected 7, found 1 and 1 and 1",
    "WrongBackend failed 1 passed, 2 failed",
    "9410 -> second: expected an answer of second, found one of gateway-conformance-infra/lines-",
    "9411 -> rejected: expected a rejection, found: the connection was served",
    "expected that the backend sees TLS, found plain text",
    'expected that the backend sees the SNI other.example.com, found "abc.example.com"',
    "expected many 0.5, some 0.5 (within 0.05), found ",
    'UnknownKey failed 1 passed, 1 failed\n expectations.yaml:34:3: the key "probs" is not known here; did you mean "probes"?',
    "nothing.yaml: cannot be read",
    'nothing in the manifests is meant by "the moon"',
    "no test of expectations.yaml names addresses.yaml",
    "\n0 passed, 7 failed, 0 skipped\n",
  ])
    expect(text).toContain(line)
  expect(code).toBe(1)
})

test("an expectations file or a folder that cannot be read: the place, and exit code 2", async () => {
  const [misread, absent, nowhere, many] = await Promise.all([
    conformance(variant("misread", "tests:\n- {name: x}\n")),
    conformance(join(OWN, "invalid")),
    conformance(join(folder, "nowhere")),
    conformance("a", "b"),
  ])
  expect(misread).toMatchObject({ code: 2, stdout: "" })
  expect(misread.stderr).toContain("/misread/expectations.yaml:2:3 tests.0: a test needs a `name` and a `file`")
  expect(absent).toMatchObject({ code: 2, stderr: expect.stringContaining("expectations.yaml: cannot be read") })
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining("is not a folder that can be read") })
  expect(many).toMatchObject({ code: 2, stderr: expect.stringContaining("Usage: bun run conformance [folder]") })
})

function leftovers(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("tidegate-conformance-"))
}

/** The processes that run in one of these folders. */
function gateways(folders: readonly string[]): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8")
      return folders.some((name) => command.includes(name))
    } catch {
      return false
    }
  })
}

test.skipIf(!CAN_BIND)("Ctrl-C ends everything that was started, and leaves nothing behind", async () => {
  const before = new Set(leftovers())
  await using child = Bun.spawn([process.execPath, "--no-install", MAIN, OWN], { stdout: "ignore", stderr: "ignore" })
  let folders: readonly string[] = []
  await eventually(() => {
    folders = leftovers().filter((name) => !before.has(name))
    return gateways(folders).length > 0
  })
  child.kill("SIGINT")
  expect(await child.exited).toBe(130)
  expect(gateways(folders)).toEqual([])
  expect(leftovers().filter((name) => folders.includes(name))).toEqual([])
})
