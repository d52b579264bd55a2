// The benchmark as a smoke test: every scenario completes, with whatever peers are installed. Never a time.
import { expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { SCENARIOS } from "../../bench/scenarios.ts"
import type { Result } from "../../bench/report.ts"

const MAIN = resolve(import.meta.dir, "../../bench/main.ts")

async function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, "--no-install", MAIN, ...args], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, out, err }
}

/** What Tidegate and the floor did must not fail; a peer may have faults of its own. */
function failures({ samples }: Result): string[] {
  return samples
    .filter(({ system }) => /^(tidegate|floor)/.test(system))
    .filter(({ metrics }) => metrics["failed"] !== undefined && metrics["failed"] > 0)
    .map(({ system }) => system)
}

test(
  "every scenario completes without a failure and has measured something",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-test-"))
    const file = join(folder, "results.json")
    const svg = join(folder, "results.svg")
    const { code, err } = await bench("--quick", "--json", file, "--svg", svg)
    const { results }: { results: Result[] } = JSON.parse(readFileSync(file, "utf8"))
    const drawn = readFileSync(svg, "utf8")
    rmSync(folder, { recursive: true })
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(results.map(({ name }) => name)).toEqual(SCENARIOS.map(({ name }) => name))
    for (const result of results) {
      expect({ name: result.name, failures: failures(result) }).toEqual({ name: result.name, failures: [] })
      if (result.left.some((line) => line.startsWith("everybody"))) continue
      expect(result.samples.length).toBeGreaterThan(0)
      for (const { metrics } of result.samples) if ("units" in metrics) expect(metrics["units"]).toBeGreaterThan(0)
    }
    expect(drawn).toStartWith("<svg ")
  },
  // Some thirty programs are started in turn.
  120_000,
)

test("a scenario, a peer or an option that does not exist is a usage error", async () => {
  const runs = await Promise.all([
    bench("nonsense"),
    bench("--peers", "nonsense"),
    bench("--nonsense"),
    bench("--docs"),
  ])
  expect(runs.map(({ code }) => code)).toEqual([2, 2, 2, 2])
  expect(runs[0]!.err).toStartWith('bench: there is no scenario "nonsense"\n')
})
