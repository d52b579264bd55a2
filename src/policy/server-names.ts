// From the server name of a hello to what is configured for it. The cost is one look-up per label of the name, however
// many names are known.

/** Exact names, `*.suffix` patterns and the pattern that matches everything, each with a value. */
export class ServerNames<Value> {
  private readonly exact = new Map<string, Value>()
  /** By what follows `*.`. */
  private readonly wildcards = new Map<string, Value>()
  private any: Value | undefined = undefined

  /** @param pattern a name or `*.name` in lower case, without a trailing dot; `undefined` matches every hello */
  set(pattern: string | undefined, value: Value): void {
    if (pattern === undefined) this.any = value
    else if (pattern.startsWith("*.")) this.wildcards.set(pattern.slice(2), value)
    else this.exact.set(pattern, value)
  }

  /** A name that is served, if patterns name any. */
  get example(): string | undefined {
    const [exact] = this.exact.keys()
    if (exact !== undefined) return exact
    const [suffix] = this.wildcards.keys()
    return suffix === undefined ? undefined : `any.${suffix}`
  }

  /**
   * The value of the most specific pattern: exact before wildcard, longer wildcard before shorter, any last. `*` spans
   * labels and never matches the bare name.
   * @param name in lower case, without a trailing dot; `undefined` for a client that names no server
   */
  find(name: string | undefined): Value | undefined {
    if (name === undefined) return this.any
    const exact = this.exact.get(name)
    if (exact !== undefined) return exact
    if (this.wildcards.size > 0) {
      for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
        // `.example.com` is no name below `example.com`.
        const found = dot === 0 ? undefined : this.wildcards.get(name.slice(dot + 1))
        if (found !== undefined) return found
      }
    }
    return this.any
  }
}
