// `addressSet("blocklist.txt")`: the addresses of a file, as a set that follows the file.
import { dirname, resolve } from "node:path"
import type { Ip } from "../policy/address.ts"
import type { CidrSet } from "../policy/cidr.ts"
import { describe } from "../policy/describe.ts"
import { AddressListInvalid } from "./address-list.ts"
import { addressLists } from "./address-lists.ts"
import { caller } from "./caller.ts"

/** The addresses of a list, made by {@link addressSet}. In a running gateway it changes when the file does. */
export interface AddressSet extends CidrSet {
  /** The list's file: an absolute path. */
  readonly path: string
  /** Prefixes in the file, those that come twice counted twice. */
  readonly size: number
  /** Prefixes that hold the same addresses, in order, none within another: as many texts, made when they are read. */
  readonly cidrs: readonly string[]
  /**
   * Whether the set holds the address; false for `undefined`, which is the address of a unix client.
   * @throws TypeError for a text that is no address
   */
  contains(address: Ip | string | undefined): boolean
}

/**
 * The addresses of a file with one address or CIDR per line; `#` and `;` start comments. At most 4,000,000 prefixes and
 * 256 MiB. Call it at the top of a policy, so that a bad list is an error when the policy is loaded; equal paths give
 * one set. In a running gateway the set follows its file: what is wrong in a later version is logged, and the last good
 * one stays.
 * @param path relative to the file that calls this
 * @throws AddressListInvalid
 */
export function addressSet(path: string): AddressSet {
  if (typeof path !== "string" || path === "")
    throw new TypeError(`addressSet: expected the path of a list of addresses, found ${describe(path)}`)
  const from = caller()
  try {
    return addressLists.open(resolve(from === undefined ? "" : dirname(from.path), path), from?.module)
  } catch (error) {
    // The place that matters is where the list is asked for.
    if (error instanceof AddressListInvalid) Error.captureStackTrace(error, addressSet)
    throw error
  }
}
