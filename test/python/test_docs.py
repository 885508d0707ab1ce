"""What the documentation shows must run, and print what stands below it."""

import ast
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pongo
from support import ROOT, TIMEOUT, run_node


class DocsTest(unittest.TestCase):
    def run_block(self, program, folder):
        done = subprocess.run([sys.executable, '-c', program], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(done.stderr, '')
        return done.stdout.replace(f'{folder}/', '')

    def test_the_tour(self):
        text = (ROOT / 'docs/python.md').read_text()
        program, output = re.search(r'```python\n(import pongo\n.*?)```\n\n```text\n(.*?)```', text, re.S).groups()
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.run_block(program, folder), output)

    def test_readme(self):
        text = (ROOT / 'README.md').read_text()
        (program,) = re.findall(r'```python\n(.*?)```', text, re.S)
        with tempfile.TemporaryDirectory() as folder:
            run_node(
                'const db = open(process.argv[1]); db.root.accounts = { ann: { balance: 70 }, bob: { balance: 30 } }; db.close()',
                f'{folder}/bank.pongo')
            self.assertEqual(self.run_block(program, folder), "75 ['ann', 'bob']\n")
            out = run_node('const db = open(process.argv[1]); console.log(db.root.accounts.ann.since instanceof Date); db.close()', f'{folder}/bank.pongo')
            self.assertEqual(out, 'true\n')


class StubTest(unittest.TestCase):
    def test_stubs_declare_what_the_module_has(self):
        folder = Path(pongo.__file__).parent
        errors = ast.parse((folder / '_errors.py').read_text())
        # Type checkers know __all__ only as a literal.
        (exported,) = (ast.literal_eval(node.value) for node in errors.body
                       if isinstance(node, ast.Assign) and node.targets[0].id == '__all__')
        declared = set(exported)
        for node in ast.parse((folder / '__init__.pyi').read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                declared.add(node.name)
            elif isinstance(node, ast.AnnAssign):
                declared.add(node.target.id)
        public = {*pongo.__all__, *exported, 'open', 'id'}
        self.assertEqual({name for name in declared if not name.startswith('_')}, public)
        for name in public:
            self.assertTrue(hasattr(pongo, name), name)
