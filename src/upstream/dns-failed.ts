// Why a name led nowhere.
import { Schema } from "effect"

/** Nobody could say what there is: servers were silent, or said that they do not know. */
export class LookupFailed extends Schema.TaggedError<LookupFailed>()("LookupFailed", {
  message: Schema.String,
  /** A server answered at least: other names may be asked for. */
  wasAnswered: Schema.Boolean,
}) {}

/** The DNS says that there is nothing. */
export class NothingFound extends Schema.TaggedError<NothingFound>()("NothingFound", {
  message: Schema.String,
  /** Seconds for which that holds. */
  ttl: Schema.Number,
}) {}
