"""A frame goes through few files on its way from the camera to the joints, in one direction."""

import pytest

from benchmark.frame_trace import trace_frame
from kf_imitation.paths import share_path

STAGES = ('face', 'keyframe', 'landmarks', 'expression', 'robot', 'motion')


@pytest.fixture(scope='module')
def trace():
    return trace_frame(share_path('media/demo.mp4'))


def test_a_keyframe_goes_through_at_most_33_files(trace):
    """It goes two ways: as a keyframe, and as a frame that reflexes follow at once."""
    assert len(trace.files) <= 33, '\n'.join(trace.files)


def test_a_frame_goes_through_the_stages_in_one_direction(trace):
    rooms = dict.fromkeys(name.split('/')[0] for name in trace.files)
    assert [room for room in rooms if room in STAGES] == list(STAGES)
