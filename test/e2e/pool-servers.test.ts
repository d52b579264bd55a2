// Pools of real servers behind a running gateway: who is asked is who can answer.
import { expect, setDefaultTimeout, test } from "bun:test"
import { servePools, type ServedPools } from "../helper/serve-pools.ts"
import { installed, run, startPostgres, startRedis } from "../helper/servers.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(120_000)

const policy = (pool: object) => `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const pools = { db: ${JSON.stringify(pool)} }
export const on_tcp_connect = () => route("db")
`

const cli = async (port: number, ...words: string[]) => (await run(["redis-cli", "-p", String(port), ...words])).trim()
const untilState = (gateway: ServedPools, name: string, state: string) =>
  gateway.untilPool((all) => all.find((each) => each.name === name)!.state === state)

test.skipIf(!installed("postgres", "psql", "runuser"))(
  "psql goes on with the backup when the primary is killed, and no statement fails",
  async () => {
    await using backup = await startPostgres({ name: "backup" })
    await using starting = await startPostgres({ name: "starting", isRecovering: true })
    const primary = await startPostgres({ name: "primary" })
    await using gateway = await servePools({
      "db.ts": policy({
        targets: [
          { url: `tcp://127.0.0.1:${backup.port}`, name: "backup", priority: 1 },
          { url: `tcp://127.0.0.1:${starting.port}`, name: "starting" },
          { url: `tcp://127.0.0.1:${primary.port}`, name: "primary" },
        ],
        health: { check: "postgres", interval: "200ms" },
      }),
    })
    const port = String(await gateway.port("db.ts"))
    const ask = async () =>
      (await run(["psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-Atc", "show cluster_name"])).trim()
    await untilState(gateway, "starting", "down")
    const names = [await ask(), await ask(), await ask()]
    expect(names).toEqual(["primary", "primary", "primary"])
    await primary[Symbol.asyncDispose]()
    for (let i = 0; i < 5; i++) names.push(await ask())
    await untilState(gateway, "primary", "down")
    for (let i = 0; i < 3; i++) names.push(await ask())
    expect(names.slice(3)).toEqual(Array.from({ length: 8 }, () => "backup"))
    expect((await gateway.pool()).targets.map(({ problem }) => problem)).toEqual([
      undefined,
      expect.stringContaining("the database system is"),
      "refused",
    ])
  },
)

test.skipIf(!installed("redis-server", "redis-cli"))(
  "whoever is Redis's master now is asked, by new connections and by those that there were",
  async () => {
    await using one = await startRedis()
    await using other = await startRedis("--replicaof", "127.0.0.1", String(one.port))
    await using gateway = await servePools({
      "redis.ts": policy({
        targets: [
          { url: `tcp://127.0.0.1:${one.port}`, name: "one" },
          { url: `tcp://127.0.0.1:${other.port}`, name: "other" },
        ],
        health: { check: { redis: { role: "master" } }, interval: "100ms", rise: 1, fall: 1 },
        closeOnUnhealthy: true,
      }),
    })
    const port = await gateway.port("redis.ts")
    await untilState(gateway, "other", "down")
    for (let i = 0; i < 4; i++) expect(await cli(port, "incr", "asked")).toBe(String(i + 1))
    const { promise: cut, resolve } = Promise.withResolvers<void>()
    const subscriber = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write("SUBSCRIBE news\r\n"),
        data: () => undefined,
        close: () => resolve(),
        error: () => undefined,
      },
    })
    await gateway.untilPool((all) => all[0]!.active === 1)
    // The replica has everything that it is to go on with.
    while ((await cli(other.port, "get", "asked")) !== "4");
    await cli(other.port, "replicaof", "no", "one")
    await cli(one.port, "replicaof", "127.0.0.1", String(other.port))
    await cut
    subscriber.end()
    await gateway.untilPool((all) => all[0]!.state === "down" && all[1]!.state === "up")
    for (let i = 4; i < 8; i++) expect(await cli(port, "incr", "asked")).toBe(String(i + 1))
    expect((await gateway.pool()).targets[0]!.problem).toBe("it is a slave, not a master")
  },
)
