import { describe, expect, test } from "bun:test"
import { formatIp, parseIp } from "../../src/policy/address.ts"
import { interleave, Resolver } from "../../src/upstream/resolve.ts"

/** A resolver over a look-up that the test answers, and a clock that the test moves. */
function resolver() {
  const asked: { host: string; answer: (...addresses: string[]) => void; fail: (message: string) => void }[] = []
  const clock = { now: 1000 }
  const lookup = (host: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    asked.push({
      host,
      answer: (...addresses) => resolve(addresses),
      fail: (message) => reject(new Error(message)),
    })
    return promise
  }
  const instance = new Resolver(lookup, () => clock.now)
  /** The addresses as texts: at once, or "later" with the promise. */
  const now = (host: string) => {
    const found = instance.resolve(host)
    return found instanceof Promise ? "later" : found.map(formatIp)
  }
  const whole = async (host: string) => (await instance.resolve(host)).map(formatIp)
  return { asked, clock, now, whole }
}

test("a name is looked up once, however many ask at the same time", async () => {
  const { asked, whole } = resolver()
  const all = Promise.all([whole("db"), whole("db"), whole("db")])
  expect(asked.map(({ host }) => host)).toEqual(["db"])
  asked[0]!.answer("10.0.0.1")
  expect(await all).toEqual([["10.0.0.1"], ["10.0.0.1"], ["10.0.0.1"]])
})

test("names do not share answers", async () => {
  const { asked, whole } = resolver()
  const both = Promise.all([whole("a"), whole("b")])
  asked[1]!.answer("10.0.0.2")
  asked[0]!.answer("10.0.0.1")
  expect(await both).toEqual([["10.0.0.1"], ["10.0.0.2"]])
})

describe("an answer", () => {
  test("serves at once and without another look-up for 5 seconds", async () => {
    const { asked, clock, now, whole } = resolver()
    const first = whole("db")
    asked[0]!.answer("10.0.0.1")
    await first
    clock.now += 5000
    expect(now("db")).toEqual(["10.0.0.1"])
    expect(asked).toHaveLength(1)
  })

  test("that is older serves still while one new look-up runs, up to 30 seconds", async () => {
    const { asked, clock, now, whole } = resolver()
    const first = whole("db")
    asked[0]!.answer("10.0.0.1")
    await first
    clock.now += 30_000
    expect([now("db"), now("db")]).toEqual([["10.0.0.1"], ["10.0.0.1"]])
    expect(asked).toHaveLength(2)
    asked[1]!.answer("10.0.0.2")
    await Bun.sleep(0)
    expect(now("db")).toEqual(["10.0.0.2"])
    expect(asked).toHaveLength(2)
  })

  test("that is too old is waited for anew", async () => {
    const { asked, clock, now, whole } = resolver()
    const first = whole("db")
    asked[0]!.answer("10.0.0.1")
    await first
    clock.now += 30_001
    expect(now("db")).toBe("later")
    const second = whole("db")
    asked[1]!.answer("10.0.0.2")
    expect(await second).toEqual(["10.0.0.2"])
  })

  test("outlives a failed refresh until it is too old", async () => {
    const { asked, clock, now, whole } = resolver()
    const first = whole("db")
    asked[0]!.answer("10.0.0.1")
    await first
    clock.now += 6000
    expect(now("db")).toEqual(["10.0.0.1"])
    asked[1]!.fail("SERVFAIL")
    await Bun.sleep(0)
    expect(now("db")).toEqual(["10.0.0.1"])
    clock.now += 25_000
    const late = whole("db")
    asked.at(-1)!.fail("SERVFAIL")
    await expect(late).rejects.toThrow("SERVFAIL")
  })

  test("of both families is interleaved, the resolver's first family first", async () => {
    const { asked, whole } = resolver()
    const first = whole("db")
    asked[0]!.answer("2001:db8::1", "2001:db8::2", "10.0.0.1", "2001:db8::3")
    expect(await first).toEqual(["2001:db8::1", "10.0.0.1", "2001:db8::2", "2001:db8::3"])
  })

  test("without an address is a failure", async () => {
    const { asked, whole } = resolver()
    const first = whole("db")
    asked[0]!.answer()
    await expect(first).rejects.toThrow("the name has no address")
  })
})

describe("a failure", () => {
  test("is believed for a second, then the name is looked up again", async () => {
    const { asked, clock, whole } = resolver()
    const first = whole("db")
    asked[0]!.fail("ENOTFOUND")
    await expect(first).rejects.toThrow("ENOTFOUND")
    await first.catch(() => undefined)
    clock.now += 999
    await expect(whole("db")).rejects.toThrow("ENOTFOUND")
    expect(asked).toHaveLength(1)
    clock.now += 1
    const second = whole("db")
    expect(asked).toHaveLength(2)
    asked[1]!.answer("10.0.0.1")
    expect(await second).toEqual(["10.0.0.1"])
  })
})

test("the system's resolver knows localhost", async () => {
  const found = await new Resolver().resolve("localhost")
  expect(found.map(formatIp).every((address) => ["127.0.0.1", "::1"].includes(address))).toBe(true)
  expect(found.length).toBeGreaterThan(0)
})

test.each([
  [[], []],
  [["1.1.1.1"], ["1.1.1.1"]],
  [
    ["1.1.1.1", "1.1.1.2", "::1"],
    ["1.1.1.1", "::1", "1.1.1.2"],
  ],
  [
    ["::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"],
    ["::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"],
  ],
])("%p interleave as %p", (given, expected) => {
  expect(interleave(given.map((text) => parseIp(text)!)).map(formatIp)).toEqual(expected)
})
