"""Page of ``mofm app``: upload a video or poses, see what the models answer, search an index.

:mod:`.answers` computes, :mod:`.views` writes HTML and :mod:`.page` lays out; only the last needs
Gradio, the extra ``app``.
"""

from .page import serve

__all__ = ['serve']
