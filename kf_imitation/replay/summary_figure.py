"""summary.png: what happened in a run, on one page."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray, FrameScore
from kf_imitation.replay.record import JointTrace, PosedKeyframe, RunRecord
from kf_imitation.visualization.avatar import draw_face
from kf_imitation.visualization.drawing import face_thumbnail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 10
_PICTURE_PX = 220
_WIDTH_IN, _LEFT_IN, _RIGHT_IN = 15.0, 0.7, 14.8
_INK = '#1f2430'
_SOFT = '#8a93a3'
_GRID = '#e6e9ef'
_SCORE = '#2b6cb0'
_KEYFRAME = '#e0562d'
_JOINT_COLOURS = ('#2b6cb0', '#e0562d', '#2f9e62')
_LONGEST_DELAY_S, _DELAY_STEP_S = 0.8, 0.02  # of the robot behind the person
_SUFFIXES = ('left', 'right', 'yaw', 'pitch', 'roll')


def write_summary(
    path: Path,
    run: RunRecord,
    channels_of: Callable[[NDArray[np.float64]], FloatArray],
    minimum_score: float = 0.0,
) -> None:
    """Draw the keyframe strip, the score curve and the joint curves.

    Args:
        path: PNG to write.
        run: what to show.
        channels_of: the inverse of the robot's joint mapping, for the drawn robot faces.
        minimum_score: the detector's threshold; 0 draws none.
    """
    import matplotlib  # a second that other uses of this file need not wait for
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = choose_shown(run.posed, _SHOWN)
    groups = joint_groups(run.joints.names)
    style = {
        'font.family': 'DejaVu Sans',
        'font.size': 9,
        'axes.edgecolor': _SOFT,
        'axes.labelcolor': _INK,
        'text.color': _INK,
        'xtick.color': _SOFT,
        'ytick.color': _SOFT,
    }
    page = _Page(len(shown), (len(groups) + 2) // 3)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(_WIDTH_IN, page.height_in), dpi=110, facecolor='white')
        FigureCanvasAgg(figure)
        _title(figure, run, page)
        _strip(figure, page.strip(figure), run, shown, channels_of)
        score_axes = figure.add_subplot(page.score(figure)[0])
        _score_curve(score_axes, run, shown, minimum_score)
        _joint_curves(figure, page.joints(figure), run, run.joints, groups)
        figure.savefig(path, metadata={'Software': None})


class _Page:
    """Places in inches from above, so that nothing stretches with the number of joints."""

    def __init__(self, pictures: int, joint_rows: int) -> None:
        self.columns = min(max(pictures, 8), _SHOWN)
        picture_in = (_RIGHT_IN - _LEFT_IN) / self.columns
        self._strip = 1.0, 1.0 + 2 * picture_in
        self._score = self._strip[1] + 0.45, self._strip[1] + 2.35
        self._joints = self._score[1] + 0.65, self._score[1] + 0.65 + 1.65 * joint_rows
        self.height_in = self._joints[1] + 0.4

    def strip(self, figure: 'Figure') -> Any:
        return self._grid(figure, self._strip, 2, self.columns, wspace=0.04, hspace=0.04)

    def score(self, figure: 'Figure') -> Any:
        return self._grid(figure, self._score, 1, 1)

    def joints(self, figure: 'Figure') -> Any:
        rows = round((self._joints[1] - self._joints[0]) / 1.65)
        return self._grid(figure, self._joints, rows, 3, wspace=0.12, hspace=0.45)

    def fraction(self, from_above_in: float) -> float:
        return 1 - from_above_in / self.height_in

    def _grid(
        self, figure: 'Figure', span: tuple[float, float], rows: int, columns: int, **gaps: float
    ) -> Any:
        return figure.add_gridspec(
            rows,
            columns,
            left=_LEFT_IN / _WIDTH_IN,
            right=_RIGHT_IN / _WIDTH_IN,
            top=self.fraction(span[0]),
            bottom=self.fraction(span[1]),
            **gaps,
        )


def choose_shown(posed: Sequence[PosedKeyframe], limit: int) -> list[PosedKeyframe]:
    """Return at most `limit` keyframes in time order.

    The run is cut into equal parts of the keyframes; of each the one with the most unusual
    expression is shown, so that the strip covers the whole run and what happened in it.
    """
    ordered = sorted(posed, key=lambda p: p.keyframe.stamp_ns)
    if len(ordered) <= limit:
        return ordered
    values = np.stack([p.expression.values for p in ordered])
    unusual = np.linalg.norm(values - np.median(values, axis=0), axis=1)
    parts = np.array_split(np.arange(len(ordered)), limit)
    return [ordered[max(part, key=lambda i: float(unusual[i]))] for part in parts]


def joint_groups(names: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Put joints that belong together into one panel: left with right, yaw with pitch and roll.

    Returns:
        Title and joint indices of each panel, in the order of the names.
    """
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        stem, _, suffix = name.rpartition('_')
        groups.setdefault(stem if suffix in _SUFFIXES and stem else name, []).append(index)
    return list(groups.items())


def follows_after_s(
    posed: Sequence[PosedKeyframe], shown_at: Callable[[int], FloatArray]
) -> float:
    """Return the one delay [s] after which the robot is most like what was read of the person.

    Args:
        posed: keyframes, at least one.
        shown_at: channels (19,) that the robot shows at a stamp [ns].
    """
    read = np.stack([p.expression.values for p in posed])
    stamps = [p.keyframe.stamp_ns for p in posed]

    def off(delay_s: float) -> float:
        shown = np.stack([shown_at(stamp + round(delay_s * 1e9)) for stamp in stamps])
        return float(np.mean((read - shown) ** 2))

    steps = range(round(_LONGEST_DELAY_S / _DELAY_STEP_S) + 1)
    return min((round(k * _DELAY_STEP_S, 3) for k in steps), key=off)


def segments(scores: Sequence[FrameScore]) -> list[list[FrameScore]]:
    """Cut the scores where frames have none."""
    parts: list[list[FrameScore]] = [[]]
    for score in scores:
        if score.score is not None:
            parts[-1].append(score)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _title(figure: 'Figure', run: RunRecord, page: _Page) -> None:
    count = len(run.posed)
    length_s = (run.scores[-1].stamp_ns - run.start_ns) * 1e-9 if run.scores else 0.0
    facts = [f'{len(run.scores)} frames, {length_s:.1f} s', f'{count} keyframes ({run.mode})']
    if count:
        delays = [p.keyframe.commit_delay_s for p in run.posed]
        facts.append(f'commit delay {np.median(delays):.2f} s (worst {max(delays):.2f} s)')
    faceless = sum(s.region is None for s in run.scores)
    if faceless:
        facts.append(f'no face in {faceless} frame{"s" if faceless > 1 else ""}')
    name = Path(run.source_name).name
    figure.text(0.012, page.fraction(0.37), name, fontsize=15, weight='bold')
    figure.text(0.012, page.fraction(0.63), '  ·  '.join(facts), fontsize=10, color=_SOFT)


def _strip(
    figure: 'Figure',
    grid: Any,
    run: RunRecord,
    shown: Sequence[PosedKeyframe],
    channels_of: Callable[[NDArray[np.float64]], FloatArray],
) -> None:
    if not shown:
        axes = figure.add_subplot(grid[:, :])
        axes.axis('off')
        axes.text(0.5, 0.5, 'no keyframes', ha='center', va='center', color=_SOFT, fontsize=14)
        return

    def shown_at(stamp_ns: int) -> FloatArray:
        return channels_of(run.joints.present_rad[run.joints.at(stamp_ns)])

    delay_s = follows_after_s(run.posed, shown_at)
    for column, posed in enumerate(shown):
        picture = face_thumbnail(posed.face, posed.landmarks, _PICTURE_PX)
        axes = _picture(figure.add_subplot(grid[0, column]), picture)
        seconds = (posed.keyframe.stamp_ns - run.start_ns) * 1e-9
        axes.set_title(f'{column + 1}   {seconds:.2f} s', fontsize=9, color=_KEYFRAME, pad=3)
        if column == 0:
            axes.set_ylabel('person', color=_SOFT)
        pose = shown_at(posed.keyframe.stamp_ns + round(delay_s * 1e9))
        face = draw_face(pose, _PICTURE_PX)
        axes = _picture(figure.add_subplot(grid[1, column]), face)
        if column == 0:
            axes.set_ylabel(f'robot, {delay_s:.2f} s later', color=_SOFT)


def _picture(axes: Any, bgr: NDArray[np.uint8]) -> Any:
    axes.imshow(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _plain(axes: Any, run: RunRecord) -> None:
    axes.grid(True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    if len(run.scores) > 1:
        axes.set_xlim(0, (run.scores[-1].stamp_ns - run.start_ns) * 1e-9)


def _score_curve(
    axes: Any, run: RunRecord, shown: Sequence[PosedKeyframe], minimum_score: float
) -> None:
    _plain(axes, run)
    for part in segments(run.scores):
        stamps = [(s.stamp_ns - run.start_ns) * 1e-9 for s in part]
        values = [s.score for s in part]
        axes.plot(stamps, values, color=_SCORE, linewidth=1.3)
        axes.fill_between(stamps, 0, values, color=_SCORE, alpha=0.10, linewidth=0)
    if minimum_score > 0:
        axes.axhline(minimum_score, color=_SOFT, linewidth=0.9, linestyle='--')
        axes.text(
            1.0, minimum_score, 'threshold ', transform=axes.get_yaxis_transform(), ha='right'
        )
    numbers = {p.keyframe.index: number + 1 for number, p in enumerate(shown)}
    for posed in run.posed:
        keyframe = posed.keyframe
        at = (keyframe.stamp_ns - run.start_ns) * 1e-9
        committed = (keyframe.committed_stamp_ns - run.start_ns) * 1e-9
        axes.plot([at, committed], [keyframe.score] * 2, color=_KEYFRAME, linewidth=0.8, alpha=0.7)
        axes.plot([committed], [keyframe.score], '|', color=_KEYFRAME, markersize=5, alpha=0.7)
        if keyframe.prominence > 0:
            foot = keyframe.score - keyframe.prominence
            axes.plot([at, at], [foot, keyframe.score], color=_KEYFRAME, linewidth=0.8, alpha=0.35)
        axes.plot([at], [keyframe.score], 'o', color=_KEYFRAME, markersize=4.5)
        if keyframe.index in numbers:
            axes.annotate(
                str(numbers[keyframe.index]),
                (at, keyframe.score),
                xytext=(0, 6),
                textcoords='offset points',
                ha='center',
                fontsize=8.5,
                color=_KEYFRAME,
                weight='bold',
            )
    highest = max((s.score for s in run.scores if s.score is not None), default=0.5)
    axes.set_ylim(0, min(1.12, max(0.3, highest * 1.18)))
    axes.set_ylabel('expression change')
    axes.plot(
        [], [], 'o', color=_KEYFRAME, markersize=4.5, label='keyframe, line to its commitment'
    )
    _legend(axes)


def _joint_curves(
    figure: 'Figure',
    grid: Any,
    run: RunRecord,
    joints: JointTrace,
    groups: Sequence[tuple[str, list[int]]],
) -> None:
    rows = (len(groups) + 2) // 3
    stamps = (joints.stamp_ns - run.start_ns) * 1e-9
    for number, (title, indices) in enumerate(groups):
        axes = figure.add_subplot(grid[number // 3, number % 3])
        _plain(axes, run)
        for posed in run.posed:
            at = (posed.keyframe.committed_stamp_ns - run.start_ns) * 1e-9
            axes.axvline(at, color=_KEYFRAME, linewidth=0.5, alpha=0.25)
        for place_in_group, index in enumerate(indices):
            colour = _JOINT_COLOURS[place_in_group % len(_JOINT_COLOURS)]
            suffix = joints.names[index].removeprefix(title).strip('_')
            axes.plot(
                stamps, joints.present_rad[:, index], color=colour, linewidth=1.3, label=suffix
            )
            axes.plot(
                stamps,
                joints.commanded_rad[:, index],
                color=_INK,
                linewidth=0.7,
                linestyle=(0, (3, 2)),
                alpha=0.8,
            )
        axes.set_title(title.replace('_', ' '), loc='left', fontsize=9, weight='bold', pad=3)
        axes.tick_params(labelsize=7.5)
        if number % 3 == 0:
            axes.set_ylabel('rad')
        if number // 3 == rows - 1 or number + 3 >= len(groups):
            axes.set_xlabel('s', labelpad=0)
        if number == 0:
            axes.plot([], [], color=_INK, linewidth=0.7, linestyle=(0, (3, 2)), label='commanded')
            axes.plot([], [], color=_INK, linewidth=1.3, label='present')
        if any(axes.get_legend_handles_labels()[1]):
            _legend(axes)


def _legend(axes: Any) -> None:
    """Above the axes, where no curve can be."""
    axes.legend(
        loc='lower right',
        bbox_to_anchor=(1.0, 0.99),
        frameon=False,
        fontsize=8,
        ncols=4,
        borderpad=0.1,
        columnspacing=1.2,
    )
