"""Files that programs of this field write and no reader takes: what they are, what to do."""

_EXPORT = 'export the markers or joints as C3D or CSV'
# Suffixes, what such a file is, and how to get one that a reader takes.
_KINDS = (
    ('.xlsx .xlsm .xls .ods', 'a spreadsheet',
     'save its sheet as CSV (Excel: File, Save As, CSV UTF-8), a row a frame'),
    ('.mot .sto', 'angles or forces of OpenSim over time, without positions',
     'the markers that they were computed from are in .trc files (OpenCap: MarkerData)'),
    ('.osim', 'a model of OpenSim, without motion', 'markers are in .trc files'),
    ('.cmz .cmo', 'a workspace of Visual3D', f'in Visual3D {_EXPORT}, or landmarks as text'),
    ('.qtm .qtmproj', 'a project of Qualisys', f'in QTM {_EXPORT} or TSV'),
    ('.x1d .x2d .xcp .vsk .history', 'a file of Vicon Nexus', f'in Nexus {_EXPORT}'),
    ('.tak', 'a take of OptiTrack Motive', f'in Motive {_EXPORT} or BVH'),
    ('.mvn', 'a recording of Xsens MVN', 'in MVN export MVNX, C3D or BVH'),
    ('.kva .trk', 'annotations of Kinovea or Tracker', 'there export the points as CSV, with '
     'the names of joints'),
    ('.fbx .glb .gltf .usd .usdz .dae', 'an animation for 3D programs',
     'in Blender import it, and export BVH'))
_BY_SUFFIX = {suffix: (what, advice) for suffixes, what, advice in _KINDS
              for suffix in suffixes.split()}
_POINTS = 'the path of a point', 'an answer about motion needs joints of the whole body'
_BY_HEAD = {b'#Kinovea Trajectory': _POINTS, b'mass_': _POINTS}


def foreign_format(suffix: str, head: bytes) -> tuple[str, str] | None:
    """Say what a file is that no reader takes.

    Args:
        suffix (str): Of its name, in lower case.
        head (bytes): Its first bytes.

    Returns:
        tuple[str, str] or None: What it is, and what to do; None if it is of no such kind.
    """
    return _BY_SUFFIX.get(suffix) or next(
        (found for start, found in _BY_HEAD.items() if head.startswith(start)), None)
