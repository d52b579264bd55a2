// Names of limits.
import { describe } from "../policy/describe.ts"
import { LimitInvalid } from "../policy/limits.ts"

/** 100 characters: a name is shown in messages and in status. */
const LONGEST = 100

/** Names the limit in messages, and its counts. @throws LimitInvalid */
export function checkName(kind: "rateLimit" | "concurrencyLimit", name: unknown, example: string): string {
  if (typeof name !== "string" || !/^[^\p{C}]+$/u.test(name) || name.trim() === "" || name.length > LONGEST)
    throw new LimitInvalid(
      `${kind}: expected a name of 1 to ${LONGEST} characters first, like ${kind}("per-client", ${example}), found ${describe(name)}`,
    )
  return `${kind} ${JSON.stringify(name)}`
}
