// What is said about failures: whose they are, where, how often, and that they end nothing.
import { expect, test } from "bun:test"
import { join } from "node:path"
import type { PolicyVersion } from "../../src/config/snapshot.ts"
import { Failures, type Attribute } from "../../src/observe/failures.ts"
import { answer, policy, PolicyFolder, version, type TestLoader } from "../config/policy-folder.ts"
import { versionOf } from "../helper/data-path.ts"

interface Said {
  readonly failures: Failures
  /** The lines of the log. */
  readonly lines: string[]
}

/** Failures with a log that is kept. */
function said(attribute: Attribute = () => undefined): Said {
  const lines: string[] = []
  const log = {
    error: (message: string) => void lines.push(`error ${message}`),
    info: (message: string) => void lines.push(`info ${message}`),
    warn: (message: string) => void lines.push(`warn ${message}`),
  }
  const failures = new Failures(log, { register: () => 1, enter: () => {}, loading: () => {} })
  failures.attributeBy(attribute)
  return { failures, lines }
}

const some = (file = "a.ts"): PolicyVersion => versionOf({ on_tcp_connect: () => undefined }, file)

/** Loads the folder, asks the policy and reports what it throws, as the gateway does. */
async function failing(loader: TestLoader, failures: Failures, file = "a.ts"): Promise<PolicyVersion> {
  const loaded = await loader.reload()
  const asked = version(loaded, file)
  try {
    await answer(loaded, file)
  } catch (error) {
    failures.policyFailed(asked, error)
  }
  return asked
}

test("a failure is logged once per version and place with its position, and counted each time", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("[fail()]", { before: `let n = 0\nfunction fail(): never {\n  throw new Error("no " + ++n)\n}` }),
  })
  const loader = folder.loader()
  const { failures, lines } = said((error, asked) => loader.attribute(error, asked))
  const first = await failing(loader, failures)
  await failing(loader, failures)
  expect(first.failures.count).toBe(2)
  expect(lines).toEqual([`error ${folder.at("a.ts")}:3:13: Error: no 1`])
  folder.write("a.ts", policy("[fail()]", { before: `function fail(): never {\n  throw new Error("new")\n}` }))
  expect((await failing(loader, failures)).failures.count).toBe(1)
  expect(lines.slice(1)).toEqual([`error ${folder.at("a.ts")}:2:13: Error: new`])
})

test("a call in tail position leaves no line on the stack: the failure has the place of on_tcp_connect", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `import { route } from "tidegate"\nexport const listen = "tcp://:7000"\nexport function on_tcp_connect() {\n  return route("db:5432")\n}`,
  })
  const loader = folder.loader()
  const { failures, lines } = said((error, asked) => loader.attribute(error, asked))
  const asked = await failing(loader, failures)
  expect(lines).toEqual([
    expect.stringContaining(`error ${folder.at("a.ts")}:3:17: TargetInvalid: target "db:5432": expected`),
  ])
  // What else goes wrong there is not the same, although it has the same place.
  failures.policyFailed(asked, new Error("on_tcp_connect returned nothing"))
  failures.policyFailed(asked, new Error("on_tcp_connect returned nothing"))
  expect(lines.slice(1)).toEqual([`error ${folder.at("a.ts")}:3:17: Error: on_tcp_connect returned nothing`])
  expect(asked.failures.count).toBe(3)
})

test("what is thrown may be anything", () => {
  const { failures, lines } = said()
  const policy = some()
  for (const thrown of ["text", undefined, 5]) failures.policyFailed(policy, thrown)
  expect(lines).toEqual(["error a.ts: threw text", "error a.ts: threw undefined", "error a.ts: threw 5"])
})

test("of messages that differ each time 20 are logged, and all are counted", () => {
  const { failures, lines } = said()
  const policy = some()
  for (let i = 1; i <= 50; i++) failures.policyFailed(policy, new Error(`connection ${i}`))
  expect(lines.length).toBe(20)
  expect(lines.at(0)).toBe("error a.ts: Error: connection 1")
  expect(lines.at(-1)).toBe("error a.ts: Error: connection 20; further messages of this version are only counted")
  expect(policy.failures.count).toBe(50)
  failures.policyFailed(some("b.ts"), new Error("connection 1"))
  expect(lines.at(-1)).toBe("error b.ts: Error: connection 1")
})

test("problems of the folder are reported when they change, and that there are none any more", () => {
  const { failures, lines } = said()
  failures.report([], [])
  failures.report(["a.ts:1:1 bad"], [])
  failures.report(["a.ts:1:1 bad"], [])
  failures.report(["a.ts:1:1 bad", "b.ts bad"], [])
  expect(lines.splice(0)).toEqual(["error a.ts:1:1 bad", "error a.ts:1:1 bad", "error b.ts bad"])
  failures.report([], ["a.ts is still loading"])
  expect(lines).toEqual([])
  failures.report([], [])
  failures.report([], [])
  expect(lines.splice(0)).toEqual(["info all policy files are good again"])
  failures.report(["a.ts bad"], [])
  failures.report([], ["a.ts is still loading"])
  failures.report(["a.ts bad"], [])
  expect(lines).toEqual(["error a.ts bad", "error a.ts bad"])
})

test("an internal error is logged once", () => {
  const { failures, lines } = said()
  const error = new Error("cannot happen")
  for (let i = 0; i < 3; i++) failures.internalError(error)
  failures.internalError("nor this")
  expect(lines).toEqual([
    expect.stringContaining("internal error: Error: cannot happen"),
    "error internal error: nor this",
  ])
})

test("stray rejections, throws in timers and process.exit of policies are theirs, and end nothing", async () => {
  const listen = "export const listen = 'tcp://:7000'\n"
  await using folder = new PolicyFolder({
    "exit.ts": `${listen}export function on_tcp_connect() {\n  process.exit(0)\n}`,
    "reject.ts": `${listen}export function on_tcp_connect() {\n  void (async () => { await null; throw new Error("left alone") })()\n}`,
    "timer.ts": `${listen}const tick = () => {\n  throw new Error("tick")\n}
let n = 0
export function on_tcp_connect() {
  const timer = setInterval(() => {
    if (++n === 3) clearInterval(timer)
    tick()
  }, 1)
}`,
  })
  const fixture = join(import.meta.dir, "failures-fixture.ts")
  await using child = Bun.spawn([process.execPath, "--no-install", fixture, folder.path], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  })
  const lines: { message: string; file?: string }[] = []
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true })
    const whole = text.split("\n")
    text = whole.pop()!
    lines.push(...whole.map((line) => JSON.parse(line)))
    // Four failures: the rest is what it says after the end of its input.
    if (lines.length === 4) await child.stdin.end()
  }
  expect(await child.exited).toBe(3)
  const [ours, ...theirs] = lines.slice(0, 4).sort((a, b) => (a.file ?? "").localeCompare(b.file ?? ""))
  expect(ours!.message).toMatch(/^internal error: Error: ours/)
  expect(theirs.map(({ message }) => message.replace(`${folder.path}/`, ""))).toEqual([
    "exit.ts:3:11: Error: process.exit(0): a policy cannot end the gateway",
    "reject.ts:3:45: Error: left alone",
    "timer.ts:3:13: Error: tick",
  ])
  expect(lines.slice(4).map(({ message }) => message)).toEqual([
    "exit.ts failed 1 times",
    "reject.ts failed 1 times",
    expect.stringMatching(/^timer\.ts failed [123] times$/),
  ])
})

test("a warning is said once, and again when it comes back", () => {
  const { failures, lines } = said()
  failures.report([], [], ["a.yaml:1:1 old"])
  failures.report([], [], ["a.yaml:1:1 old", "b.yaml:1:1 other"])
  failures.report([], [], [])
  failures.report([], [], ["a.yaml:1:1 old"])
  expect(lines).toEqual(["warn a.yaml:1:1 old", "warn b.yaml:1:1 other", "warn a.yaml:1:1 old"])
})
