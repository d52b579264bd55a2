// Regular expressions: RE2, which takes time in proportion to the text whatever the pattern. Compiled once each.
import { RE2JS } from "@bufbuild/re2"
import { Recent } from "../../../../limit/recent.ts"
import { spend } from "../bounds.ts"
import { Refused } from "./refused.ts"

/** 1,000 characters: what repeats a part `{1000}` times grows by that, and is counted when it is compiled. */
export const LONGEST_PATTERN = 1000
/** 10,000 instructions: some megabytes, and a tenth of a second to compile. */
const MOST_INSTRUCTIONS = 10_000
/** 1,000 patterns, twice: they are written in policies. */
const REMEMBERED = 1000

interface Pattern {
  readonly re2: RE2JS
  readonly instructions: number
}

const compiled = new Recent<string, Pattern>(REMEMBERED)

/** Whether a part of the text matches. @throws Refused for a bad pattern, TooMuch */
export function matches(text: string, pattern: string): boolean {
  const { instructions, re2 } = patternOf(pattern)
  spend((text.length * instructions) >> 4)
  return re2.test(text)
}

function patternOf(text: string): Pattern {
  let pattern = compiled.get(text)
  if (pattern === undefined) {
    pattern = compile(text)
    compiled.set(text, pattern)
  }
  return pattern
}

function compile(text: string): Pattern {
  if (text.length > LONGEST_PATTERN)
    throw new Refused(`matches: a regular expression has at most ${LONGEST_PATTERN} characters`)
  // Compiling takes longer than matching ever does.
  spend(1000 + text.length * 16)
  const grown = repeated(text)
  if (grown > MOST_INSTRUCTIONS) throw new Refused("matches: the regular expression repeats too much")
  try {
    return { re2: RE2JS.compile(text), instructions: grown }
  } catch (error) {
    const why =
      error instanceof Error ? `: ${error.message.replace(/^error parsing regexp: /, "").replace(/: `.*$/s, "")}` : ""
    throw new Refused(`matches: the regular expression is not one of RE2${why}`)
  }
}

/** How many instructions a pattern makes, at most: each character one, times the repetitions that it may be within. */
function repeated(text: string): number {
  let factor = 1
  for (const [, least = "", most = ""] of text.matchAll(/\{(\d{1,9})(?:,(\d{0,9}))?\}/g))
    factor *= Math.max(1, Number(least), Number(most))
  return text.length * factor
}
