import { expect, test } from "bun:test"
import { between } from "../../bench/docs.ts"
import { goals, markdown, medians, plain, ratios, type Result } from "../../bench/report.ts"
import { parseCounts } from "../../bench/scenarios/syscalls.ts"
import { median, percentile } from "../../bench/stats.ts"

const result: Result = {
  name: "connections",
  title: "New connections",
  unit: "connection",
  subject: "tidegate",
  compare: ["cpu_us", "rate"],
  goals: [
    { metric: "cpu_us", as: "ratio", to: ["a", "b"], most: 1.1 },
    { metric: "cpu_us", as: "difference", to: ["a"], most: 8 },
    { metric: "rate", as: "ratio", to: ["a", "b"], least: 1 },
    { metric: "failed", as: "value", most: 0 },
    { of: "b", metric: "rate", as: "value", least: 400 },
    { metric: "cpu_us", as: "ratio", to: ["not installed"], most: 1 },
  ],
  left: [],
  samples: [
    { system: "tidegate", round: 1, metrics: { cpu_us: 60, rate: 200, failed: 0 } },
    { system: "a", round: 1, metrics: { cpu_us: 50, rate: 100, failed: 0 } },
    { system: "b", round: 1, metrics: { cpu_us: 100, rate: 400, failed: 1 } },
    { system: "tidegate", round: 2, metrics: { cpu_us: 80, rate: 200, failed: 1 } },
    { system: "a", round: 2, metrics: { cpu_us: 100, rate: 100, failed: 0 } },
    { system: "b", round: 2, metrics: { cpu_us: 100, rate: 400, failed: 2 } },
  ],
  machine: {} as Result["machine"],
  quick: false,
}

test("a system's row has the medians of its rounds and the sum of its failures", () => {
  expect(medians(result)).toEqual({
    head: ["", "CPU µs per connection", "connections per s", "failed"],
    rows: [
      ["tidegate", "70.0", "200", "1"],
      ["a", "75.0", "100", "0"],
      ["b", "100.0", "400", "3"],
    ],
  })
})

test("ratios are formed per round, and better means less CPU but more connections", () => {
  expect(ratios(result)?.rows).toEqual([
    ["a", "1.00 (0.80-1.20), better in 1/2", "2.00 (2.00-2.00), better in 2/2"],
    ["b", "0.70 (0.60-0.80), better in 2/2", "0.50 (0.50-0.50), better in 0/2"],
  ])
})

test("a goal is measured against the best of those it names, and left out when none of them is there", () => {
  expect(goals(result)?.rows).toEqual([
    ["CPU µs per connection ratio to a or b", "at most 1.1", "1.00", "met"],
    ["CPU µs per connection difference to a", "at most 8", "-5.0", "met"],
    ["connections per s ratio to a or b", "at least 1", "0.50", "missed"],
    ["failed", "at most 0", "1.0", "missed"],
    ["connections per s of b", "at least 400", "400.0", "met"],
  ])
})

test("tables are aligned for a terminal and ruled for Markdown", () => {
  const table = { head: ["", "n"], rows: [["one", "10"]] }
  expect(plain(table)).toBe("      n\none  10")
  expect(markdown(table)).toBe("|  | n |\n|---|---:|\n| one | 10 |")
})

test("only what stands between its markers is rewritten", () => {
  const page = "a <!-- bench:x -->old<!-- /bench:x --> b"
  expect(between(page, "x", "new")).toBe("a <!-- bench:x -->\nnew\n<!-- /bench:x --> b")
  expect(() => between(page, "y", "new")).toThrow("has no <!-- bench:y -->")
})

test("strace's counts are read with and without errors, and its total is not a call", () => {
  const text = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 30.00    0.000300           1       300           sendto
 10.00    0.000100           1        60        20 accept4
------ ----------- ----------- --------- --------- ----------------
100.00    0.000400           1       360        20 total`
  expect([...parseCounts(text)]).toEqual([
    ["sendto", 300],
    ["accept4", 60],
  ])
})

test("medians and percentiles of few values", () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), percentile([5, 1, 9], 1), percentile([], 0.5)]).toEqual([
    2, 2.5, 9, 0,
  ])
})
