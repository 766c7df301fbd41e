"""What an ASGI server is pointed at: `granian --interface asgi ingest.asgi:app`."""

import signal

from common.processes.process import set_parent_death_signal
from common.settings import load_settings
from ingest.app import create_app

# A process that imports this is a server's worker, whose main process knows nothing of Fleetline:
# killed, the main process would leave its workers serving.
set_parent_death_signal(signal.SIGKILL)
app = create_app(load_settings())
