"""The emulator as in tests/emulator: one for the whole folder, emptied before each test."""

from tests.emulator.conftest import emulator, service

__all__ = ["emulator", "service"]
