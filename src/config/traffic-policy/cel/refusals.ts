// Names that ngrok has, or that its users expect, and that mean nothing at layer 4: refused by name, with what to write.

/** The message, and what to use instead. */
export type Refusal = readonly [message: string, hint: string]

const HTTP = "which exists for HTTP only; this is a TCP or TLS connection, before anything of HTTP"

const HTTP_FUNCTIONS: Readonly<Record<string, string>> = {
  getReqHeader: "at layer 4 the name that the client asks for is conn.tls.sni",
  hasReqHeader: "at layer 4 there is has(conn.tls.sni)",
  getReqCookie: "at layer 4 a client is known by conn.client_ip and its certificate, conn.tls.client",
  hasReqCookie: "at layer 4 a client is known by conn.client_ip and its certificate, conn.tls.client",
  getQueryParam: "at layer 4 a client says its name alone: conn.tls.sni",
  hasQueryParam: "at layer 4 a client says its name alone: conn.tls.sni",
  getResHeader: "an expression is asked before there is an upstream",
  hasResHeader: "an expression is asked before there is an upstream",
  getResCookie: "an expression is asked before there is an upstream",
  hasResCookie: "an expression is asked before there is an upstream",
}

const HTTP_VARIABLES: readonly (readonly [name: string, hint: string])[] = [
  ["req.host", "the name that the client asks for is conn.tls.sni"],
  ["req.url.host", "the name that the client asks for is conn.tls.sni"],
  ["req.url", "the endpoint's URL is endpoint.url"],
  ["req.ts", "the connection's time is conn.ts.start"],
  ["req", "at layer 4 there are conn.client_ip, conn.tls.sni, conn.geo and endpoint"],
  ["res", "an expression is asked before there is an upstream"],
]

/** A function that cannot be here; `undefined` for any other. */
export function refusedFunction(name: string): Refusal | undefined {
  const hint = Object.hasOwn(HTTP_FUNCTIONS, name) ? HTTP_FUNCTIONS[name] : undefined
  return hint === undefined ? undefined : [`${name}() reads a request or a response, ${HTTP}`, hint]
}

/** A variable that cannot be here; `undefined` for any other. */
export function refusedVariable(name: string): Refusal | undefined {
  const http = HTTP_VARIABLES.find(([known]) => name === known || name.startsWith(`${known}.`))
  if (http !== undefined) {
    const root = http[0].slice(0, 3)
    return [`${name} is part of a ${root === "req" ? "request" : "response"}, ${HTTP}`, http[1]]
  }
  if (name === "conn.k8s" || name.startsWith("conn.k8s."))
    return [
      `${name} is known to ngrok's Kubernetes binding only, which asks the cluster who connects`,
      "tell pods apart by conn.client_ip, or by their certificate: conn.tls.client.san.uris has the SPIFFE id",
    ]
  if (name === "conn.ts.end")
    return ["conn.ts.end is not known while a connection begins", "the closing event has it, as end_ts"]
  if (name === "ev" || name.startsWith("ev."))
    return [
      `${name} is part of an event, in filters of ngrok's event subscriptions`,
      "here it is conn.server_name and its like",
    ]
  return undefined
}
