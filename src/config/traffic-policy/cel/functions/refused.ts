// What functions say when they cannot do what they are asked for.

/** The message is for people, and has nothing of the values in it: they may be secrets. */
export class Refused extends Error {
  override readonly name = "Refused"
}
