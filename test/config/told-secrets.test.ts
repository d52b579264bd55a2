// What secrets.get() has told is in no message and no log, whatever became of it on the way.
import { expect, test } from "bun:test"
import { tell, valueWithoutSecrets, withoutSecrets } from "../../src/config/told-secrets.ts"
import { ask, compiled, logged, run } from "./traffic-policy/policy-of.ts"

const PASSWORD = "Tr0ub4dor&3-and-more"
const PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"
const facts = {
  secret: (vault: string, name: string) => (vault === "v" ? { pw: PASSWORD, key: PEM, n: "42" }[name] : undefined),
}
const action = (type: string, config: string) =>
  `on_tcp_connect: [{ actions: [{ type: set-vars, config: { vars: [{ p: "\${secrets.get('v', 'pw')}" }] } }, { type: ${type}, config: ${config} }] }]`

/** What an action says when it fails. */
function failure(type: string, config: string): string {
  try {
    ask(action(type, config), { facts })
  } catch (error) {
    return String(error)
  }
  throw new Error("it did not fail")
}

test.each([
  ["restrict-ips", '{ allow: ["${vars.p}"] }', "is not a CIDR"],
  ["forward", '{ url: "bad ${vars.p}" }', "expected tcp://host:port"],
  ["forward-internal", '{ url: "tcp://${vars.p}" }', "ERR_NGROK_2226"],
])("a failure of %s does not show it", (type, config, said) => {
  const message = failure(type, config)
  expect(message).toContain(said)
  expect(message).toContain("•••")
  expect(message.toLowerCase()).not.toContain(PASSWORD.slice(0, 8).toLowerCase())
})

test("log does not show it, in values, names or results of other actions", async () => {
  const metadata =
    '{ plain: "${vars.p}", list: ["x ${vars.p}"], deep: "${{vars.p: 1}}", n: 1, short: "${secrets.get(\'v\', \'n\')}", key: "${secrets.get(\'v\', \'key\')}" }'
  expect(await logged(action("log", `{ metadata: ${metadata} }`), { facts })).toEqual({
    plain: "•••",
    list: ["x •••"],
    deep: { "•••": 1 },
    n: 1,
    short: "42",
    key: "•••",
  })
  const { answer, simulated } = run(
    compiled(
      `on_tcp_connect: [{ actions: [
        { type: forward-internal, config: { url: "tcp://\${secrets.get('v', 'pw').replace('&', '')}.internal:1", on_error: continue } },
        { type: log, config: { metadata: { said: "\${actions.ngrok.forward_internal.error.message}" } } } ] }]`,
      { facts },
    ),
  )
  await answer
  expect(JSON.stringify(simulated.log.all()).toLowerCase()).not.toContain(PASSWORD.slice(0, 8).toLowerCase())
})

test("what is shortened, escaped or in other letters is found too", () => {
  tell(PASSWORD)
  tell(PEM)
  expect(withoutSecrets(`"${PASSWORD.slice(0, 12)}..."`)).toBe('"•••..."')
  expect(withoutSecrets(PASSWORD.toLowerCase() + PASSWORD)).toBe("••••••")
  expect(withoutSecrets(JSON.stringify(PEM))).not.toContain("MIGH")
  expect(withoutSecrets("nothing of that")).toBe("nothing of that")
  expect(valueWithoutSecrets([null, true, { a: PASSWORD }])).toEqual([null, true, { a: "•••" }])
})
