"""Selectors of a trained network, for times that are not of random ones.

`real_selectors.npz` holds what three convolutions of a VQ-VAE of 32 channels chose on two
photographs of animals (b = 8): `encoder_bottom/conv`, `decoder/conv` and `decoder_top/up_0/conv`,
after 4,000 steps as a dense network and 200 as a switched one by `configs/vqvae_switched.py`. A
neighbourhood of 3 x 3 has 2.5 kernels there, of random selectors 5.6.
"""

import pathlib

import numpy as np

from .cases import Case

FILE = pathlib.Path(__file__).with_name('real_selectors.npz')
BREADTH = 8  # of the network


def real_selector(case: Case) -> np.ndarray:
    """Selectors for a case: maps, mirrored and repeated to its size. With more kernels than the
    network had, each choice is spread over some, by halves of 32 pixels."""
    with np.load(FILE) as file:
        maps = file['maps'].astype(np.int32)
    height, width = -(-case.height // case.stride), -(-case.width // case.stride)
    mirrored = np.concatenate([maps, maps[:, ::-1], maps[:, :, ::-1], maps[:, ::-1, ::-1]])
    chosen = np.resize(np.arange(len(mirrored)), case.images)
    repeats = (1, -(-height // maps.shape[1]), -(-width // maps.shape[2]))
    selector = np.tile(mirrored[chosen], repeats)[:, :height, :width]
    if case.breadth <= BREADTH:
        return selector % case.breadth
    rows, columns = np.indices((height, width))
    spread = (rows // 32 + 3 * (columns // 32)) % (case.breadth // BREADTH)
    return selector + BREADTH * spread[None].astype(np.int32)
