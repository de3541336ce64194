"""Tokenizer of CLIP (arXiv 2103.00020) and ViCLIP: byte-pair encoding of lower-case texts."""

import gzip
import html
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mofm.annotations import file_error
from mofm.utils.checks import describe
from mofm.utils.limits import get_limits

#: Name of the released vocabulary.
VOCABULARY = 'bpe_simple_vocab_16e6.txt.gz'
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
_SPECIAL = 2  # start and end of a text, the last tokens of the vocabulary


class CLIPTokenizer:
    """Texts to tokens, by the packages ``tokenizers`` and ``ftfy``.

    Args:
        path (str or Path): Vocabulary as released with CLIP and ViCLIP, a gzip file with a
            comment, then a pair of symbols to merge per line, by rank.
        num_tokens (int): Size V of the vocabulary: 256 bytes, each also as the end of a word, the
            first V - 514 pairs, start and end.

    Raises:
        AnnotationError: If the file is missing, damaged, of another structure or too short.
        ImportError: If a package is missing.
    """

    def __init__(self, path: str | Path, num_tokens: int):
        try:
            from ftfy import fix_text
            from tokenizers import Regex, Tokenizer, models, pre_tokenizers
        except ImportError as error:
            raise ImportError(f'texts of ViCLIP: {error.name} is missing; pip install tokenizers '
                              'ftfy') from None
        self._fix = fix_text
        self.num_tokens = num_tokens
        symbols = sorted(pre_tokenizers.ByteLevel.alphabet())  # in the order of the vocabulary
        symbols += [f'{symbol}</w>' for symbol in symbols]
        merges = _read_merges(Path(path), num_tokens - len(symbols) - _SPECIAL)
        symbols += map(''.join, merges)
        try:
            model = models.BPE({symbol: i for i, symbol in enumerate(symbols)}, merges,
                               end_of_word_suffix='</w>')
        except Exception as error:  # pairs of unknown symbols; the package has no class of its own
            raise file_error(path, 'pairs', describe(error), 'pairs of earlier symbols') from None
        self._bpe = Tokenizer(model)
        self._bpe.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(_WORDS), 'removed', invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])

    def __call__(self, texts: Sequence[str], length: int) -> Tensor:
        """Encode texts, longer ones shortened.

        Args:
            texts (Sequence[str]): N texts.
            length (int): L, with start and end.

        Returns:
            Tensor: (N, L) int64, 0 after the end, which has the highest number.
        """
        out = torch.zeros(len(texts), length, dtype=torch.int64)
        for row, text in zip(out, texts, strict=True):
            text = html.unescape(html.unescape(self._fix(text))).lower()
            ids = self._bpe.encode(text).ids[:length - _SPECIAL]
            row[:len(ids) + _SPECIAL] = torch.tensor(
                [self.num_tokens - 2, *ids, self.num_tokens - 1])
        return out


def _read_merges(path: Path, count: int) -> list[tuple[str, str]]:
    """Read the first pairs of symbols of a vocabulary."""
    if not path.is_file():
        raise file_error(path, 'file', 'nothing', f'the vocabulary of CLIP, {VOCABULARY}: beside '
                         'the weights, or set vocabulary; it is part of the releases of CLIP and '
                         'ViCLIP and of the package open_clip_torch')
    most = get_limits().expanded(path.stat().st_size)
    try:
        with gzip.open(path) as file:
            lines = file.read(most).decode().splitlines()[1:]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise file_error(path, 'file', describe(error), 'a gzip file of text') from None
    pairs = [tuple(line.split()) for line in lines[:max(count, 0)]]
    if count < 0 or len(pairs) < count or any(len(pair) != 2 for pair in pairs):
        raise file_error(path, 'pairs', f'{sum(len(pair) == 2 for pair in pairs)}',
                         f'{count} lines of two symbols after the first, for the text encoder')
    return pairs
