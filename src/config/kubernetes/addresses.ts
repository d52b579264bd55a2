// The addresses of a Gateway: which of them its listeners bind, and what is said of the others.
import { formatIp, parseIp } from "../../policy/address.ts"
import type { Surroundings } from "../manifests/document.ts"
import type { ObjectOf } from "./types.ts"

export interface Addresses {
  /** What is bound: `"*"` is all addresses. */
  readonly bound: readonly string[]
  /** `status.addresses` */
  readonly shown: readonly { readonly type: string; readonly value: string }[]
  /** What keeps the whole Gateway from being accepted. */
  readonly unsupported: string | undefined
  /** What cannot be bound here. */
  readonly unusable: string | undefined
}

const IP = "IPAddress"
/** Every address of this machine. */
const ALL = "*"

export function addressesOf({ body }: ObjectOf<"Gateway">, surroundings: Surroundings): Addresses {
  const { mainAddress } = surroundings
  const main = { type: IP, value: mainAddress }
  const { addresses = [] } = body.spec
  if (addresses.length === 0) return { bound: [ALL], shown: [main], unsupported: undefined, unusable: undefined }
  const foreign = addresses.filter(({ type }) => (type ?? IP) !== IP)
  if (foreign.length > 0) {
    const types = [...new Set(foreign.map(({ type }) => type))].join(", ")
    const unsupported = `Addresses of the type ${types} are not supported: a listener is bound to addresses of this machine, \`type: IPAddress\`, or to all of them, without spec.addresses`
    return { bound: [], shown: [], unsupported, unusable: undefined }
  }
  const bound = new Set<string>()
  const shown = new Map<string, { type: string; value: string }>()
  const unusable: string[] = []
  for (const { value = "" } of addresses) {
    const ip = parseIp(value)
    const address = value === "" ? ALL : ip === undefined ? undefined : formatIp(ip)
    if (address === undefined || (address !== ALL && !surroundings.isOwnAddress(address))) {
      unusable.push(value)
      continue
    }
    bound.add(address)
    shown.set(address, address === ALL ? main : { type: IP, value })
  }
  return {
    bound: [...bound],
    shown: [...shown.values()],
    unsupported: undefined,
    unusable: unusable.length === 0 ? undefined : notOurs(unusable, mainAddress),
  }
}

function notOurs(values: readonly string[], main: string): string {
  const list = values.map((value) => JSON.stringify(value)).join(", ")
  const which = values.length === 1 ? `${list} is no address` : `${list} are no addresses`
  return `${which} of this machine, so nothing can be bound there; leave spec.addresses out for all addresses, or name one of them, like ${main}`
}
