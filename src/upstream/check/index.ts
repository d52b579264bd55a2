// Every check by its name. A new one has a file of its own and a line here.
import { formatHostPort } from "../../policy/address.ts"
import type { HealthSpec } from "../../policy/pool.ts"
import type { Target } from "../../policy/target.ts"
import type { Dialogue } from "./dialogue.ts"
import { expect } from "./expect.ts"
import { http } from "./http.ts"
import { mysql } from "./mysql.ts"
import { postgres } from "./postgres.ts"
import { redis } from "./redis.ts"

/** What a check says once it is connected; `undefined` where being connected, or a handshake, is all. */
export function dialogueOf(check: HealthSpec["check"], target: Target, port: number | undefined): Dialogue | undefined {
  if ("expect" in check) return expect(check)
  if ("postgres" in check) return postgres(check.postgres)
  if ("redis" in check) return redis(check.redis)
  if ("mysql" in check) return mysql(check.mysql)
  if ("http" in check) return http(check.http, hostOf(target, port))
  return undefined
}

function hostOf(target: Target, port: number | undefined): string {
  if (target.kind === "unix") return "localhost"
  return formatHostPort(target.host, port ?? target.port)
}
