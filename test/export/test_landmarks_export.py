"""The exported landmark model equals torch, and the manifest names it truly."""

import hashlib

import cv2
import numpy as np
import pytest
import yaml

torch = pytest.importorskip('torch')
onnxruntime = pytest.importorskip('onnxruntime')

from kf_imitation.face_geometry.head_pose import template  # noqa: E402
from kf_imitation.inference import OnnxModel  # noqa: E402
from kf_imitation.landmarks import patches as runtime  # noqa: E402
from kf_imitation.landmarks.landmark_model import LandmarkModel  # noqa: E402
from training.keyframe.networks import eye_mouth_networks as networks  # noqa: E402
from training.landmarks.export.run import (  # noqa: E402
    NAME,
    PFLD_ENTRY,
    TOLERANCE,
    Deployed,
    enter,
    export,
)
from training.landmarks.networks.pfld import PFLD, PFLDConfig  # noqa: E402


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    torch.manual_seed(0)
    model = PFLD(PFLDConfig(8, 8, 2, 16, 2, 2, 2, 8, 8, 16), torch.from_numpy(template()))
    with torch.no_grad():
        model.points.weight.normal_(std=2.0)  # so that the points depend on the crop
        model.sure[2].weight.normal_(std=0.3)
    folder = tmp_path_factory.mktemp('models')
    file = folder / 'landmarks_pfld.onnx'
    names = ['points', 'confidence', 'readings']
    export(Deployed(model), file, {'crop': (1, 112, 112, 3)}, names)
    enter(file, folder / 'manifest.yaml', NAME, {**PFLD_ENTRY, 'measured': {'nme98': 1.0}})
    return model, file


def test_onnx_equals_torch(exported):
    model, file = exported
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    rng = np.random.default_rng(1)
    answers = []
    for level in (40, 255):
        crop = rng.integers(0, level, (1, 112, 112, 3), dtype=np.uint8)
        names = ['points', 'confidence', 'readings']
        points, confidence, predictions = session.run(names, {'crop': crop})
        with torch.no_grad():
            wanted = Deployed(model).eval()(torch.from_numpy(crop))
        assert np.abs(points - wanted[0].numpy()).max() < TOLERANCE
        assert np.abs(confidence - wanted[1].numpy()).max() < TOLERANCE
        assert predictions.shape == (1, 54)
        assert np.abs(predictions - wanted[2].numpy()).max() < TOLERANCE
        assert ((confidence >= 0) & (confidence <= 1)).all()
        answers.append(points)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_the_runtime_loads_it_by_the_manifest(exported):
    _, file = exported
    manifest = file.parent / 'manifest.yaml'
    entry = yaml.safe_load(manifest.read_text(encoding='utf-8'))['models']['landmarks_pfld']
    assert entry['sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()
    model = OnnxModel.load('landmarks_pfld', 1, manifest)
    assert model.input_shapes == {'crop': (1, 112, 112, 3)}
    LandmarkModel(model)


def test_entering_a_model_leaves_the_others(tmp_path, exported):
    _, file = exported
    manifest = tmp_path / 'manifest.yaml'
    manifest.write_text('models:\n  other:\n    file: other.onnx\n', encoding='utf-8')
    enter(file, manifest, NAME, PFLD_ENTRY)
    models = yaml.safe_load(manifest.read_text(encoding='utf-8'))['models']
    assert models['other'] == {'file': 'other.onnx'} and 'landmarks_pfld' in models


@pytest.mark.parametrize('part', ['EYE', 'MOUTH'])
@pytest.mark.parametrize('mirror', [False, True])
def test_the_runtime_cuts_the_patches_that_the_networks_were_trained_on(part, mirror):
    rng = np.random.default_rng(3)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (256, 256), np.uint8), (0, 0), 3)
    ours, theirs = getattr(runtime, part), getattr(networks, part)
    assert runtime.EYE_BLENDSHAPES == networks.EYE_BLENDSHAPES
    assert (ours.size_px, ours.step, ours.up) == (theirs.size_px, theirs.step, theirs.up)
    centre, along = np.array([117.3, 140.8]), np.array([np.cos(0.2), np.sin(0.2)])
    patch = ours.cut(grey, centre, along, mirror)
    place = torch.from_numpy((centre + 0.5) / 256).float()[None]
    wanted = theirs.cut(
        torch.from_numpy(grey)[None, None].float(),
        place,
        torch.from_numpy(along).float()[None],
        mirror,
    )
    assert np.abs(patch - wanted[0, 0].numpy()).max() < 1.5
