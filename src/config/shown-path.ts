// How people read the way to a value.
import { describe } from "../policy/describe.ts"

/** `pools.db.targets[1].weight` */
export function shownPath(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => {
      if (typeof step === "number") return `[${step}]`
      const name = String(step)
      if (!/^[\w-]+$/.test(name)) return `[${describe(name)}]`
      return i === 0 ? name : `.${name}`
    })
    .join("")
}
