// Targets that fail in every way at once, behind a real gateway: what clients notice.
import { expect, setDefaultTimeout, test } from "bun:test"
import { cluster } from "../helper/cluster.ts"
import { eventually } from "../helper/eventually.ts"
import { Pace } from "../helper/pace.ts"
import { servePools, type ServedPools } from "../helper/serve-pools.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const poolOf = (urls: readonly string[], options: object = {}) => `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const pools = { db: ${JSON.stringify({ targets: urls.map((url, i) => ({ url, name: "abcdefgh"[i] })), ...options })} }
export const on_tcp_connect = () => route("db")
`

const isOut = (gateway: ServedPools, name: string) =>
  gateway.said.some((said) => said.startsWith(`pool db: ${name} is down`) || said.startsWith(`pool db: ${name} is out`))

test("of five targets one is killed, one hangs and one flaps: once that is known, no client notices", async () => {
  using targets = cluster(5)
  const [killed, stalled, flapping] = targets.targets
  // Coming back takes longer than the flapping one is ever up.
  const health = { check: { expect: "\n" }, interval: "100ms", timeout: "300ms", fall: 2, rise: 10 }
  await using gateway = await servePools({
    "p.ts": poolOf(targets.urls, { health, passive: { ejectFor: "5 seconds" } }),
  })
  using pace = new Pace(await gateway.port("p.ts"), 3)
  await eventually(() => pace.served > 500)
  expect(pace.failed).toEqual([])

  killed!.stop()
  stalled!.stall(511)
  let flaps = 0
  const flap = setInterval(() => (flaps++ % 2 === 0 ? flapping!.stop() : flapping!.serve()), 250)
  await gateway.until(() => ["a", "b", "c"].every((name) => isOut(gateway, name)))
  const [known, flapped] = [pace.visits.length, flaps]
  await eventually(() => pace.visits.length >= known + 1000 && flaps >= flapped + 10)
  clearInterval(flap)
  const last = pace.visits.length
  await eventually(() => pace.visits.slice(known, last).every(({ isOver }) => isOver))
  expect(pace.failed.filter(({ nth }) => nth >= known)).toEqual([])
  // Before it was known: those whose first words had gone to a target that then said nothing, or died.
  expect(pace.failed.filter(({ first }) => first === "server")).toEqual([])

  for (const target of [killed!, stalled!, flapping!]) target.serve()
  await gateway.untilPool((all) => all.every(({ state }) => state === "up"))
  const served = targets.targets.map(({ accepted }) => accepted)
  await eventually(() => targets.targets.every(({ accepted }, i) => accepted > served[i]! + 20))
  pace.stop()
  await eventually(() => pace.visits.slice(known).every(({ isOver }) => isOver))
  await pace.giveUp()
  await gateway.untilPool((all) => all.every(({ active }) => active === 0))
  expect(pace.failed.filter(({ nth }) => nth >= known)).toEqual([])
  await gateway.until(() => gateway.events.length >= pace.visits.length)
  expect(gateway.events.filter(({ close }) => close.reason === "internal-error")).toEqual([])
})

test("without checks, targets that refuse and targets that answer nobody are found by connections, none of which fails", async () => {
  using targets = cluster(5)
  const [killed, stalled] = targets.targets
  killed!.stop()
  stalled!.stall()
  const options = { connectTimeout: "500ms", retryBudget: 1 }
  await using gateway = await servePools({ "p.ts": poolOf(targets.urls, options) })
  using pace = new Pace(await gateway.port("p.ts"), 3)
  await gateway.until(() => ["a", "b"].every((name) => isOut(gateway, name)))
  const known = pace.visits.length
  await eventually(() => pace.visits.length >= known + 200)
  pace.stop()
  await eventually(() => pace.visits.every(({ isOver }) => isOver))
  expect(pace.failed).toEqual([])
  await gateway.until(() => gateway.events.length === pace.visits.length)
  const { targets: found } = await gateway.pool()
  expect(found.map(({ state, active }) => [state, active])).toEqual([
    ["ejected", 0],
    ["ejected", 0],
    ["up", 0],
    ["up", 0],
    ["up", 0],
  ])
})

test("a gateway that stood still itself blames no target for the time that it did not listen", async () => {
  using targets = cluster(3)
  for (const target of targets.targets) target.slow(60)
  // Longer than a second, after which the kernel sends again what it dropped: what has waited comes all at once.
  const timeout = "1500ms"
  const health = { check: { expect: "\n" }, interval: "100ms", timeout, fall: 1 }
  const options = { health, connectTimeout: timeout, passive: { failures: 1 } }
  await using gateway = await servePools({ "p.ts": poolOf(targets.urls, options) })
  using pace = new Pace(await gateway.port("p.ts"), 3)
  for (let stops = 1; stops <= 2; stops++) {
    await eventually(() => pace.served > stops * 200)
    gateway.signal("SIGSTOP")
    // Longer than each of its time-outs.
    await Bun.sleep(2000)
    gateway.signal("SIGCONT")
  }
  pace.stop()
  await eventually(() => pace.visits.every(({ isOver }) => isOver))
  expect(pace.failed).toEqual([])
  expect(gateway.said).toEqual([])
})
