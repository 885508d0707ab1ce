# %% [markdown]
# Ranks the cities of the demonstration by their visits, while its workers serve them, and writes the ranking back: the live
# page of the workers shows it at once.
#
#     npm start -- --serve                 # in one terminal; prints where its file is
#     npm run build:python                 # once
#     PYTHONPATH=build/python python3 examples/python/rank_cities.py [file] [--follow]
#
# The cells can be run one by one in an editor that knows "# %%". Needs nothing but Python; uses pandas when it is there.

# %% Open the file that the cluster has open
import argparse
import sys
from pathlib import Path

import pongo

root = Path(__file__).resolve().parents[2]
parser = argparse.ArgumentParser(description='ranks the cities of the demonstration by their visits')
parser.add_argument('file', nargs='?', default=root / 'examples/cluster/data/cluster.pongo')
parser.add_argument('--top', type=int, default=10)
parser.add_argument('--follow', action='store_true', help='rank again whenever there are new visits')
options = parser.parse_args()
if not Path(options.file).exists():
    sys.exit(f'{options.file} is not there: start the demonstration with "npm start -- --serve", or give its file')
db = pongo.open(options.file)


# %% Read: one version of everything, whatever the workers do meanwhile
def visited_cities():
    with pongo.snapshot(db) as then:
        cities = then['cities']
        return [
            {'city': cities[id]['name'], 'country': cities[id]['country'], 'visits': count}
            for id, count in then['visits'].items()
        ]


# %% Compute
def rank(rows, top):
    return sorted(rows, key=lambda row: (-row['visits'], row['city']))[:top]


def by_country(rows):
    try:
        import pandas
    except ImportError:
        sums = {}
        for row in rows:
            sums[row['country']] = sums.get(row['country'], 0) + row['visits']
        return sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    frame = pandas.DataFrame(rows, columns=['city', 'country', 'visits'])
    sums = frame.groupby('country')['visits'].sum().reset_index().sort_values(['visits', 'country'], ascending=[False, True])
    return [(country, int(count)) for country, count in sums.itertuples(index=False)]


# %% Write back: one commit, which every worker sees at once
def publish():
    rows = visited_cities()
    ranking = rank(rows, options.top)
    db['ranking'] = ranking
    print(f'{sum(row["visits"] for row in rows):,} visits of {len(rows):,} cities')
    for place, row in enumerate(ranking, 1):
        print(f'{place:3}  {row["visits"]:8,}  {row["city"]}, {row["country"]}')
    print('by country:', ', '.join(f'{country} {count:,}' for country, count in by_country(rows)[: options.top]), flush=True)


publish()

# %% Follow: sleeps in the engine until somebody visits a city
if options.follow:
    try:
        for _ in pongo.changes(db, 'visits'):
            publish()
    except KeyboardInterrupt:
        pass

# %%
pongo.close(db)
