// Rewrites the generated parts of docs/performance.md, which stand between markers, and its chart.
import { readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { chart } from "./chart.ts"
import { goals, markdown, medians, ratios, type Result } from "./report.ts"

const FOLDER = resolve(import.meta.dir, "../docs")
/** These explain the others. */
const INSIDE = ["micro", "syscalls", "profile"]

export function writeDocs(results: readonly Result[]): void {
  const page = join(FOLDER, "performance.md")
  let text = readFileSync(page, "utf8")
  text = between(text, "machine", machines(results))
  text = between(
    text,
    "results",
    results
      .filter(({ name }) => !INSIDE.includes(name))
      .map((result) => `### ${result.name}\n\n${section(result)}`)
      .join("\n\n"),
  )
  for (const name of INSIDE) {
    const result = results.find((each) => each.name === name)
    text = between(text, name, result === undefined ? "Not measured yet." : section(result))
  }
  writeFileSync(page, text)
  writeFileSync(join(FOLDER, "performance.svg"), chart(results))
}

/** @throws when the page has lost its markers */
export function between(text: string, name: string, content: string): string {
  const open = `<!-- bench:${name} -->`
  const close = `<!-- /bench:${name} -->`
  const from = text.indexOf(open)
  const to = text.indexOf(close)
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no ${open} ... ${close}`)
  return `${text.slice(0, from + open.length)}\n${content}\n${text.slice(to)}`
}

function section(result: Result): string {
  const rounds = Math.max(...result.samples.map(({ round }) => round), 0)
  const tables = [medians(result), ratios(result), goals(result)].filter((table) => table !== undefined)
  const left = result.left.length === 0 ? [] : [`Not here: ${result.left.join("; ")}.`]
  const count = result.quick ? "with `--quick`: not to be believed" : `${rounds} round${rounds === 1 ? "" : "s"}`
  return [`${result.title} (${count}).`, ...tables.map(markdown), ...left].join("\n\n")
}

/** One table if everything was measured on the same; otherwise one per machine. */
function machines(results: readonly Result[]): string {
  const different = new Map(results.map(({ machine }) => [JSON.stringify({ ...machine, date: "" }), machine] as const))
  return [...different.values()]
    .map(({ date, cores, processor, memory, kernel, system, bun, versions }) =>
      markdown({
        head: ["", ""],
        rows: [
          ["measured", date.slice(0, 10)],
          ["processor", `${processor}, ${cores} cores`],
          ["memory", memory],
          ["system", `${system}, ${kernel}`],
          ["Bun", bun],
          ...Object.entries(versions),
        ],
      }),
    )
    .join("\n\n")
}
