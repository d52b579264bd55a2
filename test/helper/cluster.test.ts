import { describe, expect, test } from "bun:test"
import { connecting } from "./black-hole.ts"
import { cluster } from "./cluster.ts"
import { eventually } from "./eventually.ts"
import { connect, type Wire } from "./wire.ts"

async function greeting(wire: Wire): Promise<string> {
  return new TextDecoder().decode(await wire.atLeast(2))
}

const said = (wire: Wire) => new TextDecoder().decode(wire.soFar())

test("each target greets with its name, echoes, and counts its connections", async () => {
  using servers = cluster(3)
  const wires = await Promise.all(servers.targets.map(({ port }) => connect(port)))
  expect(await Promise.all(wires.map(greeting))).toEqual(["a\n", "b\n", "c\n"])
  const [first] = wires
  await first!.write("hello")
  await first!.atLeast(7)
  first!.end()
  expect(await first!.text()).toBe("a\nhello")
  await eventually(() => servers.targets[0]!.open === 0)
  expect(servers.targets.map(({ accepted, open }) => [accepted, open])).toEqual([
    [1, 0],
    [1, 1],
    [1, 1],
  ])
  expect(new Set(servers.urls).size).toBe(3)
  for (const wire of wires) wire[Symbol.dispose]()
})

test("a target that is stopped resets its connections and refuses others, until it serves again on its port", async () => {
  using servers = cluster(1)
  const [target] = servers.targets
  using wire = await connect(target!.port)
  await greeting(wire)
  target!.stop()
  expect(await wire.closes()).toBe("ECONNRESET")
  await expect(connect(target!.port)).rejects.toThrow()
  target!.serve()
  using again = await connect(target!.port)
  expect(await greeting(again)).toBe("a\n")
  expect(target!.accepted).toBe(2)
  await eventually(() => target!.open === 1)
})

describe("a target that is stalled", () => {
  test("answers no SYN, and serves who still waits when it goes on", async () => {
    using servers = cluster(1)
    const [target] = servers.targets
    target!.stall()
    const pending = connect(target!.port)
    await eventually(() => connecting(target!.port).size === 1)
    expect(target!.accepted).toBe(0)
    target!.serve()
    // The kernel sends the SYN again after a second.
    using wire = await pending
    expect(await greeting(wire)).toBe("a\n")
    expect(target!.accepted).toBe(1)
  })

  test("lets as many connect as there is room for, and greets them when it goes on", async () => {
    using servers = cluster(1)
    const [target] = servers.targets
    target!.stall(2)
    using one = await connect(target!.port)
    using two = await connect(target!.port)
    const pending = connect(target!.port)
    await eventually(() => connecting(target!.port).size === 1)
    expect([target!.accepted, one.received, two.received]).toEqual([0, 0, 0])
    target!.serve()
    expect([await greeting(one), await greeting(two), await greeting(await pending)]).toEqual(["a\n", "a\n", "a\n"])
    ;(await pending)[Symbol.dispose]()
  })

  test("leaves what its connections say unread until it goes on", async () => {
    using servers = cluster(1)
    const [target] = servers.targets
    using wire = await connect(target!.port)
    await greeting(wire)
    target!.stall()
    await wire.write("hello")
    target!.serve()
    await wire.atLeast(7)
    expect(said(wire)).toBe("a\nhello")
  })

  test("may be stopped, stalled from there, and stalled again", async () => {
    using servers = cluster(1)
    const [target] = servers.targets
    target!.stall()
    target!.stop()
    await expect(connect(target!.port)).rejects.toThrow()
    target!.stall(1)
    using waiting = await connect(target!.port)
    target!.stall(1)
    target!.serve()
    expect(await greeting(waiting)).toBe("a\n")
  })
})

test("a target that resets does so right after accepting, and leaves the connections that it has", async () => {
  using servers = cluster(1)
  const [target] = servers.targets
  using before = await connect(target!.port)
  await greeting(before)
  target!.reset()
  using wire = await connect(target!.port)
  expect(await wire.closes()).toBe("ECONNRESET")
  expect(wire.received).toBe(0)
  await before.write("hello")
  await before.atLeast(7)
  expect([target!.accepted, target!.open]).toEqual([2, 1])
})

test("a target that is slow greets after one that is not, though it was asked first", async () => {
  using servers = cluster(2)
  const [slow, quick] = servers.targets
  slow!.slow(100)
  const order: string[] = []
  using first = await connect(slow!.port)
  using second = await connect(quick!.port)
  await Promise.all([first, second].map(async (wire) => order.push(await greeting(wire))))
  expect(order).toEqual(["b\n", "a\n"])
})

test("nothing of a cluster is left when it is disposed of", async () => {
  const servers = cluster(2)
  using wire = await connect(servers.targets[0]!.port)
  await greeting(wire)
  servers.targets[1]!.stall()
  servers[Symbol.dispose]()
  expect(await wire.closes()).toBe("ECONNRESET")
  for (const { port } of servers.targets) await expect(connect(port)).rejects.toThrow()
  await eventually(() => servers.targets[0]!.open === 0)
})
