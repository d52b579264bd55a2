// Import specifiers are found where they are code, and nowhere else; replacing them moves no line.
import { expect, test } from "bun:test"
import { exportOffset, originalColumn, rewrite, scan } from "../../src/config/specifiers.ts"
import { random } from "../helper/random.ts"

/** `@` stands for a specifier in quotes, `#` for a number that is used once. */
const IMPORTS = [
  `import { a# } from @; use(a#)`,
  `import a#, { type T#, b as b# } from @\nuse(a#, b#)`,
  `import * as n# from\n  @ // why\nuse(n#)`,
  `import @`,
  `export * from @;`,
  `export * as e# from @`,
  `export { x as x# }\nfrom /* here */ @`,
  "use(`${1 + `${await import(@)}`} text`)",
  `const l# = () => import(/* @@ */ @)`,
  `import d# from @ with { type: "json" }; use(d#)`,
  `use(import(@, { with: { type: "json" } }))`,
  `const r# = require(@); use(r#)`,
]
const DECOYS = [
  `// import x from @`,
  `/* import x from @\n import(@) */`,
  `const s# = 'import x from @'`,
  `const s# = "import x from @"`,
  "const t# = `import x from @ \\${import(@)}`",
  "const t# = `${1} import(@) ${'}'} import(@)`",
  `const r# = /import x from [@/"'\`]/`,
  `use(1 / 2, @, 3 / 4)`,
  `const o# = { @: 1, import: @ }`,
  `o.import(@)`,
  `import type { A# } from @`,
  `import { type A#, type B# } from @`,
  `export type { A# } from @`,
  `type I# = typeof import(@)`,
  `let i#: import(@).X<import(@)>`,
  `declare module @ { }`,
  `use(<any>@)`,
  `label#: for (;;) { break label# } use(@)`,
]
const SPECIFIERS = [
  "./a.ts",
  "../b",
  "./it's.ts",
  'say "hi"',
  "tidegate",
  "node:fs",
  "./a.ts/x",
  ".",
  "./a b(1).ts",
  "./é😀",
]

interface Source {
  text: string
  /** The text with every real specifier replaced. */
  rewritten: string
  real: { specifier: string; start: number; type: string | undefined }[]
}

const { below, pick } = random(7)

function source(): Source {
  const made: Source = { text: "use(0)\n", rewritten: "use(0)\n", real: [] }
  for (let number = 0; number < 1 + below(12); number++) {
    const isReal = below(2) === 0
    const end = pick(["\n", "\n", " // @\n", "\r\n", "\n;"])
    const piece = pick(isReal ? IMPORTS : DECOYS).replaceAll("#", String(number)) + end
    append(made, piece, isReal)
  }
  return made
}

function append(made: Source, piece: string, isReal: boolean): void {
  const specifier = pick(SPECIFIERS)
  const quotes = isReal ? (/(import|require)\([^@]*@[,)]/.test(piece.replaceAll("@@", "")) ? `"'\`` : `"'`) : `"'`
  const quote = pick([...quotes].filter((one) => !specifier.includes(one)))
  const inner = piece.includes("'import x from @'") ? '"' : piece.includes('"import x from @"') ? "'" : undefined
  const parts = piece.replaceAll("@@", `"./a.ts"`).split("@")
  parts.forEach((part, i) => {
    made.text += part
    made.rewritten += part
    if (i === parts.length - 1) return
    if (isReal && i === 0) {
      const type = /type: "json"/.test(piece) ? "json" : undefined
      made.real.push({ specifier, start: made.text.length + 1, type })
      made.text += quote + specifier + quote
      made.rewritten += `"NEW-${made.real.length}"`
      return
    }
    // What stands in a string must not end it, and a key or a type takes no template.
    const decoy = inner === undefined ? `"./a.ts"` : `${inner}./a.ts${inner}`
    made.text += decoy
    made.rewritten += decoy
  })
}

test("in random sources exactly the real specifiers are found and replaced, and no line moves", () => {
  let found = 0
  for (let round = 0; round < 3000; round++) {
    const { real, rewritten, text } = source()
    const { imports } = scan(text, "ts")
    expect(imports.map(({ specifier, start, type }) => ({ specifier, start, type }))).toEqual(real)
    let count = 0
    const result = rewrite(text, imports, () => `NEW-${++count}`)
    expect(result.text).toBe(rewritten)
    expect(result.text.split("\n").length).toBe(text.split("\n").length)
    found += real.length
  }
  expect(found).toBeGreaterThan(5000)
})

function columnOfHere(text: string): number {
  return text.split("\n").at(-1)!.indexOf(`"here"`) + 1
}

test("whatever the new specifier holds, the parser reads it back, and the columns behind it are known", () => {
  const odd = [`/a "b" 'c' \`d\` \${e} \\f.ts?h=1`, "/plain.ts", "/line\nbreak\t", "$", "`", "\\"]
  for (let round = 0; round < 2000; round++) {
    const quote = pick([`"`, `'`, "`"])
    const pieces = Array.from({ length: 1 + below(3) }, () => `import(${quote}./x${quote})`)
    const text = `${"\n".repeat(below(3))}use(${pieces.join(", ")}, "here")`
    const targets = pieces.map(() => pick(odd))
    let count = 0
    const { shifts, text: after } = rewrite(text, scan(text, "ts").imports, () => targets[count++])
    const read = new Bun.Transpiler({ loader: "ts" }).scanImports(after).map(({ path }) => path)
    expect(read).toEqual(targets)
    const line = text.split("\n").length
    expect(originalColumn(shifts, line, columnOfHere(after))).toBe(columnOfHere(text))
    expect(originalColumn(shifts, line, 2)).toBe(2)
  }
})

test("a specifier is found beside text that is like it, in every overlap", () => {
  for (const text of [
    `const s = "'./a'"; import './a'`,
    `/* "./a */ import "./a" /* ./a" */`,
    `const t = '"./a"' + './a'; import("./a")`,
    `import "./a"; import './a'; import(\`./a\`)`,
    `const q = \`"\${import("./a")}"\``,
  ]) {
    const imports = scan(text, "ts").imports
    expect(imports.length).toBe(new Bun.Transpiler({ loader: "ts" }).scanImports(text).length)
    const after = rewrite(text, imports, () => "./b").text
    expect(new Bun.Transpiler({ loader: "ts" }).scanImports(after).every(({ path }) => path === "./b")).toBe(true)
  }
})

test.each([
  [`export const listen = 1`, 13],
  [`// listen\nconst listen = 1; export { listen }`, 37],
  [`function f() { const listen = 2; return listen }\nexport function listen() {}`, 65],
  [`const x = 1; export { x as listen, x as listener }`, 27],
  [`export const { a: listen } = { a: 1 }`, 18],
  [`export * as listen from "./listen"`, 12],
  [`const listen = 1`, undefined],
  [`export const listener = "listen"`, undefined],
])("the place of an export: %p", (text, expected) => {
  expect(exportOffset(text, "ts", "listen")).toBe(expected)
})
