// A process of its own that answers lines with lines.

export interface LineChild extends Disposable {
  /** The next line that it writes. */
  line(): Promise<string>
  /** Writes a line to it, and gives the next line of its own. */
  tell(line: string): Promise<string>
}

/** Runs a file of Bun's. */
export function lineChild(file: string, ...args: string[]): LineChild {
  return lineChildOf([process.execPath, file, ...args])
}

/** Runs a command. */
export function lineChildOf(command: readonly string[]): LineChild {
  const child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" })
  const lines = (async function* () {
    let rest = ""
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split("\n")
      rest = parts.pop()!
      yield* parts
    }
  })()
  const line = async () => (await lines.next()).value as string
  return {
    line,
    async tell(text) {
      child.stdin.write(`${text}\n`)
      await child.stdin.flush()
      return line()
    },
    [Symbol.dispose]: () => child.kill(),
  }
}
