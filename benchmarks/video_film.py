"""A film of degraded clips and what networks make of them, side by side, for `video_experiment`."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks import video_measures
from benchmarks.video_rows import PUBLISHED, Table
from sr_jax.images.decoding import to_uint8

SIZE, FRAMES, CLIPS = 192, 24, 3
HEADING = 14  # pixels above each picture
RATE = 12  # frames a second


def write(runs: Path, table: Table, seed: int, source: str) -> Path:
    """Writes the film, and its middle frame as an image beside it; returns its path."""
    hq = video_measures.true_clips(source, CLIPS, FRAMES, SIZE)
    lq = video_measures.small(hq, table.kind)
    factor = hq.shape[2] // lq.shape[2]
    columns = {'given': lq.repeat(factor, 2).repeat(factor, 3)}
    columns[PUBLISHED] = video_measures.published(PUBLISHED)(lq)
    for name, row in table.rows.items():
        columns[row.title] = video_measures.network_of(runs / f'{name}_{seed}')(lq)
    columns['truth'] = hq
    frames = [lay_out(columns, clip, time) for clip in range(CLIPS) for time in range(FRAMES)]
    Image.fromarray(lay_out_below(frames, FRAMES // 2)).save(runs.with_suffix('.png'))
    path = runs.with_suffix('.mp4')
    encode(path, frames)
    return path


def lay_out(columns: dict[str, np.ndarray], clip: int, time: int) -> np.ndarray:
    """One frame of the film: pictures side by side, each with its name above."""
    whole = Image.new('RGB', (SIZE * len(columns), SIZE + HEADING))
    for i, (name, frames) in enumerate(columns.items()):
        whole.paste(Image.fromarray(to_uint8(frames[clip, time])), (i * SIZE, HEADING))
        ImageDraw.Draw(whole).text((i * SIZE + 2, 1), name[: SIZE // 6], fill='white')
    return np.asarray(whole)


def lay_out_below(frames: list[np.ndarray], time: int) -> np.ndarray:
    """The frames of all clips at a time, one below the other."""
    return np.concatenate(frames[time::FRAMES])


def encode(path: Path, frames: list[np.ndarray]) -> None:
    """Writes frames as H.264."""
    import av

    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=Fraction(RATE), options={'crf': '18'})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv444p'
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, 'rgb24')))
        container.mux(stream.encode(None))
