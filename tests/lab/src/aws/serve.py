"""moto on a port of its own choosing, written to the file that is given; ends after half an hour without requests."""

import ctypes
import logging
import os
import sys
import threading
import time

# Certificates are issued in a second, not in a minute.
os.environ.setdefault("MOTO_ACM_VALIDATION_WAIT", "1")

from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

IDLE = 30 * 60
last = time.monotonic()


def forget(account):
    """What an account had is gone; the others keep theirs."""
    for backends in list(BackendDict._instances):
        backends.pop(account, None)
        for name, owner in list(getattr(backends, "bucket_accounts", {}).items()):
            if owner[1] == account:
                del backends.bucket_accounts[name]


def app(environ, start_response):
    global last
    last = time.monotonic()
    path = environ.get("PATH_INFO", "")
    if path.startswith("/_forget/"):
        forget(path.removeprefix("/_forget/"))
        start_response("204 No Content", [])
        return []
    return moto(environ, start_response)


def end_when_idle():
    while time.monotonic() - last < IDLE:
        time.sleep(10)
    os._exit(0)


# The name by which whoever stops it makes sure of whom they stop.
ctypes.CDLL(None).prctl(15, b"moto", 0, 0, 0)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
moto = DomainDispatcherApplication(create_backend_app)
moto.debug = True
server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=end_when_idle, daemon=True).start()
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
