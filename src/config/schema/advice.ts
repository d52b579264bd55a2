// What to write instead of what YAML has made of a value.
import { SchemaAST } from "effect"

/** What is easily written for something else in YAML. */
export function advice(input: unknown, ast: SchemaAST.AST): string | undefined {
  if (input === null) return "nothing is written here: give it a value, or leave the name out"
  const takes = (is: (ast: SchemaAST.AST) => boolean) => (SchemaAST.isUnion(ast) ? ast.types.some(is) : is(ast))
  const literal = (type: string) => takes((one) => SchemaAST.isLiteral(one) && typeof one.literal === type)
  const texts = takes(SchemaAST.isString) || literal("string")
  const numbers = takes(SchemaAST.isNumber) || literal("number")
  if ((typeof input === "number" && texts && !numbers) || (typeof input === "boolean" && texts))
    return `without quotes this is a ${typeof input}: write it in quotes`
  if (typeof input === "string" && numbers && !texts && input.trim() !== "" && Number.isFinite(Number(input)))
    return "in quotes this is a text: write it without them"
  if (typeof input === "string" && (input === "true" || input === "false") && takes(SchemaAST.isBoolean))
    return "in quotes this is a text: write it without them"
  if (Array.isArray(input) || !takes(SchemaAST.isArrays)) return undefined
  return `it is a list also where it has one entry: ${typeof input === "object" ? 'begin the entry with "- "' : 'write "- " before it'}`
}
