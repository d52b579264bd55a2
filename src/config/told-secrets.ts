// What `secrets.get()` has told: taken out of messages and logs, wherever a policy has carried it.

/** 4 characters: what is shorter is found in every other word. */
const SHORTEST = 4
/** 8 characters of a secret give the rest away: what a message shortens is found by them. */
const ENOUGH = 8
/** 10,000 pieces: a thousand secrets of ten lines each. */
const MOST_PIECES = 10_000
/** Put where a secret was: the length is nobody's business either. */
const HIDDEN = "•••"

/** Lower case, with the secrets that they are of. */
const pieces = new Set<string>()
/** Those that were split already. */
const seen = new Set<string>()

/** From now on this is in no message. */
export function tell(secret: string): void {
  if (seen.has(secret)) return
  if (seen.size >= MOST_PIECES) seen.clear()
  seen.add(secret)
  // Messages have line breaks, quotes and backslashes as JSON has them.
  for (const piece of [secret, ...secret.split(/[\r\n"\\]+/)]) {
    if (piece.length < SHORTEST) continue
    if (pieces.size >= MOST_PIECES) pieces.delete(pieces.values().next().value!)
    pieces.add(lowered(piece))
  }
}

/** The text with nothing in it that was told, in no case of its letters, nor the beginning of it. */
export function withoutSecrets(text: string): string {
  if (pieces.size === 0) return text
  let shown = text
  for (const piece of pieces) shown = without(shown, piece)
  return shown
}

/** The same of every text within a value of JSON, names of fields too. */
export function valueWithoutSecrets<Value>(value: Value): Value
export function valueWithoutSecrets(value: unknown): unknown {
  if (pieces.size === 0) return value
  if (typeof value === "string") return withoutSecrets(value)
  if (Array.isArray(value)) return value.map((inner: unknown) => valueWithoutSecrets(inner))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [withoutSecrets(name), valueWithoutSecrets<unknown>(inner)]),
  )
}

function without(text: string, piece: string): string {
  const within = lowered(text)
  const begins = piece.slice(0, ENOUGH)
  let at = within.indexOf(begins)
  if (at < 0) return text
  let shown = ""
  let from = 0
  while (at >= 0) {
    let length = begins.length
    while (length < piece.length && within[at + length] === piece[length]) length++
    shown += text.slice(from, at) + HIDDEN
    from = at + length
    at = within.indexOf(begins, from)
  }
  return shown + text.slice(from)
}

/** ASCII alone: every character stays at its place. URLs are in lower case. */
function lowered(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
