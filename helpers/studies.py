"""Tiny studies of nobody, made when a lesson asks for them: what sample_dcms/make_studies.py makes.

>>> archive = make_studies(10)
>>> sorted(archive) == sorted({study_uid(f"Ten^Lesson/{number}") for number in range(10)})
True
"""

# sample_dcms is a folder without __init__.py; the root of the repository is on the path wherever helpers is.
from sample_dcms.make_studies import instance_uid, make_instance, make_studies, series_uid, study_uid

__all__ = ["instance_uid", "make_instance", "make_studies", "series_uid", "study_uid"]
