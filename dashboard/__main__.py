"""`python -m dashboard`: start the supervisor and the dashboard, and print the address.

python -m dashboard --port 8600
"""

import os
import socket
import sys
from pathlib import Path

from command_line import WRONG, Parser
from jobs.data_jobs import list_jobs
from jobs.problems import LaunchError
from jobs.supervision.supervisor import ensure_supervisor
from tracking.problems import StoreUnavailable
from tracking.runs import list_ours
from tracking.store import Store

HOST = "127.0.0.1"
DEFAULT_PORT = 8501
APP = Path(__file__).parent / "app.py"


def main(arguments: list[str] | None = None) -> int:
    """Run the dashboard until Ctrl-C; 2 says that it could not start."""
    parser = Parser(prog="python -m dashboard", description="Start the dashboard on this machine.")
    parser.add_argument(
        "--port", default=os.environ.get("PORT") or str(DEFAULT_PORT), help="8501, or PORT, by default"
    )
    try:
        port = read_port(parser.parse_args(arguments).port)
        store = Store.default().open_patiently()
        ensure_supervisor(store)
    except (ValueError, StoreUnavailable, LaunchError) as problem:
        print(problem, file=sys.stderr)
        return WRONG
    print(f"Convnet arena: http://{HOST}:{port}   (Ctrl-C stops the dashboard)", flush=True)
    serve(port, store)
    print(f"\n{farewell(store)}", flush=True)
    return 0


def read_port(text: str) -> int:
    """Check that one can listen on a port.

    Raises:
        ValueError: it is no port, or another program listens there.
    """
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is not a port; choose a number from 1024 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError:
            raise ValueError(
                f"Port {text} is already taken, perhaps by another dashboard; "
                f"stop that one or choose another port with PORT={int(text) % 65535 + 1}."
            ) from None
    return int(text)


def serve(port: int, store: Store) -> None:
    """Run Streamlit in this process until it is told to end."""
    from streamlit.web import bootstrap

    # Streamlit reads .streamlit/config.toml of the working directory; ours must hold wherever one started.
    os.environ |= store.environment
    os.chdir(APP.parents[1])
    options = {"server_port": port, "server_address": HOST}
    bootstrap.load_config_options(options)
    bootstrap.run(str(APP), False, [], options)


def farewell(store: Store) -> str:
    """Describe what continues without the dashboard."""
    try:
        active = len(list_ours(store, ["RUNNING", "SCHEDULED"]))
    except StoreUnavailable as problem:
        return f"The dashboard has stopped. {problem}"
    active += sum(one.is_active for one in list_jobs(store))
    if not active:
        return "The dashboard has stopped; no job is running. `make stop` stops the supervisor too."
    what = "1 job continues" if active == 1 else f"{active} jobs continue"
    return f"The dashboard has stopped; {what} without it. `make stop` stops the jobs too."


if __name__ == "__main__":
    sys.exit(main())
