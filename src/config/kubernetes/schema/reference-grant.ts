// ReferenceGrant: who may refer to what in its namespace. Its versions have one shape.
import { Schema } from "effect"
import { strict, type Shape } from "../shape.ts"
import type { ReferenceGrantBody } from "../types.ts"
import { groupName, kindName, listOf, namespaceName, objectName } from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** As the CRD has it. */
const MOST = 16

export const referenceGrant: Shape<ReferenceGrantBody> = strict(
  withSpec(
    Struct({
      from: listOf(
        Struct({ group: groupName, kind: kindName, namespace: namespaceName }).annotate({
          expected: "an object like { group: gateway.networking.k8s.io, kind: TCPRoute, namespace: apps }",
        }),
        1,
        MOST,
        "objects like { group: gateway.networking.k8s.io, kind: TCPRoute, namespace: apps }",
      ),
      to: listOf(
        Struct({ group: groupName, kind: kindName, name: optionalKey(objectName) }).annotate({
          expected: 'an object like { group: "", kind: Service }',
        }),
        1,
        MOST,
        'objects like { group: "", kind: Service }',
      ),
    }).annotate({ expected: "an object like { from: [...], to: [...] }" }),
  ),
)
