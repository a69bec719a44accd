"""README, CONTRIBUTING and docs: the files, commands, parameters and topics they name are real."""

import argparse
import importlib.util
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from kf_imitation.cli.main import COMMANDS, build_parser
from kf_imitation.nodes.programs import NODES
from kf_imitation.parameters.schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md'), *ROOT.glob('*/README.md')})
FOLDERS = 'benchmark|config|docs|face_renderer|kf_imitation|launch|media|models|test|training|urdf'
ROOMS = '|'.join(path.parent.name for path in (ROOT / 'kf_imitation').glob('*/__init__.py'))
PLACEHOLDERS = {
    'models/NAME.onnx',
    'models/keyframe_mine.onnx',
    'models/landmarks_paper.onnx',
    'config/robots/NAME.yaml',
}


def code_of(page: Path) -> list[str]:
    """The lines of code on a page: fenced or indented blocks and `code` in the text."""
    text = re.sub(r'\\\n *', ' ', page.read_text(encoding='utf-8'))
    fenced = re.compile(r'^ *```.*?\n(.*?)^ *```', re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced.findall(text) for line in block.splitlines()]
    text = fenced.sub('', text)
    lines += re.findall(r'^ {4}(.+)$', text, re.MULTILINE)
    return lines + re.findall(r'`([^`\n]+)`', text)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers below a parser, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


every_page = pytest.mark.parametrize(
    'page', PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES]
)


@every_page
def test_every_file_it_names_exists(page):
    text = page.read_text(encoding='utf-8')
    named = set(re.findall(rf'(?<![\w./-])((?:{FOLDERS})/[\w./-]*\w)', text)) - PLACEHOLDERS
    here = {path for path in named if (page.parent / path).exists()}  # docs/images of docs/*.md
    named |= {f'kf_imitation/{path}' for path in re.findall(rf'`((?:{ROOMS})/[\w/]+\.py)`', text)}
    assert sorted(path for path in named - here if not (ROOT / path).exists()) == []


@every_page
def test_every_link_leads_to_a_file(page):
    links = re.findall(r'\]\(([^)#]+)', page.read_text(encoding='utf-8'))
    local = [link for link in links if not link.startswith(('http:', 'https:'))]
    assert [link for link in local if not (page.parent / link).exists()] == []


@every_page
def test_every_command_has_the_subcommands_and_options_that_it_names(page):
    for line in code_of(page):
        for words in re.findall(r'(?:^|bin/|[;&=] ?)kf_imitation ((?:[^#;&]|…)+)', line):
            words = words.split()
            if words[0] == 'COMMAND' or words[0].startswith('-'):
                continue
            assert words[0] in COMMANDS, line
            parser = subcommands(build_parser(words[0]))[words[0]]
            below = subcommands(parser)
            if below and len(words) > 1:
                tools = [w for w in re.split(r'[ |…]+', ' '.join(words[1:])) if w]
                named = tools if '|' in words else tools[:1]
                assert set(named) <= set(below), line
                parser = below[named[0]]
            asked = {w.split('=')[0] for w in words if w.startswith('--') and '|' not in words}
            assert {option.strip('[]') for option in asked} <= options(parser), line


class ParsedError(Exception):
    """Not a failure: a program has understood its arguments and goes no further."""


@pytest.mark.timeout(300)  # the first of them imports PyTorch
@every_page
def test_every_training_program_takes_the_arguments_that_a_page_gives_it(page, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_only(*given, **named):
        parse(*given, **named)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_only)
    for line in code_of(page):
        # Options in brackets are left to the reader, variables count up.
        asked = re.sub(r'\$[a-z]+', '1', re.sub(r'\[--[^\]]*\]', '', line))
        for words in re.findall(r'python -m ((?:training|face_renderer)\.[^;#&>]+)', asked):
            module, *arguments = shlex.split(words)
            if not arguments or '--help' in arguments:
                continue
            pytest.importorskip('torch')
            if importlib.util.find_spec(module).submodule_search_locations:
                module += '.__main__'
            monkeypatch.setattr(sys, 'argv', [module, *arguments])
            with pytest.raises(ParsedError):
                runpy.run_path(importlib.util.find_spec(module).origin, run_name='__main__')


@every_page
def test_every_node_launch_file_and_parameter_of_a_ros2_command_exists(page):
    for line in code_of(page):
        for node in re.findall(r'ros2 run kf_imitation (\w+)', line):
            assert node in {*NODES, 'kf_imitation'}, line
        for file in re.findall(r'ros2 launch kf_imitation (\S+)', line):
            assert (ROOT / 'launch' / file).is_file(), line
        for node, parameter in re.findall(r'ros2 param set /(\w+) (\S+)', line):
            assert parameter in {known.name for known in SCHEMA[node]}, line


def test_every_topic_and_service_of_the_readme_is_one_of_the_nodes():
    readme, topics = (
        (ROOT / name).read_text(encoding='utf-8') for name in ('README.md', 'docs/topics.md')
    )
    section = readme.split('## Topics')[1].split('## Parameters')[0]
    named = set(re.findall(r'`([a-z_]*/?[a-z]+/?[a-z_]+)`', section))
    known = re.findall(r'^\| `(\S+)` \|', topics, re.MULTILINE)
    assert len(named) > 5 and len(known) > 30
    assert sorted(named - set(known)) == []


@every_page
def test_every_module_with_dots_exists(page):
    for name in re.findall(
        r'\b((?:kf_imitation|training|benchmark|face_renderer)(?:\.[a-z]\w*)+)(?![\w/])',
        ' '.join(code_of(page)),
    ):
        path = ROOT / name.replace('.', '/')
        name_in_module = path.parent.with_suffix('.py').is_file()
        file = (ROOT / name).exists() or name.endswith(('.py', '.yaml'))
        assert path.is_dir() or path.with_suffix('.py').is_file() or name_in_module or file, name
