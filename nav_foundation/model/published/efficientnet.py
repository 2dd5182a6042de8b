"""EfficientNet-B0 as the published checkpoints name it. Names with an underscore are those of their files.

`timm` has the same network, but pads by the size of the picture, whereas these were trained with the padding that
belongs to 224 x 224: at 85 columns the two see other pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 1280  # channels of the last map
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.01
DROP_PATH = 0.2  # of the last block, in training
STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution padded so that even sizes are divided by the stride; the odd column goes to the right."""

    def forward(self, x: Tensor) -> Tensor:  # [B, C, h, w]
        total = self.kernel_size[0] - self.stride[0]
        before = total // 2
        padding = (before, total - before, before, total - before)
        return F.conv2d(F.pad(x, padding), self.weight, self.bias, self.stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)


class Block(nn.Module):
    """Inverted bottleneck with squeeze-and-excitation."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int, drop_path: float) -> None:
        super().__init__()
        wide, narrow = channels * expansion, channels // 4
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._se_reduce = nn.Conv2d(wide, narrow, 1)
        self._se_expand = nn.Conv2d(narrow, wide, 1)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = _norm(out)
        self.drop_path = drop_path
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:  # [B, C, h, w]
        y = F.silu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.silu(self._bn1(self._depthwise_conv(y)))
        gate = self._se_expand(F.silu(self._se_reduce(y.mean((2, 3), keepdim=True))))
        y = self._bn2(self._project_conv(torch.sigmoid(gate) * y))
        if not self.residual:
            return y
        if self.training and self.drop_path:
            kept = torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop_path
            y = y * kept / (1 - self.drop_path)
        return x + y


class EfficientNetB0(nn.Module):
    """Pictures [B, C, h, w] to features [B, 1280], pooled over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._conv_stem = SameConv(channels, 32, 3, stride=2, bias=False)
        self._bn0 = _norm(32)
        count, width, blocks = sum(stage[0] for stage in STAGES), 32, list[Block]()
        for repeats, kernel, stride, expansion, out in STAGES:
            for i in range(repeats):
                drop_path = DROP_PATH * len(blocks) / count
                blocks.append(Block(width, out, kernel, 1 if i else stride, expansion, drop_path))
                width = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(width, FEATURES, 1, bias=False)
        self._bn1 = _norm(FEATURES)
        self._dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.silu(self._bn1(self._conv_head(x)))
        return self._dropout(x.mean((2, 3)))


def with_group_norm(module: nn.Module) -> nn.Module:
    """The module with each of its batch norms replaced by a group norm, 16 channels to a group."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(child.num_features // 16, child.num_features))
        else:
            with_group_norm(child)
    return module
