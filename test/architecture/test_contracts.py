"""The import contracts of pyproject.toml hold, and tests keep to the rules they cannot state."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from kf_imitation.errors import DEVELOPER_PACKAGES, OPTIONAL_PACKAGES

ROOT = Path(__file__).resolve().parents[2]


def test_every_import_contract_is_kept():
    program = Path(sys.executable).with_name('lint-imports')
    result = subprocess.run([program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_at_most_eight_modules_stand_outside_the_rooms():
    alone = sorted(path.name for path in (ROOT / 'kf_imitation').glob('*.py'))
    assert len(alone) <= 8, alone


@cache
def imports(folder: str) -> dict[str, set[str]]:
    """Return the libraries that each file below a folder imports, wherever in the file."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob('*.py'):
        libraries = found[path.relative_to(ROOT).as_posix()] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                libraries.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                libraries.add(node.module.split('.')[0])
    return found


def importers(library: str, folder: str) -> set[str]:
    return {path for path, libraries in imports(folder).items() if library in libraries}


def test_torch_is_imported_by_the_tests_of_training_and_export_only():
    users = importers('torch', 'test')
    assert all(user.startswith(('test/export/', 'test/training/')) for user in users), users


def test_dynamixel_sdk_is_imported_by_the_tests_of_its_bus_only():
    users = importers('dynamixel_sdk', 'test')
    assert users and all(user.startswith('test/dynamixel/') for user in users), users


def test_launch_files_do_not_import_training_or_torch():
    assert not importers('torch', 'launch') | importers('training', 'launch')


# What pip installs with the package under a name of its own, and what programs ask for themselves.
_KNOWN = {'cv2', 'numpy', 'scipy', 'yaml', 'rich', 'matplotlib', 'serial', 'mediapipe', 'ray'}
_OURS = {'kf_imitation', 'training', 'face_renderer', 'benchmark'}


@pytest.mark.parametrize('folder', ['training', 'face_renderer', 'benchmark'])
def test_every_package_that_a_program_may_lack_has_its_command(folder):
    named = {name for names in DEVELOPER_PACKAGES.values() for name in names}
    known = named | set(OPTIONAL_PACKAGES) | sys.stdlib_module_names | _KNOWN | _OURS
    unknown = {path: rest for path, names in imports(folder).items() if (rest := names - known)}
    assert not unknown
