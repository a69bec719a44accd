"""Losses of the landmark model: the paper's, and what measured better."""

import torch
from torch import Tensor

from kf_imitation import wflw

# Pairs whose distance drives a channel: inner lips, lips' outline, mouth corners, lids, brows.
PAIRS = torch.tensor(
    [
        (89, 95), (90, 94), (91, 93), (79, 85), (76, 82), (88, 92),
        (61, 67), (62, 66), (63, 65), (69, 75), (70, 74), (71, 73),
        (34, 60), (36, 64), (39, 64), (45, 72), (43, 68), (49, 68),
        (96, 60), (96, 64), (97, 68), (97, 72),
    ]
)  # fmt: skip


def inter_ocular(points: Tensor) -> Tensor:
    """(B, 98, 2) to (B,): distance of the outer eye corners."""
    return (points[:, wflw.RIGHT_EYE_OUTER] - points[:, wflw.LEFT_EYE_OUTER]).norm(dim=-1)


def pose_weight(angles: Tensor, estimate: Tensor) -> Tensor:
    """Sum over yaw, pitch, roll of 1 - cos(error), the paper's weight of a sample; (B,)."""
    return (1 - torch.cos(angles - estimate)).sum(1)


def class_weight(state: Tensor, angles: Tensor) -> Tensor:
    """Weight of a sample by its attributes: rare ones count more.

    The paper weights a class by the inverse of its share in the training set. Ours are closed
    and half-closed eyes, open mouths and turned heads.

    Args:
        state: (B, 4) eyeBlinkLeft, eyeBlinkRight, jawOpen, known.
        angles: (B, 3) [rad].

    Returns:
        (B,) from 1 on.
    """
    blink = state[:, :2].amax(1)
    weight = 1 + 1.0 * (blink > 0.25) + 1.0 * (blink > 0.5) + 1.0 * (state[:, 2] > 0.3)
    return weight + 1.0 * (angles[:, 0].abs() > 0.4)


def paper_loss(points: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean over samples of weight times the squared distance summed over points."""
    return (weight * ((points - truth) ** 2).sum((1, 2))).mean()


def wing_loss(points: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Wing loss (Feng et al., CVPR 2018) on errors in percent of the eye distance."""
    width, curvature = 8.0, 2.0
    offset = width - width * torch.log(torch.tensor(1 + width / curvature))
    error = 100 * (points - truth).abs() / inter_ocular(truth)[:, None, None]
    near = width * torch.log1p(error / curvature)
    return (weight * torch.where(error < width, near, error - offset).mean((1, 2))).mean() / 100


def l1_loss(points: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error over the eye distance."""
    error = (points - truth).abs().mean((1, 2)) / inter_ocular(truth)
    return (weight * error).mean()


def pair_loss(points: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Error of the vectors between paired points over the eye distance."""
    pairs = PAIRS.to(points.device)
    delta = points[:, pairs[:, 0]] - points[:, pairs[:, 1]]
    target = truth[:, pairs[:, 0]] - truth[:, pairs[:, 1]]
    error = (delta - target).abs().mean((1, 2)) / inter_ocular(truth)
    return (weight * error).mean()


def scale_loss(log_scale: Tensor, points: Tensor, truth: Tensor) -> Tensor:
    """Laplace negative log likelihood of the distance; the points get no gradient from it."""
    error = (points - truth).detach().norm(dim=-1)
    return (error * torch.exp(-log_scale) + log_scale).mean()
