// A client at an address of its own, which wants to be served whatever else is going on.
import { askFrom } from "./ask-from.ts"

/** Milliseconds between its questions: it is to be served, not to be a flood of its own. */
const PAUSE = 10

/**
 * Asks one time after the other until the rest is over, and once more. Returns how often it was served before that. Fails
 * when it is answered anything else.
 * @param answer what it has to be told
 * @param from its address; a function is asked each time
 */
export async function servedDuring(
  port: number,
  rest: Promise<unknown>,
  { answer = "served", from = () => "127.0.0.9" }: { answer?: string; from?: (nth: number) => string } = {},
): Promise<number> {
  let isOver = false
  const over = rest.finally(() => (isOver = true))
  // Awaited below; until then its failure is nobody's.
  over.catch(() => undefined)
  let during = 0
  for (let nth = 0; ; nth++) {
    const last = isOver
    const told = await askFrom(from(nth), port)
    if (told !== answer) throw new Error(`the onlooker was told ${JSON.stringify(told)}`)
    if (last) break
    if (!isOver) during++
    await Bun.sleep(PAUSE)
  }
  await over
  return during
}
