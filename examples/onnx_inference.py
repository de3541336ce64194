"""Run a model of tools/export_onnx.py on keypoints; needs only NumPy and ONNX Runtime.

python examples/onnx_inference.py model.onnx clip.npy --img-shape 1080 1920
"""

import argparse
import json

import numpy as np
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument('model', help='ONNX file')
parser.add_argument('clip', nargs='?', help='.npy or .npz with (T, J, 3) or (M, T, J, 3): x and y '
                    'in pixels, score; or a .json annotation file [demo clip]')
parser.add_argument('--img-shape', nargs=2, type=int, default=(1080, 1920), metavar=('H', 'W'))
args = parser.parse_args()

session = onnxruntime.InferenceSession(args.model)
meta = session.get_modelmeta().custom_metadata_map
joints, frames, img_shape = int(meta['num_joints']), int(meta['num_frames']), args.img_shape
if args.clip is None:  # joints that swing sideways
    points = np.random.default_rng(0).uniform(400, 600, (1, joints, 3)).repeat(90, 0)  # (T, J, 3)
    points[..., 0] += 50 * np.sin(np.arange(90) / 10)[:, None]
elif args.clip.endswith('.json'):
    with open(args.clip, encoding='utf-8') as file:
        clip = json.load(file)['annotations'][0]
    points = np.concatenate((clip['keypoint'], np.array(clip['keypoint_score'])[..., None]), -1)
    img_shape = clip['img_shape']
else:
    points = np.load(args.clip)
    points = points[points.files[0]] if args.clip.endswith('.npz') else points

points = points.reshape(-1, *points.shape[-3:])  # (M, T, J, 3)
total = points.shape[1]  # the middle of each bin; a short clip is repeated
sample = np.arange(frames) % total if total < frames else np.arange(0.5, frames) * total / frames
points = points[:, sample.astype(int)].swapaxes(1, 2)[None]  # (1, M, J, F, 3)
results = session.run(None, dict(keypoints=points.astype(np.float32),
                                 img_shape=np.array([img_shape], np.int64)))
for output, result in zip(session.get_outputs(), results, strict=True):
    if output.name != 'scores':
        print(output.name, result[0])
        continue
    names = json.loads(meta.get('classes', 'null')) or range(result.shape[1])
    for i in result[0].argsort()[::-1][:5]:
        print(f'{result[0, i]:.3f} {names[i]}')
