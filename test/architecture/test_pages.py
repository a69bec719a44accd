"""Pages that follow from the code: the picture of the layers, the glossary."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmark import architecture, commands, robot_file

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_the_architecture_shows_the_contracts():
    page = (ROOT / 'docs/architecture.md').read_text(encoding='utf-8')
    assert architecture.block() in page, 'run python -m benchmark.architecture'


def test_the_page_of_the_commands_shows_the_parsers():
    page = commands.PAGE.read_text(encoding='utf-8')
    assert page == commands.page(), 'run python -m benchmark.commands'


def test_the_page_of_robot_files_shows_the_reader_and_has_every_key_of_the_template():
    page = robot_file.PAGE.read_text(encoding='utf-8')
    assert page == robot_file.page(), 'run python -m benchmark.robot_file'
    named = set(re.findall(r'`(\w+)`', page))
    document = robot_file.template()
    for part in (document, document['thermal'], *document['joints'], *document['combinations']):
        assert set(part) <= named


def test_the_page_of_topics_shows_what_the_nodes_make_and_all_that_they_may_use():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from benchmark import topics

    page = topics.PAGE.read_text(encoding='utf-8')
    assert page == topics.page(), 'run python -m benchmark.topics'
    policy = (ROOT / 'config/sros2_policy.xml').read_text(encoding='utf-8')
    listed = re.findall(r'^\| `(\S+)` \|', page, re.MULTILINE)
    of_ros = {'rosout', 'parameter_events', 'servo/transition_event', 'humans/faces/*'}
    allowed = set(re.findall(r'<topic>/(\S+)</topic>', policy)) - of_ros
    assert allowed and allowed <= {name.strip('/') for name in listed}


@pytest.mark.skipif(not find_spec('material'), reason='pip install mkdocs-material')
def test_the_site_is_built_without_a_warning_and_shows_every_page(tmp_path):
    """Links to pages and headings that do not exist are warnings, which end the build."""
    command = [sys.executable, '-m', 'mkdocs', 'build', '--quiet', '--site-dir', str(tmp_path)]
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
    for page in (ROOT / 'docs').rglob('*.md'):
        name = page.relative_to(ROOT / 'docs').with_suffix('')
        folder = tmp_path if name.stem == 'index' else tmp_path / name
        assert (folder / 'index.html').is_file()


def test_every_room_names_existing_files_to_start_with():
    for layer in architecture.layers():
        for room in layer:
            summary, files = architecture.purpose(room)
            assert summary
            if (ROOT / 'kf_imitation' / room).is_dir():
                assert files and all(file.is_file() for file in files), room


def test_the_glossary_has_every_word_once_and_old_words_not_at_all():
    text = (ROOT / 'docs/glossary.md').read_text(encoding='utf-8')
    words = re.findall(r'^\| ([\w -]+) \|', text, re.MULTILINE)
    words = [word for word in words if word != 'word']
    assert len(words) > 50 and len(set(words)) == len(words)
    assert not {'overlay', 'offline', 'quantum', 'share', 'look', 'line quality'} & set(words)


def test_every_module_that_a_page_runs_can_be_run():
    pages = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'Makefile']
    pages += (ROOT / 'docs').rglob('*.md')
    named = {
        module.rstrip('.')
        for page in pages
        for module in re.findall(
            r'-m ((?:kf_imitation|training|benchmark|face_renderer)\b[\w.]*)',
            page.read_text(encoding='utf-8'),
        )
    }
    assert len(named) > 10
    for module in sorted(named):
        path = ROOT / module.replace('.', '/')
        assert path.with_suffix('.py').is_file() or (path / '__main__.py').is_file(), module
