// Addresses and networks. What is no address is in no network, and what is no network has no address in it.
import { celFunc, celMethod, CelScalar, listType, type CelFunc, type CelList } from "@bufbuild/cel"
import { Recent } from "../../../../limit/recent.ts"
import { parseIp, type Ip } from "../../../../policy/address.ts"
import { CidrInvalid, cidrs, parseCidr, type CidrSet } from "../../../../policy/cidr.ts"
import { spend } from "../bounds.ts"
import { textIn } from "../dual.ts"

const { BOOL, DYN, STRING } = CelScalar
const LIST = listType(DYN)

/** 1,000 networks, twice: they are written in policies. */
const REMEMBERED = 1000
/** 64 characters: no address or network is longer, and what is not looked at need not be remembered. */
const LONGEST = 64
/** What parsing and compiling a network is counted as. */
const COMPILE = 20

const EMPTY: CidrSet = cidrs()
const PRIVATE = cidrs("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")

const single = new Recent<string, CidrSet>(REMEMBERED)
/** Of lists: a constant one is the same value each time. */
const several = new WeakMap<CelList, CidrSet>()

/** The address that was asked about last: the rules of a policy ask about one. */
let lastText = ""
let lastIp: Ip | undefined

function ipOf(text: string): Ip | undefined {
  if (text.length > LONGEST) return undefined
  if (text !== lastText) {
    lastText = text
    lastIp = parseIp(text)
  }
  return lastIp
}

function inRange(address: string, network: string): boolean {
  const ip = ipOf(address)
  return ip !== undefined && networkOf(network).contains(ip)
}

function networkOf(text: string): CidrSet {
  if (text.length > LONGEST) return EMPTY
  let network = single.get(text)
  if (network === undefined) {
    spend(COMPILE)
    network = isNetwork(text) ? cidrs(text) : EMPTY
    single.set(text, network)
  }
  return network
}

function inRanges(address: string, list: CelList): boolean {
  const ip = ipOf(address)
  return ip !== undefined && networksOf(list).contains(ip)
}

function networksOf(list: CelList): CidrSet {
  let networks = several.get(list)
  if (networks === undefined) {
    spend(list.size * COMPILE)
    networks = cidrs(Array.from(list, textIn).filter((text) => text !== undefined && isNetwork(text)) as string[])
    several.set(list, networks)
  }
  return networks
}

/** Whether it is a network; for warnings about constants too. */
export function isNetwork(text: string): boolean {
  if (text.length > LONGEST) return false
  try {
    parseCidr(text)
    return true
  } catch (error) {
    if (error instanceof CidrInvalid) return false
    throw error
  }
}

function isPrivate(text: string): boolean {
  const ip = ipOf(text)
  return ip !== undefined && PRIVATE.contains(ip)
}

export const NETWORK: readonly CelFunc[] = [
  celFunc("inCidrRange", [STRING, STRING], BOOL, inRange),
  celMethod("inCidrRange", STRING, [STRING], BOOL, function (network) {
    return inRange(this, network)
  }),
  celFunc("inCidrRanges", [STRING, LIST], BOOL, inRanges),
  celMethod("inCidrRanges", STRING, [LIST], BOOL, function (networks) {
    return inRanges(this, networks)
  }),
  celFunc("isPrivateIp", [STRING], BOOL, isPrivate),
  celMethod("isPrivateIp", STRING, [], BOOL, function () {
    return isPrivate(this)
  }),
]
