import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.devices import memory
from sr_jax.errors import InputError


def linear(per_image, devices, share=0.25, fixed=100):
    """Memory of a step that grows with the microbatch; remat keeps a share of the activations."""

    def measure(batch_size, accumulation, remat):
        del accumulation
        return fixed + int(per_image * batch_size / devices * (share if remat else 1))

    return measure


def choose(effective, limit, devices=1, per_image=100, **kwargs):
    lines = []
    plan = memory.choose(
        effective, devices, limit, linear(per_image, devices, **kwargs), lines.append
    )
    return plan, lines


def test_everything_fits_without_accumulation():
    plan, lines = choose(128, limit=100 + 128 * 100)
    assert plan == memory.Plan(128, 1, False, 100 + 128 * 100)
    assert len(lines) == 2  # one candidate, and the choice


def test_a_smaller_microbatch_is_cheaper_than_remat():
    plan, _ = choose(128, limit=100 + 64 * 100)
    assert plan[:3] == (64, 2, False)


def test_remat_beats_a_microbatch_of_one():
    plan, _ = choose(128, limit=100 + 199)  # one image without, four with remat
    assert plan[:3] == (4, 32, True)


def test_devices_share_a_microbatch():
    plan, _ = choose(64, limit=100 + 400, devices=8)
    assert plan[:3] == (32, 2, False)


@given(
    effective=st.integers(1, 300),
    limit=st.integers(0, 40_000),
    share=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_the_plan_fits_and_no_larger_microbatch_of_its_kind_does(effective, limit, share):
    measure = linear(100, 1, share)
    try:
        plan, lines = choose(effective, limit, share=share)
    except InputError as error:
        assert measure(1, effective, True) > limit
        assert 'does not fit' in str(error)
        return
    assert plan.batch_size * plan.accumulation == effective
    assert plan.bytes <= limit
    larger = [m for m in range(plan.batch_size + 1, effective + 1) if effective % m == 0]
    assert all(measure(m, effective // m, plan.remat) > limit for m in larger)
    assert lines[-1].startswith('chosen for')


def test_the_batch_must_split_over_the_devices():
    with pytest.raises(InputError, match=r'effective_batch_size=12 .* 8 devices.*multiple of 8'):
        choose(12, 10**9, devices=8)


def test_nothing_fits_says_what_the_smallest_takes():
    with pytest.raises(InputError, match=r'into 10 bytes .*batch_size 1 x .*with remat'):
        choose(16, limit=10)


def test_compiled_bytes_counts_arguments_results_and_temporaries():
    def compile_step(function, n):
        shape = jax.ShapeDtypeStruct((n,), jnp.float32)
        return memory.compiled_bytes(jax.jit(function, donate_argnums=()).lower(shape).compile())

    small = compile_step(lambda x: x + 1, 1000)
    assert compile_step(lambda x: x + 1, 101_000) - small >= 800_000
    donated = jax.jit(lambda x: x + 1, donate_argnums=0)
    shape = jax.ShapeDtypeStruct((101_000,), jnp.float32)
    assert memory.compiled_bytes(donated.lower(shape).compile()) < 800_000


def test_device_memory_is_plausible():
    assert 2**20 < memory.device_memory() < 2**50


@pytest.mark.parametrize(
    ('count', 'words'),
    [(0, '0 bytes'), (255, '255 bytes'), (256, '0.2 KiB'), (196800, '192.2 KiB'),
     (2**18, '0.2 MiB'), (7 * 2**20, '7.0 MiB'), (2**28, '0.25 GiB'), (3 * 2**34, '48.00 GiB')],
)  # fmt: skip
def test_bytes_are_said_in_a_unit_that_says_something(count, words):
    assert memory.in_words(count) == words
