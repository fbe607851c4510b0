"""The memory of a train step of recurrent super-resolution: clips against single frames.

  python benchmarks/video_memory.py [--variant frvsr] [--batch 4] [--frames 10] [--crop 128]

Compiles the step of `configs/video.py:VARIANT` with `remat` for one frame and for clips that run
forth and back, and runs nothing. Memory is what XLA's analysis of the compiled step says: on a CPU
it stands in for a GPU's. The states are what each pass leaves to the next, its frame and its image.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from configs import video  # noqa: E402
from sr_jax import tasks  # noqa: E402
from sr_jax.checkpoints.run import abstract_tree  # noqa: E402
from sr_jax.devices import memory, sharding  # noqa: E402
from sr_jax.training.step import jit_step  # noqa: E402


def step_bytes(variant: str, batch: int, frames: int, crop: int) -> int:
    """Bytes that live at once in a step; clips of more than one frame run forth and back."""
    config = video.get_config(variant)
    config.data.update(frames=frames, crop_size=crop)
    if frames == 1:
        config.loss.warp.weight = 0.0
    else:
        config.loss.ping_pong.weight = 1.0
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    tree = abstract_tree(task, mesh)
    clips = {'hq': jax.ShapeDtypeStruct((batch, frames, crop, crop, 3), jnp.float32)}
    step = jit_step(task, mesh, sharding.layout(tree, mesh), config)
    return memory.compiled_bytes(step.lower(tree, clips).compile())


def state_bytes(variant: str, batch: int, passes: int, crop: int) -> int:
    """Bytes of all frames and images, float32."""
    scale = video.get_config(variant).model.scale
    pixels = crop**2 + (crop // scale) ** 2
    return 4 * 3 * batch * passes * pixels


def main() -> None:
    """Prints a row."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--variant', default='frvsr', choices=['recurrent', 'frvsr'])
    for name, value in {'batch': 4, 'frames': 10, 'crop': 128}.items():
        parser.add_argument(f'--{name}', type=int, default=value)
    args = parser.parse_args()
    passes = 2 * args.frames - 1
    one, many = (
        step_bytes(args.variant, args.batch, count, args.crop) for count in (1, args.frames)
    )
    states = state_bytes(args.variant, args.batch, passes, args.crop)
    sizes = ' | '.join(f'{size / 2**20:.1f}' for size in (one, many, states))
    print(f'| variant | one frame, MiB | {passes} passes, MiB | states, MiB | ratio |')
    print('|---|---|---|---|---|')
    print(f'| {args.variant} | {sizes} | {many / (one + states):.2f} |')


if __name__ == '__main__':
    main()
