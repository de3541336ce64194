"""URLs of live sources: what is one, and what of it may be shown."""

import re
from typing import TypeGuard

from .checks import is_int

_KEYS = re.compile(r'([?&][^=&#]*(?:pass|pwd|user|token|key|auth|secret)[^=&#]*=)[^&#]*', re.I)


def is_url(source: object) -> TypeGuard[str]:
    """Return whether a source is a URL, of whatever scheme."""
    return isinstance(source, str) and '://' in source


def mask(url: str) -> str:
    """Hide user, password and keys in a URL; other texts stay."""
    if not is_url(url):
        return url
    return _KEYS.sub(r'\1***', re.sub(r'://.*@', '://***@', url, flags=re.S))


def live_hint(source: object) -> str:
    """Return the end of a message about a camera or a URL, which only live streams read."""
    camera = is_int(source, 0) or isinstance(source, str) and source.isdecimal()
    return '; `mofm stream` and mofm.live.LiveStream read cameras and URLs' \
        if camera or is_url(source) else ''
