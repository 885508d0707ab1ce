"""One life in a storm of kills, as storm.mjs: without locks and expiry, which this module does not have.

python3 storm.py <path> <life> <seed>
"""

import os
import random
import sys

import pongo

path, life, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
choices = random.Random(seed)
db = pongo.open(path, checkpoint_interval=20)
own, seen, accounts, ledger = db['own'], db['seen'], db['accounts'], db['ledger']
pushes, jobs, expiring = db['pushes'], db['jobs'], db['expiring']
held = pongo.snapshot(db)


def push(n):
    pushes.append(life * 2**20 + n)


def take(_):
    try:
        return jobs.pop(0)
    except IndexError:
        return None


def put(n):
    seen[life] = {'n': n, 'text': 'x' * (n * 7919 % 20_000)}


def increment_own(_):
    own.incr(life)


def transfer(n):
    source, target, amount = choices.randrange(100), choices.randrange(100), 1 + choices.randrange(9)

    def move():
        accounts.incr(source, -amount)
        accounts[target] = accounts[target] + amount
        ledger.append([life, n, source, target, amount])
        db['moves'] += 1

    if n % 2 == 0:
        pongo.transaction(db, move)
        return
    while True:
        try:
            with pongo.transaction(db):
                move()
            return
        except pongo.ConflictError:
            pass


def come_and_go(n):
    expiring[(life, n)] = n
    if n % 2 == 1:
        expiring.pop((life, n))


def check_sum(snapshot):
    total = sum(snapshot.root['accounts'].values())
    if total != 100_000:
        raise AssertionError(f'the accounts of one version sum up to {total}')


def view(_):
    global held
    check_sum(held)
    held.release()
    held = pongo.snapshot(db)
    check_sum(held)


often = [
    ('increment', lambda _: db.incr('count')),
    ('own', increment_own),
    ('set', put),
    ('push', push),
    ('take', take),
    ('transfer', transfer),
    ('transfer', transfer),
    ('expire', come_and_go),
    ('view', view),
]
seldom = [
    ('sync', lambda _: pongo.sync(db)),
    ('quick', lambda _: pongo.gc(db)),
    ('complete', lambda _: pongo.gc(db, True)),
]

n = 0
while True:
    kind, operation = choices.choice(seldom if choices.randrange(100) == 0 else often)
    value = operation(n)
    os.write(1, (f'{kind} {n}\n' if value is None else f'{kind} {n} {value}\n').encode())
    n += 1
