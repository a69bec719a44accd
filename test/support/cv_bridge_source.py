"""cv_bridge from its public Python source, where no ROS installation has the package.

Its compiled half cannot be built without ROS; the two functions of it that the Python half calls
are written here after cv_bridge.cpp.
"""

import sys
import types

import cv2
import numpy as np

_DEPTHS = {8: cv2.CV_8U, 16: cv2.CV_16U}
_CHANNELS = {'mono': 1, 'bgr': 3, 'rgb': 3, 'bgra': 4, 'rgba': 4, 'bayer': 1}
_YUV = {'yuv422': cv2.COLOR_YUV2BGR_UYVY, 'yuv422_yuy2': cv2.COLOR_YUV2BGR_YUY2}
_TO_BGR = {
    'mono': cv2.COLOR_GRAY2BGR,
    'rgb': cv2.COLOR_RGB2BGR,
    'bgra': cv2.COLOR_BGRA2BGR,
    'rgba': cv2.COLOR_RGBA2BGR,
    'bayer_rggb': cv2.COLOR_BayerBG2BGR,
    'bayer_bggr': cv2.COLOR_BayerRG2BGR,
    'bayer_gbrg': cv2.COLOR_BayerGR2BGR,
    'bayer_grbg': cv2.COLOR_BayerGB2BGR,
}
ENCODINGS = (*_YUV, *(f'{name}{bits}' for name in ('bgr', *_TO_BGR) for bits in (8, 16)))


def _parts(encoding):
    name = encoding.rstrip('0123456789')
    return name, int(encoding[len(name) :])


def _cv_type(encoding):
    if encoding in _YUV:
        return cv2.CV_8UC2
    name, bits = _parts(encoding)
    return _DEPTHS[bits] + (_CHANNELS[name.split('_')[0]] - 1) * 8


def _convert(image, encoding, wanted):
    assert wanted == 'bgr8'
    if encoding in _YUV:
        return cv2.cvtColor(image, _YUV[encoding])
    name, bits = _parts(encoding)
    bgr = image if name == 'bgr' else cv2.cvtColor(image, _TO_BGR[name])
    # cv::Mat::convertTo(…, 255. / 65535.)
    return bgr if bits == 8 else np.rint(bgr * (255 / 65535)).astype(np.uint8)


def install(folder):
    """Make `import cv_bridge` find the source, cv_bridge/python of vision_opencv."""
    boost = types.ModuleType('cv_bridge.boost.cv_bridge_boost')
    boost.getCvType, boost.cvtColor2 = _cv_type, _convert
    boost.CV_MAT_DEPTHWrap, boost.CV_MAT_CNWrap = lambda t: t & 7, lambda t: (t >> 3) + 1
    sys.modules.setdefault('cv_bridge.boost', types.ModuleType('cv_bridge.boost'))
    sys.modules.setdefault(boost.__name__, boost)
    sys.path.append(folder)
