// Loopback addresses: one for each pod and each Gateway, so that all of them have the ports that they ask for. Linux
// binds all of 127.0.0.0/8.

/** 100 addresses: a neighbour who has some of them is stepped over, one who has a port on all of them is told of. */
const MOST_TRIES = 100
/** An address that is on no machine: TEST-NET-1 (RFC 5737). */
export const FOREIGN_ADDRESS = "192.0.2.1"
/** What needs no rights begins here, unless the system says otherwise. */
const FIRST_FREE_PORT = 1024

/** There is no address with these ports. */
export class NoAddress extends Error {}

export class Addresses {
  private next: number

  /** Begins somewhere, so that two replays at one time seldom meet. */
  constructor(seed: number) {
    this.next = (127 << 24) + (((seed >>> 0) % 0x3f_ffff) << 1) + 0x10_0000
  }

  /** @throws NoAddress */
  take(ports: Iterable<number>): string {
    const wanted = [...new Set(ports)]
    let reason = ""
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const address = dotted(this.next++)
      if (address.endsWith(".0") || address.endsWith(".255")) continue
      const problems = wanted.map((port) => bindProblem(address, port)).filter((problem) => problem !== undefined)
      if (problems.length === 0) return address
      reason = problems[0]!
      if (!reason.includes("EADDRINUSE")) break
    }
    throw new NoAddress(reason)
  }
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".")
}

function bindProblem(address: string, port: number): string | undefined {
  try {
    Bun.listen({ hostname: address, port, socket: { data: () => undefined } }).stop(true)
    return undefined
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code ?? error)
    const rights =
      code === "EACCES" && port < FIRST_FREE_PORT
        ? "; ports below 1024 need root, CAP_NET_BIND_SERVICE, or sysctl net.ipv4.ip_unprivileged_port_start=0"
        : ""
    return `${address}:${port} cannot be bound: ${code}${rights}`
  }
}
