"""Published weights of FastFlowNet give in our network what they give in theirs."""

import pytest

torch = pytest.importorskip('torch')

from published_fastflownet import PublishedFastFlowNet  # noqa: E402

from training.keyframe.networks.fastflownet import FastFlowNet  # noqa: E402
from training.keyframe.networks.fusion import scale_levels  # noqa: E402
from training.keyframe.train.import_published import main  # noqa: E402


@torch.no_grad()
def test_converted_weights_give_the_published_flow_in_pixels(tmp_path, capsys):
    torch.manual_seed(0)
    theirs = PublishedFastFlowNet()
    file, out = tmp_path / 'published.pth', tmp_path / 'flow.ckpt'
    torch.save({f'module.{name}': w for name, w in theirs.state_dict().items()}, file)
    assert main([str(file), '--out', str(out)]) == 0
    assert f'--start {out}:flow_net.' in capsys.readouterr().out
    saved = torch.load(out)['state_dict']
    ours = FastFlowNet(0, standardised=False, padding='zeros')
    ours.load_state_dict({k.removeprefix('mean_net.flow_net.'): w for k, w in saved.items()})
    levels = torch.randint(0, 256, (2, 1, 3, 64, 64)).float()
    wanted = theirs(*(levels / 255 - 128 / 255))
    found = ours(*scale_levels(levels))
    assert max(float(f.abs().max()) for f in wanted) > 1e-3
    for flow, own in zip(wanted, found, strict=True):
        torch.testing.assert_close(own, 20 * flow, rtol=1e-3, atol=1e-3)


def test_another_file_is_rejected_by_name(tmp_path, capsys):
    file = tmp_path / 'other.pth'
    torch.save({'weight': torch.zeros(1)}, file)
    assert main([str(file), '--out', str(tmp_path / 'out.ckpt')]) == 2
    assert 'no weights of FastFlowNet' in capsys.readouterr().err
    assert not (tmp_path / 'out.ckpt').exists()
