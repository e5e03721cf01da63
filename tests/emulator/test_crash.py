"""Killed with SIGKILL at any moment, the emulator keeps its word: "How it keeps its word" in its README."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from pydicom.uid import generate_uid

from tests.emulator.conftest import session
from tests.emulator.crash import Campaign, Emulator, Known
from tests.emulator.operations import end_of, person

ROUNDS = 20
# The emulator, which after SIGUSR1 kills itself right before the step of that number with which it changes its folder.
DIES_AT_A_STEP = """
import os, signal, sys

left, armed = int(sys.argv.pop(1)), False
CHANGES = {"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"}

def arm(*_):
    global armed
    armed = True

def step(event, arguments):
    global left
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if armed and (event in CHANGES or writes) and FOLDER in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

FOLDER = sys.argv[-1]
signal.signal(signal.SIGUSR1, arm)
sys.addaudithook(step)
from dicom_emulator.__main__ import main
sys.exit(main())
"""


def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_torn(tmp_path: Path) -> None:
    """20 rounds, each with another dice; `python -m tests.emulator.crash` has as many as you like."""
    campaign = Campaign(tmp_path / "data", seed=int.from_bytes(os.urandom(4)))
    campaign.run(ROUNDS)
    print(campaign)
    assert not campaign.lost and not campaign.torn, "\n".join([str(campaign), *campaign.lost, *campaign.torn])
    assert campaign.counts["rounds"] == ROUNDS
    assert campaign.counts["stores acknowledged"] > ROUNDS and campaign.counts["stores unanswered"] > ROUNDS
    assert "Traceback" not in campaign.emulator.log.read_text("utf-8")


def store_two(campaign: Campaign) -> None:
    study = generate_uid()
    campaign.store(session(), [Known.new(study, random.Random(study)) for _ in range(2)])


def update_two(campaign: Campaign) -> None:
    (study,) = campaign.updates
    body = {"studyInstanceUids": [study], "changeDataset": person("New^Name")}
    response = session().post(f"{campaign.emulator.url}/studies/$bulkUpdate", json=body)
    campaign.accept(response)
    campaign.touched.add(study)
    for known in campaign.updates[study]:
        known.now = "to be made"
    end_of(session(), response.json()["href"])


@pytest.mark.parametrize(("change", "steps"), [(store_two, 4), (update_two, 4)], ids=["store", "bulk update"])
def test_at_whatever_step_it_dies_all_is_done_or_nothing(
    tmp_path: Path, change: Callable[[Campaign], None], steps: int
) -> None:
    campaign = Campaign(tmp_path / "data", seed=0)
    for step in range(1, 100):
        campaign.emulator = Emulator(tmp_path / "data", "-c", DIES_AT_A_STEP, str(step))
        campaign.emulator.start()
        try:
            campaign.check(campaign.touched)
            assert not campaign.lost and not campaign.torn, f"step {step}: {campaign.lost + campaign.torn}"
            prepare(campaign, change)
            assert campaign.emulator.process
            campaign.emulator.process.send_signal(signal.SIGUSR1)
            time.sleep(0.05)
            change(campaign)
            break  # it has not come as far as that step
        except requests.RequestException:
            pass
        finally:
            campaign.emulator.kill()
    assert step > steps, "hardly any step was seen"


def prepare(campaign: Campaign, change: Callable[[Campaign], None]) -> None:
    """A study to be updated, a new one each time."""
    if change is update_two:
        study = generate_uid()
        two = [Known.new(study, random.Random(study)) for _ in range(2)]
        campaign.store(session(), two)
        campaign.updates = {study: two}
