// Clients from the system's packages, and what they say.
import { program } from "./servers.ts"

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a client to its end. What it reads on its standard input ends with `input`. */
export async function runClient(
  command: readonly string[],
  input = "",
  env: Record<string, string> = {},
): Promise<Said> {
  await using child = Bun.spawn([program(command[0]!)!, ...command.slice(1)], {
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...env },
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, stdout, stderr }
}

/** `openssl s_client`, which stays until the server closes. Its output is what the server says. */
export function sClient(port: number, args: readonly string[] = [], input = ""): Promise<Said> {
  const name = args.includes("-servername") || args.includes("-noservername") ? [] : ["-servername", "a.test"]
  return runClient(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-quiet", ...name, ...args], input)
}

/** The alert that `openssl` was sent, as it writes it, like `tlsv1 alert no application protocol`. */
export function alertIn({ stderr }: Said): string | undefined {
  return /:([^:]+):[^:]+:\d+:SSL alert number \d+/.exec(stderr)?.[1]
}
