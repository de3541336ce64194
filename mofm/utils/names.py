"""Names from foreign files: validity, and safe file names."""

import re
import unicodedata

#: Characters of a name at most.
LENGTH = 1000
#: Valid names, for messages.
NAME = f'a string of at most {LENGTH} characters, without control characters or lone surrogates'
_REFUSED = {'Cc', 'Cs', 'Zl', 'Zp'}  # control, surrogate, line and paragraph separator
_RESERVED = {'AUX', 'CON', 'NUL', 'PRN', *(f'{port}{i}' for port in ('COM', 'LPT')
                                           for i in '123456789¹²³')}  # by Windows


def is_name(value: object) -> bool:
    """Return whether a value is a name that can be printed and written to any file."""
    return isinstance(value, str) and len(value) <= LENGTH and (
        value.isprintable() or not any(unicodedata.category(c) in _REFUSED for c in value))


def file_stem(name: str, used: dict[str, int]) -> str:
    """Convert a name to that of a file, without suffix, which is valid on all systems.

    Letters, digits, ``_``, ``-`` and ``.`` stay, so it is no path.

    Args:
        name (str): Any text.
        used (dict[str, int]): Earlier names, which are avoided and extended. Some systems ignore
            case.
    """
    stem = re.sub(r'[^\w.-]', '_', unicodedata.normalize('NFC', name))[:100]
    stem = stem.encode()[:200].decode(errors='ignore').strip('.') or '_'
    if stem.split('.')[0].upper() in _RESERVED:
        stem = f'_{stem}'
    unique = stem
    while unique.casefold() in used:
        used[stem.casefold()] += 1
        unique = f'{stem}_{used[stem.casefold()]}'
    used[unique.casefold()] = 1
    return unique
