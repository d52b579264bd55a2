import { expect, test } from "bun:test"
import { join } from "node:path"
import { STUCK_EXIT_CODE } from "../../src/observe/watchdog.ts"

const FIXTURE = join(import.meta.dir, "watchdog-fixture.ts")

function start(...args: string[]) {
  return Bun.spawn([process.execPath, FIXTURE, ...args], { stdout: "pipe", stderr: "pipe" })
}

async function stuck(...args: string[]): Promise<{ code: number; err: string }> {
  const child = start(...args)
  const err = await child.stderr.text()
  return { code: await child.exited, err }
}

test.concurrent.each([
  ["deciding", "endless.ts was deciding"],
  ["loading", "endless.ts was being loaded"],
  ["afterwards", "no policy was deciding, endless.ts was asked last"],
  ["forgotten", "no policy was running"],
])("a loop that is stuck %s ends the process and names the policy", async (how, who) => {
  expect(await stuck(how)).toEqual({
    code: STUCK_EXIT_CODE,
    err: `tidegate: the event loop is stuck: ${who}; ending with code 70\n`,
  })
})

test.concurrent("the last words are JSON where the log is", async () => {
  const { code, err } = await stuck("deciding", "json")
  expect(code).toBe(STUCK_EXIT_CODE)
  expect(JSON.parse(err)).toEqual({
    time: expect.any(String),
    level: "error",
    message: "the event loop is stuck: endless.ts was deciding; ending with code 70",
  })
})

test.concurrent("many files that take longer than the limit in all are not a stuck loop", async () => {
  const child = start("many")
  expect(await child.stdout.text()).toBe("went on\n")
  expect(await child.exited).toBe(0)
})

test.concurrent("a stderr that nobody reads does not keep a stuck process alive", async () => {
  // The pipe is full before the child starts.
  const child = Bun.spawn(
    [
      "bash",
      "-c",
      `{ head -c 65536 /dev/zero >&2; exec "$0" "$1" deciding; } 2> >(sleep 8)`,
      process.execPath,
      FIXTURE,
    ],
    { stdout: "ignore", stderr: "ignore" },
  )
  expect(await child.exited).toBe(STUCK_EXIT_CODE)
})

test.concurrent("a process that was stopped for longer than the limit goes on", async () => {
  const child = start("stopped")
  const out = child.stdout.getReader()
  expect(new TextDecoder().decode((await out.read()).value)).toBe("running\n")
  child.kill("SIGSTOP")
  // Time that passes is what this test is about: the fixture's limit is 1 second, 2 with its last heartbeat.
  await Bun.sleep(3000)
  child.kill("SIGCONT")
  child.kill("SIGUSR2")
  expect(new TextDecoder().decode((await out.read()).value)).toBe("alive\n")
  expect(await child.exited).toBe(0)
})

test.concurrent("under a debugger a breakpoint ends nothing", async () => {
  const child = Bun.spawn([process.execPath, "--inspect=127.0.0.1:0", FIXTURE, "pause"], {
    stdout: "pipe",
    stderr: "ignore",
  })
  expect(await child.stdout.text()).toBe("went on\n")
  expect(await child.exited).toBe(0)
})

test.concurrent("a closed watchdog keeps no process alive", async () => {
  const child = start("closed")
  expect(await child.stdout.text()).toBe("closed\n")
  expect(await child.exited).toBe(0)
})
