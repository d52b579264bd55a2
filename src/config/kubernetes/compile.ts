// Stub: replaced by the listener half.
import type { Compiled, Surroundings } from "../manifests/document.ts"
import type { AnyObject } from "./types.ts"
export function compileKubernetes(_: readonly AnyObject[], __: Surroundings): Compiled {
  return { parts: new Map(), objects: [] }
}
