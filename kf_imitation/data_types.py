"""What the stages hand to each other; immutable data whose methods only derive values.

Left and right are the person's own. Images are BGR, uint8, rows first. Stamps are integer
nanoseconds, so that they survive ROS messages and bags unchanged.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

# The robot-independent description of a face. 0..1 with 0 = neutral, except the angles.
UNIT_CHANNELS = (
    'jaw_open',
    'mouth_smile_left',
    'mouth_smile_right',
    'mouth_frown_left',
    'mouth_frown_right',
    'mouth_pucker',
    'lip_press',
    'eye_close_left',
    'eye_close_right',
    'eye_wide_left',
    'eye_wide_right',
    'brow_raise_left',
    'brow_raise_right',
    'brow_lower',
)
# Radians. Head angles follow REP-103 on the person's head (x forward, y left, z up): yaw > 0
# turns to the person's left, pitch > 0 looks down, roll > 0 tilts to the person's right.
# gaze_yaw > 0 looks to the person's left, gaze_pitch > 0 looks up (eyeLookUp - eyeLookDown).
ANGLE_CHANNELS = ('gaze_yaw', 'gaze_pitch', 'head_yaw', 'head_pitch', 'head_roll')
HEAD_CHANNELS = ('head_yaw', 'head_pitch', 'head_roll')
CHANNELS = UNIT_CHANNELS + ANGLE_CHANNELS
# What cannot wait for a keyframe: read in every frame (expression/reflex_estimator.py).
REFLEX_CHANNELS = (
    'jaw_open',
    'eye_close_left',
    'eye_close_right',
    'eye_wide_left',
    'eye_wide_right',
    'gaze_yaw',
    'gaze_pitch',
)
# Read in every frame, too, but only for changes between keyframes (expression/keyframe_guide.py).
GUIDED_CHANNELS = (
    'mouth_smile_left',
    'mouth_smile_right',
    'mouth_frown_left',
    'mouth_frown_right',
    'mouth_pucker',
    'lip_press',
    'brow_raise_left',
    'brow_raise_right',
    'brow_lower',
)
FRAME_CHANNELS = REFLEX_CHANNELS + GUIDED_CHANNELS

WFLW_POINTS = 98

# The ARKit blendshapes, 0..1, in the order of the labels, whose files put `_neutral` before them.
_NAMES = """
browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff
cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight
eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight
eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight
mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight
mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
"""
BLENDSHAPES = tuple(_NAMES.split())


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the source.

    Attributes:
        index: counts every frame of the source from 0, dropped ones included.
        stamp_ns: capture time.
        bgr: (H, W, 3) uint8.
        turn_deg: how far the image was turned clockwise before; None: unknown.
        mirrored: left and right were swapped after that.
    """

    index: int
    stamp_ns: int
    bgr: Image
    turn_deg: int | None = 0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class FaceRegion:
    """The square of the frame that holds the face; pixels, may reach over the border.

    Attributes:
        x: left edge [px].
        y: upper edge [px].
        size: edge length [px].
        track_id: stays the same while the same face is followed.
    """

    x: float
    y: float
    size: float
    track_id: int = 0


@dataclass(frozen=True, slots=True)
class FrameScore:
    """Expression change of one frame against the frame before it.

    Attributes:
        index: of the frame.
        stamp_ns: of the frame.
        score: 0..1, or None when there was no face or no previous frame of it.
        flow_px: RMS of the estimated flow inside the crop, in crop pixels; 0 without score.
        region: the face region, None without a face.
        dt_s: time since the previous frame of the pair; 0 without score.
        note: why there is no score ('' when there is one).
        change: (K,) float32 signed change per 1/30 s (51 blendshapes, then 3 head angles [rad]),
            or None where the scorer has no such vector.
        reading: (51,) float32 blendshapes of eyes and mouth, 0..1, as this frame alone shows
            them; None without a face or where the scorer reads none.
        embeddings: (288,) float32, what the reading was made from: 96 values each of the right
            eye, the mirrored left eye and the mouth; None where the scorer has none.
        model: that scored it; '' without score, and for baselines.
    """

    index: int
    stamp_ns: int
    score: float | None
    flow_px: float = 0.0
    region: FaceRegion | None = None
    dt_s: float = 0.0
    note: str = ''
    change: FloatArray | None = None
    reading: FloatArray | None = None
    embeddings: FloatArray | None = None
    model: str = ''


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A frame chosen for imitation.

    Attributes:
        index: of the frame.
        stamp_ns: when it happened (capture).
        score: its score, 0..1.
        prominence: height over the higher of the two neighbouring valleys (peak mode), else 0.
        threshold: what the prominence or the accumulated change had to pass.
        committed_stamp_ns: capture stamp of the frame that let the detector decide.
        mode: 'peak', 'settle', 'travel' or 'combined'.
        score_before: of the frame before it; None where that has no score.
        score_after: of the frame after it as far as it was known at commitment; None where
            nothing was known.
    """

    index: int
    stamp_ns: int
    score: float
    prominence: float
    threshold: float
    committed_stamp_ns: int
    mode: str
    # Neighbours explain a keyframe, they do not make it another one.
    score_before: float | None = field(default=None, compare=False)
    score_after: float | None = field(default=None, compare=False)

    @property
    def commit_delay_s(self) -> float:
        """Time from the keyframe to its commitment [s]."""
        return (self.committed_stamp_ns - self.stamp_ns) * 1e-9


@dataclass(frozen=True, slots=True)
class Landmarks:
    """98 points in WFLW order.

    Attributes:
        stamp_ns: of the frame.
        points_px: (98, 2) float32, x and y in pixels of the full image.
        confidence: (98,) float32, 0..1.
        predictions: (19,) float32 in CHANNELS order, what the model predicts from the picture:
            unit channels as logits, gaze [rad], head angles [rad] against the ray to the head;
            NaN where it reads nothing, None for models that have points only.
        blendshapes: (51,) float32, 0..1, as the model predicts them; NaN where it reads nothing,
            None for models that have points only.
    """

    stamp_ns: int
    points_px: FloatArray
    confidence: FloatArray
    predictions: FloatArray | None = None
    blendshapes: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class FaceImage:
    """The face region of one frame, cut out: what travels on keyframe/image.

    Attributes:
        stamp_ns: of the frame.
        bgr: (h, w, 3) uint8; smaller than the region of interest when that was shrunk.
        x, y: upper left corner of the region of interest in the full image [px].
        width, height: its edges [px]; it ends at the image's border.
        track_id: whose face it is, as FaceRegion.track_id; 0: not known.
    """

    stamp_ns: int
    bgr: Image
    x: int
    y: int
    width: int
    height: int
    track_id: int = 0


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Pinhole camera without distortion.

    Attributes:
        width: [px].
        height: [px].
        focal_px: focal length [px]; the principal point is the image centre.
    """

    width: int
    height: int
    focal_px: float


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head in the camera optical frame (x right, y down, z forward).

    Attributes:
        stamp_ns: of the frame.
        rotation: (3, 3) float32, head axes (x to the person's left, y down, z out of the back
            of the head) to camera axes; identity when the person faces the camera.
        translation_m: (3,) float32, of the point between the eyes.
        yaw_rad, pitch_rad, roll_rad: as the channels head_yaw, head_pitch, head_roll.
        error_px: RMS reprojection error [px].
    """

    stamp_ns: int
    rotation: FloatArray
    translation_m: FloatArray
    yaw_rad: float
    pitch_rad: float
    roll_rad: float
    error_px: float

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """Return the rotation as x, y, z and w of length 1, by its largest component (Shepperd).

        Written out, because scipy's costs a quarter of a second at every start.
        """
        m = np.asarray(self.rotation, np.float64)
        largest = int(np.argmax([*np.diag(m), np.trace(m)]))
        q = np.empty(4)
        if largest == 3:
            q[:] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + np.trace(m)
        else:
            i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
            q[i] = 1 - np.trace(m) + 2 * m[i, i]
            q[[j, k, 3]] = m[j, i] + m[i, j], m[k, i] + m[i, k], m[k, j] - m[j, k]
        x, y, z, w = (q / np.linalg.norm(q)).tolist()
        return x, y, z, w


@dataclass(frozen=True, slots=True)
class Shapes:
    """Blendshapes of one frame.

    Attributes:
        values: (51,) float32 in BLENDSHAPES order, 0..1; 0 where nothing is read.
        confidence: (51,) float32, 0..1; 0 where nothing is read.
    """

    values: FloatArray
    confidence: FloatArray


@dataclass(frozen=True, slots=True)
class Expression:
    """Channel values of one frame.

    Attributes:
        stamp_ns: of the frame.
        values: (19,) float32 in CHANNELS order; 0..1, angles in rad.
        confidence: (19,) float32, 0..1.
        shapes: the same face as blendshapes, which make these channels; None where only channels
            were read, as in the reflex lane.
    """

    stamp_ns: int
    values: FloatArray
    confidence: FloatArray
    shapes: Shapes | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Channels, then blendshapes if there are any."""
        return CHANNELS if self.shapes is None else (*CHANNELS, *BLENDSHAPES)

    @property
    def all_values(self) -> FloatArray:
        """Values of `names`."""
        if self.shapes is None:
            return self.values
        return np.concatenate([self.values, self.shapes.values])

    @property
    def all_confidence(self) -> FloatArray:
        """Confidence of `names`."""
        if self.shapes is None:
            return self.confidence
        return np.concatenate([self.confidence, self.shapes.confidence])
