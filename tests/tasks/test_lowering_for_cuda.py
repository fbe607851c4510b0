"""A whole train step with switched convolutions, lowered for a GPU that is not there."""

import importlib.util
import pathlib

import jax
import pytest

from sr_jax import tasks

CONFIG = pathlib.Path(__file__).parents[2] / 'configs' / 'vqvae_switched.py'


@pytest.mark.slow
def test_a_train_step_is_lowered_with_its_kernels():
    pytest.importorskip('jax_triton', reason='jax-triton needs Python 3.12 and Linux')
    pytest.importorskip('jax_cuda12_plugin', reason='it brings what calls kernels on a GPU')
    spec = importlib.util.spec_from_file_location('vqvae_switched', CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.model.switching.implementation = 'triton'
    task = tasks.make(config)
    batch = task.batch(2)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    traced = jax.jit(task.train_step).trace(state, batch, jax.random.key(1))
    text = traced.lower(lowering_platforms=('cuda',)).as_text()
    convolutions = len(config.model.switching.layers)
    assert text.count('custom_call @triton_kernel_call_ffi') >= 8 * convolutions
