"""mmaction.models: importable through mofm.compat, not imported without it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def run(code):
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, timeout=120)


def test_compat_makes_the_models_importable():
    run('import mofm.compat, mmaction.models\n'
        'from mmaction.registry import MODELS\n'
        'assert MODELS.get("STGCN") and MODELS.get("ResNet3dSlowOnly")')


def test_core_does_not_import_mmaction_models():
    run('import mofm.datasets, mofm.engine, mofm.evaluation, mofm.models, sys\n'
        'assert "mmaction.models" not in sys.modules')
