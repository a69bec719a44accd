"""What the entries of a change vector mean."""

# ARKit blendshapes in the order of the labels, then the head's rotation vector in the axes of the
# labels.
_CHANGES = (
    'browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff '
    'cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft '
    'eyeLookDownRight eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight '
    'eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight '
    'jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight '
    'mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft '
    'mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight '
    'mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft '
    'mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft '
    'mouthUpperUpRight noseSneerLeft noseSneerRight headPitch headYaw headRoll '
)
CHANGE_NAMES = tuple(_CHANGES.split())
