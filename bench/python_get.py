"""How long does a point get of a 40-byte string take from Python, beside dict, shelve, dbm and sqlite3?

    npm run build:python && PYTHONPATH=build/python python3 bench/python_get.py [--keys N] [--rounds N] [--json]

All stores hold the same keys and values on the same file system; the rounds are interleaved, so that other work of the machine
disturbs all alike, and the medians count. Says last whether the two aims hold: at least twice as fast as
shelve (over dbm.gnu where it is installed) and sqlite3, and at most 2 x (dict.get + 150 ns). The dbm modules alone, which
know bytes only and one process at a time, are shown beside.
"""

import argparse
import atexit
import dbm
import json
import random
import shelve
import shutil
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import pongo


def dict_get(_folder, items):
    return dict(items).get


def pongo_get(folder, items):
    db = pongo.open(folder / 'pongo')
    db['c'] = collection = pongo.PongoCollection.create(db)
    collection.update(items)
    return collection.get


def pongo_subscript(folder, items):
    db = pongo.open(folder / 'pongo-subscript')
    db['c'] = collection = pongo.PongoCollection.create(db)
    collection.update(items)
    return collection.__getitem__


def sqlite_get(folder, items):
    connection = sqlite3.connect(folder / 'sqlite')
    connection.execute('create table t (k text primary key, v text) without rowid')
    connection.executemany('insert into t values (?, ?)', items.items())
    connection.commit()
    execute = connection.execute
    return lambda key: execute('select v from t where k = ?', (key,)).fetchone()[0]


def shelve_get(folder, items):
    store = shelve.open(str(folder / 'shelve'))
    store.update(items)
    atexit.register(store.close)
    return store.get


def dbm_get(module):
    def make(folder, items):
        store = module.open(str(folder / module.__name__), 'n')
        for key, value in items.items():
            store[key] = value
        return lambda key: store[key].decode()

    return make


def stores():
    found = {'dict.get': dict_get, 'pongo get': pongo_get, 'pongo [key]': pongo_subscript, 'sqlite3': sqlite_get, 'shelve': shelve_get}
    for name in ('gnu', 'ndbm'):
        try:
            module = __import__(f'dbm.{name}', fromlist=[name])
        except ImportError:
            continue
        found[f'dbm.{name}'] = dbm_get(module)
    return found


def measure(get, keys):
    start = perf_counter_ns()
    for key in keys:
        get(key)
    return (perf_counter_ns() - start) / len(keys)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--keys', type=int, default=100_000)
    parser.add_argument('--reads', type=int, default=5_000)
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--json', action='store_true')
    options = parser.parse_args()
    items = {f'user:{i:08d}': f'{i:040d}' for i in range(options.keys)}
    generator = random.Random(1)
    keys = generator.choices(list(items), k=options.reads)
    nothing = measure(lambda key: None, keys)
    folder = Path(tempfile.mkdtemp(prefix='pongo-bench-'))
    atexit.register(shutil.rmtree, folder)  # after the stores, which register later, are closed
    gets = {label: make(folder, items) for label, make in stores().items()}
    for label, get in gets.items():
        if get(keys[0]) != items[keys[0]]:
            sys.exit(f'{label} reads something else')
    rounds = {label: [] for label in gets}
    for _ in range(options.rounds):
        for label, get in gets.items():
            measure(get, keys)  # what the others have left in the caches of the processor is not counted
            rounds[label].append(measure(get, keys))
    median = {label: statistics.median(times) for label, times in rounds.items()}
    best = {label: min(times) for label, times in rounds.items()}
    shelf = dbm.whichdb(str(folder / 'shelve')) or 'an unknown format'
    ours = median['pongo get']
    limit = 2 * (median['dict.get'] + 150)
    others = {label: time / ours for label, time in median.items() if label not in ('dict.get', 'pongo get', 'pongo [key]')}
    if options.json:
        print(json.dumps({'nanoseconds': median, 'best': best, 'limit': limit, 'times_as_fast': others}))
        return
    print(f'{options.keys:,} keys, get of a string of 40 characters, {options.rounds} rounds; Python {sys.version.split()[0]}')
    print(f'  {"":14} {"median":>11} {"best":>9}')
    print(f'  {"an empty call":14} {nothing:8.0f} ns')
    for label, time in median.items():
        print(f'  {label:14} {time:8.0f} ns {best[label]:6.0f} ns' + (f'   {others[label]:5.1f} x pongo get' if label in others else ''))
    print(f'  shelve here uses {shelf}' + ('' if 'dbm.gnu' in median else '; dbm.gnu is not installed'))
    slowest = min(others['shelve'], others['sqlite3'])
    held = ours <= limit and slowest >= 2
    print(f'aims {"hold" if held else "do NOT hold"}: {ours:.0f} ns of at most {limit:.0f} ns; {slowest:.1f} x as fast, of at least 2 x')
    if not held:
        sys.exit(1)


if __name__ == '__main__':
    main()
