// Real servers behind a real gateway: what they and their clients say must be what they say without it.
import { createHash } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { serve } from "../helper/serve.ts"
import { installed, run, startNginx, startPostgres, startRedis, startSsh } from "../helper/servers.ts"

/** A policy that routes a free port to another. */
const routeTo = (port: number) => `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => route("tcp://127.0.0.1:${port}")
`

test.skipIf(!installed("redis-server", "redis-benchmark"))(
  "redis-benchmark runs through the gateway without an error",
  async () => {
    await using redis = await startRedis()
    await using gateway = await serve({ "redis.ts": routeTo(redis.port) })
    const port = String(await gateway.port("redis.ts"))
    const out = await run([
      "redis-benchmark",
      "-p",
      port,
      "-n",
      "20000",
      "-c",
      "50",
      "-t",
      "ping,set,get,lrange_100",
      "-q",
    ])
    expect(out).not.toContain("rror")
    // Fifty connections for each of the two forms of PING, SET, GET and LRANGE with its preparation.
    await gateway.until(() => gateway.events.length >= 250)
    expect(new Set(gateway.events.map((event) => event.close.reason))).toEqual(new Set(["client-closed"]))
  },
  60_000,
)

test.skipIf(!installed("postgres", "psql", "pgbench", "runuser"))(
  "psql and pgbench -C run through the gateway",
  async () => {
    await using postgres = await startPostgres()
    await using gateway = await serve({ "db.ts": routeTo(postgres.port) })
    const port = String(await gateway.port("db.ts"))
    const at = ["-h", "127.0.0.1", "-p", port, "-U", "postgres"]
    expect(await run(["psql", ...at, "-Atc", "select count(*), sum(i) from generate_series(1, 200000) i"])).toBe(
      "200000|20000100000\n",
    )
    expect((await run(["psql", ...at, "-Atc", "select repeat('x', 5000000)"])).length).toBe(5_000_001)
    await run(["pgbench", ...at, "-i", "-s", "1", "-q", "postgres"])
    const out = await run(["pgbench", ...at, "-C", "-S", "-c", "5", "-t", "100", "postgres"])
    expect(out).toContain("number of transactions actually processed: 500/500")
  },
  120_000,
)

test.skipIf(!installed("sshd", "ssh", "scp", "ssh-keygen"))(
  "scp of 1 GiB through the gateway arrives as it was sent",
  async () => {
    await using ssh = await startSsh()
    await using gateway = await serve({ "ssh.ts": routeTo(ssh.port) })
    const port = String(await gateway.port("ssh.ts"))
    const source = join(ssh.folder, "source")
    const copy = join(ssh.folder, "copy")
    await writeNoise(source, 1024)
    const options = [
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
      "-i",
      ssh.key,
    ]
    await run(["scp", ...options, "-P", port, `127.0.0.1:${source}`, copy])
    expect(await hash(copy)).toBe(await hash(source))
    await gateway.until(() => gateway.events.length === 1)
    expect(gateway.events[0]!.conn.bytes_out).toBeGreaterThan(2 ** 30)
  },
  180_000,
)

test.skipIf(!installed("nginx"))(
  "HTTP from nginx comes through whole, kept connections and large bodies included",
  async () => {
    await using nginx = await startNginx()
    await using gateway = await serve({ "web.ts": routeTo(nginx.port) })
    const url = `http://127.0.0.1:${await gateway.port("web.ts")}`
    const texts = await Promise.all(Array.from({ length: 50 }, async () => (await fetch(url)).text()))
    expect(new Set(texts)).toEqual(new Set(["hello from nginx\n"]))
    const big = new Uint8Array(await (await fetch(`${url}/big`)).arrayBuffer())
    expect(big.length).toBe(20_000_000)
    expect(big.every((byte) => byte === 65)).toBe(true)
  },
  60_000,
)

/** A file of `mebibytes` MiB in which no block is like another. */
async function writeNoise(path: string, mebibytes: number): Promise<void> {
  const out = createWriteStream(path)
  const block = crypto.getRandomValues(new Uint8Array(65_536))
  const chunk = new Uint8Array(1_048_576)
  for (let at = 0; at < chunk.length; at += block.length) chunk.set(block, at)
  for (let i = 0; i < mebibytes; i++) {
    new DataView(chunk.buffer).setUint32(i % 1000, i)
    if (!out.write(chunk.slice())) await new Promise((resolve) => out.once("drain", resolve))
  }
  await new Promise((resolve) => out.end(resolve))
}

async function hash(path: string): Promise<string> {
  const digest = createHash("sha256")
  for await (const chunk of createReadStream(path)) digest.update(chunk)
  return digest.digest("hex")
}
