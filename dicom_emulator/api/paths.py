"""Paths below the version that several routes begin with."""

STUDY = "/studies/{study}"
A_SERIES = STUDY + "/series/{series}"
INSTANCE = A_SERIES + "/instances/{instance}"
TAG = "/extendedquerytags/{tag}"
WORKITEM = "/workitems/{workitem}"
