"""fairy-stockfish as another judge of shogi, for the benches beside this file."""
import shutil
import subprocess
import sys
import time


class FairyStockfish:
    """One engine process, spoken to over USI, on one thread."""

    def __init__(self):
        program = shutil.which("fairy-stockfish", path="/usr/games:/usr/local/bin:/usr/bin")
        if program is None:
            sys.exit(f"{sys.argv[0]}: fairy-stockfish is missing; try: apt-get install fairy-stockfish")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.say("usi")
        self.until("usiok")
        self.say("setoption name USI_Variant value shogi")
        self.say("setoption name Threads value 1")

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def until(self, start):
        """The lines up to the first one that begins with `start`."""
        lines = []
        for line in self.process.stdout:
            lines.append(line.strip())
            if line.startswith(start):
                return lines
        return sys.exit(f"{sys.argv[0]}: fairy-stockfish ended unexpectedly")

    def perft(self, sfen, depth):
        """Nodes, and nodes per second."""
        self.say(f"position sfen {sfen}")
        begin = time.monotonic()
        self.say(f"go perft {depth}")
        nodes = int(self.until("Nodes searched")[-1].split(":")[1])
        return nodes, nodes / (time.monotonic() - begin)

    def moves(self, sfen, after=""):
        """The set of legal moves, of `sfen` or of where the move `after` leads from it."""
        self.say(f"position sfen {sfen}" + (f" moves {after}" if after else ""))
        self.say("go perft 1")
        return {line.split(":")[0] for line in self.until("Nodes searched")[:-1] if line.endswith(": 1")}

    def is_mated_by(self, sfen, move):
        if self.moves(sfen, move):
            return False
        self.say("d")
        return self.until("Checkers")[-1] != "Checkers:"

    def close(self):
        self.say("quit")
        self.process.wait(timeout=10)
