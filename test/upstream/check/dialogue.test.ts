import { describe, expect, test } from "bun:test"
import type { HealthSpec } from "../../../src/policy/pool.ts"
import { parseTarget } from "../../../src/policy/target.ts"
import { dialogueOf } from "../../../src/upstream/check/index.ts"
import { words, type Answer, type Dialogue } from "../../../src/upstream/check/dialogue.ts"
import { random } from "../../helper/random.ts"
import { transcripts } from "./transcripts.ts"

function dialogue(check: HealthSpec["check"], target = "tcp://db-1:5432", port?: number): Dialogue {
  return dialogueOf(check, parseTarget(target), port)!
}

function told(answer: Answer): string {
  return answer.kind === "bad" ? answer.why : answer.kind
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

describe("an answer", () => {
  test.each(transcripts)("$what", ({ check, bytes, verdict }) => {
    expect(told(dialogue(check).hear(bytes))).toBe(verdict)
  })

  test.each(transcripts)(
    "that comes byte by byte is waited for, then judged for good: $what",
    ({ check, bytes, verdict }) => {
      const { hear } = dialogue(check)
      const answers = Array.from(bytes, (_, n) => hear(bytes.subarray(0, n)))
      const judged = answers.findIndex(({ kind }) => kind !== "more")
      const verdicts = judged < 0 ? [] : answers.slice(judged).map(told)
      expect(verdicts.filter((each) => each !== verdict)).toEqual([])
      for (const answer of answers) if (answer.kind === "more") expect(answer.awaits).not.toBe("")
    },
  )

  test.each(transcripts)("is judged wherever its bytes lie in memory: $what", ({ check, bytes, verdict }) => {
    const around = new Uint8Array(bytes.length + 20).fill(0xee)
    around.set(bytes, 7)
    expect(told(dialogue(check).hear(around.subarray(7, 7 + bytes.length)))).toBe(verdict)
  })

  test("of arbitrary bytes, or of a good one with some changed, never throws and has words of a bounded length", () => {
    const { below, pick } = random(5)
    for (let round = 0; round < 30_000; round++) {
      const { check, bytes } = pick(transcripts)
      const answer =
        below(3) === 0
          ? Uint8Array.from({ length: below(200) }, () => below(256))
          : bytes.map((byte) => (below(12) === 0 ? below(256) : byte))
      const heard = dialogue(check).hear(answer)
      expect(["alive", "bad", "more"]).toContain(heard.kind)
      expect(told(heard).length).toBeLessThan(300)
    }
  })
})

/** The first lines of a request. */
function first(...args: Parameters<typeof dialogue>): string[] {
  return text(dialogue(...args).opening)
    .split("\r\n")
    .slice(0, 2)
}

describe("what is said", () => {
  test("to PostgreSQL is a startup message", () => {
    const { opening } = dialogue({ postgres: { user: "amy", database: "shop" } })
    expect(text(opening)).toBe("\0\0\0:\0\x03\0\0user\0amy\0database\0shop\0application_name\0tidegate\0\0")
    expect(opening.length).toBe(0x3a)
    expect(text(dialogue({ postgres: {} }).opening)).toContain("user\0tidegate\0application_name")
  })

  test("to PostgreSQL that let us in, before leaving, is that we leave", () => {
    const answer = dialogue({ postgres: {} }).hear(Uint8Array.of(0x52, 0, 0, 0, 8, 0, 0, 0, 0))
    expect(answer).toEqual({ kind: "alive", farewell: Uint8Array.of(0x58, 0, 0, 0, 4) })
  })

  test("to Redis is everything at once", () => {
    expect(text(dialogue({ redis: { password: "pà\r\nss", role: "master" } }).opening)).toBe(
      text(
        Buffer.from(
          "*2\r\n$4\r\nAUTH\r\n$7\r\npà\r\nss\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n",
        ),
      ),
    )
  })

  test("to MySQL is a login without a password, and an empty answer for each other plugin", () => {
    const { bytes } = transcripts.find(({ what }) => what === "mysql: another plugin, and let in")!
    const { opening, hear } = dialogue({ mysql: { user: "amy" } })
    expect(opening).toHaveLength(0)
    expect(hear(bytes.subarray(0, 10))).toEqual({ kind: "more", awaits: "greeting" })
    const answer = hear(bytes.subarray(0, bytes.length - 1))
    if (answer.kind !== "more") throw new Error(`it is ${answer.kind}`)
    const [login, other, ...more] = answer.replies!.map(text)
    expect(login).toBe(`;\0\0\x01\x01\x82\x08\0\0\0\x01\0\x2d${"\0".repeat(23)}amy\0\0mysql_native_password\0`)
    expect(other).toBe("\0\0\0\x03")
    expect(more).toEqual([])
    expect(hear(bytes)).toEqual({ kind: "alive", farewell: Uint8Array.of(1, 0, 0, 0, 1) })
  })

  test("to HTTP names the target, and cannot be more than one request", () => {
    expect(first({ http: {} })).toEqual(["GET / HTTP/1.1", "Host: db-1:5432"])
    expect(first({ http: {} }, "tls://[2001:db8::1]:443", 8008)).toEqual(["GET / HTTP/1.1", "Host: [2001:db8::1]:8008"])
    expect(first({ http: {} }, "unix:/run/web")).toEqual(["GET / HTTP/1.1", "Host: localhost"])
    expect(first({ http: { path: "/a b\r\nX: 1é\ud800", host: "web\r\n" } })).toEqual([
      "GET /a%20b%0D%0AX:%201%C3%A9%EF%BF%BD HTTP/1.1",
      "Host: web%0D%0A",
    ])
  })

  test("by a check of one's own is bytes, where every character fits into one", () => {
    expect(text(dialogue({ send: "\0\xff\r\n", expect: "x" }).opening)).toBe("\0\xff\r\n")
    expect(text(dialogue({ send: "é€", expect: "x" }).opening)).toBe("Ã©â\x82¬")
  })

  test("by tcp and tls is nothing", () => {
    expect(dialogueOf({ tcp: true }, parseTarget("tcp://db:1"), undefined)).toBeUndefined()
    expect(dialogueOf({ tls: true }, parseTarget("tcp://db:1"), undefined)).toBeUndefined()
  })
})

test("a server's words are one line of at most 200 characters", () => {
  const bytes = Buffer.from(`a\r\n\x1b[31mb${"c".repeat(500)}`)
  expect(words(bytes, 0, bytes.length)).toBe(`a [31mb${"c".repeat(191)}`)
  expect(words(bytes, 0, 1000).length).toBeLessThan(201)
})
