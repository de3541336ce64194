"""Validation splits of data sets that are published with ``train`` and ``test`` only.

``validation_lists/NAME.txt`` lists the validation part of ``train`` and says how it was drawn.
"""
from functools import cache
from pathlib import Path

_LISTS = Path(__file__).parent / 'validation_lists'


@cache
def validation_list(name: str) -> frozenset[str]:
    """Read the recordings, clips or subjects of the list ``name`` that are for validation."""
    lines = (_LISTS / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return frozenset(line for line in lines if not line.startswith('#'))


def with_validation(split: str, recording: str, name: str) -> tuple[str, ...]:
    """Add ``fit`` or ``val``, which divide ``train``, to the split of a recording.

    Args:
        split (str): 'train' or 'test'.
        recording (str): Recording, clip or subject as in the list.
        name (str): Name of the list.

    Returns:
        tuple[str]: ('train', 'fit'), ('train', 'val') or ('test', ).
    """
    if split != 'train':
        return (split, )
    return 'train', 'val' if recording in validation_list(name) else 'fit'
