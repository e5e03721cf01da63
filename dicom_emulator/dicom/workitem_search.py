"""What can be searched in work items, and which values it may have (conformance statement, UPS-RS)."""

from dicom_emulator.dicom.json_data_set import DataSet, items, key_of, text_of, values
from dicom_emulator.dicom.validation import minimum_rule
from dicom_emulator.dicom.workitem_rules import RuleBroken

# The ten attributes that a search can match: keywords of the way there, and the VR.
SEARCHABLE = {
    ("PatientName",): "PN",
    ("PatientID",): "LO",
    ("ReferencedRequestSequence", "AccessionNumber"): "SH",
    ("ReferencedRequestSequence", "RequestedProcedureID"): "SH",
    ("ScheduledProcedureStepStartDateTime",): "DT",
    ("ScheduledStationNameCodeSequence", "CodeValue"): "SH",
    ("ScheduledStationClassCodeSequence", "CodeValue"): "SH",
    ("ScheduledStationGeographicLocationCodeSequence", "CodeValue"): "SH",
    ("ProcedureStepState",): "CS",
    ("StudyInstanceUID",): "UI",
}


def searchable_values(data_set: DataSet, path: tuple[str, ...]) -> list[str]:
    """What a search on this path compares with: the values of the attribute, in all items of the sequence."""
    data_sets = [data_set] if len(path) == 1 else items(data_set, path[0])
    return [text_of(value) for each in data_sets for value in values(each, path[-1])]


def check_searchable(data_set: DataSet) -> None:
    """Raises RuleBroken where an attribute that can be searched has a wrong VR or value."""
    for path, vr in SEARCHABLE.items():
        for each in [data_set] if len(path) == 1 else items(data_set, path[0]):
            given = each.get(key_of(path[-1]), {"vr": vr})["vr"]
            message = f"Dicom element '{path[-1]}' failed validation for VR '{vr}': "
            if given != vr:
                raise RuleBroken(f"{message}The attribute has VR '{given}' where '{vr}' is expected.")
            for value in filter(None, map(text_of, values(each, path[-1]))):
                if broken := minimum_rule(vr, value):
                    raise RuleBroken(message + broken.text)
