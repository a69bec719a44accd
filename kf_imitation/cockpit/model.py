"""The robot's URDF for the page, with its meshes as files that the page may ask for by number."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.urdf import description
from kf_imitation.robot.urdf_check import urdf_path

_KINDS = ('.stl', '.dae')
_LARGEST_BYTES = 20_000_000
_OWN = 'package://kf_imitation/'


@dataclass(frozen=True, slots=True)
class HeadModel:
    """What the page draws.

    Attributes:
        urdf: XML whose meshes are called 0.stl, 1.stl, …
        meshes: path by that name; nothing else can be asked for.
        missing: meshes that were not found, as the URDF calls them.
    """

    urdf: str
    meshes: dict[str, Path]
    missing: tuple[str, ...]


def head_model(robot: RobotConfig) -> HeadModel:
    """Return the model of a robot; without a URDF of its own, the one that is made for it."""
    root = ET.fromstring(description(robot))
    folder = urdf_path(robot).parent if robot.urdf else share_path('urdf')
    names: dict[str, str] = {}
    meshes: dict[str, Path] = {}
    missing = []
    for link in root.iter('link'):
        for collision in link.findall('collision'):
            link.remove(collision)
        for visual in link.findall('visual'):
            mesh = visual.find('geometry/mesh')
            if mesh is None:
                continue
            given = mesh.get('filename', '')
            if given not in names:
                path = _find(given, folder)
                if path is None:
                    missing.append(given)
                    link.remove(visual)
                    continue
                names[given] = f'{len(names)}{path.suffix.lower()}'
                meshes[names[given]] = path
            mesh.set('filename', names[given])
    return HeadModel(ET.tostring(root, encoding='unicode'), meshes, tuple(dict.fromkeys(missing)))


def _find(given: str, folder: Path) -> Path | None:
    """Return the file of a mesh of our package, of a file:// address or next to the URDF."""
    if given.startswith(_OWN):
        path = share_path(given.removeprefix(_OWN))
    elif given.startswith('package://'):
        # Another package: its meshes usually lie beside or above the URDF.
        inside = Path(*Path(given.removeprefix('package://')).parts[1:])
        places = (folder / inside, folder.parent / inside, folder / inside.name)
        path = next((place for place in places if place.is_file()), folder / inside)
    else:
        path = folder / given.removeprefix('file://')
    good = path.suffix.lower() in _KINDS and path.is_file()
    return path if good and path.stat().st_size <= _LARGEST_BYTES else None
