"""The two measures of `evaluate`: keyframes, imitation."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kf_imitation.cli.progress import Bar, progress
from kf_imitation.cli.terminal import show_tables, takes_stdout, write_json
from kf_imitation.errors import ConfigError
from kf_imitation.evaluation import datasets, keyframes
from kf_imitation.evaluation.clip_scores import score_clips, with_faces
from kf_imitation.evaluation.imitation import results as imitation
from kf_imitation.evaluation.imitation.clip import Clip, ClipReader
from kf_imitation.evaluation.imitation.imitator import Imitator
from kf_imitation.evaluation.imitation.rests import with_rests
from kf_imitation.evaluation.imitation.tuning import search, thresholds_of, tuning_table
from kf_imitation.evaluation.labels import NO_POINTS
from kf_imitation.evaluation.methods import load_methods
from kf_imitation.evaluation.tune import tune
from kf_imitation.keyframe.selection.selector import CAUSAL
from kf_imitation.output_files import check_folder, check_free, new_folder
from kf_imitation.pipeline.face_pipeline import detector_settings, face_settings
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import merged_parameters


def measure_keyframes(args: argparse.Namespace) -> None:
    """Measure how well keyframes are found; print tables, write files.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    values = merged_parameters(args.params)['keyframe']
    names = _words(args.methods)
    settings = replace(detector_settings(values), mode='peak')  # what the measures are about
    methods = load_methods(names, settings, args.threads)
    if args.json is not None and not takes_stdout(args.json):
        check_free(args.json, args.overwrite)
    if args.dump is not None:
        check_folder(args.dump, args.overwrite)
    clips = datasets.find(args.directory, args.labels, labelled=True)
    found = datasets.chosen(clips, _words(args.clips))
    kept, left_out = with_faces({clip.name: clip.labels for clip in found})
    _report_left_out(left_out)
    clips = [clip for clip in found if clip.name in kept]
    with progress('clips', len(clips), 'clips', args.quiet) as bar:
        scored = score_clips(
            args.directory,
            [clip.video for clip in clips],
            names,
            face_settings(values),
            args.threads,
            args.jobs,
            bar.step,
            {clip.video: clip.labels for clip in clips},
        )
    if args.tune:
        for method in methods:
            show_tables(tune(method, scored), width=120)
        return
    results = [keyframes.evaluate(method, scored) for method in methods]
    people = {clip.name: clip.person or clip.name for clip in clips}
    if not takes_stdout(args.json):
        show_tables(*keyframes.tables(results, people), width=120)
    if args.dump is not None:
        with new_folder(args.dump, args.overwrite) as folder:
            keyframes.dump(folder, methods, scored)
    write_json(keyframes.as_json(results, people, left_out), args.json)


def measure_imitation(args: argparse.Namespace) -> None:
    """Measure how well keyframes are imitated; print tables, write files.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    if args.json is not None and not takes_stdout(args.json):
        check_free(args.json, overwrite=True)  # figures are made again and again
    if args.video is not None and not args.video.is_dir():
        check_free(args.video)
    thresholds = thresholds_of(args.tune_travel)
    if args.rests and args.video is not None:
        raise ConfigError('--rests', ['no video shows the rests, leave --video out'])
    values = merged_parameters(args.params)
    robot = load_robot(args.robot or str(values['servo']['robot']))
    clips = datasets.chosen(datasets.find(args.imitation, labelled=True), _words(args.clips))
    videos = sorted(clips, key=lambda clip: clip.video)[:: args.every]
    found = {clip.name: clip.video for clip in videos}
    kept, left_out = with_faces({clip.name: clip.labels for clip in videos})
    _report_left_out(left_out)
    pointless: list[str] = []
    imitator, reader = Imitator(robot, values), ClipReader(values)
    chosen = _words(args.imitation_methods)
    methods = imitator.methods(chosen)
    shown = [*chosen, imitator.settings.mode][0]

    def read(bar: Bar) -> Iterator[tuple[Path, Clip]]:
        for name in kept:
            clip = reader.read(found[name], args.most)
            if clip.aperture is None:
                pointless.append(name)
            yield found[name], clip
            bar.step(found[name].stem)

    def prepared(bar: Bar) -> Iterator[Clip]:
        for path, clip in read(bar):
            if args.video is not None:
                out = args.video / f'{path.stem}.mp4'
                imitator.write_video(out, path, clip, shown, args.channels)
            yield with_rests(clip) if args.rests else clip

    if args.tune_travel:
        with progress('read', len(kept), 'clips', args.quiet) as bar:
            seen = [clip for _, clip in read(bar)]
        with progress('tune', len(CAUSAL) * len(thresholds), 'trials', args.quiet) as bar:
            trials = search(seen, imitator, args.channels, thresholds, bar.step)
        show_tables(tuning_table(trials), width=130)
        return
    with progress('clips', len(kept), 'clips', args.quiet) as bar:
        results = imitator.results(prepared(bar), methods, args.channels)
    for name in pointless:
        print(f'{name}: mouth aperture is left out: {NO_POINTS}', file=sys.stderr)
    if not takes_stdout(args.json):
        show_tables(*imitation.tables(results, robot.name, args.channels, shown), width=110)
    document = imitation.as_json(results, robot.name, args.channels, imitator.settings)
    write_json(document, args.json)


def _words(text: str) -> list[str]:
    return [word for word in text.split(',') if word]


def _report_left_out(names: Sequence[str]) -> None:
    for name in names:
        print(f'{name} is left out: fewer than half of its frames show a face', file=sys.stderr)
