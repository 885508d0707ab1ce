// A read-only view of the whole database at one version.

import { inspect } from 'node:util'
import { backup, type BackupOptions, type BackupReport } from './backup'
import { pongoError, show } from './errors'
import type { SnapshotState } from './handle'
import { refOf } from './live'
import type { Dict } from './types'

/**
 * One version of the whole database, unchanged by whatever is written meanwhile. It pins the space of what it shows, so
 * release it: with `release()` or `using`; at the latest it ends when it and all it showed are collected.
 *
 * Writing through it throws `READONLY`; reading after its release, or after its revocation by the space limit, `SNAPSHOT`.
 *
 * @example
 * const before = db.snapshot()
 * try { console.log(before.root.$size) } finally { before.release() }
 */
export class Snapshot<T extends object = Record<string, any>> {
  readonly #state: SnapshotState

  /** @internal Made by `db.snapshot()`. */
  constructor(state: SnapshotState) {
    this.#state = state
  }

  #view(): number {
    if (this.#state.handle.closed) throw pongoError('CLOSED', `the database ${this.#state.handle.path} is closed`)
    if (this.#state.released) throw pongoError('SNAPSHOT', 'the snapshot has been released')
    return this.#state.view
  }

  /** The root as it was. */
  get root(): Dict<T> {
    this.#view()
    const { handle } = this.#state
    return this.#state.container(handle.rootKind, handle.rootId) as Dict<T>
  }

  /** The number of the version; later ones are greater. */
  get version(): number {
    if (this.#state.handle.closed) throw pongoError('CLOSED', `the database ${this.#state.handle.path} is closed`)
    return this.#state.version
  }

  /**
   * A container of this database as it was; undefined when it did not exist then. O(log n).
   *
   * @param container a live container, or one of another snapshot.
   * Errors: `ARG` for anything else, or a container of another database.
   *
   * @example
   * const then = snap.get(db.root.users)
   * then?.size
   */
  get<C extends object>(container: C): C | undefined {
    const view = this.#view()
    const { handle } = this.#state
    const ref = refOf(container)
    if (ref === undefined) throw pongoError('ARG', `Snapshot.get needs a container, not ${show(container)}`)
    if (ref.handle.identity !== handle.identity)
      throw pongoError('ARG', 'Snapshot.get: the container is of another database')
    const kind = handle.native.kind(view, ref.id)
    return kind === 0 ? undefined : (this.#state.container(kind, ref.id) as C)
  }

  /**
   * Copies this version into a new file: see `Database.backup`. The snapshot may be released meanwhile.
   *
   * @example
   * const { bytes } = await snap.backup('before.pongo')
   */
  backup(path: string | URL, options?: BackupOptions): Promise<BackupReport> {
    if (!this.#state.handle.closed) this.#state.handle.outside('backup()')
    return this.#backup(path, options)
  }

  async #backup(path: string | URL, options: BackupOptions | undefined): Promise<BackupReport> {
    return await backup(this.#state.handle, this.#view(), path, options)
  }

  /** Ends the snapshot and frees what it pinned. Idempotent. */
  release(): void {
    if (!this.#state.handle.closed) this.#state.release()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  [inspect.custom](): string {
    return `Snapshot { version: ${this.#state.version}${this.#state.released ? ', released' : ''} }`
  }
}
