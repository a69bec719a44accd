"""The import rules of docs/architecture.md, checked on the syntax tree of every file."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'kf_imitation'
STAGES = ('camera', 'face', 'keyframe', 'landmarks', 'expression', 'servo')


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parts = path.relative_to(ROOT).with_suffix('').parts[: -node.level]
                base = '.'.join([*parts, *([base] if base else [])])
            found.add(base)
            found.update(f'{base}.{alias.name}' for alias in node.names)
    return found


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob('*.py'))


def users_of(library: str, folders: tuple[str, ...]) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in python_files(*folders)
        if any(m == library or m.startswith(f'{library}.') for m in imported_modules(path))
    }


@pytest.mark.parametrize('stage', STAGES)
def test_a_stage_never_imports_another_stage(stage):
    others = {f'kf_imitation.{s}' for s in (*STAGES, 'nodes', 'offline') if s != stage}
    for path in python_files(f'kf_imitation/{stage}'):
        bad = {
            m
            for m in imported_modules(path)
            if any(m == o or m.startswith(f'{o}.') for o in others)
        }
        assert not bad, f'{path.relative_to(ROOT)} imports {bad}'


def test_rclpy_is_imported_in_nodes_only():
    users = users_of('rclpy', ('kf_imitation', 'training', 'benchmark'))
    assert users and all(u.startswith('kf_imitation/nodes/') for u in users), users


def test_launch_is_imported_in_launch_files_only():
    assert not users_of('launch', ('kf_imitation', 'training', 'benchmark'))


def test_dynamixel_sdk_is_imported_by_the_bus_and_its_tests_only():
    users = users_of('dynamixel_sdk', ('kf_imitation', 'training', 'benchmark', 'test'))
    assert 'kf_imitation/actuators/dynamixel/serial_bus.py' in users
    allowed = ('kf_imitation/actuators/dynamixel/serial_bus.py', 'test/servo/')
    assert all(u.startswith(allowed) for u in users), users


def test_torch_stays_in_training_and_the_tests_of_training_and_export():
    users = users_of('torch', ('kf_imitation', 'launch', 'benchmark', 'test'))
    assert all(u.startswith(('test/export/', 'test/training/')) for u in users), users


def test_the_runtime_never_imports_training():
    assert not users_of('training', ('kf_imitation', 'launch'))


def test_a_node_file_stays_short():
    for path in python_files('kf_imitation/nodes'):
        lines = len(path.read_text(encoding='utf-8').splitlines())
        assert lines < 200, f'{path.name} has {lines} lines'
