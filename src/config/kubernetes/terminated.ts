// A policy that is asked before a route may want to see the plain text, or the client's certificate: it ends TLS as the
// listener does, and the route goes on from there.
import type { Connection } from "../../policy/connection.ts"
import type { Terminated, TerminateOptions } from "../../policy/terminate.ts"

/** Connections whose TLS a policy has ended, or is about to. */
const ended = new WeakMap<Connection, Promise<Terminated>>()

/** Ends TLS, unless that is done already. */
export function endTls(connection: Connection, options: TerminateOptions): Promise<Terminated> {
  return ended.get(connection) ?? connection.terminate(options)
}

/** The connection, with a `terminate()` that knows the listener's certificates; options go before the listener's. */
export function withTermination(connection: Connection, options: TerminateOptions): Connection {
  return new Proxy(connection, {
    get(target, name) {
      if (name === "terminate")
        return (own?: TerminateOptions) => {
          const promise = target.terminate(own === undefined ? options : { ...options, ...own })
          // Only the first call ends it; what is wrong with a second one is for whoever called.
          if (!ended.has(target)) ended.set(target, promise)
          return promise
        }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}
