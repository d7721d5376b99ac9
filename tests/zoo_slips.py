"""Small slips of porting in a small network: each is one line that differs, by the code that names it."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

Function = Callable[..., Any]


def draw(*shape: int, seed: int = 0) -> Any:
    """Normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Between(nn.Module):
    """Two convolutions of images, or two linear layers, with a function between them."""

    def __init__(self, function: Function, first: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first, self.last, self.function = first, last, function

    def forward(self, x: Any) -> Any:
        return self.last(self.function(self.first(x)))


def images(a: Function, b: Function, channels: int = 4) -> tuple[Any, Any, Any]:
    """The functions between two convolutions, and the images."""

    def network(function: Function) -> Any:
        torch.manual_seed(1)
        return Between(lambda x: torch.tanh(function(x)), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(channels, 5, 3))

    return network(a), network(b), draw(2, 3, 8, 8)


def features(a: Function, b: Function, width: int = 8, shape: tuple[int, ...] = (5, 6)) -> tuple[Any, Any, Any]:
    """The functions between two linear layers, and the features."""

    def network(function: Function) -> Any:
        torch.manual_seed(1)
        return Between(function, nn.Linear(6, 8), nn.Linear(width, 3))

    return network(a), network(b), 2 * draw(*shape)


def plain(a: Function, b: Function, *arrays: Any) -> tuple[Any, Any, Any]:
    """The functions alone."""
    return a, b, arrays if len(arrays) > 1 else arrays[0]


def pixels(a: Function, b: Function) -> tuple[Any, Any, Any]:
    """Two ways to prepare images of 0 to 255 for a convolution."""

    def network(function: Function) -> Any:
        torch.manual_seed(1)
        return Between(
            lambda x: torch.relu(x).flatten(1), nn.Sequential(_Call(function), nn.Conv2d(3, 4, 3)), nn.Linear(144, 3)
        )

    return (
        network(a),
        network(b),
        torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(5)).float(),
    )


class _Call(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


class Bottleneck(nn.Module):
    """The block of a ResNet with its stride in the first or in the second convolution."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.a = nn.Conv2d(3, 4, 1, stride=first, bias=False)
        self.b = nn.Conv2d(4, 4, 3, stride=second, padding=1, bias=False)
        self.c, self.d = nn.Conv2d(4, 6, 1, bias=False), nn.Conv2d(3, 6, 1, stride=2, bias=False)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.c(torch.relu(self.b(torch.relu(self.a(x))))) + self.d(x))


MEAN, STD = (torch.tensor(n).view(3, 1, 1) for n in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
KERNEL, MATRIX = draw(4, 4, 3, 3, seed=7) / 6, draw(8, 8, seed=11) / 3
GAMMA, BETA = 1 + 0.3 * draw(8, seed=8), 0.3 * draw(8, seed=9)
SLOPES = torch.tensor([0.1, 0.2, 0.3, 0.4])


def table(halves: bool) -> Any:
    """Sines and cosines of positions, in halves or as neighbours."""
    angles = torch.arange(5)[:, None] * 10000 ** (-torch.arange(0, 8, 2) / 8)
    parts = [angles.sin(), angles.cos()]
    return torch.cat(parts, -1) if halves else torch.stack(parts, -1).reshape(5, 8)


def rms(x: Any) -> Any:
    """A root-mean-square norm."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def to_unit(x: Any) -> Any:
    """ImageNet's preparation."""
    return (x / 255 - MEAN) / STD


SLIPS: dict[str, tuple[str, Callable[[], tuple[Any, Any, Any]]]] = {
    # Preparation of images.
    "BGR for RGB": ("data-layout", lambda: pixels(to_unit, lambda x: to_unit(x.flip(1)))),
    "not divided by 255": ("constant-factor", lambda: pixels(lambda x: x / 255, lambda x: x)),
    "[-1, 1] for [0, 1]": ("scale-and-shift", lambda: pixels(lambda x: x / 127.5 - 1, lambda x: x / 255)),
    "normalised twice": ("extra-node", lambda: pixels(to_unit, lambda x: (to_unit(x) - MEAN) / STD)),
    "mean not taken off": ("missing-node", lambda: pixels(to_unit, lambda x: x / 255 / STD)),
    "divided by 255 last": ("node-order", lambda: pixels(to_unit, lambda x: (x - MEAN) / STD / 255)),
    # Convolutions, pools, padding.
    "dilation": ("dilation", lambda: images(
        lambda x: F.conv2d(x, KERNEL, padding=2, dilation=2), lambda x: F.conv2d(x, KERNEL, padding=1))),
    "ResNet v1 for v1.5": ("stride", lambda: (Bottleneck(2, 1), Bottleneck(1, 2), draw(2, 3, 8, 8))),
    "fixed for adaptive pool": ("pooling-window", lambda: images(
        lambda x: F.adaptive_avg_pool2d(x, 3), lambda x: F.avg_pool2d(x, 3, 2))),
    "pool of 2 for 3": ("pooling-window", lambda: images(
        lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.max_pool2d(x, 2, 2))),
    "average for maximum": ("pooling-type", lambda: images(lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2))),
    "pad alone": ("padding", lambda: images(
        lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), lambda x: F.pad(x, (1, 1, 1, 1)))),
    "order of concatenation": ("argument-order", lambda: images(
        lambda x: torch.cat([x, torch.sin(x)], 1), lambda x: torch.cat([torch.sin(x), x], 1), channels=8)),
    # Around a resizing.
    "activation left out before a resizing": ("missing-node", lambda: images(
        lambda x: F.interpolate(torch.tanh(x), scale_factor=2), lambda x: F.interpolate(x, scale_factor=2))),
    "activation doubled before a resizing": ("extra-node", lambda: images(
        lambda x: F.interpolate(F.gelu(x), scale_factor=2, mode="bilinear"),
        lambda x: F.interpolate(F.gelu(F.gelu(x)), scale_factor=2, mode="bilinear"))),
    "activation after for before a resizing": ("node-order", lambda: images(
        lambda x: F.gelu(F.interpolate(x, scale_factor=2, mode="bilinear")),
        lambda x: F.interpolate(F.gelu(x), scale_factor=2, mode="bilinear"))),
    # Norms.
    "affine part left out": ("missing-node", lambda: features(
        lambda x: F.layer_norm(x, (8,), GAMMA, BETA), lambda x: F.layer_norm(x, (8,)))),
    "beta left out": ("missing-node", lambda: features(
        lambda x: F.layer_norm(x, (8,), GAMMA, BETA), lambda x: F.layer_norm(x, (8,), GAMMA))),
    "RMS for layer norm": ("normalization-kind", lambda: features(lambda x: F.layer_norm(x, (8,)), rms)),
    "weight for 1 + weight": ("constant-shift", lambda: features(
        lambda x: rms(x) * (1 + GAMMA), lambda x: rms(x) * GAMMA)),
    "number of groups": ("normalization-axes", lambda: images(
        lambda x: F.group_norm(x, 2), lambda x: F.group_norm(x, 1))),
    "instance for group norm": ("normalization-axes", lambda: images(lambda x: F.group_norm(x, 2), F.instance_norm)),
    "eps outside of the root": ("eps", lambda: plain(
        lambda x: torch.tanh(F.normalize(x, dim=-1, eps=0.01) @ MATRIX),
        lambda x: torch.tanh((x * torch.rsqrt((x * x).sum(-1, keepdim=True).clamp_min(0.01))) @ MATRIX),
        draw(4, 8) * torch.tensor([0.001, 0.01, 1, 3])[:, None])),
    "eps added for a bound": ("eps", lambda: features(
        lambda x: torch.log(x.abs() + 1e-2), lambda x: torch.log(x.abs().clamp_min(1e-2)))),
    "no eps": ("eps", lambda: features(
        lambda x: x / (x.abs().sum(-1, keepdim=True) + 1e-2), lambda x: x / x.abs().sum(-1, keepdim=True))),
    "cosine with eps": ("eps", lambda: plain(
        F.cosine_similarity, lambda x, y: (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1) + 1e-3),
        draw(20, 6), draw(20, 6, seed=2))),
    # Constants.
    "temperature": ("constant-factor", lambda: features(lambda x: F.softmax(x / 2, -1), lambda x: F.softmax(x, -1))),
    "root of the width as temperature": ("constant-factor", lambda: plain(
        lambda x: F.softmax(x @ MATRIX / 8**0.5, -1), lambda x: F.softmax(x @ MATRIX, -1), draw(5, 8))),
    "constant added": ("constant-shift", lambda: features(torch.tanh, lambda x: torch.tanh(x) + 0.25)),
    "bounds of a clip": ("clip-bounds", lambda: features(lambda x: x.clamp(-0.5, 0.5), lambda x: x.clamp(-0.7, 0.7))),
    "columns of a sinusoidal table": ("positional-encoding", lambda: features(
        lambda x: x + table(halves=True), lambda x: x + table(halves=False), shape=(4, 5, 6))),
    "slopes of a PReLU": ("activation-slope", lambda: images(
        lambda x: F.prelu(x, SLOPES), lambda x: F.prelu(x, SLOPES[:1]))),
    # Order of arrays and operands.
    "y - x for x - y": ("argument-order", lambda: plain(
        lambda x, y: torch.tanh(x @ MATRIX - y), lambda x, y: torch.tanh(y - x @ MATRIX),
        draw(5, 8), draw(5, 8, seed=3))),
    "gate and value": ("argument-order", lambda: features(
        lambda x: x[:, :4] * torch.sigmoid(x[:, 4:]), lambda x: x[:, 4:] * torch.sigmoid(x[:, :4]), width=4)),
    "column for row": ("broadcast", lambda: plain(
        lambda x: torch.tanh(x @ MATRIX + GAMMA), lambda x: torch.tanh(x @ MATRIX + GAMMA[:, None]), draw(8, 8))),
    "heads by a reshape": ("head-layout", lambda: features(
        lambda x: x.view(4, 5, 2, 4).transpose(1, 2).softmax(-1).transpose(1, 2).reshape(4, 5, 8),
        lambda x: x.reshape(4, 2, 5, 4).softmax(-1).transpose(1, 2).reshape(4, 5, 8), shape=(4, 5, 6))),
    "sorted the other way": ("sort-order", lambda: features(
        lambda x: x.sort()[0], lambda x: x.sort(descending=True)[0])),
    "the smallest for the largest": ("sort-order", lambda: features(
        lambda x: x.topk(3)[0], lambda x: x.topk(3, largest=False)[0], width=3)),
    "rolled the other way": ("indexing", lambda: features(lambda x: x.roll(1, -1), lambda x: x.roll(-1, -1))),
    # Reductions, rounding, other operations.
    "exclusive sum": ("cumulative-exclusive", lambda: features(
        lambda x: torch.cumsum(x, -1), lambda x: torch.cumsum(x, -1) - x)),
    "sum from behind": ("reverse-direction", lambda: features(
        lambda x: torch.cumsum(x, -1), lambda x: torch.cumsum(x.flip(-1), -1).flip(-1))),
    "median": ("quantile-interpolation", lambda: plain(
        lambda x: torch.tanh(torch.median(x @ MATRIX, 0)[0]), lambda x: torch.tanh(torch.quantile(x @ MATRIX, 0.5, 0)),
        draw(6, 8))),
    "standard deviation": ("variance-ddof", lambda: features(
        lambda x: x / x.std(-1, keepdim=True), lambda x: x / x.std(-1, keepdim=True, correction=0))),
    "quotient cut": ("division", lambda: plain(
        lambda x: torch.tanh(x * 3 / 2), lambda x: torch.tanh(torch.div(x * 3, 2, rounding_mode="trunc")), draw(5, 8))),
    "half to even": ("rounding-mode", lambda: plain(
        lambda x: torch.round(x).tanh(), lambda x: torch.floor(x + 0.5).tanh(),
        torch.arange(-20, 20).reshape(5, 8) / 2)),
    "sign of the remainder": ("rounding-mode", lambda: plain(
        lambda x: torch.remainder(x, 1.5).tanh(), lambda x: torch.fmod(x, 1.5).tanh(), 3 * draw(5, 8))),
    "gate added": ("operation", lambda: features(
        lambda x: x * torch.sigmoid(2 * x), lambda x: x + torch.sigmoid(2 * x))),
    "log10 for log": ("operation", lambda: features(
        lambda x: torch.sin(torch.log(x.abs() + 1)), lambda x: torch.sin(torch.log10(x.abs() + 1)))),
    "log_softmax for softmax": ("activation-variant", lambda: plain(
        lambda x: F.softmax(x @ MATRIX, -1), lambda x: F.log_softmax(x @ MATRIX, -1), draw(5, 8))),
}  # fmt: skip

# Two ways to write the same.
SAME: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "log1p": lambda: features(lambda x: torch.log1p(x * x), lambda x: torch.log(1 + x * x)),
    "root of a bounded square": lambda: features(
        lambda x: F.normalize(x, dim=-1, eps=1e-2),
        lambda x: x * torch.rsqrt((x * x).sum(-1, keepdim=True).clamp_min(1e-4)),
    ),
    "scale before and after": lambda: features(
        lambda x: F.softmax((x / 2) @ MATRIX, -1), lambda x: F.softmax((x @ MATRIX) / 2, -1)
    ),
    "kernel of a max pool that steps by its size": lambda: images(
        lambda x: F.max_pool2d(x, 2), lambda x: x.reshape(2, 4, 4, 2, 4, 2).amax((3, 5))
    ),
}
