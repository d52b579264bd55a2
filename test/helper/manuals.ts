// The manuals as the tests read them: their blocks of code, and the places that links can lead to.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ROOT } from "./cli.ts"

export interface Manual {
  readonly name: string
  readonly text: string
}

export interface Block {
  /** What its first line names, or where it stands. */
  readonly name: string
  readonly text: string
  /** The first of its own lines in the manual. */
  readonly line: number
}

/** @param name relative to the project's folder */
export function manual(name: string): Manual {
  return { name, text: readFileSync(join(ROOT, name), "utf8") }
}

/** The blocks in a language. The first line may name the file: `// db.ts`, `# tidegate.yaml`. */
export function blocksOf(text: string, language: string): Block[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => {
    const code = match[1]!
    const line = text.slice(0, match.index).split("\n").length + 1
    const named = /^(?:\/\/|#) ([\w-]+(?:\.test)?\.\w+)\b/.exec(code)?.[1]
    return { name: named ?? `line-${line}.${language}`, text: code, line }
  })
}

/** What GitHub makes of headings. */
export function anchorsOf(text: string): Set<string> {
  const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase())
  return new Set(titles.map((title) => title.replace(/[^\w\s-]/g, "").replace(/\s/g, "-")))
}
