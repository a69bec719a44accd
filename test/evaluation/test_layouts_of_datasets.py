"""The layouts of VoxCeleb, 300VW and CAER, on small trees."""

import numpy as np
import pytest

from kf_imitation.errors import SourceError
from kf_imitation.evaluation import datasets


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write_pts(path, points, head='version: 1\nn_points: 68'):
    rows = '\n'.join(f'{x + 1:.3f} {y + 1:.3f}' for x, y in points)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head}\n{{\n{rows}\n}}\n')


def facts(clips):
    return [(c.name, c.layout, c.split, c.person) for c in clips]


def test_voxceleb_names_the_person_in_the_second_folder(tmp_path):
    touch(tmp_path, 'dev/id10001/v1/00001.mp4', 'test/mp4/id10002/v1/00001.mp4')
    assert facts(datasets.find(tmp_path)) == [
        ('dev/id10001/v1/00001', 'voxceleb', 'dev', 'id10001'),
        ('test/mp4/id10002/v1/00001', 'voxceleb', 'test', 'id10002'),
    ]
    (part,) = datasets.find(tmp_path / 'dev')
    assert (part.name, part.person, part.split) == ('id10001/v1/00001', 'id10001', 'dev')
    (person,) = datasets.find(tmp_path / 'dev/id10001')
    assert person.person == 'id10001'


def test_caer_knows_its_splits_and_no_people(tmp_path):
    touch(tmp_path, 'train/Anger/0001.avi', 'validation/Happy/0001.avi', 'test/Sad/0001.avi')
    clips = datasets.find(tmp_path)
    assert [(c.layout, c.split) for c in clips] == [
        ('caer', 'test'), ('caer', 'train'), ('caer', 'validation'),
    ]  # fmt: skip
    assert len({c.person for c in clips}) == 3
    assert datasets.find(tmp_path / 'test')[0].layout == 'caer'


def test_300vw_gives_the_points_of_every_frame_from_zero(tmp_path):
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    touch(tmp_path, '001/vid.avi', '002/vid.avi')
    write_pts(tmp_path / '001/annot/000001.pts', points)
    write_pts(tmp_path / '001/annot/000003.pts', points + 5)
    first = datasets.find(tmp_path)[0]
    assert facts([first]) == [('001/vid', '300vw', '', '001')]
    found, known = datasets.read_points(first.points, 4)
    assert known.tolist() == [True, False, True, False]
    np.testing.assert_allclose(found[0], points, atol=1e-3)
    np.testing.assert_allclose(found[2], points + 5, atol=1e-3)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('n_points: 68\n{ 1 2 }', 'must be "version: 1"'),
        ('version: 1\nn_points: 68\n{\n1 2\n}', '2 numbers'),
        ('version: 1\nn_points: 68\n{\n' + '1 x\n' * 68 + '}', "'x'"),
        ('version: 1\nn_points: 68\n{\n' + '1 nan\n' * 68 + '}', 'finite'),
    ],
)
def test_broken_points_are_named(tmp_path, text, message):
    file = tmp_path / '000001.pts'
    file.write_text(text)
    with pytest.raises(SourceError, match=message) as error:
        datasets.read_pts(file)
    assert '000001.pts' in str(error.value)


def test_a_flat_folder_takes_people_from_clips_csv(tmp_path):
    touch(tmp_path, 'train/a.mp4', 'train/b.mp4')
    (tmp_path / 'clips.csv').write_text('stem,person\na,Ann\n')
    clips = datasets.find(tmp_path / 'train')
    assert [(c.layout, c.person, c.key) for c in clips] == [
        ('folder', 'Ann', 'a'), ('folder', 'b', 'b'),
    ]  # fmt: skip


def test_labels_may_mirror_the_clips_in_a_folder_of_their_own(tmp_path):
    touch(tmp_path / 'clips', 'test/id1/v/1.mp4', 'test/id1/v/2.mp4')
    touch(tmp_path / 'labels', 'test/id1/v/2.npz')
    (clip,) = datasets.find(tmp_path / 'clips', tmp_path / 'labels', labelled=True)
    assert clip.labels == tmp_path / 'labels/test/id1/v/2.npz'
    assert clip.key == 'test__id1__v__2'
    with pytest.raises(SourceError, match='no video with an'):
        datasets.find(tmp_path / 'clips', labelled=True)
    with pytest.raises(SourceError, match='neither a file nor'):
        datasets.find(tmp_path / 'nowhere')


def test_a_part_of_a_set_knows_its_layout_and_people_however_deep(tmp_path):
    touch(tmp_path, 'Vox/dev/id10001/v1/00001.mp4', 'CAER/train/Anger/0001.avi')
    (clip,) = datasets.find(tmp_path / 'Vox/dev/id10001/v1')
    assert (clip.layout, clip.person, clip.split) == ('voxceleb', 'id10001', 'dev')
    (clip,) = datasets.find(tmp_path / 'CAER/train/Anger')
    assert (clip.layout, clip.person) == ('caer', 'train/Anger/0001')


def test_clips_of_subfolders_without_a_layout_are_of_nobody_known_and_named(tmp_path):
    touch(tmp_path, 'anna/1.mp4', 'anna/2.mp4')
    clips = datasets.find(tmp_path)
    assert [c.person for c in clips] == ['', '']
    with pytest.raises(SourceError, match=r'who is seen in anna/1 and 1 more clips'):
        datasets.people_named(clips, [])
    (tmp_path / 'clips.csv').write_text('stem,person\n1,Anna\n2,Anna\n')
    assert datasets.people_named(datasets.find(tmp_path), ['Anna']) == {'Anna'}


def test_a_hold_out_that_names_nobody_is_an_error(tmp_path):
    touch(tmp_path, 'a.mp4', 'b.mp4')
    clips = datasets.find(tmp_path)
    assert datasets.people_named(clips, ['b']) == {'b'}
    with pytest.raises(SourceError, match='no clip or person is called c, d'):
        datasets.people_named(clips, ['b', 'c', 'd'])
