"""One command for everything: python3 run.py COMMAND  (Windows: py run.py COMMAND)

  lab        open JupyterLab on lesson 00
  start      copy the lessons to a folder of your own, and open JupyterLab there
  blank      copy the lessons without the code of their steps, to type it in front of a room
  doctor     say what this machine has and lacks for the lessons, and what mends it
  test       run all tests, notebooks included
  notebooks  run the lessons again and store what they print now
  emulator   start the DICOM service emulator alone
  site       build the course and the manuals as web pages, and as a PDF
  slides     make slides of lessons 01 to 05, as web pages
  hub        give a whole room the course in the browser, from this machine (Linux, macOS)
  bundle     pack the course and its packages for a room without internet
  azure-check  run the lessons on your DICOM service and on an emulator, and report what differs
  audit      ask which vulnerabilities of the locked packages are known; this needs the network
  bench      measure speed and memory; alone it lists what can be measured

Each makes .venv and installs what it needs first. That takes about a minute, once.
What follows the command goes to the program behind it:

  python3 run.py lab
  python3 run.py lab --no-browser --port 9999    JupyterLab's own options
  python3 run.py start ../my-lessons             what you change there, no update will overwrite
  python3 run.py blank ../live                   then start ../live opens them
  python3 run.py doctor
  python3 run.py test
  python3 run.py test tests/helpers -q           pytest's own options
  python3 run.py notebooks                       all lessons
  python3 run.py notebooks 02 04                 two of them
  python3 run.py emulator --port 8080            the emulator's own options
  python3 run.py emulator --help                 which are listed this way
  python3 run.py bundle /media/stick/course --for all --python all
  python3 run.py hub ../room --port 8000         homes of the learners; JupyterHub's own options
  python3 run.py slides ../slides
  python3 run.py site --pdf                      in build/site; no network is needed once the packages are there
  python3 run.py azure-check --help              what it sends, deletes and writes; it asks before it begins
  python3 run.py audit -s osv                    pip-audit's own options
  python3 run.py bench multipart --quick         a benchmark's own options
"""

# Standard library only, and nothing newer than Python 3.8: an old Python must get far enough to be told what it lacks.
from __future__ import annotations

import ast
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "run-stamp.json"
LOG = VENV / "install.log"
LAB = ROOT / "helpers" / "lab"  # what Jupyter's server reads: the tile that leads to the emulator
HUB = ROOT / "workshop" / "hub"
WHEELS = ROOT / "wheels"  # in a course that `run.py bundle` has packed: all packages, so that no network is needed
OLDEST_PYTHON = (3, 11)
FIRST_LESSON = "notebooks/00-start-here.ipynb"
FOR_LESSONS = ["requirements.txt"]
FOR_SITE = ["requirements.txt", "docs/requirements.txt"]
FOR_HUB = ["requirements.txt", "workshop/hub/requirements.txt"]
FOR_TESTS = ["requirements.txt", "tests/requirements.txt"]
PYTHON_COMMAND = "py" if os.name == "nt" else "python3"

# Written into .venv, so that nobody's own settings are touched: no question about news, no search for updates.
LAB_OVERRIDES = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class Stop(Exception):
    """Nothing more can be done. The text says what is wrong and names the command that mends it."""


# Python and what it comes with


def check_python(version: tuple[int, ...] = sys.version_info) -> None:
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return
    newer = next(filter(runs, ("python3.13", "python3.12", "python3.11")), None)
    mend = (
        f"A newer one is on this machine, so type: {again(newer)}"
        if newer
        else "Install a newer one (Debian or Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install "
        "python; Windows: winget install Python.Python.3.13; or https://www.python.org/downloads/), then start "
        f"run.py with it, for example: {again('python3.13')}"
    )
    oldest = ".".join(map(str, OLDEST_PYTHON))
    raise Stop(f"This needs Python {oldest} or later, and this is Python {version[0]}.{version[1]}. {mend}")


def runs(name: str) -> bool:
    """Whether there is a program of this name that starts: pyenv leaves names behind that only print an error."""
    return bool(shutil.which(name)) and subprocess.run([name, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0


def check_venv_module() -> None:
    """Debian and Ubuntu ship Python without the part that makes virtual environments."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    raise Stop(
        "This Python cannot make a virtual environment: its modules venv and ensurepip are a package of their own "
        "here. Install it, on Debian or Ubuntu with: sudo apt-get install python3-venv  Then type the same command "
        "again."
    )


# The virtual environment


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ask_venv(code: str) -> str | None:
    """What the interpreter of .venv prints for `code`; None when there is none, or it is broken."""
    try:
        done = subprocess.run([str(venv_python()), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None


def read_stamp() -> dict:
    """What is known about .venv: {"python": sys.version of its interpreter, "locks": {file name: sha256}}.

    No stamp: somebody else made .venv, and nothing is known. While packages are installed it is {"python": None}.
    """
    try:
        return json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def write_stamp(python: str | None, locks: dict) -> None:
    STAMP.write_text(json.dumps({"python": python, "locks": locks}, indent=1), "utf-8")


def digest(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def prepare(locks: list[str]) -> Path:
    """Make .venv hold what the lock files list, unless it does already. Returns its interpreter."""
    version = ask_venv("import sys; print(sys.version)")
    stamp = read_stamp()
    if os.path.lexists(VENV) and (version is None or stamp.get("python", version) != version):
        say("The folder .venv is half made, or was made with another Python. It is made anew.")
        remove_venv()
        version, stamp = None, {}
    installed = stamp.get("locks", {})
    missing = [lock for lock in locks if installed.get(lock) != digest(lock)]
    if missing:
        install(missing, fresh=version is None)
        version = ask_venv("import sys; print(sys.version)")
        write_stamp(version, {**installed, **{lock: digest(lock) for lock in missing}})
    return venv_python()


def remove_venv() -> None:
    if VENV.is_dir() and not VENV.is_symlink():
        shutil.rmtree(VENV)
    else:
        VENV.unlink()


def install(locks: list[str], fresh: bool) -> None:
    """Make .venv if it is not there, and install what the lock files list, with uv when it is there, else with pip."""
    uv = shutil.which("uv")
    if not uv and not fresh and ask_venv("import pip") is None:
        remove_venv()
        fresh = True
    if fresh:
        say("Making .venv, a folder for this project's packages. Nothing else on this machine is touched.")
        make_venv(uv)
    write_stamp(None, {})
    requirements = [argument for lock in locks for argument in ("--requirement", str(ROOT / lock))]
    python = str(venv_python())
    say("Installing the packages. This takes about a minute, and is done once.")
    if uv:
        command = [uv, "pip", "install", "--python", python, "--require-hashes", "--compile-bytecode"]
    else:
        command = [python, "-m", "pip", "install", "--require-hashes"]
    run_installer([*command, *requirements], packages_in(locks))
    # matplotlib lists the fonts of the machine when it is first imported. Better now than inside a lesson.
    say("Getting ready for the first lesson.")
    ask_venv("import matplotlib.pyplot")


def make_venv(uv: str | None) -> None:
    if not uv:
        check_venv_module()
    python = getattr(sys, "_base_executable", sys.executable)  # not one that lives in a .venv that was just removed
    command = [uv, "venv", "--python", python] if uv else [python, "-m", "venv"]
    done = subprocess.run(
        [*command, str(VENV)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace"
    )
    if done.returncode != 0:
        raise Stop(explain(done.stdout))


def packages_in(locks: list[str]) -> int:
    """How many packages the locks name, about: some are for other systems."""
    lines = [line for lock in locks for line in (ROOT / lock).read_text("utf-8").splitlines()]
    return len({line.split("==")[0] for line in lines if line[:1].isalnum()})


def run_installer(command: list[str], locked: int) -> None:
    """Run uv or pip, show how far it is, and keep all it says in .venv/install.log."""
    env = {**environment(), "PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if WHEELS.is_dir():
        env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(WHEELS), UV_NO_INDEX="1", UV_FIND_LINKS=str(WHEELS), UV_OFFLINE="1")
    lines = []
    with LOG.open("w", encoding="utf-8") as log, subprocess.Popen(
        command, cwd=str(ROOT), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace"
    ) as installer:
        collected = 0
        for line in installer.stdout:
            log.write(line)
            lines.append(line)
            if line.startswith(("Collecting ", "Processing ")):  # from a registry, from a folder of this machine
                collected += 1
                name = Path(line.split()[1]).name.split("==")[0]
                show_progress(f"  fetching package {collected} of about {locked}: {name}", collected % 20 == 0)
            elif line.startswith("Installing collected packages"):
                show_progress(f"  unpacking {line.count(',') + 1} packages", True)
            elif "Retrying (" in line:
                show_progress("  the package registry does not answer; trying again", True)
    end_progress()
    if installer.returncode != 0:
        raise Stop(explain("".join(lines)))


def write_overrides() -> None:
    """Where JupyterLab looks for the defaults of the environment that it is installed in."""
    path = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(LAB_OVERRIDES), "utf-8")


# What is said to the person at the terminal


def say(text: str) -> None:
    print(text, flush=True)


def show_progress(text: str, milestone: bool) -> None:
    """On a terminal one line that changes; in a log only the milestones."""
    if sys.stdout.isatty():
        print("\r" + text[:70].ljust(70), end="", flush=True)
    elif milestone:
        say(text)


def end_progress() -> None:
    if sys.stdout.isatty():
        print("\r" + " " * 70 + "\r", end="", flush=True)


def again(python: str = PYTHON_COMMAND) -> str:
    """The command that was typed, to be typed once more."""
    return " ".join([python, "run.py", *sys.argv[1:]])


# What an installer says -> what it means and what mends it. The first row that fits counts.
TROUBLES = [
    (
        ["No space left on device", "os error 28", "not enough space"],
        "The disk is full. About 1 GB is needed. Make room, then type: {again}",
    ),
    (
        ["CERTIFICATE_VERIFY_FAILED", "invalid peer certificate", "UnknownIssuer"],
        "The package registry shows a certificate that this Python does not trust, which happens behind a company's "
        "proxy. Ask for the company's certificate file, then name it: PIP_CERT=file.pem SSL_CERT_FILE=file.pem {again}",
    ),
    (
        ["DO NOT MATCH THE HASHES", "Hash mismatch"],
        "A package that arrived is not the one that the lock file names, so it was not installed. A proxy or a mirror "
        "may have changed it. Try once more with an empty cache: PIP_NO_CACHE_DIR=1 {again}",
    ),
    (
        [
            "NewConnectionError", "Failed to establish a new connection", "ConnectTimeout", "Read timed out",
            "ProxyError", "NameResolutionError", "Temporary failure in name resolution", "getaddrinfo failed",
            "Connection aborted", "Could not connect", "error sending request", "Failed to fetch", "dns error",
        ],
        "The package registry cannot be reached. Is this machine online? Packages are needed once; after that the "
        "course runs without a network. Connect (behind a proxy also set HTTPS_PROXY=http://proxy:port), then type: "
        "{again}",
    ),
    (
        ["Read-only file system", "Permission denied", "Access is denied"],
        "This folder cannot be written to, and .venv has to be made in it. Copy the whole folder to a place of your "
        "own, go there, and type: {again}",
    ),
    (
        ["No matching distribution found", "No solution found"],
        "The package registry does not have a package for this Python or this kind of machine; the end of {log} names "
        "it. Try another Python, 3.11 to 3.13, for example: python3.12 run.py lab  If the course came on a stick, its "
        "folder wheels was packed for other computers; run.py bundle --help says how to pack it for this one.",
    ),
]  # fmt: skip


def explain(output: str) -> str:
    """One paragraph for what went wrong, from what the installer or the system said."""
    for signs, meaning in TROUBLES:
        if any(sign in output for sign in signs):
            return meaning.format(again=again(), log=LOG)
    last = " ".join(line.strip() for line in output.strip().splitlines()[-3:])
    return f"The installation ended with an error: {last} All it said is in {LOG}. To start afresh type: {again()}"


def explain_os_error(error: OSError) -> str:
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return explain("Permission denied")
    return explain(str(error))


# The commands


def environment() -> dict[str, str]:
    """This process's environment, without what would lead Python or matplotlib away from .venv and the lessons.

    With a tile in JupyterLab that leads to the emulator.
    """
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "MPLBACKEND")}
    past_proxy = [env.get("no_proxy") or env.get("NO_PROXY"), "127.0.0.1,localhost"]
    env["no_proxy"] = env["NO_PROXY"] = ",".join(filter(None, past_proxy))
    env["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(LAB), env.get("JUPYTER_CONFIG_PATH")]))
    return env


def learner_environment() -> dict[str, str]:
    """The environment in which a notebook starts an emulator of its own, as it does for a learner.

    But for one thing: no times are shown, since what lessons print is stored and compared.
    """
    leading_elsewhere = (
        "DICOM_SERVICE_URL", "DICOM_PARTITION", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_TOKEN_CREDENTIALS",
        "ORTHANC_URL", "DICOM_EXPORT_CONTAINER",
    )  # fmt: skip
    left = {
        name: value
        for name, value in environment().items()
        if name not in leading_elsewhere and not name.startswith("DICOM_EMULATOR_")
    }
    return {**left, "DICOM_LESSON_TIMES": "hidden"}


def lab_command(python: str, arguments: list[str], folder: Path = ROOT, lesson: str = FIRST_LESSON) -> list[str]:
    return [
        python, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{lesson}",
        *as_root(), *arguments,
    ]  # fmt: skip


def as_root() -> list[str]:
    """What Jupyter's server wants to be told before it runs as root."""
    return ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def lab(arguments: list[str]) -> int:
    python = prepare(FOR_LESSONS)
    write_overrides()
    say("Starting JupyterLab. Your browser opens lesson 00; if it does not, open the link below. Ctrl-C stops it.")
    return hand_over(lab_command(str(python), arguments), environment())


# Lets a copied lesson write `from helpers import …`: the package stays in the folder of the course.
DOOR = """\
import importlib, sys

sys.path.insert(0, {root!r})
del sys.modules[__name__]
importlib.import_module(__name__)
"""


def start(arguments: list[str]) -> int:
    folder = own_folder(arguments, "start ../my-lessons")
    copy_lessons(folder)
    python = prepare(FOR_LESSONS)
    write_overrides()
    say("Starting JupyterLab on your own lessons. Ctrl-C stops it; the same command opens them again.")
    lesson = Path(FIRST_LESSON).name
    return hand_over(lab_command(str(python), arguments[1:], folder, lesson), environment(), str(folder))


def blank(arguments: list[str]) -> int:
    from workshop.blank import blanked  # which may be newer than Python 3.8

    folder = own_folder(arguments, "blank ../live")
    copy_lessons(folder, blanked)
    say(f"To open them, type: {PYTHON_COMMAND} run.py start {arguments[0]}")
    return 0


def own_folder(
    arguments: list[str], example: str, question: str = "Which folder shall the lessons be copied to?"
) -> Path:
    if not arguments or arguments[0].startswith("-"):
        raise Stop(f"{question} For example: {PYTHON_COMMAND} run.py {example}")
    folder = Path(arguments[0]).expanduser().resolve()
    if folder == ROOT or ROOT in folder.parents:
        raise Stop("Choose a folder outside the course's own, so that updates of the course cannot touch your notes.")
    return folder


def copy_lessons(folder: Path, content_of: Callable[[Path], bytes] = Path.read_bytes) -> None:
    """Copy what is not there yet. What is there belongs to whoever made or changed it, and stays."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "helpers.py").write_text(DOOR.format(root=str(ROOT)), "utf-8")
    source = ROOT / "notebooks"
    copied = kept = 0
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_dir() or path.name.startswith(".") or path.name == "helpers.py" or "__pycache__" in path.parts:
            continue
        if ".ipynb_checkpoints" in path.parts:
            continue
        if target.exists():
            kept += target.read_bytes() != content_of(path)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content_of(path))
        copied += 1
    say(f"{copied} files were copied to {folder}.")
    if kept:
        say(f"{kept} that differ from the course's stay as they are.")


def doctor(arguments: list[str]) -> int:
    if ask_venv("import requests, azure.identity") is None:
        raise Stop(f"The packages of the lessons are not installed yet. Type: {PYTHON_COMMAND} run.py lab")
    return hand_over([str(venv_python()), "-m", "helpers.doctor"], environment())


def test(arguments: list[str]) -> int:
    return hand_over([str(prepare(FOR_TESTS)), "-m", "pytest", *arguments], learner_environment())


def notebooks(arguments: list[str]) -> int:
    return hand_over([str(prepare(FOR_LESSONS)), "-m", "tests.notebooks", *arguments], learner_environment())


def emulator(arguments: list[str]) -> int:
    python = prepare(FOR_LESSONS)
    # Paths among the arguments are the caller's, so the working directory stays and Python is told where to look.
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    return hand_over([str(python), "-m", "dicom_emulator", *arguments], env, folder=os.getcwd())


def site(arguments: list[str]) -> int:
    # The helpers' docstrings are read from the modules themselves; a folder among the arguments is the caller's.
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    return hand_over([str(prepare(FOR_SITE)), str(ROOT / "docs" / "build.py"), *arguments], env, folder=os.getcwd())


def slides(arguments: list[str]) -> int:
    command = [str(prepare(FOR_LESSONS)), str(ROOT / "workshop" / "slides.py"), *arguments]
    return hand_over(command, environment(), folder=os.getcwd())


def hub(arguments: list[str]) -> int:
    if os.name == "nt":
        raise Stop("JupyterHub does not run on Windows. Start it on Linux or macOS; learners may have Windows.")
    folder = own_folder(arguments, "hub ../room", "Which folder shall hold what the learners keep?")
    if len(os.environ.get("WORKSHOP_PASSWORD", "")) < 8:
        raise Stop("Choose a password for all learners, of 8 characters or more, and set it: export WORKSHOP_PASSWORD=…")
    python = prepare(FOR_HUB)
    write_overrides()
    install_hub_proxy()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return hand_over(hub_command(str(python), arguments[1:]), hub_environment(folder), str(folder))


def hub_command(python: str, arguments: list[str]) -> list[str]:
    return [python, "-m", "jupyterhub", f"--config={HUB / 'jupyterhub_config.py'}", *arguments]


def hub_environment(folder: Path) -> dict[str, str]:
    return {**environment(), "WORKSHOP_FOLDER": str(folder)}


def install_hub_proxy() -> None:
    """npm's configurable-http-proxy, which JupyterHub needs, as package-lock.json has it."""
    npm, lock, installed = shutil.which("npm"), HUB / "package-lock.json", HUB / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    if not npm:
        raise Stop("JupyterHub needs Node.js and npm. On Debian or Ubuntu: sudo apt-get install nodejs npm")
    say("Installing the proxy that stands before JupyterHub.")
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"],
        cwd=str(HUB), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        raise Stop(f"npm could not install it: {done.stdout.strip()}")


def bundle(arguments: list[str]) -> int:
    python = prepare(FOR_LESSONS)
    if ask_venv("import pip") is None:  # uv makes environments without it
        ask_venv("import ensurepip; ensurepip.bootstrap()")
    return hand_over([str(python), str(ROOT / "workshop" / "bundle.py"), *arguments], environment(), folder=os.getcwd())


def azure_check(arguments: list[str]) -> int:
    env = {**environment(), "PYTHONPATH": str(ROOT)}  # a folder among the arguments is the caller's
    return hand_over([str(prepare(FOR_TESTS)), "-m", "azure_check", *arguments], env, folder=os.getcwd())


def audit(arguments: list[str]) -> int:
    return hand_over([str(prepare(FOR_TESTS)), "-m", "tests.audit", *arguments], environment())


def bench(arguments: list[str]) -> int:
    files = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))}
    if not arguments or arguments[0] in ("-h", "--help"):
        say(f"What can be measured, with {PYTHON_COMMAND} run.py bench NAME (and --help for its options):\n")
        for name, path in files.items():
            say(f"  {name:<11}{(ast.get_docstring(ast.parse(path.read_text('utf-8'))) or '').partition(chr(10))[0]}")
        return 0 if arguments else 2
    if arguments[0] not in files:
        raise Stop(f"There is no benchmark {arguments[0]!r}. There are {', '.join(files)}.")
    env = {**environment(), "PYTHONPATH": str(ROOT / "benchmarks")}  # what several of them use lies beside them
    return hand_over([str(prepare(FOR_TESTS)), "-m", f"benchmarks.{arguments[0]}", *arguments[1:]], env)


def hand_over(command: list[str], env: dict[str, str], folder: str = str(ROOT)) -> int:
    """Become `command`, so that its signals, its output and its exit code are its own."""
    os.chdir(folder)
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, env)
    # Windows has no exec that keeps the terminal: wait instead. Ctrl-C reaches both, and the child decides what it is.
    child = subprocess.Popen(command, env=env)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


COMMANDS = {
    "lab": lab,
    "start": start,
    "blank": blank,
    "doctor": doctor,
    "test": test,
    "notebooks": notebooks,
    "emulator": emulator,
    "site": site,
    "slides": slides,
    "hub": hub,
    "bundle": bundle,
    "azure-check": azure_check,
    "audit": audit,
    "bench": bench,
}


def main(arguments: list[str]) -> int:
    try:
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(__doc__.strip())
            return 0 if arguments else 2
        if arguments[0] not in COMMANDS:
            raise Stop(f"There is no command {arguments[0]!r}. There are {', '.join(COMMANDS)}; see run.py --help")
        check_python()
        return COMMANDS[arguments[0]](arguments[1:])
    except Stop as stop:
        reason = str(stop)
    except OSError as error:
        reason = explain_os_error(error)
    except KeyboardInterrupt:
        print(f"\nStopped. To start again type: {again()}", file=sys.stderr)
        return 130
    print("\n" + textwrap.fill(reason, 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
