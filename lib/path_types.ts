// The types of what paths lead to, for typed roots and Collections. Types only.

import type { Collection } from './collection'
import type { Key } from './types'

type IsAny<T> = 0 extends 1 & T ? true : false

/** `'a.b.0'` as `['a', 'b', '0']`. */
type Split<P extends string> = P extends `${infer Head}.${infer Rest}` ? [Head, ...Split<Rest>] : [P]

/** What a key or an index leads to. */
type Step<T, K> =
  IsAny<T> extends true
    ? any
    : T extends Collection<any, infer V>
      ? V | undefined
      : T extends readonly (infer E)[]
        ? K extends number | `${number}`
          ? E | undefined
          : undefined
        : T extends object
          ? K extends keyof T
            ? T[K]
            : undefined
          : undefined

type Walk<T, Keys> = Keys extends readonly [infer Head, ...infer Rest] ? Walk<Step<T, Head>, Rest> : T

/**
 * The type of what is at a path from `T`: of a string literal or a tuple. `any` for a path that is known only at run time.
 *
 * @example
 * type Age = At<{ users: Collection<string, { age: number }> }, 'users.ann.age'>   // number | undefined
 * type Tag = At<{ tags: string[] }, ['tags', 0]>                                   // string | undefined
 */
export type At<T, P> = P extends string
  ? string extends P
    ? any
    : Walk<T, Split<P>> | undefined
  : P extends readonly Key[]
    ? number extends P['length']
      ? any
      : Walk<T, P> | undefined
    : any
