// Takes secrets out of a text that is shown: private keys, passwords, tokens and the data of Secrets. By the text alone, so
// that it works for files that cannot be read; lines and columns stay where they are.

/** What a key is called whose value nobody is to see. */
const SECRET_KEYS =
  /^(\s*(?:- )?["']?[\w./-]*(?:private[_-]?key|authtoken|api[_-]?key|password|passwd|secret[_-]?(?:key|value)|token|last-applied-configuration)["']?\s*:\s*)(?!$)(.*)$/i
/** The same within `{}`: up to where the value ends, or the line. */
const SECRET_IN_FLOW =
  /([{,]\s*["']?[\w.-]*(?:private[_-]?key|authtoken|api[_-]?key|password|passwd|secret[_-]?(?:key|value)|token)["']?\s*:\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^,}\]\s][^,}\]]*)/gi
const BEGIN_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/
const END_KEY = /-----END [A-Z ]*PRIVATE KEY-----/
const DATA = /^(\s*)["']?(?:data|stringData)["']?\s*:/
const SECRET = /["']?kind["']?\s*:\s*["']?Secret\b/

/** The text with `•` in the place of every character of a secret. */
export function masked(text: string): string {
  if (!BEGIN_KEY.test(text) && !SECRET.test(text) && !/(key|token|passw|secret)/i.test(text)) return text
  return text
    .split(/^(?=---)/m)
    .map((document) => maskDocument(document, SECRET.test(document)))
    .join("")
}

function maskDocument(text: string, isSecret: boolean): string {
  let inKey = false
  /** How deep the `data` of a Secret is indented, while it goes on. */
  let dataAt: number | undefined
  /** Likewise for the key of a text on several lines. */
  let blockAt: number | undefined
  return text
    .split("\n")
    .map((line) => {
      const begins = BEGIN_KEY.exec(line)
      if (begins !== null) {
        inKey = !END_KEY.test(line)
        return line.slice(0, begins.index) + dots(line.slice(begins.index))
      }
      if (inKey) {
        inKey = !END_KEY.test(line)
        return dots(line)
      }
      if (isSecret) {
        const data = DATA.exec(line)
        // Everything behind a `data` that is written in one line, and everything deeper than one that is not.
        if (data !== null) {
          dataAt = data[1]!.length
          return line.slice(0, data[0].length) + dots(line.slice(data[0].length))
        }
        const indent = /^\s*/.exec(line)![0].length
        if (dataAt !== undefined && line.trim() !== "") {
          if (indent > dataAt) return maskValue(line)
          dataAt = undefined
        }
        // JSON of one line has everything in one.
        if (/["'](?:data|stringData)["']\s*:/.test(line))
          return line.replace(
            /(["'](?:data|stringData)["']\s*:)(.*)$/,
            (_, key: string, rest: string) => key + dots(rest),
          )
      }
      const indent = /^\s*/.exec(line)![0].length
      if (blockAt !== undefined && line.trim() !== "") {
        if (indent > blockAt) return dots(line)
        blockAt = undefined
      }
      const secret = SECRET_KEYS.exec(line)
      if (secret === null)
        return line.replace(SECRET_IN_FLOW, (_, key: string, value: string) => key + "•".repeat(value.length))
      if (/^[|>]/.test(secret[2]!)) blockAt = indent
      return secret[1]! + dots(secret[2]!)
    })
    .join("\n")
}

/** Keeps the key of a line, if it has one. */
function maskValue(line: string): string {
  const key = /^(\s*["']?[\w.-]+["']?\s*:)(.*)$/.exec(line)
  return key === null ? dots(line) : key[1]! + dots(key[2]!)
}

/** Spaces and what JSON and YAML are made of stay: the shape may be what is wrong. */
function dots(text: string): string {
  return text.replace(/[^\s{}[\],|>]/g, "•")
}
