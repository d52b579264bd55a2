// No byte lost, doubled or reordered: both directions at once, random chunk sizes, random pauses of both readers.
import { expect, setDefaultTimeout, test } from "bun:test"
import { route } from "../../src/policy/decision.ts"
import { gateway } from "../helper/data-path.ts"
import { random, type Random } from "../helper/random.ts"
import { upstream } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"

/** TIDEGATE_LONG=1 sends a gigabyte each way. */
const LONG = process.env["TIDEGATE_LONG"] === "1"
const LENGTH = LONG ? 1_073_741_824 : 67_108_864
const SEEDS = LONG ? [1] : [1, 2, 3]
setDefaultTimeout(LONG ? 300_000 : 60_000)

/** 4 MiB that every sender cuts its chunks from: different at every position. */
const source = new Uint8Array(new ArrayBuffer(4_194_304))
{
  const words = new Uint32Array(source.buffer)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1)
}

/** Sends `LENGTH` bytes in chunks of 1 byte to 300 kB, then FIN. Returns their hash. */
async function pour(wire: Wire, { below }: Random): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha1")
  for (let sent = 0; sent < LENGTH;) {
    const longest = below(4) === 0 ? 300 : 300_000
    const start = below(source.length - longest)
    const chunk = source.subarray(start, start + Math.min(1 + below(longest), LENGTH - sent))
    hasher.update(chunk)
    sent += chunk.length
    await wire.write(chunk)
    if (below(20) === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  wire.end()
  return hasher.digest("hex")
}

/** Reads to the FIN, stopping now and then. */
async function drain(wire: Wire, { below }: Random): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha1")
  wire.onData = (chunk) => {
    hasher.update(chunk)
    if (below(200) > 0) return
    wire.pause()
    setTimeout(() => wire.closed || wire.resume(), below(5))
  }
  await wire.until(() => wire.ended || wire.closed)
  return hasher.digest("hex")
}

test.each(SEEDS)("streams both ways at once arrive whole and in order (seed %p)", async (seed) => {
  using up = upstream(() => undefined)
  using gate = gateway(() => route(up.url))
  using client = await connect(gate.port)
  const wire = await up.connection()
  const received = Promise.all([drain(wire, random(seed)), drain(client, random(seed + 10))])
  const sent = await Promise.all([pour(client, random(seed + 20)), pour(wire, random(seed + 30))])
  expect(await received).toEqual(sent)
  const [event] = await gate.ended(1)
  expect([event!.conn.bytes_in, event!.conn.bytes_out]).toEqual([LENGTH, LENGTH])
  expect(gate.internalErrors).toEqual([])
})
