import { afterEach, beforeEach, expect, jest, test } from "bun:test"
import type { Left } from "../src/connection/leave-member.ts"
import { LeavingTargets } from "../src/leaving-targets.ts"
import type { Leaving } from "../src/upstream/pool.ts"
import { poolSpec, testPool } from "./helper/pools.ts"

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

function leaving(outcomes: readonly Left[]) {
  const { members, pool } = testPool(poolSpec(2))
  const asked: [Leaving, string][] = []
  const said: string[] = []
  const log = {
    info: (message: string) => said.push(`info ${message}`),
    warn: (message: string) => said.push(`warn ${message}`),
  }
  const targets = new LeavingTargets({
    log,
    leave(_, who, why) {
      asked.push([who, why])
      return outcomes[asked.length - 1]!
    },
  })
  const member = members[0]!
  member.name = "a"
  member.problem = "no answer"
  return { asked, said, member, leave: (who: Leaving) => targets.leave(pool, member, who) }
}

test("those for whom there is no retry go by and by, and are told of once", () => {
  const { asked, leave, member, said } = leaving([
    { moved: 3, closed: 0, waiting: 3 },
    { moved: 2, closed: 0, waiting: 1 },
    { moved: 1, closed: 0, waiting: 0 },
  ])
  member.healthy = false
  leave("unheard")
  jest.advanceTimersByTime(99)
  expect(asked).toEqual([["unheard", "it fails its checks: no answer"]])
  jest.advanceTimersByTime(1000)
  expect(asked).toHaveLength(3)
  expect(said).toEqual(["info pool db: a: 6 connections that had not heard from it went elsewhere"])
})

test("they stay once the target is well again", () => {
  const { asked, leave, member, said } = leaving([{ moved: 1, closed: 0, waiting: 3 }])
  member.ejectedUntil = 1
  leave("attempts")
  member.ejectedUntil = 0
  jest.advanceTimersByTime(1000)
  expect(asked).toEqual([["attempts", "its last connections failed"]])
  expect(said).toEqual(["info pool db: a: 1 connection that had not heard from it went elsewhere"])
})

test("while they go by what connections say, checks may say that more are to go", () => {
  const { asked, leave, member, said } = leaving([
    { moved: 0, closed: 0, waiting: 3 },
    { moved: 0, closed: 2, waiting: 0 },
  ])
  member.healthy = false
  leave("attempts")
  leave("all")
  leave("attempts")
  expect(asked).toHaveLength(1)
  jest.advanceTimersByTime(1000)
  expect(asked.map(([who]) => who)).toEqual(["attempts", "all"])
  expect(said).toEqual(["warn pool db: a: closed 2 connections, because it fails its checks"])
})
