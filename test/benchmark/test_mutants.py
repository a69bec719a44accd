"""Broken code is caught from outside: a few of the breaks, and that all of them can be made."""

import json

import pytest

from benchmark import judged_rows, mutants
from benchmark.busy import Lateness
from benchmark.marked_table import replace_table
from benchmark.mutant_table import MUTANTS, Edit

FEW = ('watchdog never armed', 'hold_s ignored', 'exit does not go to neutral')


def test_every_text_that_a_break_replaces_is_in_the_code():
    assert mutants.faults() == []
    assert len(MUTANTS) >= 20
    assert {row for mutant in MUTANTS for row in mutant.rows} <= set(judged_rows.ROWS)


def test_a_break_whose_text_is_gone_is_an_error():
    with pytest.raises(mutants.AnchorError, match='0 times instead of 1'):
        mutants.broken(mutants.sources(mutants.ROOT), [Edit('no such text anywhere', '')])


def test_a_situation_that_cannot_be_run_is_neither_good_nor_caught(tmp_path):
    with pytest.raises(RuntimeError, match=r'silent sender: .*No module named'):
        mutants.kinds(tmp_path, 'silent sender')


@pytest.mark.parametrize('name', FEW)
def test_a_broken_promise_is_caught(name):
    mutant = next(one for one in MUTANTS if one.name == name)
    unbroken = {row: {} for row in mutant.rows}  # the rows of the test below
    row, seen = mutants.catch(mutant, unbroken, mutants.ROOT)
    assert row in mutant.rows and seen


@pytest.mark.parametrize('words', ['a pose now and then', 'silent sender', 'to neutral first'])
def test_unbroken_code_passes(words, capsys):
    assert judged_rows.main([words, '--json']) == 0
    assert list(json.loads(capsys.readouterr().out).values()) == [{}]


def test_a_table_takes_the_place_of_the_one_before(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n', encoding='utf-8')
    replace_table(page, 'x', 'new')
    assert page.read_text() == 'a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n'
    with pytest.raises(ValueError, match='no <!-- y'):
        replace_table(page, 'y', 'new')


def test_lateness_is_measured_beside_what_runs():
    with Lateness() as lateness:
        pass
    assert lateness.worst_s >= 0.0
