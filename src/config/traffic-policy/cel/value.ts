// Values of expressions, and what they are outside of expressions.
import type { CelInput } from "@bufbuild/cel"

/** What a template gives and variables hold: of any CEL type. Plain data is good as well, where whole numbers are `int`. */
export type Value = CelInput | Date | undefined

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
