"""What the data types derive from their values."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kf_imitation.data_types import HeadPose


@pytest.mark.parametrize('turn', ['all ways', 'half a turn', 'none'])
def test_the_quaternion_of_a_head_pose_is_the_one_of_scipy(turn):
    vectors = np.random.default_rng(0).normal(size=(200, 3))
    if turn == 'half a turn':
        vectors *= np.pi / np.linalg.norm(vectors, axis=1, keepdims=True)
    if turn == 'none':
        vectors *= 1e-9
    for matrix in Rotation.from_rotvec(vectors).as_matrix().astype(np.float32):
        pose = HeadPose(0, matrix, np.zeros(3, np.float32), 0, 0, 0, 0)
        expected = Rotation.from_matrix(matrix.astype(np.float64)).as_quat()
        found = np.array(pose.quaternion)
        np.testing.assert_allclose(found * np.sign(found @ expected), expected, atol=1e-6)
