"""Small native files in the published layout of every source."""

from . import (
    actions,
    behavior,
    chad,
    estimators,
    gcn_arrays,
    jhmdb,
    kinect_v1,
    mocap,
    mocap_programs,
    ntu,
    panoptic,
    penn_action,
    pose_detectors,
    pyskl,
    smarthome,
    stg_nf,
    table,
    untrimmed,
)

# Name to a source, its files and its options
SAMPLES = {
    name: sample for module in (
        actions, behavior, chad, estimators, gcn_arrays, jhmdb, kinect_v1, mocap, mocap_programs,
        ntu, panoptic, penn_action, pose_detectors, pyskl, smarthome, stg_nf, table, untrimmed)
    for name, sample in module.SAMPLES.items()}


def write(folder, files):
    """Write bytes by path below a folder, and return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
