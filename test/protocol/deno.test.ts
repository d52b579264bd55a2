import { expect, test } from "bun:test"
import { join } from "node:path"
import { detect, parseClientHello } from "../../src/protocol/index.ts"
import { folder, ROOT, run } from "../helper/cli.ts"
import { deno } from "../helper/deno.ts"
import { hello } from "./hello.ts"
import { samples } from "./samples.ts"

const PROGRAM = `
import { detect, parseClientHello } from "./src/protocol/index.ts"
import { hello } from "./test/protocol/hello.ts"
import { samples } from "./test/protocol/samples.ts"
console.log(JSON.stringify([parseClientHello(hello({ sni: "a.example" })), ...samples.map(([bytes]) => detect(bytes))]))
`

test.skipIf(deno === undefined)("on Deno the parsers read the same", async () => {
  await using cache = await folder()
  const env = { DENO_DIR: join(cache.path, "cache"), NPM_CONFIG_REGISTRY: "http://127.0.0.1:1" }
  const { code, stdout } = await run([deno!, "eval", "--ext=ts", PROGRAM], { cwd: ROOT, env })
  const here = [parseClientHello(hello({ sni: "a.example" })), ...samples.map(([bytes]) => detect(bytes))]
  expect(stdout.trim()).toBe(JSON.stringify(here))
  expect(code).toBe(0)
})
