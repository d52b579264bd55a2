// A check that people write themselves: says something, and waits for something.
import { NOTHING, type Dialogue } from "./dialogue.ts"

export function expect({ send, expect }: { readonly send?: string; readonly expect: string }): Dialogue {
  const awaited = bytesOf(expect)
  const awaits = `answer with ${JSON.stringify(expect)}`
  return {
    opening: send === undefined ? NOTHING : bytesOf(send),
    hear: (read) =>
      Buffer.from(read.buffer, read.byteOffset, read.length).includes(awaited)
        ? { kind: "alive" }
        : { kind: "more", awaits },
  }
}

/** One byte per character where each fits into one, else UTF-8. */
export function bytesOf(text: string): Uint8Array {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0xff) return new TextEncoder().encode(text)
  }
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}
