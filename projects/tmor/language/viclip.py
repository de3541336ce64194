"""ViCLIP of InternVid (arXiv 2307.06942), the frozen video and text encoder of T-MOR.

Parameters have the names of the released checkpoints; all sizes follow from their shapes. Released
are L/14 (768-d features) and B/16 (512-d), as ``.pth`` with the weights in ``model`` and as
``model.safetensors`` of the Hugging Face hub.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mofm.hub.released import State, check_names, named_tensors, read_content

from .clip_tokenizer import VOCABULARY, CLIPTokenizer

_HEAD = 64  # channels of an attention head in every CLIP


class _QuickGELU(nn.Module):

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class _Block(nn.Module):
    """Transformer block of CLIP: pre-norm attention and MLP."""

    def __init__(self, width: int):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // _HEAD, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module('c_fc', nn.Linear(width, 4 * width))
        self.mlp.add_module('gelu', _QuickGELU())
        self.mlp.add_module('c_proj', nn.Linear(4 * width, width))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class _Transformer(nn.Module):

    def __init__(self, width: int, depth: int):
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class VideoEncoder(nn.Module):
    """Vision transformer on the patches of all frames at once.

    Args:
        width (int): C, a multiple of 64.
        depth (int): Number of blocks.
        patch (int): Height and width of a patch in pixels.
        grid (int): Patches per row and column of a frame.
        num_frames (int): T.
        out_channels (int): D.
    """

    def __init__(self, width: int, depth: int, patch: int, grid: int, num_frames: int,
                 out_channels: int):
        super().__init__()
        size = (1, patch, patch)
        self.input_shape = (num_frames, 3, grid * patch, grid * patch)
        self.conv1 = nn.Conv3d(3, width, size, size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(grid**2 + 1, width))
        self.temporal_positional_embedding = nn.Parameter(torch.empty(1, num_frames, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = _Transformer(width, depth)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Encode clips.

        Args:
            x (Tensor): (B, T, 3, H, W), normalized by the statistics of ImageNet.

        Returns:
            Tensor: (B, D).

        Raises:
            ValueError: If T, H or W differ from the model.
        """
        if x.shape[1:] != self.input_shape:
            frames, _, size, _ = self.input_shape
            raise ValueError(f'clips: found shape {tuple(x.shape)}, expected (B, {frames}, 3, '
                             f'{size}, {size}); set --num-frames {frames} --size {size}')
        x = self.conv1(x.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)  # (B, T, N, C)
        first, *places = self.positional_embedding.split([1, len(self.positional_embedding) - 1])
        x = x + places[0] + self.temporal_positional_embedding[:, :, None]
        first = (self.class_embedding + first).expand(len(x), 1, -1)
        x = self.ln_pre(torch.cat([first, x.flatten(1, 2)], 1))
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class TextEncoder(nn.Module):
    """Causal transformer on the tokens of a text; the feature is that of its end.

    Args:
        width (int): C, a multiple of 64.
        depth (int): Number of blocks.
        length (int): L, tokens of a text.
        num_tokens (int): V.
        out_channels (int): D.
    """

    def __init__(self, width: int, depth: int, length: int, num_tokens: int, out_channels: int):
        super().__init__()
        self.token_embedding = nn.Embedding(num_tokens, width)
        self.positional_embedding = nn.Parameter(torch.empty(length, width))
        self.transformer = _Transformer(width, depth)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, out_channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Encode tokens (B, L), the end of the text the highest of each row, to (B, D)."""
        length = tokens.shape[1]
        mask = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        x = self.transformer(self.token_embedding(tokens) + self.positional_embedding, mask)
        ends = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
        return self.ln_final(ends) @ self.text_projection


class ViCLIP(nn.Module):
    """Released ViCLIP with weights from a file, by ``--encoder viclip``.

    Args:
        weights (str or Path): ``.pth`` or ``.safetensors``.
        vocabulary (str or Path, optional): Vocabulary of :class:`CLIPTokenizer`, needed for texts
            only. Defaults to ``bpe_simple_vocab_16e6.txt.gz`` beside the weights.
        device (str, optional): Defaults to the first GPU, or the CPU without one.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If a parameter is missing, unknown, NaN, infinite or of a shape that does not
            fit the others.
    """

    def __init__(self, weights: str | Path, vocabulary: str | Path | None = None,
                 device: str | None = None):
        super().__init__()
        if not Path(weights).is_file():
            raise FileNotFoundError(f'{weights}: no such file; expected weights of ViCLIP as '
                                    'InternVid releases them, .pth or .safetensors')
        try:
            state = _released(read_content(weights))
            with torch.device('meta'):
                self.vision_encoder, self.text_encoder = _build(state)
            _check(state, self)
        except ValueError as error:
            raise ValueError(f'{weights}: {error}') from None
        self.load_state_dict(state, assign=True)
        self.vocabulary = vocabulary or Path(weights).with_name(VOCABULARY)
        self._tokenizer: CLIPTokenizer | None = None
        self.eval().requires_grad_(False)
        self.to(device or ('cuda' if torch.cuda.is_available() else 'cpu'))

    def encode_vision(self, x: Tensor, test: bool = True) -> Tensor:
        """Encode clips (B, T, 3, H, W) to (B, D); ``test``, as released, is without masking."""
        return self.vision_encoder(x)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Encode B texts to (B, D)."""
        length, _ = self.text_encoder.positional_embedding.shape
        embedding = self.text_encoder.token_embedding
        if self._tokenizer is None:
            self._tokenizer = CLIPTokenizer(self.vocabulary, embedding.num_embeddings)
        return self.text_encoder(self._tokenizer(texts, length).to(embedding.weight.device))


def _released(content: dict) -> State:
    """Find the weights in a released file, without the temperature of the training."""
    for key in ('model', 'module', 'state_dict'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    state = {name: value.float() for name, value in named_tensors(content).items()}
    state.pop('temp', None)
    return state


def _build(state: State) -> tuple[VideoEncoder, TextEncoder]:
    """Build the encoders in the sizes of the weights."""
    def shape(name: str, dims: int) -> torch.Size:
        found = state[name].shape if name in state else None
        if found is None or len(found) != dims:
            raise ValueError(f'{name}: found {"nothing" if found is None else tuple(found)}, '
                             f'expected a tensor of {dims} dimensions of ViCLIP')
        return found

    def depth(encoder: str) -> int:
        pattern = re.compile(rf'{encoder}\.transformer\.resblocks\.\d+\.ln_1\.weight')
        return sum(map(bool, map(pattern.fullmatch, state)))

    width, _, _, _, patch = shape('vision_encoder.conv1.weight', 5)
    patches, _ = shape('vision_encoder.positional_embedding', 2)
    _, frames, _ = shape('vision_encoder.temporal_positional_embedding', 3)
    _, channels = shape('vision_encoder.proj', 2)
    tokens, text_width = shape('text_encoder.token_embedding.weight', 2)
    length, _ = shape('text_encoder.positional_embedding', 2)
    for name, size in (('vision_encoder', width), ('text_encoder', text_width)):
        if size % _HEAD or not size:
            raise ValueError(f'{name}: found width {size}, expected a multiple of {_HEAD}')
    grid = math.isqrt(max(patches - 1, 0))
    return (VideoEncoder(width, depth('vision_encoder'), patch, grid, frames, channels),
            TextEncoder(text_width, depth('text_encoder'), length, tokens, channels))


def _check(state: State, model: ViCLIP):
    """Refuse weights of other names or shapes, and those that are not finite."""
    expected = model.state_dict()
    check_names(state, set(expected), 'ViCLIP: vision_encoder.*, text_encoder.* and temp')
    for name, value in expected.items():
        if state[name].shape != value.shape:
            raise ValueError(f'{name}: found shape {tuple(state[name].shape)}, expected '
                             f'{tuple(value.shape)}')
        if not state[name].isfinite().all():
            raise ValueError(f'{name}: found NaN or infinite weights, expected finite ones')
