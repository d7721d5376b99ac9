"""Complex numbers inside a network: carried in double precision, so that nothing behind them is called different."""

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
functional = torch.nn.functional


def _x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def _by_cosines(x):
    """The magnitudes of the discrete Fourier transform, by two real products."""
    n = np.arange(x.shape[-1])
    angles = 2 * np.pi * np.outer(n, n[: len(n) // 2 + 1]) / len(n)
    re, im = (x @ torch.from_numpy(f(angles).astype(np.float32)) for f in (np.cos, np.sin))
    return torch.sqrt(re * re + im * im)


def test_a_transform_and_its_definition_mean_the_same():
    found = oracle.compare(lambda x: torch.fft.rfft(x).abs(), _by_cosines, _x(4, 16))
    assert found.verdict is Meaning.SAME


def test_another_normalisation_of_a_transform_is_seen():
    found = oracle.compare(
        lambda x: torch.fft.rfft(x).abs(), lambda x: torch.fft.rfft(x, norm="ortho").abs(), _x(3, 16)
    )
    assert found.verdict is Meaning.DIFFERENT
    assert found.codes == ("constant-factor",)


def test_a_convolution_by_transforms_is_the_convolution():
    kernel = _x(5)

    def by_transforms(x):
        n = x.shape[-1] + len(kernel) - 1
        product = torch.fft.rfft(x, n) * torch.fft.rfft(kernel, n)
        return torch.fft.irfft(product, n)[..., len(kernel) - 1 : x.shape[-1]]

    def directly(x):
        return functional.conv1d(x[:, None], kernel.flip(0)[None, None])[:, 0]

    assert oracle.compare(by_transforms, directly, _x(2, 30)).verdict is Meaning.SAME


def _spectrum(mode):
    window = torch.hann_window(16)
    return lambda x: torch.stft(x, 16, 4, window=window, pad_mode=mode, return_complex=True).abs()


def test_an_edit_before_a_transform_reaches_what_follows_it():
    """The frames' axes are exchanged in place: what runs again in float64 is the functional form."""
    found = oracle.compare(_spectrum("reflect"), _spectrum("constant"), _x(2, 80))
    assert found.codes == ("padding",)
    assert found.causes[0].share > 0.999


def test_a_rotation_by_complex_numbers_and_its_planted_fault():
    angles = torch.outer(torch.arange(5.0), 10000 ** -(torch.arange(0, 8, 2) / 8))
    cos, sin = angles.cos(), angles.sin()

    def complex_numbers(x, turn=1.0):
        turned = torch.view_as_complex(x.reshape(2, 5, 4, 2)) * torch.polar(torch.ones(5, 4), turn * angles)
        return torch.view_as_real(turned).flatten(-2)

    def real_numbers(x):
        a, b = x[..., ::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)

    assert oracle.compare(complex_numbers, real_numbers, _x(2, 5, 8)).verdict is Meaning.SAME
    wrong = oracle.compare(lambda x: complex_numbers(x, 1.001), real_numbers, _x(2, 5, 8))
    assert wrong.verdict is Meaning.DIFFERENT


def test_a_recording_with_complex_numbers_explains_itself():
    """The rounding of the transform is an error of its own: with it, F(d) is the run that was recorded."""
    trace = oracle.record(lambda x: torch.fft.fft(x).real.tanh(), _x(4, 8), full=True)
    told = oracle.explain(trace, "outputs")
    assert told.completeness < 1e-12
