"""Times ONNX programs in onnxruntime, in turn: ours beside what another tool exported.

  python benchmarks/onnx_times.py OURS.onnx THEIRS.onnx [--size 64x64] [--rounds 31] [--threads 2]

Needs onnxruntime. All take [n, 3, h, w]. Each round runs every program once, in another order than
the round before; printed are the medians, and the median of the ratios within rounds to the last
program, with its quartiles. The images of all are compared first.
"""

import argparse
import time

import numpy as np
import onnxruntime


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('programs', nargs='+')
    parser.add_argument('--size', default='64x64', help='HEIGHTxWIDTH')
    parser.add_argument('--rounds', type=int, default=31)
    parser.add_argument('--threads', type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Prints a line for each program."""
    arguments = parse_arguments()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    sessions = [
        onnxruntime.InferenceSession(program, options, providers=['CPUExecutionProvider'])
        for program in arguments.programs
    ]
    height, width = (int(side) for side in arguments.size.split('x'))
    x = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    results = [session.run(None, {session.get_inputs()[0].name: x})[0] for session in sessions]
    seconds = np.zeros((arguments.rounds, len(sessions)))
    for round_ in range(arguments.rounds):
        order = np.roll(np.arange(len(sessions)), round_)
        for index in order:
            session = sessions[index]
            start = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: x})
            seconds[round_, index] = time.perf_counter() - start
    ratios = seconds / seconds[:, -1:]
    for index, program in enumerate(arguments.programs):
        low, middle, high = np.quantile(ratios[:, index], (0.25, 0.5, 0.75))
        error = np.abs(results[index] - results[-1]).max()
        print(
            f'{program}: {1e3 * np.median(seconds[:, index]):.2f} ms, {middle:.2f} of the last '
            f'({low:.2f} to {high:.2f}); differs by {error:.1e}'
        )


if __name__ == '__main__':
    main()
