"""What this project is worth on the NVIDIA GPU of this machine: one JSON and one table.

    python benchmarks/gpu.py --output gpu.json     # under ten minutes
    python benchmarks/gpu.py --plan                # what it would do; wants no GPU
    python benchmarks/gpu.py --interpret           # the same script on tiny cases, without a GPU

Parts follow each other, each with its share of the time, and what is done is in the JSON even where
a later part fails or is cut short, which it says: whether the kernels of switched convolutions are
right (`gpu_check`, all cases), what each part of them takes, with random selectors and with real
ones, against one dense convolution, the autotuner's block sizes, a train step of three configs, and
the forward pass of two networks against a bare matrix product. For more than one run on one GPU
take the last JSON: times of different GPUs do not compare.
"""

import argparse
import concurrent.futures
import importlib.util
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from sr_jax.kernels.gpu.autotune import measure_median
from sr_jax.kernels.gpu.device import A100, Gpu, present_gpu
from sr_jax.kernels.switched_conv.cases import NETWORKS, ROOFLINE, SMALL, Case, describe
from sr_jax.kernels.switched_conv.real_selectors import real_selector
from sr_jax.kernels.switched_conv.triton import autotune, gpu_check
from sr_jax.kernels.switched_conv.triton.block_sizes import (
    block_sizes,
    input_designs,
    key,
    shape_of,
)
from sr_jax.kernels.switched_conv.triton.parts import parts

from sr_jax import tasks
from sr_jax.models.rrdb import RRDBNet
from sr_jax.models.srvgg import SRVGGNetCompact

CONFIGS = pathlib.Path(__file__).parents[1] / 'configs'
TRAINED = ('vqvae_switched', 'srresnet', 'vqvae')
TINY = Case(1, 5, 6, 3, 4, breadth=2, size=3, stride=1)
Row = dict[str, Any]


class Plan:
    """What is to be done, at which sizes: on a GPU, or tiny and interpreted."""

    def __init__(self, gpu: Gpu | None, interpreted: bool) -> None:
        self.gpu, self.interpreted = gpu or A100, interpreted
        self.checked = [TINY] if interpreted else [*SMALL, *NETWORKS]
        self.timed = [TINY] if interpreted else list(ROOFLINE)
        self.dtypes = ('bfloat16',) if interpreted else ('bfloat16', 'float32')
        self.trained = ('srresnet',) if interpreted else TRAINED
        self.side, self.batch = (8, 1) if interpreted else (256, 16)
        self.measure = measure_median(*((1, 1) if interpreted else (5, 20)))


def check(plan: Plan) -> Iterator[Row]:
    """A row for each case and type: its largest error beside what is allowed."""
    implementation = 'triton_interpret' if plan.interpreted else None
    jobs = [(case, dtype, None) for case in plan.checked for dtype in gpu_check.DTYPES]
    jobs += [(case, 'float32', 'highest') for case in plan.checked]

    def run(job: tuple[Case, str, str | None]) -> Row:
        found = list(gpu_check.check(*job, implementation))
        wrong = [name for name, off, limit in found if not off <= limit]
        return dict(
            case=describe(job[0]),
            dtype=f'{job[1]} {job[2] or ""}'.strip(),
            error=max(off for name, off, _ in found if name in gpu_check.RESULTS),
            wrong=wrong,
        )

    with concurrent.futures.ThreadPoolExecutor(1 if plan.interpreted else 8) as pool:
        yield from pool.map(run, jobs)


def time_parts(plan: Plan) -> Iterator[Row]:
    """A row for each shape, type and kind of selectors: milliseconds of every part."""
    for dtype in plan.dtypes:
        for case in plan.timed:
            shape = shape_of(case, dtype)
            sizes = block_sizes(shape, plan.gpu)
            dense = dict(zip(('dense', 'dense with gradients'), _dense(case, dtype), strict=True))
            for kind, selector in (('random', None), ('real', real_selector(case))):
                calls = parts(case, dtype, plan.interpreted, selector)
                row = {'case': describe(case), 'dtype': dtype, 'selectors': kind} | {
                    name: 1e3 * plan.measure(call) for name, call in dense.items()
                }
                for name in ('route', 'forward', 'grad_kernel'):
                    row[name] = 1e3 * plan.measure(calls[name](sizes))
                for design in input_designs(shape):
                    call = calls['grad_input'](sizes._replace(input_design=design))
                    row[f'grad_input {design}'] = 1e3 * plan.measure(call)
                yield row


def _dense(case: Case, dtype: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Calls of one dense convolution, forward, and with its gradients."""
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], case[:4], dtype)
    taps = (case.size, case.size, case.channels, case.features)
    kernel = jax.random.normal(keys[1], taps, dtype)

    def convolve(x, kernel):
        pad = [(case.size // 2,) * 2] * 2
        layout = ('NHWC', 'HWIO', 'NHWC')
        return jax.lax.conv_general_dilated(
            x, kernel, (case.stride,) * 2, pad, dimension_numbers=layout
        )

    def all_of_it(x, kernel):
        y, pull_back = jax.vjp(convolve, x, kernel)
        return y, pull_back(y)

    forward, everything = (jax.jit(f).lower(x, kernel).compile() for f in (convolve, all_of_it))
    return lambda: forward(x, kernel), lambda: everything(x, kernel)


def train(plan: Plan) -> Iterator[Row]:
    """A row for each config: milliseconds of a train step."""
    for name in plan.trained:
        spec = importlib.util.spec_from_file_location(name, CONFIGS / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        task = tasks.make(module.get_config())
        shapes = task.batch(plan.batch)
        batch = jax.tree.map(lambda s: jnp.full(s.shape, 0.5, s.dtype), shapes)
        state = jax.jit(task.init)(jax.random.key(0), batch)
        step = jax.jit(task.train_step).lower(state, batch, jax.random.key(1)).compile()
        seconds = plan.measure(lambda: step(state, batch, jax.random.key(1))[1])  # noqa: B023
        yield dict(config=name, batch=plan.batch, step=1e3 * seconds)


def networks(plan: Plan) -> Iterator[Row]:
    """A row for a bare product, and for each network: TFLOP/s of its convolutions."""
    size = 64 if plan.interpreted else 8192
    a = jnp.ones((size, size), 'bfloat16')
    product = jax.jit(jnp.dot)
    yield dict(
        network='matrix product', tflops=2e-12 * size**3 / plan.measure(lambda: product(a, a))
    )
    for network in (SRVGGNetCompact(dtype='bfloat16'), RRDBNet(dtype='bfloat16')):
        x = jnp.full((1, plan.side, plan.side, 3), 0.5)
        shapes = jax.eval_shape(network.init, jax.random.key(0), x)
        variables = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        forward = jax.jit(network.apply).lower(variables, x).compile()
        operations = (forward.cost_analysis() or {}).get('flops', float('nan'))
        seconds = plan.measure(lambda: forward(variables, x))  # noqa: B023
        yield dict(
            network=type(network).__name__, seconds=seconds, tflops=1e-12 * operations / seconds
        )


def tune(plan: Plan) -> Iterator[Row]:
    """A row for each shape in bfloat16: the block sizes in which the fastest differ."""
    if plan.interpreted:
        return  # minutes, and nothing to learn
    for case in plan.timed:
        found = autotune.tune(case, 'bfloat16', plan.gpu, measure_median(5), threads=8)
        yield dict(shape=key(shape_of(case, 'bfloat16')), found=found)


# Each part and its share of ten minutes, in seconds; what is most wanted comes first.
PARTS: dict[str, tuple[Callable[[Plan], Iterator[Row]], int]] = {
    'check': (check, 130),
    'parts': (time_parts, 190),
    'networks': (networks, 50),
    'train': (train, 80),
    'tune': (tune, 110),
}


ENDINGS = ('failed', 'stopped')  # of the keys that say what is missing, and why


def run(plan: Plan, names: list[str], output: pathlib.Path | None) -> dict[str, Any]:
    """All parts, kept after every row."""
    device = jax.devices()[0].device_kind
    found: dict[str, Any] = dict(device=device, jax=jax.__version__, interpreted=plan.interpreted)
    for name in names:
        part, share = PARTS[name]
        end = time.monotonic() + share
        found[name] = rows = []
        try:
            for row in part(plan):
                rows.append(row)
                print(name, json.dumps(row), flush=True)
                _keep(found, output)
                if time.monotonic() > end:
                    found[f'{name} stopped'] = f'after {share} s'
                    break
        except Exception as error:  # a part that fails must not cost the others
            found[f'{name} failed'] = f'{type(error).__name__}: {error}'.splitlines()[0][:300]
            print(found[f'{name} failed'], flush=True)
        _keep(found, output)
    return found


def _keep(found: dict[str, Any], output: pathlib.Path | None) -> None:
    if output is not None:
        output.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')


def table(found: dict[str, Any]) -> str:
    """All of it in Markdown, under the device's name: the times of the parts as a table."""
    rows = found.get('parts', [])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f'{found["device"]}, JAX {found["jax"]}, milliseconds', '']
    lines += ['| ' + ' | '.join(columns) + ' |', '|' + '---|' * len(columns)]
    for row in rows:
        cells = [row.get(name, '') for name in columns]
        text = [f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in cells]
        lines.append('| ' + ' | '.join(text) + ' |')
    for part in ('networks', 'train', 'tune'):
        lines += [f'- {part}: {json.dumps(row)}' for row in found.get(part, [])]
    lines += [f'- {name}: {text}' for name, text in found.items() if name.split()[-1] in ENDINGS]
    checked = found.get('check', [])
    wrong = sum(bool(row['wrong']) for row in checked)
    return '\n'.join([*lines, '', f'{len(checked)} cases checked, {wrong} wrong'])


def main() -> int:
    """The exit status is 1 where there is no GPU, a part failed or a result is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--output', type=pathlib.Path, help='the JSON')
    parser.add_argument('--only', nargs='+', default=list(PARTS), choices=list(PARTS))
    parser.add_argument('--plan', action='store_true', help='print what is done, and do nothing')
    parser.add_argument('--interpret', action='store_true', help='tiny cases, without a GPU')
    args = parser.parse_args()
    plan = Plan(present_gpu(), args.interpret)
    if args.plan:
        for name in args.only:
            print(
                f'{name:9} {PARTS[name][1]:4} s at most: {(PARTS[name][0].__doc__ or "").strip()}'
            )
        print(f'{len(plan.checked)} cases checked, {len(plan.timed)} timed')
        return 0
    if present_gpu() is None and not args.interpret:
        print('there is no NVIDIA GPU here that JAX can use: --interpret tries the script without')
        return 1
    found = run(plan, args.only, args.output)
    print(table(found))
    failed = any(name.endswith(' failed') for name in found)
    return int(failed or any(row['wrong'] for row in found.get('check', [])))


if __name__ == '__main__':
    raise SystemExit(main())
