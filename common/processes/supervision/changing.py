"""A supervisor whose children come and go while it runs."""

from collections.abc import Sequence

from common.processes.supervision.child import Child
from common.processes.supervision.spec import ChildSpec
from common.processes.supervision.supervisor import Supervisor


class ChangingSupervisor(Supervisor):
    """As its base; a child that is stopped on purpose is forgotten, and its name is free again."""

    def add(self, *specs: ChildSpec) -> None:
        """Start children while others run. One that cannot be started is tried again."""
        for spec in specs:
            child = Child(spec)
            self._children.add(child)
            self._start(child)

    def stop(self, name: str) -> None:
        """Ask a child to stop, and forget it once it has ended; killed if that takes too long."""
        child = self._children.named(name)
        if child is None or child.retired:
            return
        child.retired = True
        self._request_stop(child)
        child.kill_at_s = self._clock() + child.spec.stop_timeout_s

    @property
    def draining(self) -> bool:
        """Whether all is being stopped: nothing is started any more."""
        return self._draining

    def ask(
        self, name: str, message: bytes, descriptors: Sequence[int], timeout_s: float
    ) -> bytes | None:
        """Ask a child something, see `Child.ask`. One that does not answer is killed."""
        child = self._children.named(name)
        answer = child.ask(message, descriptors, timeout_s) if child is not None else None
        if child is not None and answer is None:
            child.kill()
        return answer
