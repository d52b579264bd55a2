import { describe, expect, test } from "bun:test"
import { renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AddressLists } from "../../src/limit/address-lists.ts"
import { IpCategories } from "../../src/limit/ip-categories.ts"
import { parseIp, type Ip } from "../../src/policy/address.ts"
import { folder } from "../helper/cli.ts"

const ip = (text: string): Ip => parseIp(text)!

function write(at: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    // As feeds do: another file, renamed.
    writeFileSync(join(at, `.${name}`), text)
    renameSync(join(at, `.${name}`), join(at, name))
  }
}

function news() {
  const said: string[] = []
  const say = (message: string) => void said.push(message)
  return { said, info: say, warn: say, error: say, again: () => undefined }
}

describe("a folder of lists", () => {
  test("has a category for each of them", async () => {
    await using at = await folder({
      "blocklist.firehol.level1.netset": "# a comment\n203.0.113.0/24\n",
      "com.cloudflare.ipv4.txt": "198.51.100.0/24\n203.0.113.7\n",
      "proxy.vpn.nordvpn.ipset": "2001:db8::/32\n",
      "README.md": "not a list",
      ".hidden.txt": "not a list",
    })
    const { categories, problems } = IpCategories.open(at.path, new AddressLists())
    expect(problems).toEqual([])
    expect(categories.names()).toEqual(["blocklist.firehol.level1", "com.cloudflare.ipv4", "proxy.vpn.nordvpn"])
    expect(categories.of(ip("203.0.113.7"))).toEqual(["blocklist.firehol.level1", "com.cloudflare.ipv4"])
    expect(categories.of(ip("203.0.113.8"))).toEqual(["blocklist.firehol.level1"])
    expect(categories.of(ip("2001:db8::1"))).toEqual(["proxy.vpn.nordvpn"])
    expect(categories.of(ip("192.0.2.1"))).toEqual([])
  })

  test("says which of them are bad, and uses the others", async () => {
    await using at = await folder({ "a.good.txt": "203.0.113.7\n", "a.bad.txt": "203.0.113.7\nnonsense\n" })
    const { categories, problems } = IpCategories.open(at.path, new AddressLists())
    expect(problems).toMatchObject([{ path: join(at.path, "a.bad.txt"), message: expect.stringContaining(":2:1") }])
    expect(categories.of(ip("203.0.113.7"))).toEqual(["a.good"])
  })

  test("that is empty, or is none, is a problem", async () => {
    await using at = await folder({ "README.md": "" })
    expect(IpCategories.open(at.path, new AddressLists()).problems).toHaveLength(1)
    expect(IpCategories.open(join(at.path, "missing"), new AddressLists()).problems).toHaveLength(1)
  })

  test("follows lists that change, come and go", async () => {
    await using at = await folder({ "a.txt": "203.0.113.7\n", "b.txt": "203.0.113.7\n" })
    const lists = new AddressLists()
    const { categories } = IpCategories.open(at.path, lists)
    const log = news()
    using _ = lists.follow(log)
    expect(categories.of(ip("203.0.113.7"))).toEqual(["a", "b"])
    write(at.path, { "a.txt": "203.0.113.8\n203.0.113.9\n" })
    await lists.look()
    expect(categories.of(ip("203.0.113.7"))).toEqual(["b"])
    expect(categories.of(ip("203.0.113.8"))).toEqual(["a"])
    write(at.path, { "c.txt": "203.0.113.7\n", "d.txt": "nonsense\n" })
    rmSync(join(at.path, "b.txt"))
    categories.look(log)
    expect(categories.of(ip("203.0.113.7"))).toEqual(["c"])
    expect(log.said.join("\n")).toContain("c is a category now")
    expect(log.said.join("\n")).toContain("b is no category any more")
    expect(log.said.filter((line) => line.includes("nonsense"))).toHaveLength(1)
    categories.look(log)
    expect(log.said.filter((line) => line.includes("nonsense"))).toHaveLength(1)
  })
})
