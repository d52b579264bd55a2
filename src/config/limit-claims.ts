// The limits that modules of policies have made: which files name them, and which files contradict each other. Counts
// themselves are no business of the loader's.
import { isDeepStrictEqual } from "node:util"
import { onClaim, tooLate, type Claim } from "../limit/claims.ts"
import { shownKey } from "../policy/limit-options.ts"
import { savedBefore, type Contender } from "./compile.ts"
import type { Place } from "./diagnostic.ts"
import type { Held, Instance, Instances } from "./instances.ts"

/** A limit that the top-level code of a module has made, or a `setup`. */
export interface MadeLimit {
  readonly claim: Claim
  readonly place: Place
  /** The text that the place is in. */
  readonly text: string
}

/** The line of a module's top-level code: engines give it no name, and a place without parentheses. */
const TOP_LEVEL = /\?h=[0-9a-f]{12}-\d+:\d+:\d+$/m

/** Hears of every limit that is made, and leaves it with the module whose code has asked for it. */
export class LimitClaims implements Disposable {
  /** How many limits modules have made so far. */
  count = 0
  private readonly instances: Instances
  private readonly isLoading: (instance: Instance) => boolean
  private readonly listening: Disposable

  /** @param isLoading whether top-level code or a `setup` runs that reaches this module */
  constructor(instances: Instances, isLoading: (instance: Instance) => boolean) {
    this.instances = instances
    this.isLoading = isLoading
    this.listening = onClaim((claim, stack) => this.made(claim, stack))
  }

  [Symbol.dispose](): void {
    this.listening[Symbol.dispose]()
  }

  private made(claim: Claim, stack: string): void {
    // The outermost: what a helper makes for a policy is the policy's.
    const frame = this.instances.frames(stack).at(-1)
    if (frame === undefined) return
    const { column, instance, line } = frame
    if (!TOP_LEVEL.test(stack) && !this.isLoading(instance)) throw tooLate(claim)
    if (instance.limits.some((other) => isSame(other.claim, claim))) return
    this.count++
    const { path, text } = instance.module
    instance.limits.push({ claim, place: { path, line, column }, text })
  }
}

/** The limits of a policy: its own, and those of everything that it imports. */
export function limitsOf({ all }: Held): MadeLimit[] {
  return [...all].flatMap(({ limits }) => limits)
}

/** A file with its limits. */
export interface LimitContender extends Contender {
  readonly limits: readonly MadeLimit[]
}

export interface LimitConflict<C extends LimitContender> {
  readonly loser: C
  readonly made: MadeLimit
  readonly message: string
}

/** The first limit that two files make differently, or one file in two places, if there is one. */
export function findLimitConflict<C extends LimitContender>(contenders: readonly C[]): LimitConflict<C> | undefined {
  const claims = new Map<string, { readonly file: string; readonly claim: Claim }>()
  for (const loser of contenders.toSorted(savedBefore)) {
    for (const made of loser.limits) {
      const { claim } = made
      const first = claims.get(claim.id)
      if (first === undefined) claims.set(claim.id, { file: loser.file, claim })
      else if (!isSame(first.claim, claim)) {
        const where = first.file === loser.file ? "elsewhere" : `in ${first.file}`
        return { loser, made, message: difference(claim, loser.file, first.claim, where) }
      }
    }
  }
  return undefined
}

/** A function is the same as itself alone, which two files have when they import it from one module. */
function isSame(a: Claim, b: Claim): boolean {
  return a.id === b.id && isDeepStrictEqual(a.spec, b.spec)
}

function difference({ id, spec }: Claim, file: string, other: Claim, where: string): string {
  const theirs: Readonly<Record<string, unknown>> = { ...other.spec }
  const [name, value] = Object.entries(spec).find(([option, one]) => !isDeepStrictEqual(one, theirs[option]))!
  const rule = "a name has one limit"
  if (name !== "key") return `${id}: ${name} is ${value} in ${file} and ${String(theirs[name])} ${where}; ${rule}`
  const [ours, others] = [spec.key, other.spec.key]
  if (typeof ours === "function" && typeof others === "function")
    return `${id}: key is one function in ${file} and another ${where}; ${rule}: import the function from one module`
  return `${id}: key is ${shownKey(ours)} in ${file} and ${shownKey(others)} ${where}; ${rule}`
}
