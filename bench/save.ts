// From saving a file to its being in effect: 50 new files, 50 changed files. Prints median, 95th percentile and maximum
// in milliseconds. Each time is from before the write until a client connected (new) or was answered anew (changed).
import { freePort, serve } from "../test/helper/serve.ts"

const SAVES = 50

const policy = (port: number, text: string) => `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:${port}"
export const on_tcp_connect = () => respond("${text}")
`

/** What a client is answered; empty when nobody listens yet. */
async function ask(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let answer = ""
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_, chunk) => void (answer += chunk.toString()),
      close: () => resolve(answer),
      connectError: () => resolve(""),
    },
  }).catch(() => resolve(""))
  return promise
}

async function until(port: number, text: string): Promise<void> {
  while ((await ask(port)) !== text) await new Promise((resolve) => setImmediate(resolve))
}

function report(what: string, times: number[]): void {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1)
  console.log(`${what.padEnd(14)} median ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(1)} ms (${times.length} saves)`)
}

await using gateway = await serve({ "base.ts": policy(freePort(), "base") })
const added: number[] = []
const changed: number[] = []
for (let i = 0; i < SAVES; i++) {
  const port = freePort()
  let start = performance.now()
  gateway.write(`added-${i}.ts`, policy(port, "first"))
  await until(port, "first")
  added.push(performance.now() - start)
  start = performance.now()
  gateway.write(`added-${i}.ts`, policy(port, "second"))
  await until(port, "second")
  changed.push(performance.now() - start)
}
report("a new file", added)
report("a changed file", changed)
