import { describe, expect, test } from "bun:test"
import { orderOf } from "../../src/connection/target-order.ts"
import { route, type WeightedTarget } from "../../src/policy/decision.ts"
import { random } from "../helper/random.ts"

const order = (targets: readonly (string | WeightedTarget)[]) => orderOf(route(targets)).map((target) => target.url)
const firsts = (targets: readonly (string | WeightedTarget)[], n: number) =>
  Array.from({ length: n }, () => order(targets)[0]!)

/** Two targets, built anew each time. */
const list = (host: string) => [{ url: `tcp://${host}-a:1`, weight: 1 }, `tcp://${host}-b:1`]

test("targets without weights are tried as written", () => {
  const targets = ["tcp://c:1", "tcp://a:1", "unix:/b"]
  expect([order(targets), order(targets)]).toEqual([targets, targets])
})

describe("with weights", () => {
  test("the first is picked smoothly: never twice in a row where that can be", () => {
    const targets = [{ url: "tcp://w-a:1", weight: 5 }, { url: "tcp://w-b:1", weight: 1 }, "tcp://w-c:1"]
    const letters = firsts(targets, 14).map((url) => url[8])
    expect(letters.join("")).toBe("aabacaa".repeat(2))
  })

  test("the others follow as fallbacks, heaviest first", () => {
    const targets = [
      { url: "tcp://f-light:1", weight: 1 },
      { url: "tcp://f-heavy:1", weight: 90 },
      { url: "tcp://f-none:1", weight: 0 },
      { url: "tcp://f-middle:1", weight: 9 },
    ]
    expect(order(targets)).toEqual(["tcp://f-heavy:1", "tcp://f-middle:1", "tcp://f-light:1", "tcp://f-none:1"])
  })

  test("a weight of 0 is never picked first", () => {
    const targets = [
      { url: "tcp://z-a:1", weight: 0 },
      { url: "tcp://z-b:1", weight: 2 },
    ]
    expect(new Set(firsts(targets, 50))).toEqual(new Set(["tcp://z-b:1"]))
  })

  test("turns are kept for lists that are built anew each time, and apart for different lists", () => {
    const picks = Array.from({ length: 4 }, () => [order(list("one"))[0], order(list("two"))[0]])
    expect(picks).toEqual([
      ["tcp://one-a:1", "tcp://two-a:1"],
      ["tcp://one-b:1", "tcp://two-b:1"],
      ["tcp://one-a:1", "tcp://two-a:1"],
      ["tcp://one-b:1", "tcp://two-b:1"],
    ])
  })

  test.each([1, 2, 3, 4, 5])(
    "over one total's worth of picks each comes up exactly as often as its weight (seed %p)",
    (seed) => {
      const { below } = random(seed)
      const targets = Array.from({ length: 2 + below(5) }, (_, i) => ({
        url: `tcp://p${seed}-${i}:1`,
        weight: below(20) + (i === 0 ? 1 : 0),
      }))
      const total = targets.reduce((sum, target) => sum + target.weight, 0)
      for (let round = 0; round < 3; round++) {
        const picks = firsts(targets, total)
        expect(targets.map((target) => picks.filter((url) => url === target.url).length)).toEqual(
          targets.map((target) => target.weight),
        )
      }
    },
  )
})
