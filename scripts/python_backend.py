"""The build backend of pyproject.toml: setuptools, and a wheel made by hand where setuptools cannot make one.

Before version 70.1 setuptools needs the package `wheel` for that; nothing should have to be downloaded.
"""

import base64
import configparser
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import build_sdist, get_requires_for_build_sdist  # noqa: F401: hooks of the backend

root = Path(__file__).resolve().parent.parent


def get_requires_for_build_wheel(config_settings=None):
    return []


def _setuptools_can():
    try:
        import setuptools.command.bdist_wheel  # noqa: F401
    except ImportError:
        try:
            import wheel.bdist_wheel  # noqa: F401
        except ImportError:
            return False
    return True


if _setuptools_can() and hasattr(build_meta, 'build_editable'):
    from setuptools.build_meta import build_editable, get_requires_for_build_editable  # noqa: F401: hooks, else pip runs setup.py


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if _setuptools_can():
        return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    settings = configparser.ConfigParser()
    settings.read(root / 'setup.cfg')
    version = subprocess.run([sys.executable, 'setup.py', '--version'], cwd=root, check=True, capture_output=True, text=True).stdout.split()[-1]
    python = f'cp{sys.version_info[0]}{sys.version_info[1]}'
    platform = sysconfig.get_platform().replace('-', '_').replace('.', '_')
    tag = f'{python}-{python}{getattr(sys, "abiflags", "")}-{platform}'
    info = f'pongo-{version}.dist-info'
    texts = {
        f'{info}/METADATA': (
            f'Metadata-Version: 2.1\nName: pongo\nVersion: {version}\nSummary: {settings["metadata"]["description"]}\n'
            f'License: {settings["metadata"]["license"]}\nRequires-Python: {settings["options"]["python_requires"]}\n'
        ),
        f'{info}/WHEEL': f'Wheel-Version: 1.0\nGenerator: pongo\nRoot-Is-Purelib: false\nTag: {tag}\n',
        f'{info}/top_level.txt': 'pongo\n',
    }
    name = f'pongo-{version}-{tag}.whl'
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, 'setup.py', '-q', 'build', '--build-base', f'{folder}/objects', '--build-lib', f'{folder}/lib']
        subprocess.run(command, cwd=root, check=True)
        contents = {path: text.encode() for path, text in texts.items()}
        for path in sorted(Path(folder, 'lib').rglob('*')):
            if path.is_file():
                contents[str(path.relative_to(f'{folder}/lib'))] = path.read_bytes()
    record = ''
    with zipfile.ZipFile(os.path.join(wheel_directory, name), 'w', zipfile.ZIP_DEFLATED) as wheel:
        for path, data in contents.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
            record += f'{path},sha256={digest},{len(data)}\n'
            wheel.writestr(path, data)
        wheel.writestr(f'{info}/RECORD', f'{record}{info}/RECORD,,\n')
    return name
