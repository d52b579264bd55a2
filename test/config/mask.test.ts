import { expect, test } from "bun:test"
import { masked } from "../../src/config/mask.ts"

/** Only made-up letters: whatever is shown of them is too much. */
const KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"

function indented(text: string, by: number): string {
  return text.replaceAll("\n", `\n${" ".repeat(by)}`)
}

test("a text without secrets is the same text", () => {
  const text = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: 1\n"
  expect(masked(text)).toBe(text)
})

test.each([
  ["the data of a Secret", "kind: Secret\ndata:\n  tls.key: QUJDREVG\n  tls.crt: QUJDREVG\ntype: kubernetes.io/tls\n"],
  ["data before the kind", "data:\n  a: QUJDREVG\nkind: Secret\n"],
  ["data in one line", "kind: Secret\ndata: {a: QUJDREVG}\n"],
  ["a block of text", "kind: Secret\nstringData:\n  a: |\n    QUJDREVG\n    QUJDREVG\n"],
  ["JSON on several lines", '{\n  "kind": "Secret",\n  "data": {\n    "a": "QUJDREVG"\n  }\n}\n'],
  ["JSON on one line", '{"apiVersion":"v1","kind":"Secret","data":{"a":"QUJDREVG"}}'],
  ["a Secret in a list", "kind: List\nitems:\n- kind: Secret\n  data:\n    a: QUJDREVG\n"],
  ["the second document", "kind: Service\n---\nkind: Secret\nstringData:\n  a: QUJDREVG\n"],
  ["a token", "version: 3\nagent:\n  authtoken: QUJDREVG\n"],
  ["a token between braces", "agent: { authtoken: QUJDREVG, web_addr: localhost }\n"],
  ["a token in quotes between braces", 'agent: {web_addr: localhost, "authtoken": "QUJDREVG,}QUJDREVG"}\n'],
  ["a token in JSON on one line", '{"version":3,"agent":{"authtoken":"QUJDREVG"}}'],
  ["a password in JSON", '{\n  "redis_password": "QUJDREVG"\n}'],
  [
    "what kubectl keeps of a Secret",
    'kind: Secret\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {"data":{"a":"QUJDREVG"}}\n',
  ],
  ["a block behind the name of a secret", "password: |\n  QUJDREVG\nnext: 1\n"],
])("%s is not shown, and everything stays where it is", (_, text) => {
  const shown = masked(text)
  expect(shown).not.toContain("QUJDREVG")
  expect(shown.split("\n").map(({ length }) => length)).toEqual(text.split("\n").map(({ length }) => length))
})

test("what stands beside a secret is shown", () => {
  const text = "kind: Secret\nmetadata:\n  name: db\ndata:\n  a: QUJDREVG\ntype: Opaque\n"
  expect(masked(text)).toBe("kind: Secret\nmetadata:\n  name: db\ndata:\n  a: ••••••••\ntype: Opaque\n")
})

test("private keys are not shown, wherever they stand", () => {
  for (const text of [
    `server_private_key: |\n  ${indented(KEY, 2)}\nnext: shown\n`,
    `odd_name: "${KEY.replaceAll("\n", "\\n")}"\nnext: shown\n`,
    `kind: ConfigMap\ndata:\n  a: |\n    ${indented(KEY, 4)}\n`,
  ]) {
    expect(masked(text)).not.toContain("MIIEvQIBADANBgkq")
    expect(masked(text)).not.toContain("hkiG9w0BAQEFAASC")
    if (text.includes("shown")) expect(masked(text)).toContain("next: shown")
  }
})
