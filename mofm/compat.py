"""Workaround for ``import mmaction.models``: the wheel of mmaction2 1.2.0 lacks a package.

Import this module before ``mmaction.models``; a config does so with
``custom_imports = dict(imports=['mofm.compat'])`` and can then name e.g. ``mmaction.STGCN``.
"""

import importlib.machinery
import importlib.util
import sys
from types import ModuleType

import mmaction  # noqa: F401


def _missing_drn():
    """Make stand-ins for ``mmaction.models.localizers.drn.drn``."""
    package, module = (ModuleType(f'mmaction.models.localizers.{name}') for name in
                       ('drn', 'drn.drn'))

    class DRN:
        """Not part of the mmaction2 wheel."""

        def __init__(self, *args, **kwargs):
            raise ImportError('DRN is missing in the wheel of mmaction2 1.2.0; install mmaction2 '
                              'from source to use it')

    package.__path__ = []
    module.DRN = DRN
    return package, module


_ROOT = importlib.util.find_spec('mmaction').submodule_search_locations[0]
_spec = importlib.machinery.PathFinder.find_spec('drn', [f'{_ROOT}/models/localizers'])
if _spec is None:
    for _module in _missing_drn():
        sys.modules.setdefault(_module.__name__, _module)

import mmaction.models  # noqa: E402,F401
