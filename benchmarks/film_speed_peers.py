"""The peers of `film_speed.py`: films as Real-ESRGAN's own script enlarges them.

Run by that script in an interpreter that has PyAV and torch or ncnn: 'torch' or 'ncnn', a folder
with the weights (`weights.npz`, or `weights.param` and `weights.bin`), and the number of threads.
For each line on the standard input, a film and an output, it answers with the seconds that it took.
A frame is decoded to RGB by FFmpeg, becomes float32, goes through the network, is clipped, rounded
and encoded; then comes the next one (xinntao/Real-ESRGAN, `inference_realesrgan_video.py`).
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

Enlarge = Callable[[np.ndarray], np.ndarray]  # RGB [h, w, 3], uint8
SCALE = 4


def torch_enlarger(folder: Path, threads: int) -> Enlarge:
    """The network in PyTorch, eager and channels last."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(threads)
    arrays = np.load(folder / 'weights.npz')
    state = {name: torch.from_numpy(value) for name, value in arrays.items()}
    count = max(int(name.split('.')[1]) for name in state) + 1
    body = nn.Sequential()
    for place in range(count):
        weight = state[f'body.{place}.weight']
        if weight.ndim == 1:
            body.append(nn.PReLU(len(weight)))
        else:
            body.append(nn.Conv2d(weight.shape[1], weight.shape[0], 3, 1, 1))
    body.load_state_dict({name.removeprefix('body.'): value for name, value in state.items()})
    body = body.eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def enlarge(pixels: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
        x = x.contiguous(memory_format=torch.channels_last)
        made = functional.pixel_shuffle(body(x), SCALE)
        made = made + functional.interpolate(x, scale_factor=SCALE, mode='nearest')
        made = made[0].clamp_(0, 1).permute(1, 2, 0).numpy()
        return (made * 255).round().astype(np.uint8)

    return enlarge


def ncnn_enlarger(folder: Path, threads: int) -> Enlarge:
    """The network in ncnn, in float32, with its default convolutions."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for half in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{half}', False)
    net.load_param(str(folder / 'weights.param'))
    net.load_model(str(folder / 'weights.bin'))

    def enlarge(pixels: np.ndarray) -> np.ndarray:
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / 255
        with net.create_extractor() as extractor:
            extractor.input('data', ncnn.Mat(planes))
            made = np.array(extractor.extract('output')[1])
        made = made.clip(0, 1).transpose(1, 2, 0)
        return np.ascontiguousarray((made * 255).round().astype(np.uint8))

    return enlarge


def enlarge_film(film: str, output: str, enlarge: Enlarge) -> None:
    """Enlarges a film, one frame after the other."""
    with av.open(film) as source, av.open(output, 'w') as made:
        read = source.streams.video[0]
        read.thread_type = 'AUTO'
        width, height = SCALE * read.width, SCALE * read.height
        stream = made.add_stream('libx264', rate=read.average_rate, width=width, height=height)
        stream.pix_fmt, stream.options, stream.thread_type = 'yuv420p', {'crf': '17'}, 'AUTO'
        for frame in source.decode(read):
            enlarged = enlarge(frame.to_ndarray(format='rgb24'))
            made.mux(stream.encode(av.VideoFrame.from_ndarray(enlarged, 'rgb24')))
        made.mux(stream.encode(None))


def main() -> None:
    """Serves films."""
    make = {'torch': torch_enlarger, 'ncnn': ncnn_enlarger}[sys.argv[1]]
    enlarge = make(Path(sys.argv[2]), int(sys.argv[3]))
    for line in sys.stdin:
        film, output = line.rstrip('\n').split('\t')
        begin = time.perf_counter()
        enlarge_film(film, output, enlarge)
        print(time.perf_counter() - begin, flush=True)


if __name__ == '__main__':
    main()
