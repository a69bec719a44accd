"""Results appear whole or not at all."""

import errno

import pytest

from kf_imitation.errors import BagError
from kf_imitation.output_files import RECORD, OutputError, new_file, new_folder


def test_a_folder_appears_when_it_is_complete(tmp_path):
    out = tmp_path / 'deep' / 'out'
    with new_folder(out) as partial:
        (partial / 'a.txt').write_text('1')
        assert not out.exists()
    assert [p.name for p in out.iterdir() if p.name != RECORD] == ['a.txt']
    assert [p.name for p in out.parent.iterdir()] == ['out']


@pytest.mark.parametrize('error', [KeyboardInterrupt, ValueError])
def test_nothing_is_left_after_an_error_or_ctrl_c(tmp_path, error):
    with pytest.raises(error), new_folder(tmp_path / 'out') as partial:
        (partial / 'a.txt').write_text('1')
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_rejected_before_any_work(tmp_path):
    with pytest.raises(OutputError, match='exists already'), new_folder(tmp_path):
        raise AssertionError


def test_overwriting_keeps_the_old_folder_until_the_new_one_is_complete(tmp_path):
    out = tmp_path / 'out'
    with new_folder(out) as partial:
        (partial / 'old.txt').write_text('old')
    with pytest.raises(ValueError), new_folder(out, overwrite=True):
        raise ValueError
    assert (out / 'old.txt').read_text() == 'old'
    with new_folder(out, overwrite=True) as partial:
        (partial / 'new.txt').write_text('new')
    assert [p.name for p in out.iterdir() if p.name != RECORD] == ['new.txt']


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(OutputError, match='No space left'), new_folder(tmp_path / 'out'):
        raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_file_keeps_its_ending_while_it_is_written(tmp_path):
    with new_file(tmp_path / 'a.mp4') as partial:
        assert partial.suffix == '.mp4'
        partial.write_text('1')
    assert (tmp_path / 'a.mp4').read_text() == '1'


def test_an_error_of_a_bag_inside_names_the_place_that_was_asked_for(tmp_path):
    """A full disk named a hidden folder that was gone when one read it."""
    out = tmp_path / 'run'
    with pytest.raises(BagError) as caught, new_folder(out) as partial:
        raise BagError(f'bag {partial / "bag"}: stopped: 1 MB free on this disk')
    assert str(caught.value) == f'bag {out / "bag"}: stopped: 1 MB free on this disk'
    assert list(tmp_path.iterdir()) == []
