// PostgreSQL's way to start TLS, as its client: a request in clear, and one byte in answer.
// Protocol 3, "SSL Session Encryption".

/** SSLRequest */
export const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f)
const ACCEPTED = 0x53
const REFUSED = 0x4e

/** Why TLS cannot start after this answer; `undefined` when it can. */
export function requestProblem(answer: Uint8Array): string | undefined {
  // Bytes behind the answer would be taken for what was encrypted later (CVE-2021-23222).
  if (answer.length !== 1) return "it sent something else than one byte in answer to the request for TLS"
  if (answer[0] === REFUSED) return "it does not speak TLS (it answered the request for TLS with N)"
  return answer[0] === ACCEPTED ? undefined : "it is no PostgreSQL server that speaks TLS"
}
