import { expect, test } from "bun:test"
import {
  HelloInvalid,
  peekSize,
  PREREAD_LIMIT,
  prereadFailure,
  PrereadTimeout,
  PrereadTooLarge,
} from "../../src/policy/preread.ts"
import { HandshakeFailed } from "../../src/policy/terminate.ts"

test.each([0, 1, 16_384])("peek(%p) is allowed", (n) => {
  expect(peekSize(n)).toBe(n)
})

test("more than 16 KiB is PrereadTooLarge", () => {
  expect(() => peekSize(PREREAD_LIMIT + 1)).toThrow(PrereadTooLarge)
})

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", undefined, null, 5n])(
  "peek(%p) is a RangeError",
  (n) => {
    expect(() => peekSize(n)).toThrow(RangeError)
  },
)

test("a failed preread keeps its close reason inside other errors", () => {
  const timeout = new PrereadTimeout("x")
  expect(prereadFailure(timeout)).toBe("preread-timeout")
  expect(prereadFailure(new PrereadTooLarge("x"))).toBe("preread-too-large")
  expect(prereadFailure(new HelloInvalid("x"))).toBe("hello-invalid")
  expect(prereadFailure(new Error("wrapped", { cause: new HandshakeFailed("x") }))).toBe("tls-handshake-failed")
  expect(prereadFailure(new Error("wrapped", { cause: new Error("again", { cause: timeout }) }))).toBe(
    "preread-timeout",
  )
})

test("other failures have none, also when they claim to", () => {
  const round = new Error("round")
  round.cause = round
  for (const error of [round, new Error("x"), Object.assign(new Error("x"), { closeReason: "denied" }), "x", undefined])
    expect(prereadFailure(error)).toBeUndefined()
})
