// The configurations in the manuals: ours are compiled as the gateway does it, those of other programs are given to
// these. docs/configuration.md has a test of its own.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { renderDiagnostic } from "../../src/config/diagnostic.ts"
import { Loader } from "../../src/config/loader.ts"
import { folder } from "../helper/cli.ts"
import { blocksOf, manual, type Block } from "../helper/manuals.ts"
import { installed, run } from "../helper/servers.ts"

setDefaultTimeout(60_000)

const pages = ["README.md", "docs/upstreams.md", "docs/limits.md"].map((name) => manual(name))
const blocks = (language: string) =>
  pages.flatMap(({ name, text }) => blocksOf(text, language).map((block) => ({ ...block, page: name })))

/** Pools alone are nothing to serve. */
const policy = `import { next } from "tidegate"\nexport const listen = "tcp://127.0.0.1:1"\nexport const on_tcp_connect = () => next\n`

const NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
const hasHaproxy = installed("haproxy")
const hasNginx = installed("nginx") && existsSync(NGINX_MODULE)

describe("tidegate.yaml", () => {
  test.each(blocks("yaml"))("$page, line $line", async ({ text }) => {
    await using dir = await folder({ "tidegate.yaml": text, "policies/somewhere.ts": policy })
    const loader = new Loader(join(dir.path, "policies"), { config: join(dir.path, "tidegate.yaml"), runSetup: true })
    const { problems, snapshot } = await loader.load()
    expect(problems.map((problem) => renderDiagnostic(problem))).toEqual([])
    expect(snapshot.pools.size + snapshot.listeners.size).toBeGreaterThan(1)
    await loader.close()
  })
})

/** Checks a configuration of another program, without opening anything. */
async function accepts(text: string, command: (path: string) => string[]): Promise<void> {
  await using dir = await folder()
  const path = join(dir.path, "configuration")
  writeFileSync(path, text)
  await run(command(path))
}

describe.skipIf(!hasHaproxy)("HAProxy takes", () => {
  const defaults = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n\n"
  test.each(blocks("haproxy"))("$page, line $line", async ({ text }: Block) => {
    await accepts(defaults + text, (path) => ["haproxy", "-c", "-f", path])
  })
})

describe.skipIf(!hasNginx)("nginx takes", () => {
  test.each(blocks("nginx"))("$page, line $line", async ({ text }: Block) => {
    await using dir = await folder()
    const main = `load_module ${NGINX_MODULE};\npid ${dir.path}/pid;\nerror_log stderr;\nevents {}\n`
    await accepts(`${main}stream {\n${text}}\n`, (path) => ["nginx", "-t", "-c", path])
  })
})
