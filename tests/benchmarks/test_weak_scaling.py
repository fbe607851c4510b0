import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HLO = """
  %a = f32[] all-reduce(%x), channel_id=1
  %b = (f32[3,3,8,16]{3,2,1,0}, bf16[4]{0}) all-reduce(%y, %z), to_apply=%add
  %c = f32[10]{0} all-reduce-start(%w), to_apply=%add
  %d = f32[10]{0} all-reduce-done(%c)
  %e = f32[99]{0} add(%p, %q)
"""


LOOP = """
%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%inside (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %r = f32[4]{0} all-reduce(%g), to_apply=%add
}

%body.1 (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %n = f32[2]{0} all-reduce(%h), to_apply=%add
  %w = (s32[], f32[4]) while(%t), condition=%c, body=%inside ROUNDS
}

ENTRY %main.7_spmd (a: f32[4]) -> f32[4] {
  %first = f32[3]{0} all-reduce(%x), to_apply=%add
  %w = (s32[], f32[4]) while(%t), body=%body.1, backend_config={"known_trip_count":{"n":"5"}}
  %c = f32[4] conditional(%p, %u, %v), branch_computations={%inside, %add}
}
"""


def asked(expression: str) -> str:
    """Evaluates an expression in a process of its own, for the script sets JAX's devices."""
    code = f'from benchmarks import weak_scaling as w; print({expression})'
    words = [sys.executable, '-c', code]
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_operands_of_all_reduces_are_counted_once():
    bytes_of, eight, sixteen, share = re.findall(
        r'[\d.e-]+',
        asked(
            f'w.exchanged_bytes({HLO!r}), w.ring_seconds(450e9, 8), w.ring_seconds(400e9, 16), '
            'w.efficiency(w.Step(int(450e9), 1.75, 1), 8, 1.0)'
        ),
    )
    assert int(bytes_of) == 4 + 4 * 3 * 3 * 8 * 16 + 2 * 4 + 40
    assert float(eight) == pytest.approx(2 * 7 / 8)
    assert float(sixteen) == pytest.approx(2 * 15 / 16)
    assert float(share) == pytest.approx(0.5)


def test_what_is_in_a_loop_counts_as_often_as_it_goes_round():
    known = LOOP.replace(' ROUNDS', ', backend_config={"known_trip_count":{"n":"3"},"x":{}}')
    product = """[w.counted(w.jax.make_jaxpr(lambda x, k: w.jax.lax.scan(
        lambda c, _: (w.jax.nn.relu(c @ k), None), x, None, length=7)[0])(
            w.jnp.ones((2, 3)), w.jnp.ones((3, 3))).jaxpr, loops) for loops in (False, True)]"""
    convolution = """w.counted(w.jax.make_jaxpr(lambda x, k: w.jax.lax.conv_general_dilated(
        x, k, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')))(
            w.jnp.ones((1, 4, 4, 2)), w.jnp.ones((3, 3, 2, 5))).jaxpr, True)"""
    code = f'[w.exchanged_bytes({known!r}), *{product}, {convolution}]'.replace('\n', '')
    assert json.loads(asked(code)) == [
        12 + 5 * (8 + 3 * 16) + 16,
        2 * 2 * 3 * 3,
        7 * 2 * 2 * 3 * 3,
        2 * 16 * 5 * 9 * 2,
    ]


def test_a_loop_of_unknown_length_is_named():
    with pytest.raises(subprocess.CalledProcessError) as error:
        asked(f'w.exchanged_bytes({LOOP!r})')
    said = 'it is not known how often the loop inside goes round'
    assert said in error.value.stderr
