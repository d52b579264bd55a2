// Health checks against the servers that they are for.
import { describe, expect, test } from "bun:test"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { authority } from "../helper/certificates.ts"
import { startMariadb } from "../helper/mariadb.ts"
import { becomesAlive, verdict, type Check } from "../helper/probing.ts"
import { installed, run, startNginx, startPostgres, startRedis, type RunningServer } from "../helper/servers.ts"
import { connect, type Wire } from "../helper/wire.ts"

const ca = authority()
const trusting = { tls: { ca: ca.cert } }

function issued() {
  return ca.issue({ names: ["db-1"], ips: ["127.0.0.1"], algorithm: "rsa" })
}

describe.skipIf(!installed("initdb", "postgres"))("PostgreSQL", () => {
  test("that answers is alive, for a user it does not know as well, and without TLS there is none", async () => {
    await using server = await startPostgres()
    const url = `tcp://127.0.0.1:${server.port}`
    await becomesAlive(url, { postgres: {} })
    expect(await verdict(url, { postgres: { user: "postgres" } })).toBe("alive")
    expect(await verdict(url, { postgres: { user: "postgres", database: "absent" } })).toBe("alive")
    expect(await verdict(`unix:${server.folder}/.s.PGSQL.${server.port}`, { postgres: {} })).toBe("alive")
    expect(await verdict(`tls://127.0.0.1:${server.port}`, { postgres: {} }, trusting)).toBe(
      "it does not speak TLS (it answered the request for TLS with N)",
    )
  })

  test("is asked inside TLS on tls:// targets, and verified", async () => {
    await using server = await startPostgres({ tls: issued() })
    const url = `tls://127.0.0.1:${server.port}`
    await becomesAlive(url, { postgres: {} }, trusting)
    expect(await verdict(url, { postgres: {} }, { tls: { ca: ca.cert, sni: "db-1" } })).toBe("alive")
    expect(await verdict(url, { postgres: {} }, { tls: { ca: ca.cert, sni: "db-2" } })).toBe(
      "TLS: the certificate is not for db-2: it has DNS:db-1, IP Address:127.0.0.1",
    )
    expect(await verdict(url, { postgres: {} })).toBe(
      "TLS: UNABLE_TO_VERIFY_LEAF_SIGNATURE: unable to verify the first certificate",
    )
    expect(await verdict(url, { postgres: {} }, { tls: { insecureSkipVerify: true } })).toBe("alive")
  })

  test("that still starts is not", async () => {
    await using server = await startPostgres({ isRecovering: true })
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { postgres: {} })).toMatch(
      /^57P03: the database system is (starting up|not (yet )?accepting connections)$/,
    )
  })
})

describe.skipIf(!installed("redis-server"))("Redis", () => {
  test("answers PING, and tells its role", async () => {
    await using master = await startRedis()
    await using replica = await startRedis("--replicaof", "127.0.0.1", String(master.port))
    const url = `tcp://127.0.0.1:${master.port}`
    expect(await verdict(url, { redis: {} })).toBe("alive")
    expect(await verdict(url, { redis: { role: "master" } })).toBe("alive")
    expect(await verdict(url, { redis: { role: "slave" } })).toBe("it is a master, not a slave")
    expect(await verdict(url, { redis: { password: "of nobody" } })).toBe("alive")
    const other = `tcp://127.0.0.1:${replica.port}`
    expect(await verdict(other, { redis: { role: "slave" } })).toBe("alive")
    expect(await verdict(other, { redis: { role: "master" } })).toBe("it is a slave, not a master")
  })

  test("with a password is alive for who has none, tells its role to who has it, and refuses a wrong one", async () => {
    await using server = await startRedis("--requirepass", "s3 cret")
    const url = `tcp://127.0.0.1:${server.port}`
    expect(await verdict(url, { redis: {} })).toBe("alive")
    expect(await verdict(url, { redis: { role: "master" } })).toBe(
      "it does not tell its role: NOAUTH Authentication required.",
    )
    expect(await verdict(url, { redis: { password: "s3 cret", role: "master" } })).toBe("alive")
    expect(await verdict(url, { redis: { password: "secret" } })).toMatch(/^it does not take the password: WRONGPASS/)
  })

  test("that has lost its master and will not serve what is old is not", async () => {
    // Nobody listens there.
    await using replica = await startRedis("--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no")
    expect(await verdict(`tcp://127.0.0.1:${replica.port}`, { redis: {} })).toMatch(
      /^MASTERDOWN Link with MASTER is down/,
    )
  })

  test("that still loads its data is not", async () => {
    await using before = await startRedis(
      "--enable-debug-command",
      "yes",
      "--key-load-delay",
      "1000",
      "--loading-process-events-interval-bytes",
      "1024",
    )
    const cli = (...command: string[]) => run(["redis-cli", "-p", String(before.port), ...command])
    await cli("DEBUG", "POPULATE", "100000", "key", "100")
    // Loads what it has just saved, a millisecond for each key.
    const reload = cli("DEBUG", "RELOAD")
    const url = `tcp://127.0.0.1:${before.port}`
    let found = await verdict(url, { redis: {} })
    while (found === "alive") found = await verdict(url, { redis: {} })
    expect(found).toBe("LOADING Redis is loading the dataset in memory")
    await cli("CONFIG", "SET", "key-load-delay", "0")
    await reload
    expect(await verdict(url, { redis: {} })).toBe("alive")
  })
})

function sql(server: RunningServer, text: string): Promise<string> {
  return run(["mysql", "--no-defaults", "-u", "root", "-S", join(server.folder, "socket"), "-N", "-e", text])
}

/** Interrupted and refused logins, by the server's count. */
async function aborted(server: RunningServer): Promise<Record<string, string>> {
  const rows = (await sql(server, "show global status like 'Aborted_connects%'")).trim().split("\n")
  return Object.fromEntries(rows.map((line) => line.split("\t")))
}

/** Whether a process may have a file system of its own; says when not. */
function mayMount(): boolean {
  const { success } = Bun.spawnSync(["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"])
  if (!success) console.log("skipped: no permission to mount")
  return success
}

describe.skipIf(!installed("mariadbd", "mariadb-install-db", "mysql"))("MariaDB", () => {
  test("lets a user without a password in and out, and leaves no trace of it", async () => {
    await using server = await startMariadb()
    await sql(server, "create user probe")
    const before = await aborted(server)
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { mysql: { user: "probe" } })).toBe("alive")
    expect(await verdict(`unix:${server.folder}/socket`, { mysql: { user: "probe" } })).toBe("alive")
    expect(await aborted(server)).toEqual(before)
    // One that it does not know, and one that has another plugin than it is asked with.
    await sql(
      server,
      "install soname 'auth_ed25519'; create user other identified via ed25519 using password('x')",
    ).catch(() => sql(server, "create user other identified by 'x'"))
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { mysql: {} })).toBe("alive")
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { mysql: { user: "other" } })).toBe("alive")
    expect((await aborted(server))["Aborted_connects_preauth"]).toBe(before["Aborted_connects_preauth"]!)
  })

  test("that has no connection left is not alive", async () => {
    await using server = await startMariadb()
    await sql(server, "set global max_connections = 10")
    // One more than those is for administrators; the connection that set it may count for a moment yet.
    const held: Wire[] = []
    while (held.length < 11) {
      const wire = await connect(server.port)
      const isError = (await wire.atLeast(5))[4] === 0xff
      if (!isError) held.push(wire)
    }
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { mysql: {} })).toBe("1040: Too many connections")
    for (const wire of held) wire.reset()
  })

  const address = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === "IPv4" && !each.internal)?.address
  test.skipIf(address === undefined || !mayMount())(
    "does not block who probes it: 300 times with mysql, while it does for a check that only waits for the greeting",
    async () => {
      await using server = await startMariadb({ address: address!, maxConnectErrors: 100 })
      await sql(server, "create user app@'%' identified by 'x'")
      const url = `tcp://${address}:${server.port}`
      const verdicts = async (check: Check) => {
        const found = new Map<string, number>()
        for (let i = 0; i < 300; i++) {
          const one = await verdict(url, check)
          found.set(one, (found.get(one) ?? 0) + 1)
        }
        return found
      }
      expect(await verdicts({ mysql: {} })).toEqual(new Map([["alive", 300]]))
      const counted = "select sum_connect_errors, count_handshake_errors from performance_schema.host_cache"
      // One that a busy machine cut short is no habit: a hundred in a row would block.
      for (const count of (await sql(server, counted)).trim().split("\t")) expect(Number(count)).toBeLessThan(10)
      expect((await verdicts({ expect: "mysql_native_password" })).get("alive")).toBe(100)
      expect(await verdict(url, { mysql: {} })).toMatch(/^1129: Host '.*' is blocked/)
    },
  )
})

describe.skipIf(!installed("nginx"))("nginx", () => {
  test("answers GET with a status that is on the list, or is not", async () => {
    await using server = await startNginx()
    const url = `tcp://127.0.0.1:${server.port}`
    expect(await verdict(url, { http: {} })).toBe("alive")
    expect(await verdict(url, { http: { path: "/absent" } })).toBe("it answered 404 Not Found")
    expect(await verdict(url, { http: { path: "/absent", status: [404] } })).toBe("alive")
    expect(await verdict(url, { http: { path: "/big" } })).toBe("alive")
    expect(await verdict(url, { tls: true })).toBe("TLS: the other end does not speak TLS (WRONG_VERSION_NUMBER)")
    expect(await verdict(`tls://127.0.0.1:${server.port}`, { http: {} })).toBe(
      "TLS: the other end does not speak TLS (WRONG_VERSION_NUMBER)",
    )
  })

  test("is verified inside TLS", async () => {
    await using server = await startNginx(issued())
    const url = `tls://127.0.0.1:${server.port}`
    for (const check of [{ tcp: true }, { tls: true }, { http: {} }] as const) {
      expect(await verdict(url, check, trusting)).toBe("alive")
      expect(await verdict(url, check, { tls: { ca: ca.cert, sni: "db-2" } })).toBe(
        "TLS: the certificate is not for db-2: it has DNS:db-1, IP Address:127.0.0.1",
      )
    }
    // The TLS of a tcp:// target passes through: the check knows no better name than the target's.
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { tls: true }, trusting)).toBe("alive")
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { tls: true })).toMatch(/^TLS: UNABLE_TO_VERIFY/)
    expect(await verdict(`tcp://127.0.0.1:${server.port}`, { http: {} })).toMatch(/^it answered 400 Bad Request/)
    expect(await verdict(`tcp://127.0.0.1:1`, { http: {} }, trusting, { port: server.port, tls: true })).toBe("alive")
    // Another port than the target's own is not encrypted by itself.
    expect(await verdict(`tls://127.0.0.1:1`, { tcp: true }, {}, { port: server.port })).toBe("alive")
  })
})
