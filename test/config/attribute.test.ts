// Whose error it is: by the stack, for answers, timers and rejections of live and of old versions.
import { expect, test } from "bun:test"
import type { Loaded } from "../../src/config/loader.ts"
import { withoutVersions } from "../../src/config/plugin.ts"
import { answer, plan, policy, PolicyFolder, version } from "./policy-folder.ts"

async function errorOf(loaded: Loaded, file: string): Promise<unknown> {
  try {
    await answer(loaded, file)
  } catch (error) {
    return error
  }
  throw new Error(`${file} did not fail`)
}

test("an error of an answer is attributed to the version that threw it, at its innermost line", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("[fail()]", { before: `import { fail } from "./lib/fail.ts"` }),
    "b.ts": policy("[fail()]", { before: `import { fail } from "./lib/fail.ts"`, port: 9001 }),
    "lib/fail.ts": `\nexport function fail(): never {\n  throw new Error("x")\n}`,
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  for (const file of ["a.ts", "b.ts"]) {
    const { failures, version: hash } = version(loaded, file)
    const found = loader.attribute(await errorOf(loaded, file))
    expect(found).toEqual({
      policy: { file, version: hash, failures },
      position: `${folder.at("lib/fail.ts")}:3:13`,
    })
    expect(found?.policy.failures).toBe(failures)
  }
})

test("an error that is wrapped is found by its cause", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `export const listen = "tcp://:7000"
export async function on_tcp_connect() {
  throw new Error("inner")
}`,
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  const outer = new Error("outer", { cause: await errorOf(loaded, "a.ts") })
  const { failures, version: hash } = version(loaded, "a.ts")
  expect(loader.attribute(new Error("outermost", { cause: outer }))).toEqual({
    policy: { file: "a.ts", version: hash, failures },
    position: `${folder.at("a.ts")}:3:13`,
  })
})

test("an error of ours is attributed to the policy that called us", async () => {
  const text = `import { route } from "tidegate"\nexport const listen = "tcp://:7000"\nexport const on_tcp_connect = () => [\n  route("db:"),\n]`
  await using folder = new PolicyFolder({ "a.ts": text })
  const loader = folder.loader()
  const error = await errorOf(await loader.reload(), "a.ts")
  expect(loader.attribute(error)?.position).toBe(`${folder.at("a.ts")}:4:3`)
})

test("a call in tail position leaves no line, so that the function is named when the policy is known", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `import { route } from "tidegate"\nexport const listen = "tcp://:7000"\nexport function on_tcp_connect() {\n  return route("db:")\n}`,
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  const error = await errorOf(loaded, "a.ts")
  expect(loader.attribute(error)).toBeUndefined()
  expect(loader.attribute(error, version(loaded, "a.ts"))).toEqual({
    policy: version(loaded, "a.ts"),
    position: `${folder.at("a.ts")}:3:17`,
    vague: true,
  })
})

test("an error in a timer of a version that is gone is still the policy's, and is counted", async () => {
  const errors: unknown[] = []
  Reflect.set(globalThis, "tidegateTestErrors", errors)
  await using folder = new PolicyFolder({
    "a.ts": policy("later", {
      before: `const later = () => {\n  try { throw new Error("late") } catch (error) { globalThis.tidegateTestErrors.push(error) }\n}`,
    }),
  })
  const loader = folder.loader()
  const first = await loader.reload()
  const later = answer(first, "a.ts") as () => void
  folder.write("a.ts", policy("2"))
  await loader.reload()
  later()
  later()
  const found = errors.map((error) => loader.attribute(error))
  expect(found[0]).toEqual({
    policy: { file: "a.ts", version: version(first, "a.ts").version, failures: { count: 0, logged: new Set() } },
    position: `${folder.at("a.ts")}:2:19`,
  })
  expect(found[1]?.policy.failures).toBe(found[0]!.policy.failures)
})

test("an error from elsewhere is nobody's", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader()
  await loader.reload()
  for (const error of [new Error("own"), "text", undefined, null, 5]) expect(loader.attribute(error)).toBeUndefined()
  const circle = new Error("circle")
  circle.cause = circle
  expect(loader.attribute(circle)).toBeUndefined()
})

function rejecting(message: string): string {
  return policy(`(async () => { await null; throw new Error("${message}") })()`, { before: `// ${message}` })
}

test("a rejection of an old version that a connection still uses is attributed to that version", async () => {
  await using folder = new PolicyFolder({ "a.ts": rejecting("one") })
  const loader = folder.loader()
  const first = await loader.reload()
  plan(first, "tcp:127.0.0.1:9000").usage.acquire()
  folder.write("a.ts", rejecting("two"))
  const second = await loader.reload()
  for (const loaded of [first, second]) {
    const found = loader.attribute(await errorOf(loaded, "a.ts"))
    expect(found?.policy.version).toBe(version(loaded, "a.ts").version)
    expect(found?.policy.failures).toBe(version(loaded, "a.ts").failures)
  }
})

test("versions are left out of what people read", () => {
  expect(withoutVersions("at f (/p/a.ts?h=0123456789ab-12:3:4)\nat /p/b.ts?h=0123456789ab-1:1:1")).toBe(
    "at f (/p/a.ts:3:4)\nat /p/b.ts:1:1",
  )
})
