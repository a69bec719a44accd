"""--overwrite replaces what a former run wrote, and nothing else."""

import os

import pytest

from kf_imitation.output_files import (
    RECORD,
    OutputError,
    check_folder,
    check_free,
    new_file,
    new_folder,
)
from kf_imitation.replay.run import replay_to_files


def fill(out, *names, **options):
    with new_folder(out, **options) as partial:
        for name in names:
            (partial / name).parent.mkdir(exist_ok=True)
            (partial / name).write_text('ours')


def held(folder):
    files = (p.relative_to(folder).as_posix() for p in folder.rglob('*') if not p.is_dir())
    return sorted(name for name in files if name != RECORD)


def test_what_somebody_else_put_into_the_folder_stays(tmp_path):
    out = tmp_path / 'out'
    fill(out, 'scores.csv', 'keyframes/1.jpg', 'keyframes/2.jpg', 'bag/bag.mcap')
    for name in ('thesis.tex', 'keyframes/mine.jpg'):
        (out / name).write_text('mine')
    fill(out, 'scores.csv', 'keyframes/3.jpg', overwrite=True)
    assert held(out) == ['keyframes/3.jpg', 'keyframes/mine.jpg', 'scores.csv', 'thesis.tex']
    assert (out / 'thesis.tex').read_text() == 'mine' and not (out / 'bag').exists()
    assert [p.name for p in tmp_path.iterdir()] == ['out']


def test_a_folder_that_no_run_wrote_is_rejected_before_the_work(tmp_path):
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'thesis' / 'chapter1.tex').write_text('mine')
    for place in (tmp_path / 'thesis', tmp_path / 'thesis' / '.', tmp_path / 'thesis' / '..'):
        with pytest.raises(OutputError, match='nothing says that one wrote this'):
            check_folder(place, overwrite=True)
    assert held(tmp_path) == ['thesis/chapter1.tex']


def test_an_empty_folder_may_be_filled(tmp_path, monkeypatch):
    (tmp_path / 'out').mkdir()
    fill(tmp_path / 'out', 'a', overwrite=True)
    assert held(tmp_path / 'out') == ['a']


def test_the_folder_of_a_former_run_may_be_named_by_a_dot(tmp_path, monkeypatch):
    fill(tmp_path / 'out', 'a')
    monkeypatch.chdir(tmp_path / 'out')
    from pathlib import Path

    fill(Path('.'), 'b', overwrite=True)
    assert held(tmp_path / 'out') == ['b']


def test_a_foreign_file_in_the_way_of_a_result_is_named_before_the_work(tmp_path):
    fill(tmp_path / 'out', 'scores.csv')
    (tmp_path / 'out' / 'summary.png').write_text('mine')
    with pytest.raises(OutputError, match=r'summary\.png would be replaced, and no run wrote it'):
        check_folder(tmp_path / 'out', True, names=('scores.csv', 'summary.png'))


def test_an_empty_folder_is_not_in_the_way_of_a_result(tmp_path):
    out = tmp_path / 'out'
    fill(out, 'run.json')
    for names in (['scores.csv'], ['keyframes/1.jpg', 'scores.csv'], ['keyframes']):
        (out / 'keyframes').mkdir(exist_ok=True)  # as a run without keyframes leaves it
        check_folder(out, True, names=('scores.csv', 'keyframes'))
        fill(out, *names, overwrite=True, names=('scores.csv', 'keyframes'))
        assert held(out) == names


def test_the_source_is_never_among_what_is_replaced(tmp_path):
    out = tmp_path / 'out'
    fill(out, 'bag/bag.mcap', 'bag/metadata.yaml', 'run.json')
    for source in (out / 'bag', out / 'bag' / 'bag.mcap', out):
        with pytest.raises(OutputError, match='which is read; name another place'):
            check_folder(out, True, [source])
    (out / 'clip.mp4').write_text('mine')  # beside the results it is nobody's business
    check_folder(out, True, [out / 'clip.mp4'])


def test_a_video_must_not_be_written_over_its_source(tmp_path):
    clip = tmp_path / 'clip.mp4'
    clip.write_text('the only copy')
    (tmp_path / 'link.mp4').symlink_to(clip)
    for video in (clip, tmp_path / 'link.mp4', tmp_path / '.' / 'clip.mp4'):
        with pytest.raises(OutputError, match='is what is read'):
            replay_to_files(str(clip), tmp_path / 'out', video=video, overwrite=True)
    assert clip.read_text() == 'the only copy'


def test_links_are_kept_and_their_targets_filled(tmp_path):
    fill(tmp_path / 'disk', 'a')
    (tmp_path / 'out').symlink_to('disk')
    fill(tmp_path / 'out', 'b', overwrite=True)
    assert (tmp_path / 'out').is_symlink() and held(tmp_path / 'disk') == ['b']
    (tmp_path / 'page.html').write_text('old')
    (tmp_path / 'link.html').symlink_to('page.html')
    with new_file(tmp_path / 'link.html', overwrite=True) as partial:
        partial.write_text('new')
    assert (tmp_path / 'link.html').is_symlink()
    assert (tmp_path / 'page.html').read_text() == 'new'


def test_what_is_no_file_is_never_replaced(tmp_path):
    # Regression: a run of root with --overwrite made a file of /dev/null.
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    (tmp_path / 'link').symlink_to('pipe')
    for path in (pipe, tmp_path / 'link'):
        with (
            pytest.raises(OutputError, match='is a device or a pipe'),
            new_file(path, overwrite=True) as partial,
        ):
            partial.write_text('new')
    assert pipe.is_fifo()


def test_a_link_to_nothing_is_rejected(tmp_path):
    (tmp_path / 'out').symlink_to('gone')
    for check in (check_free, check_folder):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match='is a link to gone, which does not exist'):
                check(tmp_path / 'out', overwrite)
    assert (tmp_path / 'out').is_symlink()


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(OutputError, match='is a file, not a folder of results'):
        check_folder(tmp_path / 'file', True)
    with pytest.raises(OutputError, match='exists already'):
        check_folder(tmp_path / 'file', False)
    with pytest.raises(OutputError, match='is a folder; name a file'):
        check_free(tmp_path, True)


def test_a_page_written_into_the_results_belongs_to_them(tmp_path):
    fill(tmp_path / 'out', 'run.json')
    with new_file(tmp_path / 'out' / 'report.html') as partial:
        partial.write_text('ours')
    fill(tmp_path / 'out', 'run.json', overwrite=True)
    assert held(tmp_path / 'out') == ['run.json']


def test_a_list_that_somebody_changed_never_reaches_outside(tmp_path):
    (tmp_path / 'precious').write_text('mine')
    fill(tmp_path / 'out', 'a')
    (tmp_path / 'out' / RECORD).write_text(f'../precious\n{tmp_path}/precious\na\n')
    fill(tmp_path / 'out', 'b', overwrite=True)
    assert (tmp_path / 'precious').read_text() == 'mine' and held(tmp_path / 'out') == ['b']
