"""Camera node: frames of any source as image_raw and camera_info, stamped at capture."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from threading import Event, Thread
from typing import Any

from sensor_msgs.msg import CameraInfo, Image

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.sources import make_source, open_source
from kf_imitation.camera.stamps import GAP_S
from kf_imitation.camera.upright import check_turn, turned_frame, turned_model
from kf_imitation.data_types import Frame
from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_camera_info, to_image
from kf_imitation.nodes.frame_answers import (
    follow_frames,
    make_flow_control,
    wait_for_listeners,
)
from kf_imitation.nodes.handover import PAIRS, Frames
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.preview import Preview
from kf_imitation.parameters.definition import Value, settings_from
from kf_imitation.parameters.settings import CameraSettings, SourceSettings, UprightSettings
from kf_imitation.paths import share_path

# After the last frame of a file is explained: time for the head to reach the last keyframe.
LINGER_S = 1.0
# A file that is played like a camera catches up with less; more is a pause of the camera.
CATCH_UP_S = 0.05
# Where frames are handed over, these need no subscription.
LINKED = {receiver for _, receiver in PAIRS.values()}


class CameraNode(KfNode):
    """Reads a source in a thread of its own and publishes every frame while somebody subscribes.

    A live camera never waits. With lossless set, at most max_in_flight frames are under way:
    the keyframe node answers each with a face/region message of the same stamp. Files are
    restamped: the first frame is now, the others follow at the file's own distances. Where every
    frame is not wanted, a file that is read too slowly is played more slowly, never late.
    Another source can be taken while it runs; where it cannot be opened, the former one goes on.
    """

    def __init__(
        self,
        overrides: Mapping[str, Value] | None = None,
        source: FrameSource | None = None,
        frames: Frames | None = None,
        **options: Any,
    ) -> None:
        """Open the source and start reading.

        Args:
            overrides: parameter values that override parameter files.
            source: opened already; None opens what the parameter source says.
            frames: to a keyframe node of this process, which needs no messages then.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter breaks its rule.
            SourceError: the source cannot be opened.
        """
        super().__init__('camera', overrides, **options)
        self._lossless = self.setting('lossless', bool)
        self._realtime = self.setting('realtime', bool)
        self._frame_id = self.setting('frame_id', str)
        self._frames = frames
        self._stop = Event()
        self._flow = make_flow_control(self)
        self._state = 'starting'
        profile = qos.frame_publisher(self._lossless)
        self._images = self.create_publisher(Image, 'image_raw', profile)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', profile)
        self._preview = Preview(self)
        if self._lossless:
            follow_frames(self, self._flow)
        self._upright = settings_from(UprightSettings, self.settings)
        check_turn(self._upright)
        self._wanted = ''  # source to change to
        self._problem = ''  # with the one asked for last
        self._source = source or open_chosen(self.settings)
        self._base_ns: int | None = None
        self._due_ns = 0  # of the newest frame of a file
        self._thread = Thread(target=self._capture, name='capture', daemon=True)
        self._thread.start()

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return the state of the source."""
        values = {'source': self._source.name, 'frame rate [Hz]': round(self.rate_hz('frames'), 1)}
        # A live source says itself whether it is open or waits for its device.
        device = str(getattr(self._source, 'state', ''))
        if device.startswith('waiting'):
            return WARN, device, values
        sentence = f'{self._state} {self._source.name}' + (f', {device}' if device else '')
        if self._problem:
            return WARN, f'{sentence}; {self._problem}', values
        return WARN if self._state.startswith('waiting') else OK, sentence, values

    def refusal(self, name: str, value: Value) -> str:
        """Return why a source cannot be taken, as far as that is known before it is opened."""
        if name != 'source':
            return ''
        if self._lossless:
            return 'source: a run that takes every frame of a file keeps its source'
        try:
            make_source(source_spec(str(value)), _asked(self.settings))
        except KfImitationError as fault:
            return str(fault)
        return ''

    def on_settings(self, changed: Mapping[str, Value]) -> None:
        """Mirror from the next frame on; change the source in the thread that reads it."""
        self._upright = settings_from(UprightSettings, self.settings)
        if 'source' in changed:
            self._wanted = source_spec(str(changed['source']))
            if self._source.is_live:  # it may be waiting for its device
                self._source.close()

    def close(self) -> None:
        """Stop reading and free the source."""
        self._stop.set()
        self._flow.stop()
        self._source.close()
        self._thread.join(timeout=5.0)
        self._source.close()  # another one, if it was just being changed

    def _capture(self) -> None:
        try:
            if not self._source.is_live:
                self._state = 'waiting for listeners before playing'
                linked = () if self._frames is None else LINKED
                wait_for_listeners(self, self._stop, lambda: None, but=linked)
            self._state = 'sending'
            while True:
                while (frame := self._next()) is not None:
                    self._publish(frame)
                if not self._wanted or self._stop.is_set():
                    break
                self._change_source()
            self._state = 'at the end of'
            if self._lossless:
                self._flow.wait_until_through()
            self._stop.wait(LINGER_S)
        except KfImitationError as fault:
            self.fail(fault)
        finally:
            self.finished.set()

    def _change_source(self) -> None:
        wanted, self._wanted = self._wanted, ''
        before = self._source
        before.close()
        try:
            self._source, self._problem = open_source(wanted, _asked(self.settings)), ''
        except SourceError as fault:
            self._problem = str(fault)
            self.get_logger().warning(f'{fault}; {before.name} goes on')
            before.open()
        self._base_ns, self._due_ns = None, 0

    def _next(self) -> Frame | None:
        """Return the next frame when it is due; None at the end, or when another is wanted."""
        with self.ledger.timed('camera read'):
            frame = self._source.read()
        again = self.setting('loop', bool) and not self._source.is_live
        if frame is None and again and not self._stop.is_set() and not self._wanted:
            self._source.close()
            self._source.open()
            self._base_ns, self._due_ns = None, 0
            frame = self._source.read()
        if frame is None or self._stop.is_set() or self._wanted:
            return None
        if not self._source.is_live:
            frame = self._restamp(frame)
        return frame if not self._lossless or self._flow.admit(frame.stamp_ns) else None

    def _restamp(self, frame: Frame) -> Frame:
        """Shift a file's stamps so that its first frame is now; wait for the others."""
        now_ns = self.get_clock().now().nanoseconds
        if self._base_ns is None:
            self._base_ns = now_ns - frame.stamp_ns
        due_ns = self._base_ns + frame.stamp_ns
        if due_ns - self._due_ns > GAP_S * 1e9 and self._due_ns:
            pause_s = (due_ns - self._due_ns) * 1e-9
            self.get_logger().warning(
                f'{self._source.name}: jumps over a pause of {pause_s:.1f} s'
            )
            self._base_ns -= due_ns - self._due_ns - round(GAP_S * 1e9)
            due_ns = self._base_ns + frame.stamp_ns
        self._due_ns = due_ns
        if self._realtime:
            if due_ns > now_ns:
                self._stop.wait((due_ns - now_ns) * 1e-9)
            else:
                late_ns = now_ns - due_ns
                self.ledger.observe('camera late', late_ns * 1e-9)
                if not self._lossless and late_ns > CATCH_UP_S * 1e9:
                    self._base_ns += late_ns
                    self._due_ns = due_ns = now_ns
        return replace(frame, stamp_ns=due_ns)

    def _publish(self, frame: Frame) -> None:
        upright = self._upright
        camera = turned_model(self._source.camera, upright)
        with self.ledger.timed('camera publish'):
            frame = turned_frame(frame, upright)
            if self._frames is not None:
                self._frames.send((frame, camera, self._frame_id))
            # Of a whole image, a message nobody takes costs as much as one that is taken.
            if self._infos.get_subscription_count():
                self._infos.publish(to_camera_info(camera, frame.stamp_ns, self._frame_id))
            if self._images.get_subscription_count():
                self._images.publish(to_image(frame.bgr, frame.stamp_ns, self._frame_id))
            self._preview.show(frame.bgr, frame.stamp_ns, self._frame_id)
        self.ledger.add('frames')


def open_chosen(settings: Mapping[str, Value]) -> FrameSource:
    """Open the source that the parameters of a camera node name.

    Raises:
        SourceError: it cannot be opened.
    """
    return open_source(source_spec(str(settings['source'])), _asked(settings))


def _asked(settings: Mapping[str, Value]) -> SourceSettings:
    asked = settings_from(CameraSettings, settings).capture
    return replace(asked, upright=UprightSettings())  # images are turned by the node


def source_spec(source: str) -> str:
    """Return the source, or the demo clip in place of ''."""
    return source or str(share_path('media/demo.mp4'))


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(CameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
