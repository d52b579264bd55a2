// What every object has around its own fields.
import { Schema } from "effect"
import { annotations, labels } from "./names.ts"

const { NullOr, Unknown, optionalKey } = Schema

/** The head is looked at before, and a status is ours to say. */
const around = {
  apiVersion: Unknown,
  kind: Unknown,
  metadata: Unknown,
  status: optionalKey(Unknown),
}

/** An object with a `spec`. */
export function withSpec<S extends Schema.Top>(spec: S) {
  return Schema.Struct({ ...around, spec })
}

/** An object with fields of its own at the top. */
export function withFields<const Fields extends Schema.Struct.Fields>(fields: Fields) {
  return Schema.Struct({ ...around, ...fields })
}

/** RFC 3339, as clusters write it. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/u
const expected = 'a time like "2026-01-31T12:00:00Z"'

const timestamp = Schema.String.check(
  Schema.makeFilter((value: string) => TIMESTAMP.test(value) && !Number.isNaN(Date.parse(value)), { expected }),
).annotate({ expected })

const generation = Schema.Number.check(
  Schema.makeFilter((value: number) => Number.isSafeInteger(value) && value >= 0, { expected: "a whole number" }),
).annotate({ expected: "a whole number" })

/** Everything that kubectl and clusters write. */
export const metadata = Schema.Struct({
  name: Unknown,
  namespace: optionalKey(Unknown),
  labels: optionalKey(NullOr(labels).annotate({ expected: "labels like { app: db }" })),
  annotations: optionalKey(NullOr(annotations).annotate({ expected: 'annotations like { example.com/name: "text" }' })),
  generation: optionalKey(NullOr(generation).annotate({ expected: "a whole number" })),
  creationTimestamp: optionalKey(NullOr(timestamp).annotate({ expected })),
  clusterName: optionalKey(Unknown),
  deletionGracePeriodSeconds: optionalKey(Unknown),
  deletionTimestamp: optionalKey(Unknown),
  finalizers: optionalKey(Unknown),
  generateName: optionalKey(Unknown),
  initializers: optionalKey(Unknown),
  managedFields: optionalKey(Unknown),
  ownerReferences: optionalKey(Unknown),
  resourceVersion: optionalKey(Unknown),
  selfLink: optionalKey(Unknown),
  uid: optionalKey(Unknown),
}).annotate({ expected: "an object like { name: db }" })
