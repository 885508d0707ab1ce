// Compiled, never run: the types that a program meets. Each line marked as an error must be one.

import {
  Collection,
  Dict,
  Hold,
  List,
  MultiCollection,
  open,
  PongoError,
  Uuid,
  type At,
  type BackupReport,
  type Change,
  type Database,
  type ErrorCode,
  type Key,
  type Snapshot,
  type StopWatching,
} from 'pongodb'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function is<_T extends true>(): void {}

interface User {
  name: string
  age?: number
}
interface State {
  count: number
  users: Collection<string, User>
  queue: List<{ job: string }>
  tags: string[]
  config: Dict<{ host: string }>
}

// An untyped root takes anything.
const loose = open('x.pongo')
loose.root.anything = { nested: [1, 2] }
loose.root.anything.nested.push(3)
const incremented = loose.root.$incr('a.b', 2n)
is<Equal<typeof incremented, number | bigint>>()

// A typed root.
const db = open<State>('x.pongo', { durability: 'sync', maxSize: 2 ** 30 })
is<Equal<typeof db, Database<State>>>()
is<Equal<typeof db.root.count, number>>()
db.root.count = 5
// @ts-expect-error a string is no number
db.root.count = 'five'
db.root.tags = ['a']
db.root.tags.push('b')
db.root.queue.insert(0, { job: 'x' })
db.root.config.$set('host', 'h')
is<Equal<typeof db.root.config.host, string>>()
const count = db.root.$get('count')
is<Equal<typeof count, number | undefined>>()

// Collections.
const ann = db.root.users.get('ann')
is<Equal<typeof ann, User | undefined>>()
const zoe = db.root.users.get('zoe', null)
is<Equal<typeof zoe, User | null>>()
db.root.users.set('ann', { name: 'Ann' }, { fail: true })
// @ts-expect-error a User has a name
db.root.users.set('ann', {})
// @ts-expect-error an unknown option
db.root.users.set('ann', { name: 'Ann' }, { tll: 5 })
for (const [key, user] of db.root.users) {
  is<Equal<typeof key, string>>()
  is<Equal<typeof user, User>>()
}
for (const [key] of db.root.users.range({ prefix: 'a', limit: 3 })) is<Equal<typeof key, string>>()
const tuples = db.collection<[number, string], Date>()
tuples.set([1, 'a'], new Date())
// @ts-expect-error not such a tuple
tuples.set(['a', 1], new Date())
const cache = db.collection<string, number>({ maxItems: 100, maxBytes: 1000, evict: 'fifo' })
is<Equal<typeof cache, Collection<string, number>>>()
cache.set('a', 1, { ttl: 5 }).set('b', 2, { expiresAt: new Date() }).setPath(['c'], 3, { ttl: 1, sync: true })
is<Equal<ReturnType<typeof cache.ttl>, number | undefined>>()
is<Equal<ReturnType<typeof cache.expire>, boolean>>()
is<Equal<NonNullable<typeof cache.bounds>['evict'], 'lru' | 'fifo'>>()
// @ts-expect-error not a way to evict
db.collection({ evict: 'random' })
const byTag = db.collection<string, number>({ multi: true })
is<Equal<typeof byTag, MultiCollection<string, number>>>()
const all = byTag.getAll('x')
is<Equal<typeof all, number[]>>()

// Lists are arrays.
const names: string[] = db.root.queue.map(({ job }) => job)
const plain: List<number> = List.create<number>(db)
plain.extend(new Set([1]))
// @ts-expect-error a string is no number
plain.push('x')

// The rest.
const result = db.transaction(() => ({ ok: true }))
is<Equal<typeof result, { ok: boolean }>>()
const snap: Snapshot<State> = db.snapshot()
is<Equal<typeof snap.root.count, number>>()
const then = snap.get(db.root.users)
is<Equal<typeof then, Collection<string, User> | undefined>>()
const id: Key = Uuid.v7()
db.meta['.sync'] = true
is<Equal<(typeof db.meta)['.sync'], 'checkpoint' | 'sync' | 'none'>>()
// @ts-expect-error an unknown mode
db.meta['.sync'] = 'full'
const report = db.gc({ complete: true })
is<Equal<Pick<Awaited<typeof report>['before'], 'count' | 'bytes'>, { count: number; bytes: number }>>()
const error = new PongoError('PONGO_ERR_KEY', 'text')
is<Equal<typeof error.code, ErrorCode>>()
const hold: Promise<Hold> = db.lock('a').acquire({ timeout: 5, signal: new AbortController().signal })
const perhaps = db.semaphore('s', 2).tryAcquire()
is<Equal<typeof perhaps, Hold | undefined>>()
const isSet: boolean = db.event('e').isSet
// @ts-expect-error misspelt option
db.rwlock('r').read.acquireSync({ timeOut: 5 })
const answer = db.locks.request('n', async (lock) => await Promise.resolve(lock.name))
is<Equal<Awaited<typeof answer>, string>>()
const available = db.locks.request('n', { ifAvailable: true }, (lock) => lock?.mode)
is<Equal<Awaited<typeof available>, 'exclusive' | 'shared' | undefined>>()
const d = Dict.create<{ a: number }>(db)
d.a = 1
// @ts-expect-error misspelt option
open('x.pongo', { readonly: true })

// Watching.
const stop: StopWatching = db.watch('users', (changes) => is<Equal<typeof changes, Change[]>>(), { since: snap })
stop.unref()
stop()
db.watch(db.root.users, ([change]) => {
  if (change?.type === 'splice') is<Equal<typeof change.removed, number>>()
  // @ts-expect-error only a splice has an index
  else void change?.index
})
// @ts-expect-error misspelt option
db.watch('users', () => undefined, { singal: new AbortController().signal })
async function follow(): Promise<void> {
  for await (const changes of db.changes(['users', 'ann'])) is<Equal<typeof changes, Change[]>>()
}
const copied: Promise<BackupReport> = db.backup('y.pongo', {
  onProgress: ({ bytesDone }) => is<Equal<typeof bytesDone, number>>(),
})

export { names, id, hold, isSet, follow, copied }

// Paths of a typed root: through Dicts, Lists and Collections.
const age = db.root.$get('users.ann.age')
is<Equal<typeof age, number | undefined>>()
const job = db.root.$get(['queue', 0, 'job'])
is<Equal<typeof job, string | undefined>>()
const firstTag = db.root.$get('tags.0', 'none')
is<Equal<typeof firstTag, string>>()
const host = db.root.config.$get('host')
is<Equal<typeof host, string | undefined>>()
const nothing = db.root.$get('config.prot')
is<Equal<typeof nothing, undefined>>()
declare const dynamic: string
const whatever = db.root.$get(dynamic)
is<Equal<typeof whatever, any>>()
const other = db.root.$get('users/ann', null, { sep: '/' })
is<Equal<typeof other, any>>()
const deep = loose.root.$get('a.b.c')
is<Equal<typeof deep, any>>()
const name = db.root.users.getPath('ann.name')
is<Equal<typeof name, string | undefined>>()
const named = db.root.users.getPath(['ann', 'name'], 'nobody')
is<Equal<typeof named, string>>()
is<Equal<At<State, 'count'>, number | undefined>>()
