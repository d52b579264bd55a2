// A module in another folder than the one that imports it.
import { addressSet } from "../../../src/limit/address-set.ts"

export const inner = addressSet("fixture.txt")
