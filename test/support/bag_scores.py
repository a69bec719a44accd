"""Scores of a bag, as a script of a user would read them."""

from kf_imitation.bags.reader import read_topic


def read_scores(path):
    """Times in the bag [ns] and values of keyframe/score, as two lists."""
    rows = [(stamp_ns, message.data) for stamp_ns, message in read_topic(path, 'keyframe/score')]
    return [row[0] for row in rows], [row[1] for row in rows]
