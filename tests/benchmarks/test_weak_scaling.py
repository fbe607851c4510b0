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
