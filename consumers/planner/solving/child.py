"""The child: imports the solver, says so, and then answers question after question.

What it is told stands on its standard input, its answers on its standard output, each with four
bytes of length before it. The solver may print: what it prints goes to the log.
"""

import os
import signal
import sys
from typing import BinaryIO

from common.plans.frames import LENGTH_BYTES
from common.processes import process
from common.processes.priority import step_back
from consumers.planner.solving.question import SolverAnswer, decode_question, encode_answer

# What is said once the solver is imported.
READY = b"ready"
# Positions and customers go first where cores are short.
NICENESS = 10


def main() -> None:
    """Serve until the other side is gone."""
    process.die_with_parent(signal.SIGKILL)
    step_back(NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from consumers.planner.solving.vroom_model import solve  # noqa: PLC0415 - takes a second

    _write(answers, READY)
    questions = sys.stdin.buffer
    while (data := _read(questions)) is not None:
        try:
            answer = solve(decode_question(data))
        except Exception as e:  # whatever the solver refuses; the planner says so and goes on
            answer = SolverAnswer([], f"{type(e).__name__}: {e}")
        _write(answers, encode_answer(answer))


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    return stream.read(int.from_bytes(head, "big"))


def _write(stream: BinaryIO, message: bytes) -> None:
    stream.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    stream.flush()


if __name__ == "__main__":
    main()
