// Where the parts of an expression begin and end in its text.
import type { Expr } from "./node.ts"
import { tokens, type Token } from "./scan.ts"

export interface Span {
  readonly start: number
  readonly end: number
}

export class Spans {
  readonly all: readonly Token[]
  private readonly positions: Readonly<Record<string, number>>
  /** By where they begin. */
  private readonly index = new Map<number, number>()
  /** The closing bracket of each opening one, by their numbers. */
  private readonly closing = new Map<number, number>()

  constructor(text: string, positions: Readonly<Record<string, number>>) {
    this.all = tokens(text)
    this.positions = positions
    const open: number[] = []
    for (const [i, { kind, start }] of this.all.entries()) {
      this.index.set(start, i)
      if (kind === "open") open.push(i)
      const opened = kind === "close" ? open.pop() : undefined
      if (opened !== undefined) this.closing.set(opened, i)
    }
  }

  /** Where the parser says that a part is. */
  offset(id: bigint): number {
    return this.positions[id.toString()] ?? 0
  }

  /** Of a part, with those of what it is made of. */
  of(expr: Expr, children: readonly Span[] = []): Span {
    const offset = this.offset(expr.id)
    const start = Math.min(offset, ...children.map((child) => child.start))
    return { start, end: Math.max(this.endAt(expr, offset), ...children.map((child) => child.end)) }
  }

  private endAt({ exprKind }: Expr, offset: number): number {
    const at = this.index.get(offset)
    if (at === undefined) return offset
    const token = this.all[at]
    if (token?.kind === "open") return this.closed(at)
    const isCall = exprKind.case === "callExpr" || exprKind.case === "comprehensionExpr"
    // A call stands at its name, or at the dot before it.
    const bracket = isCall ? at + (token?.text === "." ? 2 : 1) : -1
    if (this.all[bracket]?.text === "(" && token?.kind !== "operator") return this.closed(bracket)
    if (this.all[bracket]?.text === "(" && token?.text === ".") return this.closed(bracket)
    const isField = token?.text === "." || token?.text === "-"
    return (isField ? this.all[at + 1] : token)?.end ?? offset
  }

  private closed(at: number): number {
    return this.all[this.closing.get(at) ?? at]?.end ?? 0
  }
}
