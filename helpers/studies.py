"""Tiny studies of nobody, made when a lesson asks for them: what sample_dcms/make_studies.py makes.

>>> archive = make_studies(10)
>>> sorted(archive) == sorted({uid_of_study(f"Ten^Lesson/{number}") for number in range(10)})
True
"""

# sample_dcms is a folder without __init__.py; the root of the repository is on the path wherever helpers is.
from sample_dcms.make_studies import make_instance, make_studies, uid_of_instance, uid_of_series, uid_of_study

__all__ = ["uid_of_instance", "make_instance", "make_studies", "uid_of_series", "uid_of_study"]
