// Fills limits with clients and prints what that costs: bytes of resident memory, and milliseconds of the slowest take.
import { names } from "../../src/limit/names.ts"
import { rateLimit } from "../../src/limit/rate-limit.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { ADDRESS, type Hooks } from "../../src/policy/hooks.ts"

const [limits, clients] = process.argv.slice(2).map(Number) as [number, number]

const ip = { family: "IPv6" as const, a: 0x20010db8, b: 0, c: 0, d: 1 }
const connection = { [ADDRESS]: ip } satisfies Pick<Hooks, typeof ADDRESS> as unknown as Connection

Bun.gc(true)
const before = process.memoryUsage.rss()
const made = Array.from({ length: limits }, (_, i) => rateLimit(`limit ${i}`, { limit: 1, per: "30 days" }))
let slowest = 0
for (const limit of made) {
  for (let i = 0; i < clients; i++) {
    ip.b = i
    const began = performance.now()
    if (!limit.take(connection)) throw new Error("two clients are one key")
    slowest = Math.max(slowest, performance.now() - began)
  }
}
const grown = process.memoryUsage.rss() - before
const keys = names.rate('rateLimit "limit 0"').counts.size
console.log(JSON.stringify({ keys, grown, total: process.memoryUsage.rss(), slowest }))
