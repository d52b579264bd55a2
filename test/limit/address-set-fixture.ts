// Asks for lists in the ways that policies do, on any runtime.
import { addressSet } from "../../src/limit/address-set.ts"
import { inner } from "./lists/inner-fixture.ts"

const set = addressSet("lists/fixture.txt")
const later = async () => {
  await Promise.resolve()
  const found = addressSet("./lists/fixture.txt")
  console.assert(found.size === 2)
  return found
}
console.log(
  JSON.stringify([
    set.size,
    set.cidrs,
    set.contains("10.1.2.3"),
    set.contains("2001:db8::1"),
    set.contains("192.0.2.1"),
    set === (await later()),
    set === inner,
  ]),
)
