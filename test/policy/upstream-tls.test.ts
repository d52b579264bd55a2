import { expect, test } from "bun:test"
import { TerminateInvalid } from "../../src/policy/terminate.ts"
import { checkUpstreamTls } from "../../src/policy/upstream-tls.ts"

const ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
const certificate = { cert: ca, key: "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n" }

test.each([
  [{}, {}],
  [{ sni: "DB.Example." }, { sni: "db.example" }],
  [{ names: ["DB.Example.", "*.db.example"] }, { names: ["db.example", "*.db.example"] }],
  [{ names: ["spiffe://Example.com/Db"] }, { names: ["spiffe://Example.com/Db"] }],
  [{ alpn: ["postgresql"] }, { alpn: ["postgresql"] }],
  [{ alpn: [] }, {}],
  [{ ca: [ca, ca] }, { ca: `${ca}\n${ca}` }],
  [{ certificate }, { certificate }],
  [{ insecureSkipVerify: false }, {}],
  [{ insecureSkipVerify: true }, { insecureSkipVerify: true }],
])("%j is %j", (value, expected) => {
  const checked = checkUpstreamTls(value)
  expect(checked).toEqual(expected as never)
  expect(checkUpstreamTls(checked)).toEqual(checked)
  expect(Object.isFrozen(checked)).toBe(true)
})

test.each([
  [null, "expected options, found null"],
  [true, "expected options, found true"],
  [[], "expected options, found an empty list"],
  [{ insecureSkipVerfy: true }, 'did you mean "insecureSkipVerify"?'],
  [{ insecureSkipVerify: "yes" }, 'insecureSkipVerify: true or false, found "yes"'],
  [{ insecureSkipVerify: true, ca }, "ca has no effect with insecureSkipVerify"],
  [{ insecureSkipVerify: true, names: ["db"] }, "names has no effect with insecureSkipVerify"],
  [{ names: [] }, "names: a list of 1 to 16 names"],
  [{ names: "db.example" }, "names: a list of 1 to 16 names"],
  [{ names: ["db.example", "a b"] }, 'names: host names, or URIs like "spiffe://example.com/db", found "a b"'],
  [{ names: ["10.0.0.1"] }, "names: host names"],
  [{ sni: "10.0.0.1" }, "sni: a host name"],
  [{ sni: "*.example" }, "sni: a host name"],
  [{ sni: 5 }, "sni: a host name, found 5"],
  [{ alpn: "h2" }, "expected a list"],
  [{ ca: "ca.pem" }, "expected PEM"],
  [{ certificate: { cert: ca } }, "certificate: key: expected PEM"],
  [{ certificate: ca }, "expected { cert, key }"],
])("%j is refused: %s", (value, why) => {
  expect(() => checkUpstreamTls(value)).toThrow(TerminateInvalid)
  expect(() => checkUpstreamTls(value)).toThrow(why)
})
