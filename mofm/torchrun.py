"""torchrun, called by dist_train.sh: what its processes have explained is a line, not a report."""

import logging
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main():
    """Run torchrun; print each explanation of :func:`mofm.launch.launch` once."""
    # what it logs about the end of a process is in the report, too
    for name in ('api', 'errors.error_handler'):
        logger = logging.getLogger(f'torch.distributed.elastic.multiprocessing.{name}')
        logger.setLevel(logging.CRITICAL)
    try:
        run.main()
    except ChildFailedError as error:
        found = [failure.error_file_data for failure in error.failures.values()]
        # a traceback is a dict, and the end by a signal has no time
        texts = dict.fromkeys(data['message'] for data in found if 'timestamp' in data)
        if not texts:
            raise
        sys.exit('\n'.join(texts))


if __name__ == '__main__':
    main()
