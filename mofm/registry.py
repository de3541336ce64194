"""Every registry of MoFM: scope ``mofm``, children of MMEngine's.

A name that is not found here is looked up in MMEngine; names of another project are written with
their scope, e.g. ``mmaction.AccMetric``.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry


def _child(name: str, parent: Registry, location: str) -> Registry:
    return Registry(name, parent=parent, scope='mofm', locations=[location])


DATASETS = _child('dataset', MMENGINE_DATASETS, 'mofm.datasets')
DATA_SAMPLERS = _child('data sampler', MMENGINE_DATA_SAMPLERS, 'mofm.datasets')
TRANSFORMS = _child('transform', MMENGINE_TRANSFORMS, 'mofm.datasets.transforms')
MODELS = _child('model', MMENGINE_MODELS, 'mofm.models')
METRICS = _child('metric', MMENGINE_METRICS, 'mofm.evaluation')
HOOKS = _child('hook', MMENGINE_HOOKS, 'mofm.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('optimizer wrapper constructor',
                                    MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, 'mofm.engine')

#: Readers of outside formats, see ``tools/data/prepare.py``.
SOURCES = Registry('source', scope='mofm', locations=['mofm.sources'])
