// YAML and JSON to values: what they mean, where things stand, what is refused and where, and what a text cannot make us do.
import { describe, expect, test } from "bun:test"
import { LARGEST_YAML, readYaml, writeYaml } from "../../src/config/yaml.ts"
import { random } from "../helper/random.ts"

/** Written as a template, without the line break at its start. */
function values(text: string): unknown[] {
  const { documents, problems } = readYaml("/t.yaml", text)
  expect(problems.map(({ column, line, message }) => `${line}:${column} ${message}`)).toEqual([])
  return documents.map(({ value }) => value)
}

function problems(text: string): string[] {
  const read = readYaml("/t.yaml", text)
  return read.problems.map(({ column, line, message }) =>
    line === undefined ? message : `${line}:${column} ${message}`,
  )
}

function nine(of: string): string {
  return `[${Array(9).fill(of).join(", ")}]`
}

test("the values of YAML 1.2: yes and on are texts, and so are dates", () => {
  expect(
    values(`
a: 1
b: [x, "y\\n", 'z''s', true, null, ~, 1.5, 0x1F, 0o17, .inf]
c: {d: yes, e: on, f: 2001-01-01, g: 12:30}
h: |
  two
  lines
i: >-
  one
  line
1: number
true: boolean
`),
  ).toEqual([
    {
      a: 1,
      b: ["x", "y\n", "z's", true, null, null, 1.5, 31, 15, Number.POSITIVE_INFINITY],
      c: { d: "yes", e: "on", f: "2001-01-01", g: "12:30" },
      h: "two\nlines\n",
      i: "one line",
      1: "number",
      true: "boolean",
    },
  ])
})

test("JSON is YAML, with tabs and escapes", () => {
  const value = { a: [1, -2.5e3, true, false, null, "ü\u0001\u{1f600}/"], b: { c: {}, d: [] }, "": "" }
  expect(values(JSON.stringify(value))).toEqual([value])
  expect(values(JSON.stringify(value, null, "\t").replace("/", "\\/"))).toEqual([value])
})

test("documents are a list; an empty text has none, and what is only marked is null", () => {
  expect(values("a: 1\n---\nb: 2\n---\n...\n")).toEqual([{ a: 1 }, { b: 2 }, null])
  expect(values("")).toEqual([])
  expect(values("# nothing\n")).toEqual([])
  expect(values("---\n")).toEqual([null])
})

test("what an alias stands for is the same value again; an anchor may be set anew, and ends with its document", () => {
  const [value] = values("a: &x {n: 1}\nb: *x\nc: &x [2]\nd: *x\n") as [Record<string, unknown>]
  expect(value).toEqual({ a: { n: 1 }, b: { n: 1 }, c: [2], d: [2] })
  expect(value["b"]).toBe(value["a"])
  expect(problems("--- &x 1\n--- *x\n")).toEqual(["2:5 *x names nothing: there is no &x before it"])
})

test("a bad document does not take its neighbours down", () => {
  const read = readYaml("/t.yaml", "a: 1\n---\nb: [\n---\nc: 3\n---\nd: 1\nd: 2\n---\ne: 5\n")
  expect(read.documents.map(({ index, value }) => [index, value])).toEqual([
    [0, { a: 1 }],
    [2, { c: 3 }],
    [4, { e: 5 }],
  ])
  expect(read.problems.map(({ line }) => line)).toEqual([4, 8])
})

test("core tags say what a value is", () => {
  expect(values("[!!str 5, !!int '3', !!float 1.5, !!bool true, ! 7, !!map {}, !!seq []]")).toEqual([
    ["5", 3, 1.5, true, "7", {}, []],
  ])
})

test("everything has a place: values at their start, objects and lists at their keys, what is missing where it would be", () => {
  const text =
    "pools: &p\n  db:\n    targets: [tcp://a:1, {url: tcp://b:1}]\n    queue:\n      - size: 5\n  no:\nq: *p\n"
  const [document] = readYaml("/t.yaml", text).documents
  const at = (path: readonly PropertyKey[], what?: "key" | "value") => {
    const { column, line } = document!.place(path, what)
    return [line, column]
  }
  expect(at([])).toEqual([1, 1])
  expect(at(["pools", "db"])).toEqual([2, 3])
  expect(at(["pools", "db", "targets"])).toEqual([3, 5])
  expect(at(["pools", "db", "targets", 0])).toEqual([3, 15])
  expect(at(["pools", "db", "targets", 1, "url"])).toEqual([3, 32])
  expect(at(["pools", "db", "targets", 1, "url"], "key")).toEqual([3, 27])
  expect(at(["pools", "db", "targets", 2])).toEqual([3, 5])
  expect(at(["pools", "db", "targets", 0, "url"])).toEqual([3, 15])
  expect(at(["pools", "db", "queue", 0])).toEqual([5, 9])
  expect(at(["pools", "no"])).toEqual([6, 3])
  expect(at(["pools", "x", "y"])).toEqual([1, 1])
  expect(at(["q", "db", "targets", 0])).toEqual([3, 15])
  expect(document!.place([]).path).toBe("/t.yaml")
})

test.each([
  ["a name twice", "a: 1\nb:\n  c: 2\n  c: 3\n", ['4:3 "c" stands here twice, first in line 3']],
  ["a name twice in JSON", '{"a": 1,\n "a": 2}', ['2:2 "a" stands here twice, first in line 1']],
  ["a tab that indents", "a:\n\tb: 1\n", ["2:1 Tabs are not allowed as indentation"]],
  ["an unknown tag", "a: !env HOME\n", ["1:4 Unresolved tag: !env"]],
  [
    "an expression that looks like a tag",
    "- !(port == 1)\n",
    ['1:3 Unresolved tag: !(port; a text that begins with "!" has to stand in quotes'],
  ],
  [
    "a call that looks like a tag",
    "- !inRange(ip, 'x')\n",
    [
      '1:14 Tags and anchors must be separated from the next token by white space; a text that begins with "!" has to stand in quotes',
    ],
  ],
  ["bytes", "a: !!binary aGk=\n", ["1:13 the tag !!binary is not known here"]],
  ["a set", "a: !!set {b}\n", ["1:10 the tag !!set is not known here"]],
  ["a time", "a: !!timestamp 2001-01-01\n", ["1:16 the tag !!timestamp is not known here"]],
  [
    "an alias of nothing",
    "a: &one 1\nb: *on\n",
    ['2:4 *on names nothing: there is no &on before it; did you mean "one"?'],
  ],
  ["an alias inside of what it names", "a: &x [1, *x]\n", ["1:11 *x names nothing: there is no &x before it"]],
  [
    "a merge",
    "a: &x {b: 1}\nc:\n  <<: *x\n",
    ['3:3 merging with "<<" is not a part of YAML 1.2: write the options out'],
  ],
  ["a prototype", "__proto__: {a: 1}\n", ["1:1 __proto__ cannot be a name"]],
  ["a list as a name", "? [a]\n: b\n", ["1:3 With stringKeys, all keys must be strings"]],
  ["YAML 1.1", "%YAML 1.1\n---\na: yes\n", ["1:1 YAML 1.1: only YAML 1.2 is read"]],
  [
    "what is not closed",
    "a: [1, 2\nb: 3\n",
    ["2:1 Flow sequence in block collection must be sufficiently indented and end with a ]"],
  ],
  ["what is not a map", "a: 1\nb\n", ["2:1 Implicit map keys need to be followed by map values"]],
  ["half of a file", 'a:\n  b: "c', ['2:8 Missing closing "quote']],
])("%s is refused at its place", (_, text, expected) => {
  expect(problems(text)).toEqual(expected)
})

test("one slip on a line is one problem, and five are shown at most", () => {
  expect(problems("a: *b\nc: *d *e\n")).toEqual(expect.arrayContaining([expect.stringMatching(/^2:/)]))
  expect(problems(Array.from({ length: 50 }, () => "a: 1").join("\n"))).toHaveLength(5)
})

describe("what a text cannot make us do", () => {
  test("a few aliases of aliases do not stand for billions", () => {
    const laughs = [
      "a: &a [lol]",
      ..."bcdefghij".split("").map((name, i) => `${name}: &${name} ${nine(`*${"abcdefghi"[i]}`)}`),
    ]
    expect(problems(laughs.join("\n"))).toEqual(["7:8 more than 250000 values"])
  })

  test("more values than that are refused without aliases as well", () => {
    expect(problems(`[${"1,".repeat(250_000)}]`)).toEqual([expect.stringContaining("more than 250000 values")])
  })

  test("nothing is deeper than 64, however deep it is", () => {
    expect(problems("[".repeat(64) + "]".repeat(64))).toEqual([])
    expect(problems("[".repeat(66) + "]".repeat(66))).toEqual(["1:66 values in values, more than 64 deep"])
    for (const deep of ["[".repeat(100_000), "- ".repeat(50_000), "{a: ".repeat(50_000), "? ".repeat(50_000)])
      expect(problems(deep)).toEqual([expect.stringContaining("more than 64 deep")])
  })

  test("a text has at most 1 MiB, by its bytes", () => {
    expect(problems(`# ${"a".repeat(LARGEST_YAML)}`)).toEqual([`${LARGEST_YAML + 2} bytes; at most ${LARGEST_YAML}`])
    expect(problems(`# ${"ü".repeat(LARGEST_YAML / 2)}`)).toHaveLength(1)
    expect(problems(`# ${"a".repeat(LARGEST_YAML - 2)}`)).toEqual([])
  })

  test("a text of errors alone is told as few, and fast", () => {
    const size = 200_000
    for (const bad of ["]", "! ", '"', "@\n", "- *a\n", "a: 1\n", "&a ", ": ", "- !!set {}\n", "%a\n", "\u0000"])
      expect(problems(bad.repeat(size / bad.length)).length).toBeLessThanOrEqual(5)
  })
})

test("no text throws, and every problem has a place in it", () => {
  const { below, text } = random(1)
  const pieces = [
    ..."[]{},:-?&*!|>'\"%@`#~ \n\t\r0aé\u0000",
    "a: ",
    "- ",
    "\n  ",
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "\ud800",
  ]
  for (let i = 0; i < 20_000; i++) {
    const written = text(pieces, 5 + below(40))
    const { documents, problems: found } = readYaml("/t.yaml", written)
    const lines = written.split(/\n/).length
    for (const { column, line } of found) {
      expect(line).toBeGreaterThanOrEqual(1)
      expect(line).toBeLessThanOrEqual(lines + 1)
      expect(column).toBeGreaterThanOrEqual(1)
    }
    for (const { place, value } of documents) {
      expect(JSON.stringify(value)).toBeDefined()
      expect(place(["a", 0, "b"]).line).toBeLessThanOrEqual(lines + 1)
    }
  }
})

test("what is written is read as it was, also by those who read YAML 1.1", () => {
  const values = [
    { time: "2026-11-20T20:31:01Z", no: "no", on: true, text: "a: b\n\u001b", list: ["1.2", 1.2, null] },
    [],
  ]
  const text = writeYaml(values)
  expect(readYaml("/t.yaml", text).documents.map(({ value }) => value)).toEqual(values)
  expect(text).toContain('time: "2026-11-20T20:31:01Z"')
  expect(text).toContain('"no": "no"')
})
