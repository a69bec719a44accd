"""Shards: what is packed is what is read, each reader gets its own, people stay apart."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('webdataset')

from fake_faces import write_clip  # noqa: E402

from kf_imitation.errors import SourceError  # noqa: E402
from training.data import (  # noqa: E402
    clip_cache,
    shards,
)
from training.data.augment import OFF  # noqa: E402
from training.data.shard_stream import (  # noqa: E402
    ShardStream,
    check,
    held_clips,
    load_index,
    read_samples,
)
from training.data.windows import SampleSettings, SampleStream, prepare  # noqa: E402

CONFIG = Path(__file__).resolve().parents[2] / 'training/keyframe/train/configs/lite.yaml'
SETTINGS = SampleSettings(crop_px=64, windows=2, frames=4, stills=0, augment=OFF)


@pytest.fixture
def clips(tmp_path):
    return [
        (write_clip(tmp_path, 'a', 40, 0, lost=[20]), 'anna', 'train'),
        (write_clip(tmp_path, 'b', 33, 1), 'bert', 'train'),
        (write_clip(tmp_path, 'c', 30, 2, lost=[3]), 'carl', 'held'),
        (write_clip(tmp_path, 'animated_1', 24, 3, starts=[0, 12]), 'animated_1', 'animated'),
    ]


def packed(clips, out, **options):
    options = {'length': 10, 'per_shard': 3, **options}
    return shards.pack(clips, out, **options)


def runs_of(out, kind):
    index = load_index(out)
    files = [out / n for n in index['shards'] if n.startswith(kind)]
    return list(read_samples(files, tuple(index['names'])))


@pytest.mark.parametrize(('ending', 'apart'), [('png', 0), ('jpg', 3)])
def test_runs_hold_the_cached_frames_and_exactly_the_labels(clips, tmp_path, ending, apart):
    packed(clips, tmp_path / 'out', ending=ending)
    seen = {'a': [], 'b': []}
    for sample in runs_of(tmp_path / 'out', 'train'):
        clip = clip_cache.load(tmp_path / f'{sample.clip.stem}.npy')
        part = slice(sample.about['start'], sample.about['start'] + sample.about['frames'])
        own = sample.own_labels()
        for name in ('blendshapes', 'rotation', 'points_px', 'valid'):
            np.testing.assert_array_equal(getattr(own, name), getattr(clip.labels, name)[part])
        np.testing.assert_array_equal(sample.clip.regions, clip.regions[part])
        frames = np.stack([sample.clip.frames[i] for i in range(sample.about['frames'])])
        assert np.abs(frames.astype(int) - clip.frames[part]).mean() <= apart
        # Smoothed as in the whole clip, also at the ends of the run.
        whole = prepare(clip, 0.03)
        np.testing.assert_allclose(sample.window(0.03).state, whole.state[part], atol=1e-6)
        seen[sample.clip.stem] += range(part.start, part.stop)
    assert sorted(seen['a']) == [i for i in range(40) if i != 20]
    assert sorted(seen['b']) == list(range(33))


def test_held_out_people_come_back_whole_and_are_in_no_training_shard(clips, tmp_path):
    index = packed(clips, tmp_path / 'out', ending='png')
    assert index['people']['train'] == ['anna', 'bert'] and index['people']['held'] == ['carl']
    people = {s.about['person'] for s in runs_of(tmp_path / 'out', 'train')}
    assert people == {'anna', 'bert'}
    (held,) = held_clips(tmp_path / 'out')
    clip = clip_cache.load(tmp_path / 'c.npy')
    np.testing.assert_array_equal(held.frames, clip.frames)
    np.testing.assert_array_equal(held.labels.blendshapes, clip.labels.blendshapes)
    assert held.starts == clip.starts and not held.labels.valid[3]
    with pytest.raises(SourceError, match='trains on bert'):
        check(tmp_path / 'out', ['bert', 'carl'])


def test_animated_pieces_are_samples_of_their_own(clips, tmp_path):
    packed(clips, tmp_path / 'out')
    found = runs_of(tmp_path / 'out', 'animated')
    assert sorted(s.about['start'] for s in found) == [0, 12]
    assert {s.about['lead'] for s in found} == {0}


def test_batches_are_those_of_the_clips(clips, tmp_path):
    packed(clips, tmp_path / 'out')
    stream = ShardStream(tmp_path / 'out', None, SETTINGS, 5, pool=4)
    batch, again = (next(iter(stream)) for _ in range(2))
    cached = [clip_cache.load(a) for a, _, kind in clips if kind == 'train']
    other = SampleStream(cached, None, SETTINGS, 5).batch(np.random.default_rng(0))
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in other.items()
    }
    assert all(torch.equal(batch[k], again[k]) for k in batch)


@pytest.mark.parametrize('per_shard', [1, 100])
def test_readers_get_different_samples_and_together_all(clips, tmp_path, per_shard):
    index = packed(clips, tmp_path / 'out', per_shard=per_shard)
    stream = ShardStream(tmp_path / 'out', None, SETTINGS, 5)
    names = [n for n in index['shards'] if n.startswith('train')]
    total = len(runs_of(tmp_path / 'out', 'train'))
    found = []
    for place in range(2):
        count = (total + 1 - place) // 2
        samples = islice(stream.samples(names, place, 2), count)
        found.append({(s.clip.stem, s.about['start']) for s in samples})
    assert not found[0] & found[1] and len(found[0] | found[1]) == total


def test_the_same_seed_gives_the_same_bytes_and_finished_shards_are_kept(clips, tmp_path):
    index = packed(clips, tmp_path / 'one')
    packed(clips, tmp_path / 'two')
    for name in index['shards']:
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes()
    first, *_, last = index['shards']
    kept = (tmp_path / 'two' / first).stat().st_mtime_ns
    (tmp_path / 'two' / last).unlink()
    with pytest.raises(SourceError, match=f'lacks {last}'):
        load_index(tmp_path / 'two')
    packed(clips, tmp_path / 'two')
    assert (tmp_path / 'two' / first).stat().st_mtime_ns == kept
    assert (tmp_path / 'two' / last).read_bytes() == (tmp_path / 'one' / last).read_bytes()
    assert not list((tmp_path / 'two').glob('*.tmp'))
    with pytest.raises(SourceError, match='other clips or options'):
        packed(clips, tmp_path / 'two', seed=2)


def test_the_command_packs_a_folder_and_names_what_is_wrong(tmp_path, capsys):
    for name in ('a', 'b'):
        array = write_clip(tmp_path, name)
        writer = cv2.VideoWriter(
            str(tmp_path / f'{name}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 30, (192, 192)
        )
        for frame in np.load(array):
            writer.write(frame)
        writer.release()
        array.unlink()
    options = ['--clips', str(tmp_path), '--cache', str(tmp_path / 'cache')]
    options += ['--animated', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')]
    assert shards.main([*options, '--hold-out', 'b']) == 0
    assert load_index(tmp_path / 'out')['people']['held'] == ['b']
    assert shards.main([*options, '--hold-out']) == 2
    assert 'other clips or options' in capsys.readouterr().err
    assert shards.main(['--clips', str(tmp_path / 'nowhere')]) == 2
    with pytest.raises(SystemExit, match='2'):
        shards.main([*options, '--frames', '2', '--workers', '0'])
    assert '--workers 0' in capsys.readouterr().err


@pytest.mark.timeout(600)  # starts a loader process, on a busy machine
def test_a_training_reads_shards(clips, tmp_path, monkeypatch, capsys):
    pytest.importorskip('lightning')
    from training.keyframe.train import run as train

    packed(clips, tmp_path / 'out')
    words = ['train', '--config', str(CONFIG), '--shards', str(tmp_path / 'out')]
    words += [f'--{k}={tmp_path / "none"}' for k in ('faces', 'renders', 'animated', 'clips')]
    words += [
        '--out',
        str(tmp_path / 'run'),
        '--set',
        'max_steps=2',
        'data.windows=1',
        'frozen=[]',
    ]
    monkeypatch.setattr('sys.argv', [*words, 'data.frames=3', 'half=false', 'hold_out=[carl]'])
    train.main()
    assert torch.load(tmp_path / 'run/last.ckpt', weights_only=False)['global_step'] == 2
    # The held-out person's clip was measured.
    assert 'VAL step 2' in capsys.readouterr().out
    monkeypatch.setattr('sys.argv', [*words, 'hold_out=[anna]'])
    with pytest.raises(SystemExit, match='2'):
        train.main()
    assert 'trains on anna' in capsys.readouterr().err
    with pytest.raises(SourceError, match='holds back nobody called nobody'):
        check(tmp_path / 'out', ['nobody'])
