"""Golden files of every format version are read: see test/fixtures/make_golden.mjs."""

import gzip
import json
import os
import re
import tempfile
import unittest
from pathlib import Path

import pongo
from support import ROOT
from tagged import tag, untag
from test_with_node import sorted_dicts

FIXTURES = ROOT / 'test/fixtures'
ADVICE = (
    'The bytes of the format have changed. If no release has this version, make the fixture anew with '
    '"node test/fixtures/make_golden.mjs"; if one has, raise kFormatVersion, keep reading the old one, and add a fixture.'
)


def read(container):
    """A plain copy as pairs, which keep True and 1 apart."""
    if isinstance(container, pongo.PongoList):
        return [read(item) for item in container]
    if hasattr(container, 'items'):
        return Pairs((key, list(item) if isinstance(item, tuple) else read(item)) for key, item in container.items())
    return container


class Pairs:
    def __init__(self, pairs):
        self.pairs = list(pairs)

    def items(self):
        return self.pairs


class GoldenTest(unittest.TestCase):
    def test_there_is_one_for_the_present_version(self):
        header = (ROOT / 'native/core/format/superblock.h').read_text()
        version = re.search(r'kFormatVersion = (\d+)', header).group(1)
        self.assertTrue((FIXTURES / f'golden_v{version}.pongo.gz').exists(), ADVICE)

    def test_each_is_read_as_it_was_written(self):
        files = sorted(FIXTURES.glob('golden_v*.pongo.gz'))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file=file.name), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, 'golden.pongo')
                Path(path).write_bytes(gzip.decompress(file.read_bytes()))
                expected = json.loads(Path(str(file).replace('.pongo.gz', '.json')).read_text())
                try:
                    db = pongo.open(path)
                except pongo.Error as error:
                    self.fail(f'{file.name}: {error}. {ADVICE}')
                with db:
                    pongo.verify(db)
                    found = tag(read(db))
                    for name, part in expected[1]:
                        parts = {json.dumps(key): value for key, value in found[1]}
                        self.assertEqual(sorted_dicts(parts[json.dumps(name)]), sorted_dicts(part), f'{untag(name)}: {ADVICE}')
                    # And it can be written.
                    db['big'][0] = {'new': [1]}
                    db['list'].append(db['scalars'])
                    self.assertEqual(db['list'][-1]['uuid'], db.get('scalars.uuid'))
                    pongo.verify(db)
