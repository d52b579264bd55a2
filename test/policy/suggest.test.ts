import { expect, test } from "bun:test"
import { didYouMean, suggest } from "../../src/policy/suggest.ts"
import { random } from "../helper/random.ts"

const known = ["listen", "deadline", "setup", "on_tcp_connect", "on_tcp_close"]

test.each([
  ["lisen", "listen"],
  ["lsiten", "listen"],
  ["Listen", "listen"],
  ["listens", "listen"],
  ["on_tcp_conect", "on_tcp_connect"],
  ["onTcpConnect", "on_tcp_connect"],
  ["on_tcp_cloes", "on_tcp_close"],
  ["dedline", "deadline"],
])("%s was meant to be %s", (name, expected) => {
  expect(suggest(name, known)).toBe(expected)
})

test.each(["", "x", "li", "greeting", "tear_down", "on_udp_packet"])("%p is another word", (name) => {
  expect(suggest(name, known)).toBeUndefined()
  expect(didYouMean(name, known)).toBe("")
})

test("the hint is ready to be put behind a message", () => {
  expect(didYouMean("lisen", known)).toBe('; did you mean "listen"?')
})

test("a name is its own nearest, and one slip away from it is still found", () => {
  const { below, pick } = random(7)
  for (let i = 0; i < 2000; i++) {
    const name = pick(known)
    expect(suggest(name, known)).toBe(name)
    const at = below(name.length)
    const slips = [
      name.slice(0, at) + name.slice(at + 1),
      `${name.slice(0, at)}q${name.slice(at)}`,
      `${name.slice(0, at)}q${name.slice(at + 1)}`,
    ]
    for (const slip of slips) expect(suggest(slip, known)).toBe(name)
  }
})
