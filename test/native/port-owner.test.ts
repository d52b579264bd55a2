import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { descriptorLimit } from "../../src/native/descriptor-limit.ts"
import { portOwner } from "../../src/native/port-owner.ts"
import { freePort } from "../helper/ports.ts"

test.each(["127.0.0.1", "::1", "::"])("the process that listens on %p is found", (hostname) => {
  const listener = Bun.listen({ hostname, port: 0, socket: { data() {} } })
  const name = readFileSync("/proc/self/comm", "utf8").trim()
  expect(portOwner(listener.port)).toBe(`${name} (pid ${process.pid})`)
  listener.stop(true)
})

test("a port that nobody listens on has no owner", () => {
  expect(portOwner(freePort())).toBeUndefined()
})

test("the descriptor limit is the kernel's", () => {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))!
  expect(descriptorLimit()).toBe(Number(soft))
})
