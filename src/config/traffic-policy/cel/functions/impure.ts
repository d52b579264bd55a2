// Functions whose results differ from call to call: chance, and secrets.
import { celFunc, CelScalar, type CelFunc } from "@bufbuild/cel"
import { tell } from "../../../told-secrets.ts"
import { facts } from "../run.ts"
import { Refused } from "./refused.ts"

const { DOUBLE, INT, STRING } = CelScalar

/** 2^53: what a number of chance has in bits. */
const WIDEST = BigInt(Number.MAX_SAFE_INTEGER)

/** Both ends are possible. ngrok's text says that min must be larger; its examples and its operator say otherwise. */
function randomInt(least: bigint, most: bigint): bigint {
  if (least < 0n || most < 0n) throw new Refused("rand.int: expected numbers of 0 and more")
  if (least > most) throw new Refused("rand.int: the first number is the least, the second the most")
  if (most - least >= WIDEST) throw new Refused("rand.int: the numbers are too far apart")
  return least + BigInt(Math.floor(Math.random() * Number(most - least + 1n)))
}

function secret(vault: string, name: string): string {
  const found = facts()?.source.secret?.(vault, name)
  if (found === undefined) throw new Refused("secrets.get: there is no such secret")
  tell(found)
  return found
}

export const IMPURE: readonly CelFunc[] = [
  celFunc("rand.double", [], DOUBLE, () => Math.random()),
  celFunc("rand.int", [], INT, () => randomInt(0n, 1n)),
  celFunc("rand.int", [INT, INT], INT, randomInt),
  celFunc("secrets.get", [STRING, STRING], STRING, secret),
]
