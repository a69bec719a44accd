"""Losses of the landmark model: the paper's, and what measured better."""

import torch
from torch import Tensor, nn

from kf_imitation.face_geometry import wflw
from training.landmarks.train.data import BLENDSHAPES

# Pairs whose distance drives a channel, and how much each counts: a lid gap is a few pixels, yet
# it says whether an eye is open.
_INNER_LIPS = ((89, 95), (90, 94), (91, 93))
_MOUTH = ((79, 85), (76, 82), (88, 92))
_LIDS = ((61, 67), (62, 66), (63, 65), (69, 75), (70, 74), (71, 73))
_PUPILS = ((96, 60), (96, 64), (96, 62), (97, 68), (97, 72), (97, 70))
_BROWS = ((34, 60), (36, 64), (39, 64), (45, 72), (43, 68), (49, 68))
PAIRS = torch.tensor((*_INNER_LIPS, *_MOUTH, *_LIDS, *_PUPILS, *_BROWS))
PAIR_WEIGHT = torch.tensor([3.0] * 3 + [1.5] * 3 + [5.0] * 6 + [3.0] * 6 + [1.0] * 6)

# What a gap is a fraction of: the inner lips of the mouth, the lids of their own eye.
APERTURES = torch.tensor((*_LIDS, *_INNER_LIPS))
SPANS = torch.tensor([(60, 64)] * 3 + [(68, 72)] * 3 + [(88, 92)] * 3)


def _read_weight() -> Tensor:
    """Blendshapes that channels are made of count more; left and right are halves of one."""
    weight = torch.full((len(BLENDSHAPES),), 0.3)
    for name, value in (('eyeBlink', 3.0), ('jawOpen', 4.0), ('mouthSmile', 2.0), ('brow', 1.0),
                        ('mouthPucker', 2.0), ('mouthFunnel', 2.0), ('mouthPress', 1.0),
                        ('mouthFrown', 1.0), ('eyeLook', 1.0), ('eyeWide', 0.5)):  # fmt: skip
        weight[[i for i, n in enumerate(BLENDSHAPES) if n.startswith(name)]] = value
    return weight


READ_WEIGHT = _read_weight()


def _point_weight() -> Tensor:
    weight = torch.ones(98)
    weight[list(wflw.CONTOUR)] = 0.6
    weight[60:76] = 2.0
    weight[76:96] = 1.3
    weight[96:] = 3.0
    return weight * 98 / weight.sum()


def _render_weight() -> Tensor:
    """Renders place contour, brows and nose by another rule than the mesh: these do not count."""
    weight = torch.zeros(98)
    weight[60:] = 1.0
    return weight


LEAST_EYE_DISTANCE = 0.2  # crop edges; half of a frontal face
POINT_WEIGHT = _point_weight()
RENDER_WEIGHT = _render_weight()


def point_weight(state: Tensor) -> Tensor:
    """How much each point of each sample counts: (B, 4) state to (B, 98)."""
    footage = state[:, 3:] > 0.5
    return POINT_WEIGHT * torch.where(footage, torch.ones(98), RENDER_WEIGHT)


def inter_ocular(points: Tensor) -> Tensor:
    """(B, 98, 2) to (B,): distance of the outer eye corners, not below that of a turned head."""
    span = points[:, wflw.RIGHT_EYE_OUTER] - points[:, wflw.LEFT_EYE_OUTER]
    return span.norm(dim=-1).clamp(min=LEAST_EYE_DISTANCE)


def pose_weight(angles: Tensor, estimate: Tensor) -> Tensor:
    """Sum over yaw, pitch, roll of 1 - cos(error), the paper's weight of a sample; (B,)."""
    return (1 - torch.cos(angles - estimate)).sum(1)


def class_weight(state: Tensor, angles: Tensor) -> Tensor:
    """Weight of a sample by its attributes: rare ones count more.

    Ours are closed and half-closed eyes, open mouths and turned heads, by fixed weights.

    Args:
        state: (B, 4) eyeBlinkLeft, eyeBlinkRight, jawOpen, known.
        angles: (B, 3) [rad].

    Returns:
        (B,) from 1 on.
    """
    blink = state[:, :2].amax(1)
    weight = 1 + 1.0 * (blink > 0.25) + 1.0 * (blink > 0.5) + 1.0 * (state[:, 2] > 0.3)
    return weight + 1.0 * (angles[:, 0].abs() > 0.4)


def class_rarity(state: Tensor, angles: Tensor, visible: Tensor) -> Tensor:
    """The paper's weight of a sample: sum over its classes of 1 / their fraction of the batch.

    Args:
        state: (B, 4) eyeBlinkLeft, eyeBlinkRight, jawOpen, known.
        angles: (B, 3) yaw, pitch, roll [rad].
        visible: (B, 98) 0 where something was put over a point.

    Returns:
        (B,) of the paper's classes, as our labels know them: profile, frontal, head up, head
        down, expression, occlusion.
    """
    yaw, pitch = angles[:, 0].abs(), angles[:, 1]
    profile, up, down = yaw > 0.4, pitch > 0.3, pitch < -0.3
    expression = (state[:, :2].amax(1) > 0.5) | (state[:, 2] > 0.3)
    classes = [profile, ~(profile | up | down), up, down, expression, visible.mean(1) < 0.9]
    member = torch.stack(classes, 1).float()
    return (member / member.mean(0).clamp(min=1 / len(member))).sum(1)


def paper_loss(points: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean over samples of weight times the squared distance summed over points."""
    return (weight * ((points - truth) ** 2).sum((1, 2))).mean()


def wing_loss(points: Tensor, truth: Tensor, weight: Tensor, of_point: Tensor) -> Tensor:
    """Wing loss (Feng et al., CVPR 2018) on errors in percent of the eye distance.

    Args:
        points: (B, 98, 2).
        truth: (B, 98, 2).
        weight: (B,) of the samples.
        of_point: (B, 98) of the points.
    """
    width, curvature = 8.0, 2.0
    offset = width - width * torch.log(torch.tensor(1 + width / curvature))
    error = 100 * (points - truth).abs() / inter_ocular(truth)[:, None, None]
    near = width * torch.log1p(error / curvature)
    loss = torch.where(error < width, near, error - offset).mean(2)
    return (weight * (of_point * loss).mean(1)).mean() / 100


def l1_loss(points: Tensor, truth: Tensor, weight: Tensor, of_point: Tensor) -> Tensor:
    """Mean absolute error over the eye distance; arguments as wing_loss."""
    error = (points - truth).abs().mean(2) / inter_ocular(truth)[:, None]
    return (weight * (of_point * error).mean(1)).mean()


def pair_loss(points: Tensor, truth: Tensor, weight: Tensor, of_point: Tensor) -> Tensor:
    """Error of the vectors between paired points over the eye distance; as wing_loss."""
    delta = points[:, PAIRS[:, 0]] - points[:, PAIRS[:, 1]]
    target = truth[:, PAIRS[:, 0]] - truth[:, PAIRS[:, 1]]
    counts = (of_point[:, PAIRS[:, 0]] > 0) & (of_point[:, PAIRS[:, 1]] > 0)
    error = (delta - target).abs().mean(2) / inter_ocular(truth)[:, None]
    return (weight * (PAIR_WEIGHT * counts * error).mean(1)).mean()


def confidence_loss(logits: Tensor, points: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
    """Cross entropy against what the confidence should have been.

    That is 0 for a covered point, else 1 / (1 + (e / h)^2) with e the error that was made and h a
    twelfth of the eye distance: half the confidence where a lid gap could be missed altogether.

    Args:
        logits: (B, 98).
        points: (B, 98, 2), gets no gradient.
        truth: (B, 98, 2).
        visible: (B, 98), 1 where nothing was put over the point.
    """
    error = (points - truth).detach().norm(dim=-1) / inter_ocular(truth)[:, None]
    target = visible / (1 + (12 * error) ** 2)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)


def aperture_loss(points: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Error of how far lids and inner lips are open, over the width of their eye or mouth.

    A vector loss forgives a gap that is a little too wide; a channel does not.

    Args:
        points: (B, 98, 2).
        truth: (B, 98, 2).
        weight: (B,) of the samples.
    """

    def gaps(p: Tensor) -> Tensor:
        opened = (p[:, APERTURES[:, 0]] - p[:, APERTURES[:, 1]] + 1e-6).norm(dim=-1)
        width = (truth[:, SPANS[:, 0]] - truth[:, SPANS[:, 1]]).norm(dim=-1)
        least = inter_ocular(truth)[:, None] * 0.2
        return opened / torch.maximum(width, least)

    error = (gaps(points) - gaps(truth)).abs()
    return (weight * error.mean(1)).mean()


def prediction_loss(
    predictions: Tensor, blendshapes: Tensor, angles: Tensor, state: Tensor
) -> Tensor:
    """Loss of the expression head.

    Cross entropy against the labels as soft targets, less the entropy of the labels themselves
    (so that 0 is perfect), and the absolute error of the angles. Renders count a quarter: their
    coefficients are those of another face model.

    Args:
        predictions: (B, 54) logits and angles [rad].
        blendshapes: (B, 51) labels, 0..1.
        angles: (B, 3) [rad] of the head as the crop shows it.
        state: (B, 4) eyeBlinkLeft, eyeBlinkRight, jawOpen, 1 for footage.
    """
    target = blendshapes.clamp(1e-4, 1 - 1e-4)
    logits = predictions[:, :-3]
    cross = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction='none')
    entropy = -(target * target.log() + (1 - target) * (1 - target).log())
    counts = 0.25 + 0.75 * (state[:, 3] > 0.5)
    shape = (counts * ((cross - entropy) * READ_WEIGHT).mean(1)).mean()
    turn = (counts * (predictions[:, -3:] - angles).abs().sum(1)).mean()
    return shape + turn
