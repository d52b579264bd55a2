// A blocklist in a running gateway: followed with its file, kept when it is bad, never in the way of connections.
import { renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { formatIp, ipv4, ipv6 } from "../../src/policy/address.ts"
import { askFrom } from "../helper/ask-from.ts"
import { tidegate } from "../helper/cli.ts"
import { random } from "../helper/random.ts"
import { RUNTIME, serve, type Served } from "../helper/serve.ts"

const POLICY = `import { addressSet, respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
const blocked = addressSet("blocklist.txt")
export const on_tcp_connect = ({ client }) =>
  respond(client.within(blocked) === blocked.contains(client.address) ? String(client.within(blocked)) : "differs")
`

/** As most programs save: a new file takes the old one's name. */
function replace(gateway: Served, text: string): void {
  writeFileSync(join(gateway.folder, "blocklist.new"), text)
  renameSync(join(gateway.folder, "blocklist.new"), join(gateway.folder, "blocklist.txt"))
}

const logged = (gateway: Served, text: string, from = 0) =>
  gateway.until(() => gateway.log.slice(from).find(({ message }) => message.includes(text)))

test("a list is followed: saved, bad, good again, emptied, deleted", async () => {
  await using gateway = await serve({ "a.ts": POLICY, "blocklist.txt": "127.0.0.2\n127.1.0.0/16\n" })
  const port = await gateway.port("a.ts")
  const blocked = () => Promise.all(["127.0.0.1", "127.0.0.2", "127.1.2.3"].map((from) => askFrom(from, port)))
  const from = gateway.log.length
  expect(await blocked()).toEqual(["false", "true", "true"])

  replace(gateway, "127.0.0.1\n")
  await logged(gateway, "blocklist.txt: 1 prefix, read in ")
  expect(await blocked()).toEqual(["true", "false", "false"])

  replace(gateway, "127.0.0.2\n127.0.0.256\n")
  expect((await logged(gateway, "blocklist.txt:2:1: ")).message).toContain("the last good version stays (1 prefix)")
  expect(await blocked()).toEqual(["true", "false", "false"])
  const env = { XDG_RUNTIME_DIR: RUNTIME }
  const { stdout } = await tidegate(["status", gateway.folder], { env })
  expect(stdout).toMatch(/ADDRESS LIST +STATE +PREFIXES +LOADED\n\S+blocklist.txt +kept +1 +\d{4}-/)
  expect(stdout).toContain('blocklist.txt:2:1: "127.0.0.256" is not a CIDR')

  replace(gateway, "127.0.0.2\n")
  await logged(gateway, "the list is good again: 1 prefix")
  expect(await blocked()).toEqual(["false", "true", "false"])

  writeFileSync(join(gateway.folder, "blocklist.txt"), "")
  await logged(gateway, "blocklist.txt: the list is empty now")
  expect(await blocked()).toEqual(["false", "false", "false"])

  replace(gateway, "127.0.0.1\n")
  await logged(
    gateway,
    "1 prefix, read in ",
    gateway.log.findIndex(({ message }) => message.includes("is empty now")),
  )
  rmSync(join(gateway.folder, "blocklist.txt"))
  await logged(gateway, "there is no such file")
  expect(await blocked()).toEqual(["true", "false", "false"])
  expect(gateway.log.slice(from).filter(({ level }) => level === "error")).toHaveLength(2)
}, 120_000)

test("a policy that could not be loaded for its list is loaded when the list is mended", async () => {
  await using gateway = await serve({
    "a.ts": 'export const listen = "tcp://127.0.0.1:0"\nexport const on_tcp_connect = () => null\n',
    "blocklist.txt": "nonsense\n",
  })
  gateway.write("b.ts", POLICY)
  await logged(gateway, "blocklist.txt:1:1: ")
  expect(gateway.log.some(({ message }) => message.includes("b.ts:3:17 AddressListInvalid: "))).toBe(true)
  replace(gateway, "127.0.0.2\n")
  const port = await gateway.port("b.ts")
  expect(await Promise.all(["127.0.0.1", "127.0.0.2"].map((from) => askFrom(from, port)))).toEqual(["false", "true"])
}, 120_000)

test("a large list is read beside connections, which are all answered by the old one or the new one", async () => {
  const { below } = random(31)
  const word = () => below(2 ** 32)
  const lines = Array.from({ length: 200_000 }, (_, i) =>
    i % 2 === 0
      ? formatIp(ipv4(0x0b000000 + below(2 ** 24)))
      : `${formatIp(ipv6(0x20010000 + below(2 ** 16), word(), word(), 0))}/112`,
  )
  await using gateway = await serve({ "a.ts": POLICY, "blocklist.txt": "127.0.0.2\n" })
  const port = await gateway.port("a.ts")
  const text = `${lines.join("\n")}\n127.0.0.1\n`
  replace(gateway, text)
  let asked = 0
  let blocked = false
  while (!blocked) {
    const answer = await askFrom("127.0.0.1", port)
    expect(answer).toBeOneOf(["true", "false"])
    blocked = answer === "true"
    asked++
  }
  expect(asked).toBeGreaterThan(1)
  await logged(gateway, "blocklist.txt: 200001 prefixes, read in ")
  expect(await askFrom("127.0.0.2", port)).toBe("false")
}, 120_000)
