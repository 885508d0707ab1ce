"""What the tests of the Python module share."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pongo

ROOT = Path(__file__).resolve().parents[2]
NODE = os.environ.get('NODE', 'node')
# What is loaded into every Python (a sanitizer) does not suit Node.js.
NODE_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'}
# Only a fail-safe: no test waits for time to pass.
TIMEOUT = 120


class DatabaseTest(unittest.TestCase):
    """Each test has a folder and an open database; after it the file is verified."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='pongo-python-')
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, 'test.pongo')
        self.db = pongo.open(self.path, durability='none')
        self.addCleanup(self.verify_and_close)

    def verify_and_close(self):
        pongo.close(self.db)
        with pongo.open(self.path, durability='none') as db:
            pongo.verify(db)


def run_python(program, *args, **options):
    """Runs a Python program to its end; returns what it printed."""
    return subprocess.run(
        [sys.executable, '-c', program, *args], check=True, capture_output=True, text=True, timeout=TIMEOUT, **options
    ).stdout


def start_python(program, *args):
    return subprocess.Popen([sys.executable, '-c', program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def node_program(program):
    return f"'use strict'; const {{ open, Collection, List, Dict, Uuid }} = require({str(ROOT / 'dist')!r}); {program}"


def run_node(program, *args, input=None):
    """Runs a Node.js program, with the package's exports in scope and its arguments in process.argv from 1."""
    result = subprocess.run(
        [NODE, '-e', node_program(program), *args], capture_output=True, text=True, timeout=TIMEOUT, input=input, env=NODE_ENVIRONMENT
    )
    if result.returncode != 0:
        raise AssertionError(f'node failed: {result.stderr}')
    return result.stdout


def start_node(program, *args):
    return subprocess.Popen(
        [NODE, '-e', node_program(program), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=NODE_ENVIRONMENT
    )
