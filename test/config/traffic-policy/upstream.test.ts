import { expect, test } from "bun:test"
import { readUpstream } from "../../../src/config/traffic-policy/upstream.ts"

function said(written: unknown): string {
  const read = readUpstream(written)
  if ("problem" in read) return `problem: ${read.problem}`
  const to = read.upstream.kind === "pool" ? `the pool ${read.upstream.name}` : read.upstream.url
  return read.warning === undefined ? to : `${to}, ${read.warning}`
}

test.each([
  [22, "tcp://localhost:22"],
  ["22", "tcp://localhost:22"],
  [":22", "tcp://localhost:22"],
  ["db:5432", "tcp://db:5432"],
  ["tcp://db:5432", "tcp://db:5432"],
  ["TCP://Db:5432/", "tcp://db:5432"],
  ["tls://db.example.com:443", "tls://db.example.com:443"],
  ["tcp://[::1]:22", "tcp://[::1]:22"],
  ["tcp://:22", "tcp://localhost:22"],
  ["unix:/run/db.sock", "unix:/run/db.sock"],
  ["unix:///run/db.sock", "unix:/run/db.sock"],
  ["pool://db", "the pool db"],
])("%s leads to %s", (written, to) => {
  expect(said(written)).toBe(to)
})

test.each([
  ["db", "tcp://db:80", /no port is written, and 80 is taken.*write "tcp:\/\/db:80"/],
  ["tcp://db", "tcp://db:80", /write "tcp:\/\/db:80"/],
  ["tls://db", "tls://db:443", /write "tls:\/\/db:443"/],
])("%s leads to %s, and it is said", (written, to, warning) => {
  expect(said(written)).toStartWith(`${to}, `)
  expect(said(written)).toMatch(warning)
})

test.each([
  [0, /0 is not a port/],
  ["70000", /70000 is not a port/],
  ["http://db:80", /http:\/\/ is not for bytes.*did you mean "tcp:\/\/db:80"\?/],
  ["https://db", /did you mean "tls:\/\/db:443"\?/],
  ["tcp://", /expected a port, host:port/],
  ["", /found an empty text/],
  ["pool://Db", /"Db" is not the name of a pool/],
  ["db:5432:1", /expected a port/],
  ["tcp://127.1:5", /IPv4 is written as four/],
  ["unix:run.sock", /absolute path/],
  [true, /found true/],
  [null, /found null/],
])("%s is refused", (written, problem) => {
  expect(said(written)).toMatch(problem)
})
