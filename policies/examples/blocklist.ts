// Turns away the addresses of a list, on every listener: a policy without `listen` is asked everywhere, and the files of
// a tcp:// listener in the order of their names. Save the list, and it is the one that counts; a slip in it is reported
// with its line, and the last good version stays.
import { addressSet, deny, next, type Connection } from "tidegate"

const blocked = addressSet("blocklist.txt")

export function on_tcp_connect({ client }: Connection) {
  return client.within(blocked) ? deny("on the blocklist", { reset: true }) : next
}
