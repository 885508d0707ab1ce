// What the package exports.

export type { BackupOptions, BackupProgress, BackupReport } from './backup'
export { Collection, type CollectionOptions } from './collection'
export { Event, Hold, Lock, RwLock, Semaphore, type AcquireOptions } from './coordination'
export { Dict, List } from './containers'
export { Database, open, type GcReport, type OpenOptions } from './database'
export { PongoError } from './errors'
export { MultiCollection } from './multi_collection'
export { Snapshot } from './snapshot'
export { Uuid } from './uuid'
export {
  LockManager,
  type LockInfo,
  type LockManagerSnapshot,
  type LockMode,
  type LockOptions,
  type WebLock,
} from './web_locks'
export type { BoundOptions, Bounds, Eviction } from './bounds'
export type { ErrorCode } from './codes'
export type { PagedIterable, PagedIterator } from './iterators'
export type { Meta } from './meta'
export type { ExpiryOptions, PathOptions, SetOptions } from './options'
export type { Path } from './path'
export type { At } from './path_types'
export type { KeyRange, RangeOptions } from './ranges'
export type { SearchView } from './search_view'
export type { Container, DictOperations, Key, ListOperations, Operator } from './types'
export type { Change, ChangeIterator, StopWatching, WatchOptions } from './watch'
