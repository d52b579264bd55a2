import { describe, expect, test } from "bun:test"
import type { Socket } from "../../src/connection/bun-socket.ts"
import type { Connection } from "../../src/connection/connection.ts"
import { Side } from "../../src/connection/side.ts"
import { random } from "../helper/random.ts"

/** A socket that takes as much as it is told to, and notes what is done to it. */
function fake(takes: (offered: number) => number) {
  const taken: number[] = []
  const calls: string[] = []
  const note = (name: string) => () => void calls.push(name)
  const socket = {
    write(chunk: Uint8Array) {
      const n = takes(chunk.length)
      if (n > 0) taken.push(...chunk.subarray(0, n))
      return n
    },
    pause: note("pause"),
    resume: note("resume"),
    shutdown: note("shutdown"),
    terminate: note("terminate"),
    close: note("close"),
  }
  const side = new Side({} as Connection)
  side.socket = socket as unknown as Socket
  return { side, taken, calls }
}

const bytes = (...values: number[]) => Uint8Array.from(values)

describe("sending", () => {
  test("writes what the socket takes and keeps the rest, in order", () => {
    const room = { left: 2 }
    const { side, taken } = fake((offered) => {
      const n = Math.min(offered, room.left)
      room.left -= n
      return n
    })
    side.send(bytes(1, 2, 3))
    side.send(bytes(4))
    expect([taken, side.written, side.queued]).toEqual([[1, 2], 2, 2])
    room.left = 1
    expect(side.flush()).toBe(false)
    expect([taken, side.written, side.queued]).toEqual([[1, 2, 3], 3, 1])
    room.left = 9
    expect(side.flush()).toBe(true)
    expect([taken, side.written, side.queued]).toEqual([[1, 2, 3, 4], 4, 0])
    expect(side.flush()).toBe(true)
  })

  test("of nothing is nothing", () => {
    const { side } = fake(() => 0)
    side.send(bytes())
    expect([side.written, side.queued]).toEqual([0, 0])
  })

  test("to a closed socket counts nothing as written", () => {
    const { side } = fake(() => -1)
    side.send(bytes(1, 2))
    expect([side.written, side.queued]).toEqual([0, 2])
  })

  test.each([1, 2, 3])("keeps every byte in order at any acceptance (seed %p)", (seed) => {
    const { below } = random(seed)
    const { side, taken } = fake((offered) => (below(3) === 0 ? 0 : below(offered + 1)))
    const all: number[] = []
    for (let i = 0; i < 300; i++) {
      const chunk = Array.from({ length: below(20) }, () => below(256))
      all.push(...chunk)
      side.send(Uint8Array.from(chunk))
      expect(side.written + side.queued).toBe(all.length)
      if (below(4) === 0) side.flush()
    }
    for (let i = 0; i < 10_000 && !side.flush(); i++) expect(side.queued).toBeGreaterThan(0)
    expect([taken, side.queued, side.written]).toEqual([all, 0, all.length])
  })
})

describe("the socket is told", () => {
  test("to pause and resume only when that changes something", () => {
    const { side, calls } = fake(() => 0)
    side.resume()
    side.pause()
    side.pause()
    side.resume()
    side.resume()
    expect(calls).toEqual(["pause", "resume"])
  })

  test("of our FIN once", () => {
    const { side, calls } = fake(() => 0)
    side.shutdown()
    side.shutdown()
    expect(calls).toEqual(["shutdown"])
  })

  test.each([
    ["reset", "terminate"],
    ["release", "close"],
    ["abandon", "terminate"],
  ] as const)("by %p to %p, and nothing after that", (method, call) => {
    const { side, calls } = fake(() => 0)
    side.send(bytes(1))
    side[method]()
    expect([side.closed, side.queued]).toEqual([true, 0])
    side.reset()
    side.release()
    side.abandon()
    side.pause()
    side.resume()
    side.shutdown()
    expect(calls).toEqual([call])
  })
})

test("an attempt whose socket has yet to come can be abandoned", () => {
  const side = new Side({} as Connection)
  side.abandon()
  expect(side.closed).toBe(true)
})
