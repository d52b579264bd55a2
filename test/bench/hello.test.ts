import { expect, test } from "bun:test"
import { recordHello, rename, serverName } from "../../bench/hello.ts"
import { parseClientHello, type ClientHello } from "../../src/protocol/client-hello.ts"

test("a recorded ClientHello is one whole record, and asks for the name that it is given", async () => {
  const [large, small] = await Promise.all([recordHello("large"), recordHello("small")])
  for (const hello of [large, small]) {
    for (const i of [0, 7, 99_999]) {
      const parsed = parseClientHello(rename(hello, i)) as ClientHello
      expect({ sni: parsed.sni, alpn: parsed.alpn }).toEqual({ sni: serverName(i), alpn: ["h2", "http/1.1"] })
    }
  }
  // A post-quantum key share alone is 1,216 bytes.
  expect(large.bytes.length).toBeGreaterThan(1216)
  expect(small.bytes.length).toBeLessThan(518)
})
