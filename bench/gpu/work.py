"""GPU work of a known size, and a training that reports its progress, for bench/gpu/check.py.

work.py load  --seconds S [--size N] [--duty D] [--ahead N] [--hold GB] [--grow]
work.py train --seconds S --progress FILE --log FILE
"""

import argparse
import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "include"))
from keisei_progress import Progress  # noqa: E402

PERIOD_S = 0.1  # of a load that works for a part of the time


class Kernel:
    """One product of two square bf16 matrices; of 4096 rows (137 GFLOP): 0.2 ms on a large GPU."""

    def __init__(self, size=4096):
        self._a, self._b = (
            torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2)
        )
        self._out = torch.empty_like(self._a)
        for _ in range(10):
            self.launch()
        torch.cuda.synchronize()

    def launch(self):
        torch.mm(self._a, self._b, out=self._out)


def load(options):
    kernel = Kernel(options.size)
    held, launches = [], 0
    print("ready", flush=True)
    begin = time.monotonic()
    if options.hold:
        held.append(torch.empty(int(options.hold * 1e9), dtype=torch.uint8, device="cuda"))
    while (now := time.monotonic()) < begin + options.seconds:
        if options.grow:  # of the host's memory
            held.append(torch.ones(50_000_000))
        busy_until = now + options.duty * PERIOD_S
        while time.monotonic() < busy_until:
            for _ in range(options.ahead):  # kernels that wait in the device's queue
                kernel.launch()
            launches += options.ahead
            torch.cuda.synchronize()
        if options.duty < 1:
            time.sleep(max(0.0, now + PERIOD_S - time.monotonic()))
    print(f"{launches / (time.monotonic() - begin):.0f} kernels/s", flush=True)


def train(options):
    """One step is 25 kernels, waited for. The log has a line for every step: seconds, steps."""
    kernel = Kernel()
    progress = Progress(options.progress)
    with open(options.log, "w", buffering=1) as log:
        begin = time.monotonic()
        steps = 0
        while (now := time.monotonic()) < begin + options.seconds:
            progress.tick(Progress.UPDATE, steps)
            for _ in range(25):
                kernel.launch()
            torch.cuda.synchronize()
            steps += 1
            log.write(f"{now:.6f} {steps}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("load", "train"))
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--size", type=int, default=4096, help="rows of a matrix")
    parser.add_argument("--duty", type=float, default=1.0, help="part of the time at work, 0..1")
    parser.add_argument("--ahead", type=int, default=1, help="kernels launched before one waits")
    parser.add_argument("--hold", type=float, default=0.0, help="GB of the device's memory")
    parser.add_argument("--grow", action="store_true", help="takes 200 MB of the host's each 0.1 s")
    parser.add_argument("--progress")
    parser.add_argument("--log")
    options = parser.parse_args()
    (load if options.what == "load" else train)(options)


if __name__ == "__main__":
    main()
