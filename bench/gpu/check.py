#!/usr/bin/env python3
"""Holds what Keisei tells of a GPU, and does beside one, against nvidia-smi and a stopwatch.

    bench/gpu/check.py BUILD-BIN readings    about 90 s: readings, memory, ends, the probe's cost
    bench/gpu/check.py BUILD-BIN samples     about 40 s: what NVML itself tells, call by call
    bench/gpu/check.py BUILD-BIN impact      about 6 minutes: a training on the GPU

Needs an NVIDIA GPU that nothing else uses, nvidia-smi, and a python3 with PyTorch. Prints a log.
"""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

WORK = str(pathlib.Path(__file__).resolve().with_name("work.py"))
PYTHON = sys.executable


def run(command, **options):
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)


def smi(query, of="gpu"):
    answer = run(["nvidia-smi", f"--query-{of}={query}", "--format=csv,noheader,nounits"])
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


class SmiWatch:
    """nvidia-smi's own figures while something runs: each process's «sm» and the device's use."""

    def __enter__(self):
        self._monitor = subprocess.Popen(
            ["nvidia-smi", "pmon", "-s", "um", "-d", "1"], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.per_process, self.lines = {}, []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def _read(self):
        for line in self._monitor.stdout:
            self.lines.append(line.rstrip())
            words = line.split()
            if len(words) > 3 and words[1].isdigit():
                percent = float(words[3]) if words[3].isdigit() else 0.0
                self.per_process.setdefault(int(words[1]), []).append(percent)

    def __exit__(self, *_):
        self._monitor.send_signal(signal.SIGINT)
        self._monitor.wait()
        self._thread.join()


class Keisei:
    def __init__(self, directory):
        self._directory = pathlib.Path(directory).resolve()
        self._scratch = tempfile.TemporaryDirectory()
        self.scratch = pathlib.Path(self._scratch.name)
        self.scratch.chmod(0o1777)

    def program(self, name):
        return str(self._directory / name)

    def guard(self, command, *options, cwd=None, by=()):
        record = self.scratch / "record.json"
        record.unlink(missing_ok=True)
        begin = time.monotonic()
        done = run([*by, self.program("keisei"), "guard", "--report", str(record), *options, "--",
                    *command], cwd=cwd)
        wall = time.monotonic() - begin
        text = record.read_text() if record.exists() else "{}"
        return done, json.loads(text), wall


def load(seconds, **options):
    command = [PYTHON, WORK, "load", "--seconds", str(seconds)]
    for name, value in options.items():
        command += [f"--{name}"] + ([] if value is True else [str(value)])
    return command


def show(title, done, record, watch=None):
    print(f"\n## {title}")
    print(f"exit code {done.returncode}, {record.get('outcome')}: {record.get('cause')}")
    print("stdout: " + done.stdout.strip().replace("\n", " | "))
    if done.stderr.strip():
        print("stderr: " + done.stderr.strip().splitlines()[-1])
    tier = record.get("tier", {})
    print("tier: " + "; ".join(line for part in ("enforced", "not_enforced")
                               for line in tier.get(part, []) if line.startswith("/proc:")))
    print("record: gpu " + json.dumps(record.get("gpu")))
    print("        sla " + json.dumps(record.get("sla", {}).get("gpu_utilization_percent")))
    peak = record.get("peak_memory_bytes") or 0
    print(f"        peak memory {peak / 1e6:.0f} MB, {record.get('latency_ms')} ms")
    if watch:
        for pid, percents in sorted(watch.per_process.items()):
            print(f"pmon:   process {pid} sm % " + " ".join(f"{p:.0f}" for p in percents))
    sys.stdout.flush()


def host(keisei):
    print("# " + " ".join(os.uname()[i] for i in (0, 2)), f"{os.cpu_count()} processors, uid",
          os.getuid())
    print("# " + "; ".join(smi("name,driver_version,mig.mode.current,persistence_mode")))
    print("# PID namespace", os.readlink("/proc/self/ns/pid"), "(the host's is pid:[4026531836])")
    doctor = run([keisei.program("keisei"), "doctor"])
    print("\n## keisei doctor\n" + doctor.stdout.strip(), doctor.stderr.strip())
    sys.stdout.flush()


def readings(keisei):
    wide = ["--memory", "16GB", "--timeout", "60s"]
    for title, options in (("always at work", {}), ("half of the time", {"duty": 0.5}),
                           ("a tenth of the time, 4 GB of its memory", {"duty": 0.1, "hold": 4})):
        with SmiWatch() as watch:
            done, record, _ = keisei.guard(load(5, **options), *wide)
        show(title, done, record, watch)

    if os.getuid() == 0:
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        done, record, _ = keisei.guard(load(3), *wide, cwd="/", by=nobody)
        show("by an account without privilege", done, record)

    print("\n# beside somebody else who uses all of it")
    other = subprocess.Popen(load(60), stdout=subprocess.PIPE, text=True)
    other.stdout.readline()
    with SmiWatch() as watch:
        done, record, _ = keisei.guard(load(5, duty=0.1), *wide)
    show(f"a tenth of the time beside process {other.pid}", done, record, watch)
    other.kill()
    other.wait()


class NvmlSample(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("time", ctypes.c_ulonglong), ("sm", ctypes.c_uint),
                ("memory", ctypes.c_uint), ("encoder", ctypes.c_uint), ("decoder", ctypes.c_uint)]


class NvmlValue(ctypes.Structure):
    _fields_ = [("time", ctypes.c_ulonglong), ("value", ctypes.c_uint), ("_", ctypes.c_uint)]


class Nvml:
    """The first device: what each process uses, as keisei-gpu-probe asks, and what all do."""

    _GPU_UTILIZATION = 1  # of nvmlSamplingType_t

    def __init__(self):
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._device = ctypes.c_void_p()
        if (self._library.nvmlInit_v2()
                or self._library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self._device))):
            sys.exit("NVML does not start")

    def samples(self, since):
        """Since then (microseconds of the clock; 0: of all that the driver keeps)."""
        count = ctypes.c_uint(0)
        self._library.nvmlDeviceGetProcessUtilization(
            self._device, None, ctypes.byref(count), ctypes.c_ulonglong(since))
        count = ctypes.c_uint(count.value + 16)  # newcomers
        entries = (NvmlSample * count.value)()
        status = self._library.nvmlDeviceGetProcessUtilization(
            self._device, entries, ctypes.byref(count), ctypes.c_ulonglong(since))
        return status, list(entries[:count.value]) if status == 0 else []

    def device_samples(self, since):
        """Each of those that the driver keeps, whoever worked."""
        if not hasattr(self._library, "nvmlDeviceGetSamples"):
            return []
        kind, count = ctypes.c_uint(), ctypes.c_uint(4096)
        values = (NvmlValue * count.value)()
        status = self._library.nvmlDeviceGetSamples(
            self._device, self._GPU_UTILIZATION, ctypes.c_ulonglong(since), ctypes.byref(kind),
            ctypes.byref(count), values)
        return list(values[:count.value]) if status == 0 else []


def samples(_):
    """Asked since the newest sample, since a second ago, and for all; times in ms before the call.
    Is a process's figure the mean of those samples only in which it worked? Then it is above the
    device's mean over the same time, and as far as single samples are shorter than the load's
    pauses."""
    nvml = Nvml()
    for duty in (0.5, 0.1, 1.0):
        print(f"\n## samples beside a load at work for {duty} of each 0.1 s: per call the process's "
              "sm % (its sample's age), since newest | since a second ago | of all")
        process = subprocess.Popen(load(6, duty=duty), stdout=subprocess.PIPE, text=True)
        newest, begin = 0, time.monotonic()
        while process.poll() is None:
            now = int(time.time() * 1e6)
            told = []
            gap = (now - newest) / 1e3 if newest else 0
            for asked, since in enumerate((newest, now - 1_000_000, 0)):
                status, found = nvml.samples(since)
                own = [one for one in found if one.pid == process.pid]
                told.append(f"{status}: " + (" ".join(
                    f"{one.sm} ({(now - one.time) / 1e3:.0f})" for one in own) or "-"))
                if asked == 0:
                    newest = max([newest] + [one.time for one in found])
            print(f"{time.monotonic() - begin:6.2f} s, newest {gap:.0f} ms ago: "
                  + " | ".join(told))
            device = nvml.device_samples(now - 500_000)
            mean = sum(one.value for one in device) / len(device) if device else 0
            print(f"         device, the last 500 ms: mean {mean:.0f} of {len(device)}: " + " ".join(
                f"{one.value} ({(now - one.time) / 1e3:.0f})" for one in device))
            sys.stdout.flush()
            time.sleep(0.5)
        print("load: " + process.stdout.read().strip().replace("\n", " | "))


def limits(keisei):
    free = smi("memory.used")
    done, record, wall = keisei.guard(load(60, ahead=1000, size=8192, hold=20), "--memory", "16GB",
                                      "--timeout", "12s")
    ended = time.monotonic()
    while (left := smi("pid,used_memory", "compute-apps")) and time.monotonic() < ended + 10:
        time.sleep(0.05)
    show("timed out with 1,000 large kernels queued and 20 GB held", done, record)
    print(f"wall {wall:.2f} s; {time.monotonic() - ended:.2f} s later nvidia-smi lists "
          f"{left or 'no process'}; memory used {free} before, {smi('memory.used')} after (MiB)")

    for memory in ("1GB", "2GB", "4GB"):
        done, record, _ = keisei.guard(load(2), "--memory", memory, "--timeout", "60s")
        show(f"--memory {memory}", done, record)
    done, record, _ = keisei.guard(load(60, grow=True), "--memory", "4GB", "--timeout", "60s")
    show("takes more and more of the host's memory, --memory 4GB", done, record)
    done, record, _ = keisei.guard(load(2), "--memory", "8GB", "--timeout", "60s", "--strict",
                                   cwd="/")
    show("--strict", done, record)


def cost(keisei):
    """Of the guard and the probe, over ten seconds beside a command that only sleeps."""
    guard = subprocess.Popen([keisei.program("keisei"), "guard", "--timeout", "60s", "--", "sleep",
                              "12"])
    time.sleep(2)

    def ticks(pid):
        return sum(int(word) for word in
                   pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])

    def probes():
        return [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
                and (p / "comm").exists() and (p / "comm").read_text().startswith("keisei-gpu")]

    watched = {guard.pid: "guard", **{pid: "probe" for pid in probes()}}
    before = {pid: ticks(pid) for pid in watched}
    time.sleep(8)
    hertz = os.sysconf("SC_CLK_TCK")
    print("\n## cost beside a sleeping command, of one core: " + ", ".join(
        f"{name} {100 * (ticks(pid) - before[pid]) / hertz / 8:.2f} %"
        for pid, name in watched.items()))
    guard.wait()


def verify(keisei):
    done = run([keisei.program("keisei"), "verify"])
    print(f"\n## keisei verify: exit code {done.returncode}\n{done.stdout.strip()}")
    print(done.stderr.strip()[-600:])
    sys.stdout.flush()


class Training:
    """work.py train, and how many steps a second it made in any stretch of time."""

    def __init__(self, scratch, seconds):
        self.progress, self._log = scratch / "progress", scratch / "steps"
        self._log.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [PYTHON, WORK, "train", "--seconds", str(seconds), "--progress", str(self.progress),
             "--log", str(self._log)])
        while not self._log.exists() or self._log.stat().st_size == 0:
            time.sleep(0.1)
        time.sleep(2)

    def rate(self, begin, end):
        steps = [float(line.split()[0]) for line in self._log.read_text().splitlines()[:-1]]
        return sum(begin <= at < end for at in steps) / (end - begin)

    def end(self):
        self._process.kill()
        self._process.wait()


def alone(seconds):
    begin = time.monotonic()
    time.sleep(seconds)
    return begin, time.monotonic()


def impact(keisei, seconds=(130, 100)):
    training = Training(keisei.scratch, 900)
    spans = [alone(10)]
    begin = time.monotonic()
    bare = subprocess.run(load(15), text=True, capture_output=True, check=False)
    unguarded = (begin + 3, time.monotonic())  # after it was loaded
    print(f"\n## without a guard: {bare.stdout.strip()}")
    time.sleep(1)
    spans.append(alone(10))
    results = [("without a guard", unguarded)]
    for title, length, options in (
            ("waits for each kernel", seconds[0], {}),
            ("queues 1,000 large kernels before it waits", seconds[1],
             {"ahead": 1000, "size": 8192})):
        begin = time.monotonic()
        done, record, _ = keisei.guard(
            load(900, **options), "--memory", "16GB", "--timeout", f"{length}s", "--training",
            str(training.progress), "--impact", "5%")
        results.append((title, (begin, time.monotonic())))
        show(title, done, record)
        print("impact: " + json.dumps(record.get("training_impact")))
        print("certificate: " + json.dumps(record.get("impact_certificate")))
        print(f"paused {record.get('paused_ms')} of {record.get('latency_ms')} ms")
        sys.stdout.flush()
        time.sleep(2)
        spans.append(alone(10))
    rates = [training.rate(*span) for span in spans]
    reference = sum(rates) / len(rates)
    print("\n## outside check: steps per second of the training alone "
          + " ".join(f"{rate:.2f}" for rate in rates))
    for title, span in results:
        rate = training.rate(*span)
        print(f"{title}: {rate:.2f}, lost {100 * (1 - rate / reference):.2f} %")
    training.end()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    keisei = Keisei(sys.argv[1])
    parts = {"host": [host], "readings": [host, readings, limits, cost], "samples": [host, samples],
             "verify": [verify], "impact": [impact]}
    for name in sys.argv[2:]:
        for part in parts[name]:
            part(keisei)


if __name__ == "__main__":
    main()
