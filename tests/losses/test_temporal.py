"""Losses of clips against DL-Art-School's numbers and TecoGAN's formulas."""

import jax
import numpy as np
import pytest
from parity import assert_close

from sr_jax.losses import cosine, temporal


def test_ping_pong_is_dl_art_schools_by_the_number_of_pairs(golden):
    arrays = golden('extra_teco_pingpong')
    clip = arrays['in/fake'].transpose(0, 1, 3, 4, 2)
    pairs = clip.shape[1] // 2
    value, gradient = jax.value_and_grad(temporal.ping_pong_loss)(clip)
    assert_close(pairs * value, arrays['out/loss'], 1e-6)
    assert_close(pairs * gradient, arrays['grad/in/fake'].transpose(0, 1, 3, 4, 2), 1e-6)
    with pytest.raises(ValueError, match='3, 5, 7 or more frames, not 6'):
        temporal.ping_pong_loss(clip[:, :6])


def test_features_of_blocks_differ_by_tecogans_formula():
    random = np.random.default_rng(0)
    real, fake = ([random.normal(size=(2, 3, 4, c)) for c in (2, 2, 4, 8)] for _ in range(2))
    usual = (12, 14, 24, 100)
    expected = sum(
        0.02 * np.abs(x - y).sum(3).mean() / u for x, y, u in zip(real, fake, usual, strict=True)
    )
    assert float(temporal.block_loss(real, fake)) == pytest.approx(expected, rel=1e-5)


def test_the_cosine_knows_no_lengths():
    x = np.array([[3.0, 4.0], [1.0, 0.0]])
    assert float(cosine.criterion(x, 7 * x)) == pytest.approx(0, abs=1e-6)
    assert float(cosine.criterion(x, x[:, ::-1])) == pytest.approx(1 - (24 / 25) / 2, rel=1e-5)
