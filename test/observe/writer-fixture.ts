// Writes numbered lines to stdout, as its first argument says, and reports what happened on stderr as JSON.
import { LineWriter } from "../../src/observe/writer.ts"

const [mode, count = "10", width = "80"] = process.argv.slice(2)
const writer = new LineWriter(1, {
  ...(mode === "small" ? { limit: 256 * 1024 } : {}),
  droppedLine: (lost) => `dropped ${lost}`,
})
const pad = "x".repeat(Number(width))
const started = performance.now()
for (let i = 0; i < Number(count); i++) writer.write(`${i} ${pad}`)
const blocked = Math.round(performance.now() - started)
const waiting = writer.waiting
/** What needs a thread of Bun's pool still works while nobody reads. */
const read = await Promise.race([Bun.file(import.meta.path).text(), Bun.sleep(2000)])

if (mode === "small") {
  // The reader starts when it hears from us, and stops at the line after the report.
  console.error("full")
  while (writer.waiting > 1000) await Bun.sleep(5)
  writer.write("after")
}
const flushed = await writer.flush(mode === "stuck" ? 200 : 10_000)
const report = { blocked, waiting, flushed, dropped: writer.dropped, pool: typeof read === "string" }
if (mode === "exit") {
  process.on("exit", () => writer.flushNow())
  writer.write("last words")
}
await Bun.write(Bun.stderr, `${JSON.stringify(report)}\n`)
process.exit(0)
