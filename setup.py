"""Builds the extension module pongo._pongo: the engine and the CPython binding in one shared object.

The sources are compiled several at a time, and again only when they or a header have changed. Environment: CC, CXX, CFLAGS as
usual; PONGO_WERROR=1 turns warnings into errors; PONGO_SANITIZE=address,undefined builds with sanitizers.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

root = Path(__file__).resolve().parent
other_port = 'port_linux.cc' if sys.platform == 'darwin' else 'port_macos.cc'
sanitizer = os.environ.get('PONGO_SANITIZE')


def files(folder, *endings):
    return sorted(str(path.relative_to(root)) for path in (root / folder).rglob('*') if path.suffix in endings)


sources = [path for folder in ('native/core', 'native/python') for path in files(folder, '.cc') if not path.endswith(other_port)]
headers = [path for folder in ('native/core', 'native/python') for path in files(folder, '.h', '.def')]

flags = ['-std=c++20', '-O3', '-g0', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-pthread']
flags += ['-Wall', '-Wextra', '-Wconversion', '-Wno-missing-field-initializers', '-Wno-cast-function-type']
if os.environ.get('PONGO_WERROR'):
    flags.append('-Werror')
link = ['-pthread']
if sanitizer:
    # vptr needs the RTTI that is off.
    flags += [f'-fsanitize={sanitizer}', '-fno-sanitize=vptr', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-g1', '-O1']
    link += [f'-fsanitize={sanitizer}']


class ParallelBuild(build_ext):
    """Compiles the objects in parallel: the compiler is a process of its own."""

    def build_extension(self, extension):
        compiler = self.compiler
        # The compiler of the extension's language is chosen here and not by a setuptools without linkers of its own for C++,
        # which takes the first word of CXX for all of it: "ccache g++" would link without the C++ library.
        compiler.compiler_so = [part for part in compiler.compiler_so if part != '-Wstrict-prototypes']
        if compiler.compiler_cxx and not hasattr(compiler, 'linker_so_cxx'):
            compiler.linker_so[0 : self._driver(compiler.linker_so)] = self._cxx(compiler)
            compiler.compiler_cxx = compiler.linker_so[:1]
        newest_header = max((root / path).stat().st_mtime for path in extension.depends)

        def compile_all(paths, output_dir=None, macros=None, include_dirs=None, debug=0, extra_preargs=None,
                        extra_postargs=None, depends=None):
            setup_result = compiler._setup_compile(output_dir, macros, include_dirs, paths, [], extra_postargs)
            macros, objects, extra_postargs, preprocess, build = setup_result
            arguments = compiler._get_cc_args(preprocess, debug, extra_preargs)

            def one(target):
                source, extension_name = build[target]
                made = os.path.getmtime(target) if os.path.exists(target) else 0
                if made > max(newest_header, os.path.getmtime(source), os.path.getmtime(__file__)):
                    return
                compiler._compile(target, source, extension_name, arguments, extra_postargs, preprocess)

            with ThreadPoolExecutor(int(os.environ.get('PONGO_JOBS', 0)) or os.cpu_count() or 1) as pool:
                list(pool.map(one, objects))
            return objects

        compiler.compile = compile_all
        super().build_extension(extension)

    @staticmethod
    def _driver(command):
        """How many words the name of the compiler takes ("ccache gcc")."""
        count = 1
        while count < len(command) and not command[count].startswith('-'):
            count += 1
        return count

    @classmethod
    def _cxx(cls, compiler):
        command = os.environ.get('CXX', '').split() or list(compiler.compiler_cxx)
        return command[: cls._driver(command)]


if __name__ == '__main__':
    os.chdir(root)
    setup(
        version=json.loads((root / 'package.json').read_text())['version'],
        packages=['pongo'],
        package_dir={'': 'native/python'},
        package_data={'pongo': ['py.typed', '*.pyi']},
        ext_modules=[
            Extension(
                'pongo._pongo',
                sources=sources,
                depends=headers,
                include_dirs=['native/core'],
                extra_compile_args=flags,
                extra_link_args=link,
            )
        ],
        cmdclass={'build_ext': ParallelBuild},
    )
