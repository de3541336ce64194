"""Poses corrected in CVAT and Label Studio: written as tasks, edited as people do, read back."""

import copy
import json
import random
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError, validate
from mofm.annotations.corrections import Report, correct, read_corrections
from mofm.annotations.video_poses import Videos
from mofm.structures import LAYOUTS
from mofm.writers import write_cvat, write_label_studio
from tests.test_sources.test_fuzz import bytes_of, json_of
from tests.test_writers.annotations import in_3d, tracked

JOINTS = LAYOUTS['coco17'].joints


# ----------------------------------------------------------------------------------- the programs
def annotate(tasks):
    """What Label Studio exports after everybody submitted the predictions as they are."""
    out = []
    for number, task in enumerate(copy.deepcopy(tasks), 1):
        result = task.pop('predictions')[0]['result']
        for region in result:
            region.pop('score')
            region['origin'] = 'prediction'
        out.append(dict(task, id=number, predictions=[], annotations=[dict(
            id=1000 + number, result=result, was_cancelled=False, ground_truth=False,
            updated_at='2026-01-01T00:00:00Z')]))
    return out


def result(task):
    return task['annotations'][0]['result']


def region(task, id_):
    return next(r for r in result(task) if r['id'] == id_)


def drop(task, *ids):
    task['annotations'][0]['result'] = [r for r in result(task) if r['id'] not in ids
                                        and r.get('parentID') not in ids]


def label_studio(tmp_path, annotations, edit=lambda tasks: None):
    """Corrected annotations and report after ``edit`` of the export."""
    videos = Videos(annotations)
    write_label_studio(tmp_path, videos)
    tasks = annotate(json.loads((tmp_path / 'tasks.json').read_text()))
    edit(tasks)
    (tmp_path / 'export.json').write_text(json.dumps(tasks))
    poses, report = read_corrections(tmp_path / 'export.json', videos)
    return correct(videos, poses, report), report


def exported(data):
    """What CVAT exports: coordinates in hundredths, its own numbers of tracks and files."""
    data = copy.deepcopy(data)
    for image in data['images']:
        image.pop('frame_id')
        image['file_name'] = image['file_name'].replace('.jpg', '.PNG')
    for ann in data['annotations']:
        ann['keypoints'] = [round(v, 2) for v in ann['keypoints']]
        ann['attributes']['track_id'] = 40 - ann['attributes']['track_id']
    return data


def cvat(tmp_path, annotations, edit=lambda data: None, name=1, **options):
    videos = Videos(annotations)
    path = write_cvat(tmp_path, videos)[name]
    data = exported(json.loads(path.read_text()))
    edit(data)
    with zipfile.ZipFile(tmp_path / 'task.zip', 'w') as archive:
        archive.writestr('annotations/person_keypoints_default.json', json.dumps(data))
    poses, report = read_corrections(tmp_path / 'task.zip', videos, **options)
    return correct(videos, poses, report), report


# ------------------------------------------------------------------------------------ the formats
def test_label_studio_task_has_percent_parents_and_numbers(tmp_path):
    write_label_studio(tmp_path, Videos([tracked('a b', track_id=np.array([7, 9]))]),
                       'https://example.org/')
    tasks = json.loads((tmp_path / 'tasks.json').read_text())
    assert [task['data'] for task in tasks][3] == dict(
        image='https://example.org/a_b/frame_000005.jpg', recording='a b', frame=5)
    found = tasks[0]['predictions'][0]['result']
    assert len(found) == 2 * 18
    assert found[0] == dict(
        original_width=640, original_height=480, image_rotation=0, to_name='image', id='person_7',
        type='rectanglelabels', from_name='person', score=.75, meta=dict(text=['person 7']),
        value=dict(x=pytest.approx(100.25 / 6.4), y=pytest.approx(200 / 4.8), width=2.5,
                   height=pytest.approx(32 / 4.8), rotation=0, rectanglelabels=['person']))
    assert found[1] == dict(
        original_width=640, original_height=480, image_rotation=0, to_name='image',
        id='person_7_nose', parentID='person_7', type='keypointlabels', from_name='joint',
        score=.75, value=dict(x=pytest.approx(100.25 / 6.4), y=pytest.approx(200 / 4.8), width=.5,
                              keypointlabels=['nose']))
    # the wrist that is missing in frame 1, and the person who is in frame 2
    assert 'person_7_left_wrist' not in {r['id'] for r in tasks[1]['predictions'][0]['result']}
    assert len(tasks[2]['predictions'][0]['result']) == 18
    config = (tmp_path / 'config.xml').read_text()
    for j, name in enumerate(JOINTS):
        assert f'<Label value="{name}"' in config
        assert f'model_index="{j}"/>' in config
    assert '<KeyPointLabels name="joint" toName="image"' in config


def test_cvat_task_has_skeleton_tracks_and_numbers(tmp_path):
    paths = write_cvat(tmp_path, Videos([tracked('a b', track_id=np.array([7, 9]))]))
    assert [path.name for path in paths] == ['labels.json', 'a_b.json']
    label, = json.loads(paths[0].read_text())
    assert label['type'] == 'skeleton'
    assert [sub['name'] for sub in label['sublabels']] == list(JOINTS)
    assert label['attributes'] == [dict(name='person', mutable=False, input_type='text',
                                        default_value='', values=[''])]
    assert label['svg'].count('<circle') == 17
    assert label['svg'].count('<line') == len(LAYOUTS['coco17'].edges)
    assert 'data-element-id="17" data-node-id="17" data-label-name="right_ankle"' in label['svg']
    data = json.loads(paths[1].read_text())
    assert data['images'][3]['file_name'] == 'a_b/frame_000005.jpg'
    assert data['categories'][0]['keypoints'] == list(JOINTS)
    assert [a['attributes'] for a in data['annotations']][:2] == [
        dict(occluded=False, keyframe=True, track_id=0, person='7'),
        dict(occluded=False, keyframe=True, track_id=1, person='9')]
    assert data['annotations'][2]['keypoints'][29] == 0
    # absent, but where it is found when it is switched on
    assert data['annotations'][2]['keypoints'][27:29] == pytest.approx([109.1875, 215.875], .01)


@pytest.mark.parametrize('layout', ['coco17', 'kinect25', 'wholebody133'])
def test_cvat_drawing_has_a_place_of_its_own_for_every_joint(tmp_path, layout):
    joints = LAYOUTS[layout].num_joints
    write_cvat(tmp_path, Videos([tracked(joints=joints)], layout))
    svg = json.loads((tmp_path / 'labels.json').read_text())[0]['svg']
    places = [part.split('data-type')[0] for part in svg.split('<circle r="0.75" ')[1:]]
    assert len(set(places)) == len(places) == joints


def test_tasks_of_3d_joints_are_refused(tmp_path):
    for write in (write_cvat, write_label_studio):
        with pytest.raises(ValueError, match='found 3D joints'):
            write(tmp_path / 'new', Videos([in_3d()]))
    assert not (tmp_path / 'new').exists()


# ------------------------------------------------------------------------------ there and back
@pytest.mark.parametrize('there_and_back', [label_studio, cvat])
@pytest.mark.parametrize('fields', [{}, dict(track_id=np.array([7, 9])),
                                    dict(box=np.ones((2, 4, 4), np.float32))])
def test_untouched_poses_come_back_bit_by_bit(tmp_path, there_and_back, fields):
    ann = tracked(**fields)
    ann['keypoint'][0, 0, 0] = 333.333, 55.55  # no multiple of hundredths or percents
    (found, ), report = there_and_back(tmp_path, [ann])
    assert found is ann
    assert report.frames == 4
    assert not report.poses
    assert not report.joints
    assert not report.left_out


def test_label_studio_corrections_move_add_and_delete(tmp_path):
    def edit(tasks):
        region(tasks[0], 'person_7_nose')['value'].update(x=50, y=25)
        drop(tasks[1], 'person_9')  # a pose
        drop(tasks[3], 'person_9_left_eye')  # a joint
        tasks[1]['annotations'][0]['result'].append(dict(  # the wrist that was missing
            id='x1', type='keypointlabels', parentID='person_7',
            value=dict(x=10, y=20, width=1, keypointlabels=['left_wrist'])))

    ann = tracked(track_id=np.array([7, 9]))
    before = copy.deepcopy(ann)
    (found, ), report = label_studio(tmp_path, [ann], edit)
    np.testing.assert_array_equal(found['keypoint'][0, 0, 0], [320, 120])
    assert found['keypoint_score'][0, 0, 0] == 1
    np.testing.assert_array_equal(found['keypoint'][0, 1, 9], [64, 96])
    assert found['keypoint_score'][0, 1, 9] == 1
    assert not found['keypoint'][1, 1].any()
    assert not found['keypoint_score'][1, 1].any()
    assert not found['keypoint'][1, 3, 1].any()
    assert found['keypoint_score'][1, 3, 1] == 0
    same = np.ones((2, 4, 17), bool)
    same[0, 0, 0] = same[0, 1, 9] = same[1, 1] = same[1, 3, 1] = False
    np.testing.assert_array_equal(found['keypoint'][same], before['keypoint'][same])
    np.testing.assert_array_equal(found['keypoint_score'][same], before['keypoint_score'][same])
    assert report.joints == dict(moved=1, added=1, deleted=18)
    assert report.poses == dict(changed=3, deleted=1, added=0)
    np.testing.assert_array_equal(ann['keypoint'], before['keypoint'])  # of the caller


def test_cvat_corrections_move_add_and_delete(tmp_path):
    def edit(data):
        poses = data['annotations']
        poses[0]['keypoints'][:3] = [320, 120.5, 1]  # occluded is there, too
        poses[2]['keypoints'][27:30] = [64, 96, 2]
        poses[6]['keypoints'][5] = 0  # outside
        del poses[3]

    (found, ), report = cvat(tmp_path, [tracked()], edit)
    np.testing.assert_array_equal(found['keypoint'][0, 0, 0], [320, 120.5])
    np.testing.assert_array_equal(found['keypoint'][0, 1, 9], [64, 96])
    assert not found['keypoint'][1, 1].any()
    assert not found['keypoint'][1, 3, 1].any()
    assert report.joints == dict(moved=1, added=1, deleted=18)
    assert report.poses == dict(changed=3, deleted=1, added=0)
    assert validate(found) is None


def test_cvat_skeleton_without_a_number_is_counted(tmp_path):
    def edit(data):
        for ann, person in zip(data['annotations'], ['person 0', ' 1 ', 0, 'x', '', None, [1]],
                               strict=True):
            ann['attributes']['person'] = person
        del data['annotations'][4]['attributes']

    (found, ), report = cvat(tmp_path, [tracked()], edit)
    assert report.left_out == {'skeletons without a number in the attribute person': 4}
    assert report.poses == dict(changed=0, added=0, deleted=4)
    assert found['keypoint'].any((2, 3)).tolist() == [[True, True, False, False],
                                                      [True, False, False, False]]


def test_cvat_order_of_joints_is_that_of_the_export(tmp_path):
    def edit(data):
        category, = data['categories']
        category['keypoints'].reverse()
        for ann in data['annotations']:
            ann['keypoints'] = np.reshape(ann['keypoints'], (17, 3))[::-1].ravel().tolist()
        data['annotations'][0]['keypoints'][:3] = [1, 2, 2]  # the right ankle

    (found, ), report = cvat(tmp_path, [tracked()], edit)
    assert found['keypoint'][0, 0, 16].tolist() == [1, 2]
    assert report.joints == dict(moved=1, added=0, deleted=0)


def test_cvat_images_that_are_not_in_the_export_stay(tmp_path):
    def edit(data):
        data['images'] = data['images'][:1]
        data['annotations'] = data['annotations'][:1]

    (found, ), report = cvat(tmp_path, [tracked()], edit)
    assert report.frames == 1
    assert report.others == 3
    assert '1 frames in the export; 3 others of these videos stay' in str(report)
    assert report.poses == dict(changed=0, added=0, deleted=1)
    assert not found['keypoint'][1, 0].any()
    np.testing.assert_array_equal(found['keypoint'][:, 1:], tracked()['keypoint'][:, 1:])


def test_cvat_task_of_a_video_needs_the_recording(tmp_path):
    def edit(data):
        for image in data['images']:
            image['file_name'] = image['file_name'].split('/')[1]  # frame_000000.PNG
        data['annotations'][0]['keypoints'][:2] = [1, 2]

    anns = [tracked('a'), tracked('b')]
    with pytest.raises(AnnotationError, match=r"task.zip.*image 0: image.*--recording"):
        cvat(tmp_path, anns, edit, 2)
    found, _ = cvat(tmp_path, anns, edit, 2, recording='b')
    assert found[0] is anns[0]
    assert found[1]['keypoint'][0, 0, 0].tolist() == [1, 2]
    with pytest.raises(AnnotationError, match="recording: found 'c', expected one of .'a', 'b'"):
        cvat(tmp_path, anns, edit, 2, recording='c')


def test_export_of_another_recording_is_refused(tmp_path):
    videos = Videos([tracked('run')])
    path = write_cvat(tmp_path, Videos([tracked('walk')]))[1]
    with pytest.raises(AnnotationError, match="found walk/frame_000000.jpg, expected.*'run'"):
        read_corrections(path, videos)
    poses, _ = read_corrections(path, videos, recording='run')
    assert list(poses) == ['run']


def test_label_studio_image_gives_recording_and_frame_where_the_data_do_not(tmp_path):
    def edit(tasks):
        for task in tasks:
            del task['data']['recording'], task['data']['frame']
        region(tasks[5], 'person_0_nose')['value'].update(x=50, y=25)

    found, report = label_studio(tmp_path, [tracked('a b'), tracked('ü')], edit)
    assert report.frames == 8
    assert found[1]['keypoint'][0, 1, 0].tolist() == [320, 120]


def test_label_studio_tasks_without_annotation_or_skipped_stay(tmp_path):
    def edit(tasks):
        tasks[0]['annotations'] = []
        tasks[1]['annotations'][0]['was_cancelled'] = True
        tasks[1]['annotations'][0]['result'] = []
        tasks[2]['annotations'][0]['result'] = []  # nobody is there

    (found, ), report = label_studio(tmp_path, [tracked()], edit)
    assert report.frames == 2
    assert report.poses == dict(changed=0, added=0, deleted=1)
    assert found['keypoint'].any((2, 3)).tolist() == [[True, True, False, True],
                                                      [True, True, False, True]]


def test_label_studio_latest_annotation_of_a_task_counts(tmp_path):
    def edit(tasks):
        newer = copy.deepcopy(tasks[0]['annotations'][0])
        newer.update(updated_at='2026-02-01T00:00:00Z')
        next(r for r in newer['result'] if r['id'] == 'person_0_nose')['value'].update(x=50, y=50)
        region(tasks[0], 'person_0_nose')['value'].update(x=1, y=1)
        tasks[0]['annotations'].insert(0, newer)

    (found, ), report = label_studio(tmp_path, [tracked()], edit)
    assert found['keypoint'][0, 0, 0].tolist() == [320, 240]
    assert report.left_out == {'older annotations of a task': 1}


def test_label_studio_joint_without_parent_belongs_to_the_rectangle_around_it(tmp_path):
    def edit(tasks):
        for name, x, y in (('left_wrist', 110, 210), ('left_wrist', 600, 10)):
            result(tasks[1]).append(dict(id=name + str(x), type='keypointlabels', value=dict(
                x=x / 6.4, y=y / 4.8, width=1, keypointlabels=[name])))

    (found, ), report = label_studio(tmp_path, [tracked()], edit)
    np.testing.assert_allclose(found['keypoint'][0, 1, 9], [110, 210], rtol=1e-6)
    assert report.joints == dict(moved=0, added=1, deleted=0)
    assert report.left_out == {'joints in no rectangle, or in several ones': 1}


def test_label_studio_regions_of_other_kinds_are_passed_over_or_counted(tmp_path):
    def edit(tasks):
        result(tasks[0]).extend([
            dict(id='r', type='relation', from_id='a', to_id='b', direction='right'),
            dict(id='c', type='choices', value=dict(choices=['good'])),
            dict(id='k', type='keypoint', value=dict(x=1, y=1, width=1)),
            dict(id='t', type='rectanglelabels', image_rotation=90, value=dict(
                x=1, y=1, width=1, height=1, rectanglelabels=['person']))])

    ann = tracked()
    (found, ), report = label_studio(tmp_path, [ann], edit)
    assert found is ann
    assert report.left_out == {'regions without a label': 1, 'regions of a rotated image': 1}


def test_label_studio_copy_of_a_person_is_counted(tmp_path):
    def edit(tasks):
        copies = copy.deepcopy(result(tasks[0])[:18])
        for r in copies:
            r['id'] = r['id'].replace('person_0', 'x')
            if 'parentID' in r:
                r['parentID'] = 'x'
                r['value']['x'] += 10
        tasks[0]['annotations'][0]['result'] = copies + result(tasks[0])

    ann = tracked()
    (found, ), report = label_studio(tmp_path, [ann], edit)
    assert found is ann
    assert report.left_out == {'poses of a person who is in the frame already': 1}


def test_corrected_box_is_that_of_the_rectangle_or_around_the_joints(tmp_path):
    box = np.ones((2, 4, 4), np.float32) * [90, 190, 130, 240]

    def edit(tasks):
        region(tasks[0], 'person_0')['value'].update(x=10, y=10, width=50, height=50)
        region(tasks[0], 'person_0_nose')['value'].update(x=50, y=25)

    (found, ), _ = label_studio(tmp_path, [tracked(box=box)], edit)
    np.testing.assert_allclose(found['box'][0, 0], [64, 48, 384, 288])
    np.testing.assert_array_equal(found['box'][0, 1:], box[0, 1:])
    (found, ), _ = cvat(tmp_path, [tracked(box=box)], lambda data: data['annotations'][0][
        'keypoints'].__setitem__(slice(0, 2), [320, 120]))
    np.testing.assert_allclose(found['box'][0, 0], [101.25, 120, 320, 232])
    assert validate(found) is None


def new_person(task, text):
    result(task).extend([
        dict(id='aB3', type='rectanglelabels', meta=dict(text=[text]), value=dict(
            x=0, y=0, width=10, height=10, rotation=0, rectanglelabels=['person'])),
        dict(id='aB4', type='keypointlabels', parentID='aB3', value=dict(
            x=5, y=5, width=1, keypointlabels=['nose']))])


def test_new_person_with_a_number_is_added(tmp_path):
    (found, ), report = label_studio(tmp_path, [tracked(track_id=np.array([7, 9]))],
                                     lambda tasks: new_person(tasks[2], 'person 12'))
    assert found['keypoint'].shape == (3, 4, 17, 2)
    assert found['keypoint'][2, 2, 0].tolist() == [32, 24]
    assert found['keypoint_score'][2].sum() == 1
    assert found['track_id'].tolist() == [7, 9, 12]
    assert report.persons == ['walk/12']
    assert report.poses['added'] == 1


def test_new_person_without_a_number_is_counted(tmp_path):
    (found, ), report = label_studio(tmp_path, [tracked()],
                                     lambda tasks: new_person(tasks[2], 'somebody'))
    assert found['keypoint'].shape[0] == 2
    assert report.left_out == {'rectangles without a number, e.g. the meta text person 7': 1}


def test_new_person_among_tracks_is_an_annotation(tmp_path):
    both = tracked()
    tracks = [dict(both, frame_dir=f'walk/{i}', clip='walk', track_id=i,
                   keypoint=both['keypoint'][i:i + 1],
                   keypoint_score=both['keypoint_score'][i:i + 1]) for i in range(2)]
    found, report = label_studio(tmp_path, tracks, lambda tasks: new_person(tasks[2], 'person 5'))
    assert found[:2] == tracks
    assert found[2]['frame_dir'] == 'walk/5'
    assert found[2]['track_id'] == 5
    assert found[2]['keypoint'][0, 2, 0].tolist() == [32, 24]
    assert validate(found[2]) is None
    assert report.persons == ['walk/5']


def test_pose_in_a_frame_that_a_track_lacks_is_counted(tmp_path):
    both = tracked()
    rows = np.array([0, 1, 3])
    tracks = [dict(both, frame_dir='walk/0', clip='walk', track_id=0,
                   keypoint=both['keypoint'][:1], keypoint_score=both['keypoint_score'][:1]),
              dict(both, frame_dir='walk/1', clip='walk', track_id=1, total_frames=3,
                   keypoint=both['keypoint'][1:, rows], frame_inds=both['frame_inds'][rows],
                   keypoint_score=both['keypoint_score'][1:, rows])]
    found, report = label_studio(tmp_path, tracks, lambda tasks: new_person(tasks[2], 'person 1'))
    assert found[1] is tracks[1]
    assert report.left_out == {'poses in frames that the recording does not have': 1}
    assert not report.persons


def test_corrected_pose_keeps_fractions_of_pixels_beyond_float16(tmp_path):
    ann = tracked(img_shape=(2160, 3840))
    ann['keypoint'] = (ann['keypoint'].astype(np.float32) * 5).astype(np.float16)

    def edit(data):
        data['annotations'][1]['keypoints'][:2] = [2001.25, 1000.5]

    (found, ), _ = cvat(tmp_path, [ann], edit)
    assert found['keypoint'][1, 0, 0].tolist() == [2001.25, 1000.5]


def test_names_of_files_are_those_of_the_whole_file_for_a_split(tmp_path):
    anns = [tracked('a/b'), tracked('a_b')]
    whole, part = Videos(anns), Videos(anns, only={'a_b'})
    assert whole.stems == part.stems == {'a/b': 'a_b', 'a_b': 'a_b_2'}
    write_cvat(tmp_path, part)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a_b_2.json', 'labels.json']


# ----------------------------------------------------------------------------------- other files
@pytest.mark.parametrize(('content', 'message'), [
    ('{"people": []}', 'expected the "JSON" export of Label Studio or "COCO'),
    ('[{"image": "a", "id": 1}]', 'task 0: annotations: found nothing.*not "JSON-MIN"'),
    ('[1]', 'tasks: found'),
    ('{"annotations": [], "images": 1, "categories": []}', 'images: found 1'),
    ('{"annotations": [], "images": [], "categories": [{"id": 1, "keypoints": ["a"]}]}',
     "category 0: keypoints: found .'a'.*joints of layout 'coco17'"),
    ('[', 'expected a readable JSON file'),
    ('PK', 'expected a readable zip file')])
def test_other_file_is_named(tmp_path, content, message):
    path = tmp_path / 'export.json'
    path.write_text(content)
    with pytest.raises(AnnotationError, match=message) as error:
        read_corrections(path, Videos([tracked()]))
    assert str(path) in str(error.value)


@pytest.mark.parametrize('program', ['label_studio', 'cvat'])
def test_damaged_export_gives_named_error_or_valid_annotations(tmp_path, program):
    anns = [tracked('a', track_id=np.array([7, 9]), box=np.ones((2, 4, 4), np.float32)),
            tracked('b', frames=(0, ), ids=(0, ))]
    videos = Videos(anns)
    if program == 'cvat':
        content = json.dumps(exported(json.loads(write_cvat(tmp_path, videos)[1].read_text())))
    else:
        content = json.dumps(annotate(json.loads(write_label_studio(tmp_path, videos)[1]
                                                 .read_text())))
    path = tmp_path / 'damaged.json'
    read = refused = 0
    for seed in range(300):
        rng = random.Random(f'{program} {seed}')
        damaged, what = rng.choice([bytes_of, json_of, json_of])(rng, content.encode())
        path.write_bytes(damaged)
        message = None
        try:
            poses, report = read_corrections(path, videos, report=Report())
        except AnnotationError as error:
            message = str(error)
        if message is None:
            for ann in correct(videos, poses, report):
                assert validate(ann, allow_empty=True) is None, what
            assert len(str(report)) < 10**4
            read += 1
        else:
            assert str(path) in message, what
            assert len(message) < 2000
            refused += 1
    assert read
    assert refused > 50
