"""`~/calibrate` and `landmarks/calibration`: a guided calibration of the person in view."""

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import PolygonStamped
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool

from kf_imitation.data_types import CameraModel, FaceRegion, Frame
from kf_imitation.errors import KfImitationError
from kf_imitation.expression.calibration_file import person_file
from kf_imitation.expression.calibration_session import COUNT, CalibrationSession
from kf_imitation.expression.channels import Levels
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import from_camera_info, from_image, to_ns
from kf_imitation.nodes.face_messages import from_region
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.pipeline.learned_person import NOBODY_S, keep_person

Read = Callable[[Frame, FaceRegion, CameraModel], Levels]


class Calibrator:
    """Looks at every frame while a calibration is under way, and at none otherwise.

    landmarks/calibration tells what the person is to do (message) with step, steps and progress;
    it is WARN when a calibration has failed.
    """

    def __init__(self, node: KfNode, read: Read, use: Callable[[str], None]) -> None:
        """Offer the service.

        Args:
            node: with the parameter person.
            read: returns the raw channels of a face in a frame.
            use: takes the file of a calibration that was made.
        """
        self._node, self._read, self._use = node, read, use
        self._session: CalibrationSession | None = None
        self._listening: list[Subscription] = []
        self._region: FaceRegion | None = None
        self._camera: CameraModel | None = None
        self._seen_ns = 0
        self._told = ''
        self._publisher = node.create_publisher(DiagnosticStatus, '~/calibration', qos.latched())
        node.create_service(SetBool, '~/calibrate', self._on_asked)

    def _on_asked(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success, response.message = self._begin() if request.data else self._cancel()
        return response

    def _begin(self) -> tuple[bool, str]:
        if not self._node.count_publishers('image_raw'):
            return False, 'no node publishes image_raw: use kf_imitation calibrate instead'
        try:
            person_file(self._node.setting('person', str))
        except KfImitationError as fault:
            return False, str(fault)
        self._end()
        listen, newest = self._node.create_subscription, qos.newest()
        self._region, self._camera, self._seen_ns = None, None, self._node.now_ns()
        self._session = CalibrationSession()
        self._listening = [
            listen(PolygonStamped, 'face/region', self._on_region, newest),
            listen(CameraInfo, 'camera_info', self._on_camera, newest),
            listen(Image, 'image_raw', self._on_image, newest),
        ]
        self._tell(self._session.instruction)
        return True, self._session.instruction

    def _cancel(self) -> tuple[bool, str]:
        if self._session is None:
            return False, 'no calibration is under way'
        self._end()
        self._tell('Cancelled; nothing has changed.')
        return True, 'cancelled'

    def _end(self) -> None:
        self._session = None
        self._node.destroy_later(*self._listening)
        self._listening = []

    def _on_region(self, message: PolygonStamped) -> None:
        self._region = from_region(message)

    def _on_camera(self, message: CameraInfo) -> None:
        self._camera = from_camera_info(message)

    def _on_image(self, message: Image) -> None:
        session = self._session
        if session is None or self._camera is None:
            return
        stamp_ns = to_ns(message.header.stamp)
        try:
            raw = None
            if self._region is not None:
                frame = Frame(0, stamp_ns, from_image(message), turn_deg=None)
                with self._node.ledger.timed('calibrate'):
                    raw = self._read(frame, self._region, self._camera)
                self._seen_ns = stamp_ns
            session.push(stamp_ns, raw)
            if session.is_over:
                self._finish(session)
            elif stamp_ns - self._seen_ns > NOBODY_S * 1e9:
                self._end()
                self._tell('Nobody was seen; nothing has changed.', failed=True)
            else:
                self._tell(session.instruction if session.has_begun else 'Waiting for a face.')
        except KfImitationError as fault:
            self._end()
            self._tell(f'Nothing has changed: {fault}', failed=True)

    def _finish(self, session: CalibrationSession) -> None:
        person = self._node.setting('person', str)
        file = person_file(person)
        missing = keep_person(person, *session.faces, file)
        self._end()
        self._use(str(file))
        done = [f'Done: {person} is known now, as {file}', *missing]
        self._tell(f'{"; ".join(done)}.')

    def _tell(self, sentence: str, failed: bool = False) -> None:
        """Tell what is new: the sentence, or two more percent of the time."""
        session = self._session
        progress = 0.0 if session is None else round(session.progress * 50) / 50
        values = {
            'running': str(session is not None).lower(),
            'step': str(0 if session is None else session.step + 1),
            'steps': str(COUNT),
            'progress': f'{progress:.2f}',
        }
        if (told := f'{sentence}{values}') == self._told:
            return
        self._told = told
        self._publisher.publish(
            DiagnosticStatus(
                level=WARN if failed else OK,
                name='landmarks/calibration',
                message=sentence,
                hardware_id=self._node.get_fully_qualified_name(),
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
        )
