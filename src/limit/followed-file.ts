// A file that is read again when it has changed, as often as somebody looks. What is bad, empty or gone for a moment is
// not believed; what is bad for longer is a problem, and the last good version stays.
import { signatureOf } from "./file-signature.ts"

/** A version of a file, as it was read. */
export interface FileVersion {
  readonly signature: string
  /** Read so soon after a change that another one may have left the same signature. */
  readonly unsure: boolean
}

/** How files of a kind are read. */
export interface Kind<Read extends FileVersion> {
  /** @throws what {@link Kind.isProblem} knows */
  read(path: string): Promise<Read>
  /** Whether an error says that the file is bad. All others are bugs. */
  isProblem(error: unknown): error is Error
  /** Whether it looks like half of a change, though it can be read. */
  isDoubtful(read: Read): boolean
}

/**
 * What came of a look. `later`: it may be half of a change, so look again in {@link SETTLED} ms. `bad`: there is a new
 * problem. `good`: there is a new version, or the old one is there again.
 */
export type Looked = "same" | "later" | "bad" | "good"

/** 200 ms: what is bad, empty or gone for less may be half of a change. */
export const SETTLED = 200
/** 10 seconds: what has changed all the time for so long is not going to be good. */
const PATIENCE = 10_000

export class FollowedFile<Read extends FileVersion> {
  readonly path: string
  /** The last good version. */
  read: Read
  /** Why the file that is there now is not used. */
  problem: string | undefined
  private readonly kind: Kind<Read>
  /** The signature that the problem is of. */
  private refused: string | undefined
  private doubt: { readonly signature: string; readonly seen: number; readonly since: number } | undefined

  constructor(path: string, kind: Kind<Read>, read: Read) {
    this.path = path
    this.kind = kind
    this.read = read
  }

  /** @param known what somebody else has read under a signature */
  async look(known: (signature: string) => Read | undefined = () => undefined): Promise<Looked> {
    const signature = signatureOf(this.path)
    if (signature === this.read.signature && !this.read.unsure) {
      if (this.problem !== undefined) return this.good(this.read)
      this.doubt = undefined
      return "same"
    }
    if (signature === this.refused) return "same"
    const now = performance.now()
    if (this.doubt?.signature === signature && now - this.doubt.seen < SETTLED) return "later"
    const read = known(signature) ?? (await this.attempt())
    const failed = read instanceof Error
    if (!failed && !this.kind.isDoubtful(read)) return this.good(read)
    const since = this.doubt?.since ?? now
    if (this.doubt?.signature !== signature && now - since < PATIENCE) {
      this.doubt = { signature, seen: now, since }
      return "later"
    }
    return failed ? this.bad(read.message, signature) : this.good(read)
  }

  private good(read: Read): Looked {
    const isNew = this.problem !== undefined || read.signature !== this.read.signature
    this.problem = this.refused = this.doubt = undefined
    this.read = read
    return isNew ? "good" : "same"
  }

  private bad(problem: string, signature: string): Looked {
    const isNew = this.problem !== problem
    this.problem = problem
    this.refused = signature
    this.doubt = undefined
    return isNew ? "bad" : "same"
  }

  private async attempt(): Promise<Read | Error> {
    try {
      return await this.kind.read(this.path)
    } catch (error) {
      if (this.kind.isProblem(error)) return error
      throw error
    }
  }
}
