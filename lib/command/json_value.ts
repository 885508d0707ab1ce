// A piece of JSON text as a value that can be looked into and stored.

import { parseJson } from '../json_in'
import { Uuid } from '../uuid'
import { JsonFloat } from '../values'
import { Reader } from '../wire'

const makers = {
  uuid: (bytes: Uint8Array) => new Uuid(bytes),
  container: () => null,
  float: (value: number) => new JsonFloat(value),
}

/** Integers of any size stay integers; numbers with a fraction or an exponent become `JsonFloat`. Errors: as `parseJson`. */
export function jsonValue(text: string): unknown {
  return new Reader(parseJson(text), makers).value()
}
