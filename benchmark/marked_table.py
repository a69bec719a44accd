"""Tables in a page that a command writes, between two comments."""

from pathlib import Path


def replace_table(page: Path, mark: str, table: str) -> None:
    """Replace what stands between `<!-- MARK: begin -->` and `<!-- MARK: end -->` of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f'<!-- {mark}: begin -->', f'<!-- {mark}: end -->'
    text = page.read_text(encoding='utf-8')
    head, found, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    if not (found and ended):
        raise ValueError(f'{page}: no {begin} … {end}')
    page.write_text(f'{head}{begin}\n{table}\n{end}{tail}', encoding='utf-8')
