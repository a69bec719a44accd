"""Draw the layers and rooms of kf_imitation into docs/architecture.md.

    python -m benchmark.architecture

The layers come from the import contract in pyproject.toml, what a room is for and where to start
reading from the docstring of its __init__.py, so the page shows what the machine checks.
"""

import ast
import sys
from pathlib import Path

from importlinter.api import read_configuration

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/architecture.md'
BEGIN = '<!-- layers: begin, made by python -m benchmark.architecture -->'
END = '<!-- layers: end -->'


def layers() -> list[list[str]]:
    """Return the rooms of every layer, the highest layer first."""
    contracts = read_configuration(str(ROOT / 'pyproject.toml'))['contracts_options']
    contract = next(contract for contract in contracts if contract['id'] == 'layers')
    return [[room.strip() for room in layer.split('|')] for layer in contract['layers']]


def purpose(room: str) -> tuple[str, list[Path]]:
    """Return what a room is for in a sentence, and the files to start with."""
    path = ROOT / 'kf_imitation' / room
    file = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    doc = ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or ''
    summary, *rest = doc.splitlines()
    start = next((line for line in rest if line.startswith('Start with ')), 'Start with ')
    names = start.removeprefix('Start with ').removesuffix('.').split(' and ')
    return summary, [file.parent / name for name in names if name]


def diagram() -> str:
    """Return the layers as a Mermaid flowchart: every arrow reads 'may import'."""
    lines = ['```mermaid', 'flowchart TB']
    for place, rooms in enumerate(layers()):
        lines += [f'  subgraph layer{place}[" "]', '    direction LR']
        lines += [f'    {room}' for room in rooms]
        lines += ['  end']
        if place:
            lines += [f'  layer{place - 1} --> layer{place}']
    return '\n'.join([*lines, '```'])


def table() -> str:
    """Return every room with its purpose and the files to start with."""
    lines = ['| room | what it is for | start reading |', '|---|---|---|']
    for rooms in layers():
        for room in rooms:
            summary, files = purpose(room)
            names = ', '.join(f'`{file.relative_to(ROOT / "kf_imitation")}`' for file in files)
            lines.append(f'| `{room}` | {summary.rstrip(".")} | {names} |')
    return '\n'.join(lines)


def block() -> str:
    """Return what stands between the marks of the page."""
    return f'{BEGIN}\n{diagram()}\n\n{table()}\n{END}'


def main() -> int:
    """Write the page anew."""
    page = PAGE.read_text(encoding='utf-8')
    head, rest = page.split(BEGIN)
    PAGE.write_text(head + block() + rest.split(END)[1], encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
