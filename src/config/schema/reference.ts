// The tables of docs/configuration.md: every object of tidegate.yaml with its options.
import { Schema, SchemaAST } from "effect"
import { file } from "./file.ts"

const OPEN = "<!-- schema:reference -->"
const CLOSE = "<!-- /schema:reference -->"

/** The page with its generated part written anew. @throws when it has lost its markers */
export function withReference(page: string): string {
  const from = page.indexOf(OPEN)
  const to = page.indexOf(CLOSE)
  if (from < 0 || to < from) throw new Error(`the page has no ${OPEN} ... ${CLOSE}`)
  return `${page.slice(0, from + OPEN.length)}\n\n${reference()}\n\n${page.slice(to)}`
}

function reference(): string {
  const objects = new Set<SchemaAST.Objects>()
  collect(file.ast, objects)
  return [...objects].map(section).join("\n\n")
}

/** The objects that have a name, each before those that it has in it. */
function collect(ast: SchemaAST.AST, objects: Set<SchemaAST.Objects>): void {
  if (SchemaAST.isUnion(ast)) for (const member of ast.types) collect(member, objects)
  if (SchemaAST.isArrays(ast)) for (const item of ast.rest) collect(item, objects)
  if (!SchemaAST.isObjects(ast)) return
  // A schema that is used twice is found twice, with notes of its own.
  const named = ast.propertySignatures.length > 0
  if (named && [...objects].some((known) => titleOf(known) === titleOf(ast))) return
  if (named) objects.add(ast)
  for (const { type } of [...ast.propertySignatures, ...ast.indexSignatures]) collect(type, objects)
}

function section(ast: SchemaAST.Objects): string {
  const rows = ast.propertySignatures.map(({ name, type }) => row(String(name), type))
  return [
    `### ${titleOf(ast)}`,
    "",
    ...[SchemaAST.resolve(ast)?.["description"]].flatMap((text) => (typeof text === "string" ? [text, ""] : [])),
    "| option | type | range | default | meaning |",
    "|---|---|---|---|---|",
    ...rows,
  ].join("\n")
}

function row(name: string, ast: SchemaAST.AST): string {
  const notes: Schema.Annotations.Annotations = ast.context?.annotations ?? {}
  const { default: value, description, examples, otherwise } = notes
  const standard =
    ast.context?.isOptional !== true
      ? "has to be there"
      : value === undefined
        ? String(otherwise)
        : `\`${typeof value === "string" && value !== "" ? value : JSON.stringify(value)}\``
  const shown = Array.isArray(examples) ? ` Like \`${JSON.stringify(examples[0])}\`.` : ""
  const cells = [`\`${name}\``, typeOf(ast), rangeOf(ast), standard, `${String(description)}${shown}`]
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`
}

function typeOf(ast: SchemaAST.AST): string {
  const kind = SchemaAST.resolve(ast)?.["kind"]
  if (typeof kind === "string") return kind
  if (SchemaAST.isUnion(ast)) return [...new Set(ast.types.map(typeOf))].join(", ")
  if (SchemaAST.isArrays(ast)) return `list of: ${ast.rest.map(typeOf).join(", ")}`
  if (!SchemaAST.isObjects(ast)) return "text"
  if (ast.propertySignatures.length === 0)
    return `by name: ${ast.indexSignatures.map(({ type }) => typeOf(type)).join(", ")}`
  const title = titleOf(ast)
  return `[${title}](#${title
    .toLowerCase()
    .replace(/[^\w\s-]/g, "")
    .replace(/\s/g, "-")})`
}

function rangeOf(ast: SchemaAST.AST): string {
  const range = SchemaAST.resolve(ast)?.["range"]
  if (typeof range === "string") return range
  return SchemaAST.isUnion(ast) ? [...new Set(ast.types.map(rangeOf))].filter((one) => one !== "").join(", ") : ""
}

function titleOf(ast: SchemaAST.Objects): string {
  return SchemaAST.resolveTitle(ast) ?? "Options"
}
