"""JupyterHub for a workshop on one machine. `run.py hub FOLDER` starts it; README.md beside this file is its manual.

Each learner gets a home folder with a copy of the lessons, and a Lab in which every lesson starts an emulator of its own.
With WORKSHOP_SHARED_EMULATOR, all share one emulator and have a partition each.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import run
from dicom_emulator.server import environment

# What the leader decides. run.py sees to it that there is a folder and a password.
FOLDER = Path(os.environ["WORKSHOP_FOLDER"])  # homes of the learners, and what the hub has to remember
PASSWORD = os.environ["WORKSHOP_PASSWORD"]  # of all learners, at least 8 characters
NAME = os.environ.get("WORKSHOP_NAME", "")  # the machine's name as learners type it; not needed for an address
LEARNERS = int(os.environ.get("WORKSHOP_LEARNERS", "30"))  # servers that may run at a time
SHARED_PORT = os.environ.get("WORKSHOP_SHARED_EMULATOR", "")  # where the emulator listens that all share; empty: none
SHARED = f"http://127.0.0.1:{SHARED_PORT}" if SHARED_PORT else ""

HOUR = 3600

c = get_config()  # noqa: F821

# The hub itself
c.JupyterHub.db_url = f"sqlite:///{FOLDER / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(FOLDER / "jupyterhub_cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(FOLDER / "jupyterhub-proxy.pid")
c.ConfigurableHTTPProxy.command = [str(ROOT / "workshop" / "hub" / "node_modules" / ".bin" / "configurable-http-proxy")]

# Who comes in: whoever knows the password, under a name that is also the name of a folder and of a partition.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = PASSWORD
c.Authenticator.allow_all = True
c.Authenticator.username_pattern = r"[a-z0-9][a-z0-9._-]{0,31}"

# How much at a time. A lesson's kernel and its emulator end once nobody has looked at it for an hour.
c.JupyterHub.active_server_limit = LEARNERS
c.JupyterHub.concurrent_spawn_limit = 10
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
]
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={2 * HOUR}"]}
]

# What a learner gets
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(FOLDER / "homes" / "{username}")
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = [f"--MappingKernelManager.cull_idle_timeout={HOUR}", *run.as_root()]
c.Spawner.notebook_dir = "~/lessons"
c.Spawner.default_url = f"/lab/tree/{Path(run.FIRST_LESSON).name}"
c.Spawner.http_timeout = c.Spawner.start_timeout = 120  # when the whole class comes in at once
c.Spawner.environment = {name: run.environment()[name] for name in ("NO_PROXY", "no_proxy", "JUPYTER_CONFIG_PATH")}
if NAME:
    c.Spawner.environment["DICOM_EMULATOR_ALLOWED_HOST"] = NAME


def give_lessons(spawner) -> None:
    run.copy_lessons(FOLDER / "homes" / spawner.user.name / "lessons")


c.Spawner.pre_spawn_hook = give_lessons


# One emulator for all

if SHARED:
    c.JupyterHub.services.append(
        {
            "name": "emulator",
            "command": [sys.executable, "-m", "dicom_emulator", "--partitions", "--port", SHARED_PORT]
            + ["--data-dir", str(FOLDER / "emulator"), *(["--allowed-host", NAME] if NAME else [])],
            "cwd": str(ROOT),
        }
    )
    c.Spawner.environment |= environment(SHARED)
    c.Spawner.environment["DICOM_PARTITION"] = lambda spawner: spawner.user.name
