"""The vector quantiser: parity with its original, and when and how the codebook changes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_program import apply, init

from sr_jax.layers.quantizer import (
    CodebookStatistics,
    Quantizer,
    codebook_statistics,
    draw_candidates,
    merge_statistics,
    nearest_codes,
    update_codebook,
)

close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
NAMES = {'embed': 'embedding', 'cluster_size': 'cluster_size', 'embed_avg': 'embedding_sum'}


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.fixture(scope='module')
def variables():
    return init(Quantizer(16, 4), jax.random.key(0), jnp.zeros((1, 4)))


def original_codebook(arrays, prefix):
    return {ours: jnp.asarray(arrays[f'{prefix}{theirs}'].T) for theirs, ours in NAMES.items()}


@pytest.mark.parametrize('name', ['vqvae_quantize_sequence', 'vqvae_quantize_sequence_warm'])
def test_sequence_of_the_original(golden, name):
    arrays = golden(name)
    codebook = original_codebook(arrays, 'buffer/')
    module = Quantizer(32, 8)

    @functools.partial(jax.jit, static_argnames='train')
    def step(codebook, x, cotangent, cotangent_loss, train):
        def weigh(x):
            output, mutated = module.apply(
                {'codebook': codebook}, x, train=train, mutable=['codebook']
            )
            total = jnp.sum(output.quantized * cotangent) + output.commitment_loss * cotangent_loss
            return total, (output, mutated['codebook'])

        return jax.grad(weigh, has_aux=True)(x)

    for i in range(5):
        inputs = [arrays[f'step{i}/{key}'] for key in ('in/x', 'cotangent', 'cotangent_diff')]
        gradient, (output, codebook) = step(codebook, *map(jnp.asarray, inputs), train=0 < i < 4)
        np.testing.assert_array_equal(output.indices, arrays[f'step{i}/out/ids'])
        close(output.quantized, arrays[f'step{i}/out/quantize'])
        close(output.commitment_loss, arrays[f'step{i}/out/diff'])
        close(gradient, arrays[f'step{i}/grad/in/x'])
        for key, expected in original_codebook(arrays, f'step{i}/buffer_after/').items():
            np.testing.assert_allclose(codebook[key], expected, rtol=1e-4, atol=1e-5)


def test_initialization_starts_as_the_original_and_does_not_learn():
    for train in (False, True):
        z = normal(0, 5, 4)
        codebook = init(Quantizer(16, 4), jax.random.key(0), z, train=train)['codebook']
        np.testing.assert_array_equal(codebook['cluster_size'], np.zeros(16))
        np.testing.assert_array_equal(codebook['embedding'], codebook['embedding_sum'])
        assert 0.7 < codebook['embedding'].std() < 1.3


def test_evaluation_changes_nothing(variables):
    mutable = ['codebook', 'codebook_statistics']
    _, mutated = apply(Quantizer(16, 4), variables, normal(0, 9, 4), mutable=mutable)
    assert not mutated.get('codebook_statistics')
    jax.tree.map(np.testing.assert_array_equal, mutated['codebook'], variables['codebook'])


def test_training_without_mutable_collections_only_quantizes(variables):
    output = apply(Quantizer(16, 4), variables, normal(0, 9, 4), train=True)
    assert output.quantized.shape == (9, 4)


def test_gathering_leaves_the_codebook_and_updating_later_is_the_same(variables):
    module, z = Quantizer(16, 4), normal(0, 2, 3, 5, 4)
    _, at_once = apply(module, variables, z, train=True, mutable=['codebook'])
    _, gathered = apply(module, variables, z, train=True, mutable=['codebook_statistics'])
    assert gathered.keys() == {'codebook_statistics'}
    statistics = gathered['codebook_statistics']['statistics']
    _, later = apply(module, variables, statistics, method='update', mutable=['codebook'])
    jax.tree.map(np.testing.assert_array_equal, later, at_once)


@settings(max_examples=10)
@given(parts=st.integers(1, 4), n=st.integers(1, 6))
def test_merged_statistics_are_those_of_the_whole(parts, n):
    embedding = np.asarray(normal(0, 8, 3))
    vectors = np.asarray(normal(1, parts, n, 3))

    @jax.jit
    def gather(part):
        return codebook_statistics(part, nearest_codes(part, embedding), 8)

    merged = functools.reduce(merge_statistics, [gather(part) for part in vectors])
    whole = gather(vectors.reshape(-1, 3))
    assert merged.counts.sum() == parts * n
    np.testing.assert_array_equal(merged.counts, whole.counts)
    close(merged.sums, whole.sums)


def test_ties_go_to_the_lowest_index():
    codes = jnp.asarray([[9.0, 9.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(
        nearest_codes(jnp.asarray([[0.0, 0.0], [2.0, 0.0]]), codes), [1, 1]
    )


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_input_is_quantized_in_float32(variables, dtype):
    z = normal(0, 3, 5, 4).astype(dtype)
    half = apply(Quantizer(16, 4), variables, z)
    full = apply(Quantizer(16, 4), variables, z.astype(jnp.float32))
    assert half.quantized.dtype == dtype
    assert half.commitment_loss.dtype == jnp.float32
    np.testing.assert_array_equal(half.indices, full.indices)
    assert half.commitment_loss == full.commitment_loss
    codes = apply(Quantizer(16, 4), variables, full.indices, method='lookup')
    close(full.quantized, codes)


def test_revival_puts_vectors_of_the_batch_in_the_place_of_dead_codes(variables):
    module, z = Quantizer(16, 4, revive_below=0.5), 3 + normal(0, 40, 4)
    codebook = {**variables['codebook'], 'cluster_size': jnp.arange(16.0)}
    codebook['embedding_sum'] = codebook['embedding'] * codebook['cluster_size'][:, None]
    _, mutated = apply(
        module,
        {'codebook': codebook},
        z,
        train=True,
        mutable=['codebook', 'codebook_statistics'],
        rngs={'revive': jax.random.key(3)},
    )
    new, statistics = mutated['codebook'], mutated['codebook_statistics']['statistics']
    plain = update_codebook(codebook, statistics, module.decay, module.epsilon)
    dead = np.asarray(plain['cluster_size'] < 0.5)
    assert 0 < dead.sum() < 16
    for name, values in new.items():
        np.testing.assert_array_equal(values[~dead], plain[name][~dead])
    np.testing.assert_array_equal(new['cluster_size'][dead], 1.0)
    close(new['embedding'][dead], new['embedding_sum'][dead])
    distances = np.abs(np.asarray(new['embedding'])[dead][:, None] - np.asarray(z)[None]).max(-1)
    np.testing.assert_array_equal(distances.min(axis=1), 0)


@settings(max_examples=10)
@given(n=st.integers(1, 40), size=st.integers(1, 16), seed=st.integers(0, 99))
def test_candidates_are_vectors_of_the_batch_and_differ_where_they_can(n, size, seed):
    vectors = np.arange(1, n + 1, dtype=np.float32)[:, None]
    draw = jax.jit(draw_candidates, static_argnums=2)
    drawn = np.asarray(draw(jax.random.key(seed), vectors, size))[:, 0]
    assert drawn.shape == (size,)
    assert set(drawn) <= set(range(1, n + 1))
    assert n < size or len(set(drawn)) == size


def test_reviving_without_candidates_is_refused(variables):
    statistics = CodebookStatistics(jnp.zeros(16), jnp.zeros((16, 4)), None)
    with pytest.raises(ValueError, match='must carry candidates'):
        update_codebook(variables['codebook'], statistics, 0.99, 1e-5, revive_below=1.0)


def test_a_sharded_batch_updates_the_codebook_as_a_whole_one(variables):
    mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))

    @jax.jit
    def step(z):
        return Quantizer(16, 4).apply(variables, z, train=True, mutable=['codebook'])

    z = normal(0, 16, 3, 4)
    jax.tree.map(close, step(jax.device_put(z, spread)), step(z))
