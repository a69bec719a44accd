"""The reference of the command line, docs/commands.md, from the parsers.

`python -m benchmark.commands` writes it; a test compares.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from kf_imitation.cli.main import COMMANDS, build_parser

PAGE = Path(__file__).resolve().parents[1] / 'docs/commands.md'
HEAD = """# Commands

`kf_imitation COMMAND …`; `--help` after a command says the same. Made by
`python -m benchmark.commands`.
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for name in COMMANDS:
        (parser,) = (p for n, p in _below(build_parser(name)) if n == name)
        parts += [f'## {name}\n', *_section(parser, 3)]
    return '\n'.join(parts)


def _section(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    if parser.description:
        yield f'{parser.description}\n'
    rows = [_row(action) for action in parser._actions if _row(action)]
    if rows:
        yield '\n'.join(['| argument | meaning |', '|---|---|', *rows, ''])
    for name, below in _below(parser):
        yield f'{"#" * level} {parser.prog.removeprefix("kf_imitation ")} {name}\n'
        yield from _section(below, level + 1)


def _row(action: argparse.Action) -> str:
    """Return a line of the table; '' for --help, commands below, and what is for programs."""
    hidden = isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
    if hidden or action.help == argparse.SUPPRESS:
        return ''
    value = '' if action.nargs == 0 else str(action.metavar or '').strip()
    if action.choices is not None:
        value = ' \\| '.join(map(str, action.choices))
    elif action.nargs != 0 and not value:
        value = action.dest if not action.option_strings else action.dest.upper()
    names = ', '.join(action.option_strings)
    text = ' '.join((action.help or '').replace('%%', '%').split()).replace('|', '\\|')
    return f'| `{f"{names} {value}".strip()}` | {text} |'


def _below(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


if __name__ == '__main__':
    PAGE.write_text(page(), encoding='utf-8')
    print(f'written: {PAGE}')
