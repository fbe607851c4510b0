"""The PyTorch side of `network_speed.py`: spandrel's module of a file of weights, eager.

Run by that script in an interpreter that has torch and spandrel: the file and the number of
threads. Each line on the standard input is answered with one:

  make IMAGE RESULT   reads an image [1, c, h, w] from a file of NumPy, and writes what it makes
  time                the seconds of one more pass over that image
  export FILE         writes it as ONNX with any number of images of any sides
"""

import contextlib
import sys
import time

import numpy as np
import spandrel
import torch

with contextlib.suppress(ImportError):
    import spandrel_extra_arches

    spandrel_extra_arches.install()


def export(model: torch.nn.Module, image: torch.Tensor, path: str) -> None:
    """Writes ONNX by PyTorch's own exporter."""
    axes = {0: 'n', 2: 'h', 3: 'w'}
    torch.onnx.export(
        model,
        (image,),
        path,
        input_names=['input'],
        output_names=['output'],
        dynamic_axes={'input': axes, 'output': axes},
        opset_version=18,
        dynamo=False,
    )


def main() -> None:
    """Serves the lines."""
    torch.set_num_threads(int(sys.argv[2]))
    model = spandrel.ModelLoader(device='cpu').load_from_file(sys.argv[1]).model.eval()
    image = torch.zeros(1)
    for line in sys.stdin:
        verb, *paths = line.split()
        answer = 'done'
        with torch.no_grad():
            if verb == 'make':
                image = torch.from_numpy(np.load(paths[0]))
                np.save(paths[1], model(image).numpy())
            elif verb == 'export':
                export(model, image, paths[0])
            else:
                start = time.perf_counter()
                model(image)
                answer = str(time.perf_counter() - start)
        print(answer, flush=True)


if __name__ == '__main__':
    main()
