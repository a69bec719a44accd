"""Measure a keyframe network on clips of people it was not trained on."""

import numpy as np
import torch

from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_SIZE
from training.data import clip_cache
from training.keyframe.measure.run import (
    PairScorer,
    clip_changes,
    figures,
    mean_figures,
    smoothed_score,
)
from training.keyframe.networks.fusion import KeyframeNet, normalise

BATCH = 40


def net_scorer(net: KeyframeNet) -> PairScorer:
    """Return a network in eval mode as PairScorer, on the device where it is."""
    device = next(net.parameters()).device

    @torch.no_grad()
    def scorer(crops: np.ndarray) -> np.ndarray:
        rows = [np.zeros((0, 1 if net.score_only else CHANGE_SIZE), np.float32)]
        for start in range(0, len(crops) - 1, BATCH):
            part = normalise(torch.from_numpy(crops[start : start + BATCH + 1]).to(device))
            state, places = net.see(part.contiguous(memory_format=torch.channels_last))
            now = torch.arange(1, len(part))
            pair = net.compare(state.select(now), [p[now] for p in places], state.select(now - 1))
            score = torch.sigmoid(pair.score_logit)[:, None]
            rows.append((score if net.score_only else pair.change).cpu().numpy())
        return np.concatenate(rows)

    return scorer


def measure_net(
    net: KeyframeNet, clips: list[clip_cache.CachedClip], crop_px: int, limit: int = 150
) -> dict[str, float]:
    """Return the mean metrics of a network on clips, smoothed as at run time."""
    was_training = net.training
    scorer = net_scorer(net.eval())
    found = []
    for clip in clips:
        changes = clip_changes(clip, scorer, crop_px, limit)
        score = smoothed_score(changes, clip.labels.fps)
        found.append(figures(score, clip.labels, 0.1))
    net.train(was_training)
    return mean_figures(found)
