"""``python -m mofm`` is the command ``mofm``."""

from mofm.cli import main

if __name__ == '__main__':
    main()
