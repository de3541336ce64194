"""One-shot protocol of NTU RGB+D 120 (Liu et al., arXiv 1905.04757, Sec. 4.2)."""

import re
from collections.abc import Sequence

from mofm.annotations import AnnotationError
from mofm.utils.checks import show

#: Labels of the 20 novel classes: every sixth of 120.
NTU120_NOVEL = tuple(range(0, 120, 6))
#: The exemplar of each novel class.
NTU120_EXEMPLARS = tuple(f'S{1 if label < 60 else 18:03}C003P008R001A{label + 1:03}'
                         for label in NTU120_NOVEL)
_NAME = re.compile(r'S\d{3}C\d{3}P\d{3}R\d{3}A(\d{3})')


def ntu120_one_shot(annotations: Sequence[dict]) -> dict[str, list[str]]:
    """Compute the splits of the protocol.

    Args:
        annotations (Sequence[dict]): Annotations of NTU-120 with ``frame_dir`` such as
            'S001C003P008R001A001' and ``label``.

    Returns:
        dict: IDs of ``oneshot_train``, all samples of the 100 base classes;
        ``oneshot_exemplar``, one per novel class; ``oneshot_val``, the others of novel classes.

    Raises:
        AnnotationError: If a name or label is not of NTU-120, or an exemplar is missing.
    """
    train, novel = [], []
    for index, ann in enumerate(annotations):
        name, label = (ann.get('frame_dir'), ann.get('label')) if isinstance(ann, dict) else (0, 0)
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if match is None or not isinstance(label, int) or label + 1 != int(match[1]):
            raise AnnotationError(f'annotation {index}: found name {show(name)} with label '
                                  f'{show(label)}, '
                                  "expected those of NTU-120, e.g. 'S001C003P008R001A007' with 6")
        (novel if label in NTU120_NOVEL else train).append(name)
    missing = sorted(set(NTU120_EXEMPLARS) - set(novel))
    if missing:
        raise AnnotationError(f'exemplar {missing[0]}: found no annotation ({len(missing)} of '
                              f'{len(NTU120_EXEMPLARS)} exemplars are missing), expected all; use '
                              'the complete ntu120_hrnet.pkl')
    return dict(
        oneshot_train=train,
        oneshot_val=[name for name in novel if name not in NTU120_EXEMPLARS],
        oneshot_exemplar=list(NTU120_EXEMPLARS))
