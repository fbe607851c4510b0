import jax
import jax.numpy as jnp
import pytest

from sr_jax.devices import compiling
from sr_jax.layers.convolution import convolve

CPU = jax.devices('cpu')[0]


class Gpu:
    platform = 'gpu'


@pytest.fixture
def capable(monkeypatch):
    """A CPU with the instructions, and an XLA that gives convolutions to oneDNN."""
    monkeypatch.setattr(compiling, 'has_bfloat16', lambda: True)
    monkeypatch.setattr(compiling, 'takes_onednn', lambda: True)
    monkeypatch.setattr(jax, '__version_info__', (0, 12, 3))


@pytest.mark.parametrize(
    ('flags', 'known'),
    [
        ('flags\t\t: fpu sse avx512f avx512_bf16 fsrm', True),
        ('flags\t\t: fpu amx_bf16 amx_tile', True),
        ('flags\t\t: fpu avx512f avx512_bf16x', False),
        ('bugs\t\t: avx512_bf16', False),
    ],
)
def test_instructions_are_read_of_the_flags(flags, known, tmp_path):
    file = tmp_path / 'cpuinfo'
    file.write_text(f'processor\t: 0\n{flags}\n')
    assert compiling.has_bfloat16(file) is known
    assert not compiling.has_bfloat16(tmp_path / 'none')


def test_onednn_is_asked_for_in_bfloat16_on_cpus_alone(capable):
    assert compiling.compiler_options(CPU, 'bfloat16') == compiling.ONEDNN
    assert compiling.compiler_options(CPU, 'float32') is None
    assert compiling.compiler_options(CPU, 'float16') is None
    assert compiling.compiler_options(Gpu(), 'bfloat16') is None


@pytest.mark.parametrize('lacking', ['has_bfloat16', 'takes_onednn'])
def test_onednn_needs_the_instructions_and_the_option(lacking, capable, monkeypatch):
    monkeypatch.setattr(compiling, lacking, lambda: False)
    assert compiling.compiler_options(CPU, 'bfloat16') is None


def test_an_old_jax_keeps_its_barriers_besides(capable, monkeypatch):
    monkeypatch.setattr(jax, '__version_info__', (0, 11, 2))
    expected = compiling.ONEDNN | compiling.KEEP_BARRIERS
    assert compiling.compiler_options(CPU, 'bfloat16') == expected
    assert compiling.compiler_options(CPU, 'float32') == compiling.KEEP_BARRIERS


def test_an_xla_without_the_option_is_not_given_it(monkeypatch):
    monkeypatch.setattr(compiling, 'ONEDNN', {'xla_cpu_no_such_option': True})
    compiling.takes_onednn.cache_clear()
    assert not compiling.takes_onednn()
    compiling.takes_onednn.cache_clear()


@pytest.mark.skipif(not compiling.has_bfloat16(), reason='a CPU without AVX512-BF16 and AMX')
def test_values_and_gradients_by_onednn_are_right():
    if not compiling.takes_onednn():
        pytest.skip('an XLA without the option')
    keys = jax.random.split(jax.random.key(0), 3)
    sizes = (2, 9, 11, 16), (3, 3, 16, 8), (2, 9, 11, 8)
    x, kernel, cotangent = (jax.random.normal(*pair) for pair in zip(keys, sizes, strict=True))

    def run(dtype, options):
        def values(*arrays):
            y, pull_back = jax.vjp(convolve, *arrays[:2])
            return y, *pull_back(arrays[2])

        given = [v.astype(jnp.bfloat16).astype(dtype) for v in (x, kernel, cotangent)]
        compiled = jax.jit(values).lower(*given).compile(options)
        return compiled(*given), compiled.as_text()

    expected, _ = run('float32', None)
    found, text = run('bfloat16', compiling.ONEDNN)
    assert text.count(compiling.ONEDNN_CALL) == 3
    for a, b in zip(found, expected, strict=True):
        assert jnp.abs(a.astype('float32') - b).max() <= 0.02 * jnp.abs(b).max()


def test_bfloat16_is_advised_where_it_is_faster(capable):
    line = compiling.advise_dtype(CPU, 'float32', '--dtype bfloat16')
    assert line.endswith('--dtype bfloat16')
    assert not compiling.advise_dtype(CPU, 'bfloat16', 'x')
    assert not compiling.advise_dtype(Gpu(), 'float32', 'x')


def test_bfloat16_is_not_advised_without_instructions(capable, monkeypatch):
    monkeypatch.setattr(compiling, 'has_bfloat16', lambda: False)
    assert not compiling.advise_dtype(CPU, 'float32', 'x')
