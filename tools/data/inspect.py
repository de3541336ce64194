"""What is in an annotation file: counts, lengths, joints, scores, problems, and pictures.

python tools/data/inspect.py data/penn_action.pkl
python tools/data/inspect.py data/penn_action.pkl --sheet work_dirs/penn_action.gif
"""
import sys

if __name__ == '__main__':
    from _annotation_report import main
    sys.exit(main())
# Python looks into the folder of a script first, and this file is called like a module of the
# standard library: whoever asks for that one gets it.
sys.path.pop(0)
del sys.modules[__name__]
import inspect  # noqa: E402, F401
