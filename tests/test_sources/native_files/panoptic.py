"""A sequence of CMU Panoptic."""

import json

import numpy as np

from mofm.sources.data_sets.panoptic import Panoptic
from tests.test_sources.native_files.mocap import person

# The same person in Panoptic's centimeters.
DOME = 100 * person('panoptic19') * [1, -1, -1]  # y points down and z is turned with it


def body(number=0, shift=(0, 0, 0), confidence=.6):
    """A person of a frame of Panoptic."""
    values = np.c_[DOME + shift, np.broadcast_to(confidence, 19)]
    return dict(id=number, joints19=values.round(3).ravel().tolist())


def scene(*bodies):
    """Bytes of a frame of Panoptic."""
    return json.dumps(dict(version=.7, univTime=1.5, fpsType='hd_29_97',
                           bodies=list(bodies))).encode()


def dome_camera(name='00_00', kind='hd', **changes):
    """A camera 3 m in front of the person that looks along +z, at its middle."""
    width, height = dict(hd=(1920, 1080)).get(kind, (640, 480))
    return {**dict(
        name=name, type=kind, resolution=[width, height], panel=int(name[:2]),
        node=int(name[3:]), K=[[.7 * width, 0, width / 2], [0, .7 * width, height / 2], [0, 0, 1]],
        distCoef=[-.25, .1, .001, -.0005, .01], R=np.eye(3).tolist(),
        t=[[0], [90], [300]]), **changes}


def panoptic(frames=None, cameras=None, sequence='170101_one'):
    """Files of a sequence: ``frames`` are the bodies by number."""
    frames = {i: [body(0, (i, 0, 0)), body(3, (-60, 0, 20))] for i in range(100, 105)} \
        if frames is None else frames
    cameras = [dome_camera(), dome_camera('00_01', R=np.diag([-1, 1, -1]).tolist()),
               dome_camera('01_01', 'vga'), dome_camera('50_01', 'kinect-color')] \
        if cameras is None else cameras
    calibration = json.dumps(dict(calibDataSource='a', cameras=cameras)).encode()
    return {f'{sequence}/calibration_{sequence}.json': calibration, **{
        f'{sequence}/hdPose3d_stage1_coco19/body3DScene_{number:08}.json': scene(*bodies)
        for number, bodies in frames.items()}}


SAMPLES = {
    'panoptic': (Panoptic, panoptic(), dict()),
    'panoptic_all': (Panoptic, panoptic(), dict(cameras=['all', '50_01'], num_cameras=3)),
}
