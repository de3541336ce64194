"""Registries of MoFM in the scope ``mofm``, children of MMEngine's.

Names that are not found here are looked up in MMEngine; names of other projects need their scope,
e.g. ``mmaction.AccMetric``.
"""

from importlib.metadata import entry_points

from mmengine import registry as parent
from mmengine.registry import Registry

#: Group of entry points of packages with models or parts of them: ``MyHead = "my_package"``.
GROUP = 'mofm.models'


def _child(name: str, root: Registry, location: str) -> Registry:
    return Registry(name, parent=root, scope='mofm', locations=[location])


DATASETS = _child('dataset', parent.DATASETS, 'mofm.datasets')
DATA_SAMPLERS = _child('data sampler', parent.DATA_SAMPLERS, 'mofm.datasets')
TRANSFORMS = _child('transform', parent.TRANSFORMS, 'mofm.datasets.transforms')
MODELS = _child('model', parent.MODELS, 'mofm.models')
METRICS = _child('metric', parent.METRICS, 'mofm.evaluation')
HOOKS = _child('hook', parent.HOOKS, 'mofm.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('optimizer wrapper constructor',
                                    parent.OPTIM_WRAPPER_CONSTRUCTORS, 'mofm.engine')
INFERENCERS = _child('inferencer', parent.INFERENCERS, 'mofm.apis.inferencers')
VISUALIZERS = _child('visualizer', parent.VISUALIZERS, 'mofm.visualization')

# MMEngine warns about registries without a child in the scope
RUNNERS = _child('runner', parent.RUNNERS, 'mofm.engine')
LOOPS = _child('loop', parent.LOOPS, 'mofm.engine')
OPTIMIZERS = _child('optimizer', parent.OPTIMIZERS, 'mofm.engine')
OPTIM_WRAPPERS = _child('optim_wrapper', parent.OPTIM_WRAPPERS, 'mofm.engine')
PARAM_SCHEDULERS = _child('parameter scheduler', parent.PARAM_SCHEDULERS, 'mofm.engine')
MODEL_WRAPPERS = _child('model_wrapper', parent.MODEL_WRAPPERS, 'mofm.engine')
LOG_PROCESSORS = _child('log_processor', parent.LOG_PROCESSORS, 'mofm.engine')
EVALUATOR = _child('evaluator', parent.EVALUATOR, 'mofm.evaluation')
VISBACKENDS = _child('vis_backend', parent.VISBACKENDS, 'mofm.visualization')
FUNCTIONS = _child('function', parent.FUNCTIONS, 'mofm.datasets')
WEIGHT_INITIALIZERS = _child('weight initializer', parent.WEIGHT_INITIALIZERS,
                              'mofm.hub.partial_loading')

#: Pose networks, see :class:`mofm.pose_estimation.PoseEstimator`.
POSE_ESTIMATORS = Registry('pose estimator', scope='mofm', locations=['mofm.pose_estimation'])
#: Readers of external formats, see ``tools/data/prepare.py``.
SOURCES = Registry('source', scope='mofm', locations=['mofm.sources'])


def is_registered(name: str, registry: Registry) -> bool:
    """Return whether a class is registered in MoFM, also by an installed package.

    Args:
        name (str): The class. An entry point of this name in the group ``mofm.models`` is imported
            if nothing else has registered it.
        registry (Registry): Where it is looked for.

    Raises:
        ImportError: If the package cannot be imported.
    """
    registry.import_from_location()
    if name not in registry.module_dict:
        for entry in entry_points(group=GROUP, name=name):
            try:
                entry.load()
            except Exception as error:  # code of others
                raise ImportError(f'{entry.dist.name if entry.dist else GROUP}: {name} = '
                                  f'{entry.value}: cannot be imported: {type(error).__name__}: '
                                  f'{error}') from error
    return name in registry.module_dict
