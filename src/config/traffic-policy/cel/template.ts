// `${}` within texts: what stands between is an expression, and the rest stays as it is. `$${` is a `${` that is none.
import type { Facts } from "./facts.ts"
import { compile, type Planned } from "./program.ts"
import { EvaluationFailed, type CelProblem } from "./problem.ts"
import { tokenAt } from "./scan.ts"
import { textOf, type Value } from "./value.ts"
import { LARGEST_VALUE, TooMuch } from "./bounds.ts"

/** A part of a template. */
export type Part = string | Planned

interface Split {
  readonly parts: readonly Part[]
  readonly problems: readonly CelProblem[]
}

const OPEN = "${"

/** The parts of a text, with its expressions compiled; offsets are those of the text. */
export function partsOf(text: string): Split {
  if (!text.includes(OPEN)) return { parts: [text], problems: [] }
  const parts: Part[] = []
  const problems: CelProblem[] = []
  const found = pieces(text)
  const isSole = found.pieces.length === 1
  for (const piece of found.pieces) {
    if (typeof piece === "string") {
      parts.push(piece)
      continue
    }
    const { planned, problems: inner } = compile(piece.text, isSole)
    for (const problem of inner)
      problems.push({ ...problem, offset: piece.offset + problem.offset, code: "ERR_NGROK_2224" })
    if (planned !== undefined) parts.push(shifted(planned, piece.offset))
  }
  if (found.unclosed !== undefined) {
    const hint = "an expression ends with }; write $${ for the characters ${"
    problems.push({ ...error(found.unclosed, 2, "the ${ is not closed"), hint })
  }
  return { parts, problems }
}

interface Piece {
  readonly text: string
  readonly offset: number
}

function pieces(text: string): { readonly pieces: readonly (string | Piece)[]; readonly unclosed: number | undefined } {
  const all: (string | Piece)[] = []
  let plain = ""
  let at = 0
  for (let open = text.indexOf(OPEN); open >= 0; open = text.indexOf(OPEN, at)) {
    if (open > at && text[open - 1] === "$") {
      plain += text.slice(at, open - 1) + OPEN
      at = open + 2
      continue
    }
    const close = closeOf(text, open + 2)
    if (close === undefined) return { pieces: all, unclosed: open }
    plain += text.slice(at, open)
    if (plain !== "") all.push(plain)
    plain = ""
    all.push({ text: text.slice(open + 2, close), offset: open + 2 })
    at = close + 1
  }
  plain += text.slice(at)
  if (plain !== "") all.push(plain)
  return { pieces: all, unclosed: undefined }
}

/** Where an expression ends: at a bracket of its own level, not in a text in quotes. */
function closeOf(text: string, from: number): number | undefined {
  let depth = 0
  for (let token = tokenAt(text, from); token !== undefined; token = tokenAt(text, token.end)) {
    if (token.text === "{") depth++
    if (token.text === "}" && depth-- === 0) return token.start
    // A quote that is not closed would take all the rest with it: the expression ends where it seems to.
    if (token.kind === "bad" && /^["']/.test(token.text)) {
      const close = text.indexOf("}", token.start)
      return close < 0 ? undefined : close
    }
  }
  return undefined
}

/** Places in the text that the expression is part of. */
function shifted(planned: Planned, by: number): Planned {
  return {
    text: planned.text,
    type: planned.type,
    needs: planned.needs,
    reads: planned.reads.map((read) => ({ ...read, offset: read.offset + by })),
    run: (facts) => {
      const value = planned.run(facts)
      if (!(value instanceof EvaluationFailed)) return value
      return new EvaluationFailed(value.message, value.code, value.offset === undefined ? by : value.offset + by)
    },
  }
}

/** What the parts give together: with a single one its value, else a text. */
export function fill(parts: readonly Part[], facts: Facts): Value | EvaluationFailed {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return valueOf(only, facts)
  let text = ""
  for (const part of parts) {
    const value = valueOf(part, facts)
    if (value instanceof EvaluationFailed) return value
    const more = textWithin(value)
    if (more instanceof EvaluationFailed) return more
    text += more
    if (text.length > LARGEST_VALUE)
      return new EvaluationFailed(
        `the text has more than ${LARGEST_VALUE} characters, which is the most`,
        "ERR_NGROK_2249",
      )
  }
  return text
}

function valueOf(part: Part, facts: Facts): Value | EvaluationFailed {
  if (typeof part === "string") return part
  const value = part.run(facts)
  if (!(value instanceof EvaluationFailed) || value.code === "ERR_NGROK_2249" || value.code === "ERR_NGROK_2250")
    return value
  return new EvaluationFailed(value.message, "ERR_NGROK_2238", value.offset)
}

function textWithin(value: Value): string | EvaluationFailed {
  try {
    return textOf(value)
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    return new EvaluationFailed(error.message, "ERR_NGROK_2249")
  }
}

function error(offset: number, length: number, message: string): CelProblem {
  return { offset, length, message, hint: undefined, code: "ERR_NGROK_2224", severity: "error" }
}
