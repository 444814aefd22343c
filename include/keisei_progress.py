"""Training progress that `keisei guard --training FILE` reads: the Python side of keisei_progress.h.

    progress = Progress("/tmp/progress")
    while training:
        progress.tick(Progress.UPDATE, samples_done)     # once per step, from one thread

Then: keisei guard --training /tmp/progress -- python3 evaluate.py
"""

import mmap
import os
import struct
import time


class Progress:
    IDLE, ENVIRONMENT, INFERENCE, UPDATE, CHECKPOINT, EVALUATION_SNAPSHOT = range(6)
    _MAGIC, _VERSION, _SIZE = 0x315049455349454B, 2, 4096

    def __init__(self, path):
        """Makes the file anew: a guard that still reads an older one keeps that."""
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "wb+") as file:
            file.truncate(self._SIZE)
            self._page = mmap.mmap(file.fileno(), self._SIZE)
        struct.pack_into("<Ii", self._page, 8, self._VERSION, os.getpid())
        struct.pack_into("<Q", self._page, 0, self._MAGIC)
        self._sequence = self._units = self._time = self._phase = 0
        self._totals = [[0, 0, 0] for _ in range(8)]

    def tick(self, phase, units):
        """`phase` begins now; `units` (samples, plies) are done so far."""
        now, total = time.monotonic_ns(), self._totals[self._phase]
        struct.pack_into("<Q", self._page, 64, self._sequence + 1)  # odd: being written
        if self._time:
            total[0] += 1
            total[1] += max(units - self._units, 0)
            total[2] += now - self._time
            struct.pack_into("<3Q", self._page, 128 + 32 * self._phase, *total)
        struct.pack_into("<QQI", self._page, 72, units, now, phase)
        self._sequence, self._units, self._time, self._phase = self._sequence + 2, units, now, phase
        struct.pack_into("<Q", self._page, 64, self._sequence)
