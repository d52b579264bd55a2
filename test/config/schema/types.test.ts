// The schemas and the types that people write say the same.
import { expect, test } from "bun:test"
import type { file } from "../../../src/config/schema/file.ts"
import type { listener } from "../../../src/config/schema/listener.ts"
import type { pool, target } from "../../../src/config/schema/pool.ts"
import type { upstreamTls } from "../../../src/config/schema/upstream-tls.ts"
import type { RouteOptions } from "../../../src/policy/decision.ts"
import type { ListenOptions } from "../../../src/policy/listen.ts"
import type { Pool, Pools, PoolTarget } from "../../../src/policy/pool.ts"
import type { UpstreamTls } from "../../../src/policy/upstream-tls.ts"

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Plain<A> = A extends string | number | boolean | undefined ? A : { [Name in keyof A]: Plain<A[Name]> }

/** A key is for policies, which see the connection. */
type StaticRoute = Omit<RouteOptions, "key">
type WrittenRoute = Exclude<NonNullable<(typeof listener)["Encoded"]["route"]>, string | readonly unknown[]>

const same = {
  target: true satisfies Same<Plain<(typeof target)["Encoded"]>, Plain<PoolTarget>>,
  pool: true satisfies Same<Plain<(typeof pool)["Encoded"]>, Plain<Pool>>,
  pools: true satisfies Same<Plain<NonNullable<(typeof file)["Encoded"]["pools"]>>, Plain<Pools>>,
  tls: true satisfies Same<Plain<(typeof upstreamTls)["Encoded"]>, Plain<UpstreamTls>>,
  listener: true satisfies Same<Plain<Omit<(typeof listener)["Encoded"], "route">>, Plain<ListenOptions>>,
  route: true satisfies Same<Plain<Omit<WrittenRoute, "to">>, Plain<StaticRoute>>,
  decoded: true satisfies Same<Plain<(typeof pool)["Type"]>, Plain<Pool>>,
}

test("what the schemas take is what the types say: the compiler has checked it", () => {
  expect(Object.values(same)).not.toContain(false)
})
