"""Tasks for people who correct poses, in CVAT and in Label Studio.

The formats are JSON of few fields. datumaro, label-studio-sdk and sleap-io write them, too, but
need other versions of NumPy and PyArrow, or keep neither the persons' numbers nor the scores.
"""

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from mofm.annotations.video_poses import VideoPoses, Videos, image_name
from mofm.structures import Layout, front_view
from mofm.utils.files import atomic_write

from .json_poses import category, images, poses, require_2d, write_list

#: Where Label Studio finds local images below ``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT``.
LOCAL_FILES = '/data/local-files/?d=images/'
_COLORS = dict(left='#1f77b4', right='#d62728')


def write_cvat(folder: str | PathLike, videos: Videos) -> list[Path]:
    """Write tasks for CVAT: the skeleton, and a file per video in the format COCO Keypoints 1.0.

    ``labels.json`` is for the raw view of the labels of a new task. Its attribute ``person`` keeps
    the number of a person, as CVAT numbers tracks anew. ``<video>.json`` is uploaded as
    annotations. CVAT finds the frames by name, ``<video>/frame_<number>``, or by number in a task
    made of a video. Missing joints are ``outside``.

    Args:
        folder (str or Path): Folder of the files.
        videos (Videos): 2D poses.

    Returns:
        list[Path]: Files written.

    Raises:
        AnnotationError: If the joints are 3D.
    """
    require_2d(folder, videos)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    label = dict(name='person', type='skeleton', svg=_drawing(videos.layout), attributes=[dict(
        name='person', mutable=False, input_type='text', default_value='', values=[''])],
        sublabels=[dict(name=name, type='points', attributes=[]) for name in
                   videos.layout.joints])
    written = [folder / 'labels.json']
    with atomic_write(written[0]) as f:
        f.write(json.dumps([label], indent=1).encode())
    for video in videos:
        written.append(folder / f'{video.stem}.json')
        with atomic_write(written[-1]) as f:
            f.write(b'{"info": {}, "licenses": [],\n"categories": ')
            f.write(json.dumps([category(videos.layout)]).encode() + b',\n"images": ')
            write_list(f, images(video))
            f.write(b',\n"annotations": ')
            write_list(f, _cvat(video))
            f.write(b'}\n')
    return written


def _cvat(video: VideoPoses) -> Iterator[dict]:
    # the middle of the person, where a joint that becomes visible is found
    middle = np.nanmean(video.keypoint, 1) if len(video.keypoint) else np.zeros((0, 2))
    tracks = np.unique(video.person, return_inverse=True)[1]
    for pose, person, track in zip(poses(video, missing=middle), video.person.tolist(),
                                   tracks.tolist(), strict=True):
        yield dict(pose, attributes=dict(occluded=False, keyframe=True, track_id=track,
                                         person=str(person)))


def _drawing(layout: Layout) -> str:
    """Return the SVG elements of a skeleton that faces the viewer, its left on the right."""
    places = [_place(name, i) for i, name in enumerate(layout.joints)]
    lines = ''.join(
        '<line x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}" stroke="black" data-type="edge" '
        'data-node-from="{}" data-node-to="{}"></line>'.format(
            *places[a], *places[b], a + 1, b + 1) for a, b in layout.edges)
    return lines + ''.join(
        f'<circle r="0.75" cx="{x:g}" cy="{y:g}" data-type="element node" data-element-id="{i}" '
        f'data-node-id="{i}" data-label-name={quoteattr(name)}></circle>'
        for i, ((x, y), name) in enumerate(zip(places, layout.joints, strict=True), 1))


def _place(name: str, index: int) -> tuple[float, float]:
    """Return the place of a joint in percent; fingers and faces are in rows beside the body."""
    place = front_view(name)
    if place is None:
        return 2 + 3 * (index % 7), 2 + 4 * (index // 7 % 24)
    return 65 + 90 * place[0], 95 - 90 * place[1]


def write_label_studio(folder: str | PathLike, videos: Videos,
                       prefix: str = LOCAL_FILES) -> list[Path]:
    """Write tasks for Label Studio with the poses as predictions, one task per frame.

    ``config.xml`` is the labeling interface, ``tasks.json`` is imported. A person is a rectangle
    with the joints as its children; its ID and its meta text ``person 7`` keep the number. Missing
    joints are left out.

    Args:
        folder (str or Path): Folder of the files.
        videos (Videos): 2D poses.
        prefix (str): URL in front of the name of an image, ``<video>/frame_<number>.jpg``.

    Returns:
        list[Path]: Files written.

    Raises:
        AnnotationError: If the joints are 3D.
    """
    require_2d(folder, videos)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / 'config.xml', folder / 'tasks.json']
    labels = ''.join(
        f'    <Label value={quoteattr(name)} background="'
        f'{_COLORS.get(name.partition("_")[0], "#2ca02c")}" model_index="{i}"/>\n'
        for i, name in enumerate(videos.layout.joints))
    with atomic_write(written[0]) as f:
        f.write(f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <RectangleLabels name="person" toName="image">
    <Label value="person" background="#9467bd"/>
  </RectangleLabels>
  <KeyPointLabels name="joint" toName="image" strokeWidth="3" opacity="1">
{labels}  </KeyPointLabels>
</View>
""".encode())
    with atomic_write(written[1]) as f:
        write_list(f, (task for video in videos for task in _tasks(video, videos.layout, prefix)))
    return written


def _tasks(video, layout, prefix) -> Iterator[dict]:
    height, width = video.img_shape
    size = np.array([width, height])
    points = video.keypoint / size * 100
    boxes = video.box_xywh / np.tile(size, 2) * 100
    scores = np.nanmean(video.score, 1) if len(video.score) else np.zeros(0)
    common = dict(original_width=width, original_height=height, image_rotation=0, to_name='image')
    ends = np.searchsorted(video.frame, video.frames, 'right')
    starts = np.searchsorted(video.frame, video.frames)
    for frame, start, end in zip(video.frames.tolist(), starts, ends, strict=True):
        result = []
        for i in range(start, end):
            person = f'person_{video.person[i]}'
            x, y, w, h = boxes[i].tolist()
            result.append(dict(
                common, id=person, type='rectanglelabels', from_name='person',
                score=float(scores[i]), meta=dict(text=[person.replace('_', ' ')]),
                value=dict(x=x, y=y, width=w, height=h, rotation=0, rectanglelabels=['person'])))
            for joint in np.flatnonzero(np.isfinite(points[i, :, 0])):
                x, y = points[i, joint].tolist()
                name = layout.joints[joint]
                result.append(dict(
                    common, id=f'{person}_{name}', parentID=person, type='keypointlabels',
                    from_name='joint', score=float(video.score[i, joint]),
                    value=dict(x=x, y=y, width=.5, keypointlabels=[name])))
        yield dict(
            data=dict(image=prefix + quote(image_name(video.stem, frame)), recording=video.name,
                      frame=frame),
            predictions=[dict(model_version='mofm', result=result,
                              score=float(scores[start:end].mean()) if end > start else 0)])
