from sr_jax.kernels.gpu.device import A100, H100
from sr_jax.kernels.switched_conv.cases import Case
from sr_jax.kernels.switched_conv.triton import autotune, block_sizes
from sr_jax.kernels.switched_conv.triton.block_sizes import Shape, shape_of

SHAPE = Shape(64, 128, 8, 3, 1, 'bfloat16')


def test_the_fastest_variant_is_chosen(monkeypatch):
    """With a clock that likes one tile, on the interpreter."""
    case = Case(1, 4, 5, 6, 3, breadth=2, size=1, stride=1)
    sizes = block_sizes.block_sizes(shape_of(case, 'float32'), A100)
    wanted = {
        'forward': sizes.forward._replace(stages=7),
        'weight': sizes.weight._replace(stages=7),
        'masked': sizes.masked._replace(stages=7),
    }

    def variants(field, sizes, shape):
        return [{field: wanted[field]}] if field in wanted else []

    monkeypatch.setattr(autotune, 'variants', variants)
    monkeypatch.setattr(autotune, 'stages', lambda *args: [])
    clock = iter(range(100, 0, -1))
    chosen = autotune.tune(case, 'float32', A100, lambda call: next(clock), interpreted=True)
    assert chosen == wanted


def test_variants_differ_from_the_present():
    sizes = block_sizes.block_sizes(SHAPE, H100)
    for field in (
        *('forward', 'unfold', 'fold', 'masked', 'shared', 'weight'),
        *('input_design', 'unfold_bytes'),
    ):
        found = autotune.variants(field, sizes, SHAPE)
        assert sum(sizes._replace(**change) != sizes for change in found) >= 1
    stages = {change['weight'].stages for change in autotune.stages('weight', sizes)}
    assert stages == {1, 2, 4, 5}
    assert autotune.stages('fold', sizes) == autotune.stages('shared', sizes) == []


def test_without_a_gpu_nothing_is_measured(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['autotune'])
    assert autotune.main() == 1
    assert 'no NVIDIA GPU' in capsys.readouterr().out
