// The addresses that a Gateway asks for.
import { Schema } from "effect"
import { parseIp } from "../../../policy/address.ts"
import { like, listOf, textUpTo, type Issue } from "./names.ts"

const { Struct, optionalKey } = Schema

/** What the CRD allows. */
const MOST_ADDRESSES = 16
const LONGEST_ADDRESS = 253

const ADDRESS_TYPE =
  /^(Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+)$/u
const ADDRESS_NAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u

interface Address {
  readonly type?: string
  readonly value?: string
}

const address = Struct({
  type: optionalKey(like(ADDRESS_TYPE, LONGEST_ADDRESS, '"IPAddress", "Hostname", or a type like "example.com/name"')),
  value: optionalKey(textUpTo(LONGEST_ADDRESS)),
})
  .check(Schema.makeFilter(addressFault))
  .annotate({ expected: 'an address like { value: "192.0.2.10" }' })

/** An empty one asks for any. */
function addressFault({ type = "IPAddress", value = "" }: Address): Issue | undefined {
  if (value === "") return undefined
  const found = JSON.stringify(value)
  if (type === "IPAddress" && parseIp(value) === undefined) {
    const hint = ADDRESS_NAME.test(value) && /[a-z]/u.test(value) ? "; a name needs `type: Hostname`" : ""
    return {
      path: ["value"],
      issue: `expected an IP address like "192.0.2.10" or "2001:db8::10", found ${found}${hint}`,
    }
  }
  if (type === "Hostname" && !ADDRESS_NAME.test(value))
    return { path: ["value"], issue: `expected a host name like "db.example.com", found ${found}` }
  return undefined
}

function sameAddresses(all: readonly Address[]): readonly Issue[] {
  const seen = new Map<string, number>()
  return all.flatMap(({ type = "IPAddress", value = "" }, i) => {
    const key = `${type} ${value}`
    const first = seen.get(key)
    if (first === undefined) seen.set(key, i)
    if (first === undefined || value === "" || (type !== "IPAddress" && type !== "Hostname")) return []
    return [{ path: [i, "value"], issue: `${JSON.stringify(value)} is addresses[${first}] already` }]
  })
}

export const addresses = listOf(address, 0, MOST_ADDRESSES, "addresses", sameAddresses)
