"""Every command of docs/tutorials is run, or, where its mark says why not, at least parsed.

A block runs in a folder of its own with the project's media, config, models and training in it;
the demo clip is cut short. `<!-- parsed only: reason -->` above a block stands for hardware or
installations; its commands must then be known to the parsers, files and parameters that they name.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from kf_imitation.cli.main import build_parser
from kf_imitation.parameters.schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / 'docs' / 'tutorials').glob('*.md'))
BLOCK = re.compile(
    r'(?:<!-- parsed only: (?P<reason>[^>]+) -->\n)?```bash\n(?P<text>.*?)```', re.DOTALL
)
FRAMES = 60  # of the demo clip: two keyframes at least
PLAIN = {'cat', 'cd', 'cp', 'ls', '.', 'pip', 'git', 'END'}  # nothing of ours to check

pytestmark = pytest.mark.skipif(
    not (ROOT / 'models' / 'manifest.yaml').is_file(), reason='models are not made yet'
)


@dataclass(frozen=True)
class Block:
    """Commands of a tutorial."""

    text: str
    reason: str | None


def blocks(path):
    return [Block(m['text'], m['reason']) for m in BLOCK.finditer(path.read_text('utf-8'))]


def name(path):
    return path.stem


@pytest.fixture
def folder(tmp_path):
    """A folder that looks like the project's, and nothing written outside of it."""
    for shared in ('config', 'models', 'training', 'docs'):
        (tmp_path / shared).symlink_to(ROOT / shared)
    (tmp_path / 'media').mkdir()
    source = cv2.VideoCapture(str(ROOT / 'media' / 'demo.mp4'))
    size = int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT))
    clip, code = tmp_path / 'media' / 'demo.mp4', cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(clip), code, source.get(cv2.CAP_PROP_FPS), size)
    for _ in range(FRAMES):
        writer.write(source.read()[1])
    writer.release()
    with np.load(ROOT / 'media' / 'demo.npz') as labels:
        count = len(labels['valid'])
        cut = {k: v[:FRAMES] if v.shape[:1] == (count,) else v for k, v in labels.items()}
    np.savez(tmp_path / 'media' / 'demo.npz', **cut)
    programs = tmp_path / 'bin'
    programs.mkdir()
    python = shlex.quote(sys.executable)
    for program, line in {
        'kf_imitation': '-m kf_imitation.cli.main "$@"',
        'python': '"$@"',
    }.items():
        path = programs / program
        path.write_text(f'#!/bin/sh\nexec {python} {line}\n')
        path.chmod(0o755)
    return tmp_path


@pytest.mark.timeout(900)
@pytest.mark.parametrize('path', TUTORIALS, ids=name)
def test_the_commands_of_a_tutorial_run_from_top_to_bottom(path, folder, domain):
    script = '\n'.join(block.text for block in blocks(path) if block.reason is None)
    assert script, 'nothing in this tutorial can be tried without hardware'
    environment = {
        'PATH': f'{folder / "bin"}:/usr/bin:/bin',
        'PYTHONPATH': str(ROOT),
        'HOME': str(folder),
        'XDG_CACHE_HOME': os.environ['XDG_CACHE_HOME'],  # models that other tests have prepared
        'ROS_DOMAIN_ID': domain,  # not that of a head that runs on this machine
    }
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def commands(text):
    """Give the commands of a block, one line each, without comments and here-documents."""
    text = re.sub(r"<<'END'\n.*?\nEND\n", '\n', text, flags=re.DOTALL)
    for line in text.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


ALL = [(path, words) for path in TUTORIALS for b in blocks(path) for words in commands(b.text)]


@pytest.mark.parametrize(
    ('path', 'words'), ALL, ids=[f'{path.stem}: {" ".join(words)[:60]}' for path, words in ALL]
)
def test_every_command_is_known(path, words):
    program, *rest = words
    if program == 'kf_imitation' and rest[-1] != '--help':
        build_parser(rest[0]).parse_args(rest)  # leaves with SystemExit at what it does not know
    elif program == 'make':
        targets = re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text('utf-8'), re.MULTILINE)
        assert rest[0] in targets
    elif program == 'python' and rest[0] == '-m':
        module = ROOT / Path(*rest[1].split('.'))
        source = module.with_suffix('.py')
        source = source if source.is_file() else module / '__main__.py'
        # What several trainings ask for is declared beside them or in loop.py.
        beside = [source.with_name(n) for n in ('run.py', 'options.py')]
        files = (source, *beside, ROOT / 'training/loop.py')
        code = ''.join(f.read_text('utf-8') for f in files if f.is_file())
        for option in (word for word in rest[2:] if word.startswith('--') and word != '--help'):
            assert f"'{option}'" in code, f'{rest[1]} has no option {option}'
        for config in (word for word in rest if word.endswith('.yaml') and '/' in word):
            assert (ROOT / config).is_file(), config
    elif program == 'ros2' and rest[:2] == ['param', 'set']:
        _, _, node, parameter, value = rest
        known = {p.name: p for p in SCHEMA[node.strip('/')]}
        assert known[parameter].problem(yaml.safe_load(value)) == ''
    elif program == 'ros2' and rest[0] == 'launch':
        assert (ROOT / 'launch' / rest[2]).is_file()
    elif program == 'ros2':
        assert rest[0] == 'topic'
        assert rest[2].strip('/') in (ROOT / 'README.md').read_text('utf-8')
    elif program not in ('python', 'kf_imitation'):
        assert program in PLAIN, f'{program}: say here how it is checked'


@pytest.mark.parametrize('path', TUTORIALS, ids=name)
def test_links_lead_somewhere(path):
    for target in re.findall(r'\]\((?!https?:)([^)#]+)', path.read_text('utf-8')):
        assert (path.parent / target).resolve().is_file(), target
