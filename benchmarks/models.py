"""The networks that the benchmarks run: a ResNet-18, a transformer of four layers, a chain of any depth."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


class Block(nn.Module):
    """A residual block of two 3x3 convolutions (He et al., 2016)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        plain = stride == 1 and inner == outer
        self.shortcut = nn.Identity() if plain else nn.Sequential(
            nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


def resnet18(classes: int = 1000) -> nn.Module:
    """ResNet-18: 11.7 million parameters."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    widths = [64, 64, 128, 256, 512]
    blocks = [
        block
        for inner, outer in itertools.pairwise(widths)
        for block in (Block(inner, outer, 1 if outer == widths[0] else 2), Block(outer, outer, 1))
    ]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def transformer(width: int = 256, layers: int = 4) -> nn.Module:
    """An encoder of `layers` blocks with a classifier."""
    block = nn.TransformerEncoderLayer(width, 8, 4 * width, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(block, layers), nn.Linear(width, 10))


def chain(depth: int, width: int = 64) -> nn.Module:
    """`depth` layers of a product and a tanh, neither shrinking nor growing what passes."""
    layers = [nn.Linear(width, width) for _ in range(depth)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    return nn.Sequential(*[nn.Sequential(layer, nn.Tanh()) for layer in layers])


@dataclass(frozen=True)
class Workload:
    """A model with a batch: `step()` is one training step in the model's own format."""

    name: str
    model: nn.Module
    inputs: torch.Tensor
    target: torch.Tensor
    loss: Callable[..., torch.Tensor]

    def step(self) -> None:
        """Forward, loss, backward."""
        self.model.zero_grad()
        self.loss(self.model(self.inputs), self.target).backward()

    def double(self) -> "Workload":
        """The same in float64."""
        import copy  # noqa: PLC0415

        target = self.target.double() if self.target.is_floating_point() else self.target
        return Workload(self.name, copy.deepcopy(self.model).double(), self.inputs.double(), target, self.loss)

    def record(self, **options: Any) -> Any:
        """A recording of one training step."""
        import oracle  # noqa: PLC0415

        return oracle.record(self.model, self.inputs, loss=self.loss, target=self.target, **options)


def workloads() -> list[Workload]:
    """The two networks whose costs have bars."""
    torch.manual_seed(0)
    labels = torch.tensor([1, 7])
    tokens = torch.randint(10, (4, 64))
    return [
        Workload("ResNet-18, 2 x 3 x 64 x 64", resnet18(), torch.randn(2, 3, 64, 64), labels, nn.CrossEntropyLoss()),
        Workload("transformer, 4 layers, 4 x 64 x 256", transformer(), torch.randn(4, 64, 256), tokens,
                 lambda y, t: nn.functional.cross_entropy(y.transpose(1, 2), t)),
    ]  # fmt: skip


def chain_of(depth: int) -> Workload:
    """A chain of `depth` layers on a small batch."""
    torch.manual_seed(0)
    x = torch.randn(4, 64)
    return Workload(f"chain of {depth}", chain(depth), x, torch.zeros(4, 64), nn.MSELoss())


def thousand() -> tuple[nn.Module, torch.Tensor]:
    """A model whose forward pass runs about a thousand operations, and its input: for the command line."""
    torch.manual_seed(0)
    return transformer(128, 26), torch.randn(4, 64, 128)
