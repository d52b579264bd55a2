// Why a file cannot be read, in words.

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  ELOOP: "its links lead in a circle",
  EACCES: "permission denied",
  EISDIR: "it is not a file",
}

export function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined
  const message = error instanceof Error ? error.message : String(error)
  return `cannot be read: ${REASONS[code ?? ""] ?? code ?? message}`
}
