"""Which attributes a work item must, may and must not have (PS3.4 table CC.2.5-3; conformance statement, UPS-RS)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from dicom_emulator.dicom.attributes import tag_of, tag_text
from dicom_emulator.dicom.json_data_set import DataSet, items, key_of, text_of


class RuleBroken(ValueError):
    """A data set breaks a rule; the message is the service's."""


class Need(Enum):
    """How an attribute has to be given."""

    VALUE = auto()
    PRESENT = auto()  # with a value or without
    VALUE_IF_PRESENT = auto()
    ANYTHING = auto()
    EMPTY = auto()
    ABSENT = auto()


@dataclass(frozen=True)
class Rule:
    """What holds for one attribute, and for the attributes of its items."""

    need: Need
    items: Mapping[str, "Rule"] = field(default_factory=dict)


Rules = Mapping[str, Rule]


def rules(need: Need, keywords: str, items: Rules | None = None) -> dict[str, Rule]:
    return {keyword: Rule(need, items or {}) for keyword in keywords.split()}


def check(data_set: DataSet, rules: Rules) -> None:
    """Raises RuleBroken at the first attribute that breaks its rule."""
    for keyword, rule in rules.items():
        check_attribute(data_set, keyword, rule.need)
        for item in items(data_set, keyword) if rule.items else ():
            check(item, rule.items)


def check_attribute(data_set: DataSet, keyword: str, need: Need) -> None:
    attribute = data_set.get(key_of(keyword))
    name = tag_text(tag_of(keyword))
    if attribute is None:
        if need in {Need.VALUE, Need.PRESENT, Need.EMPTY}:
            raise RuleBroken(f"The required tag '{name}' is missing.")
    elif need is Need.ABSENT:
        raise RuleBroken(f"The attribute with tag '{name}' cannot be present.")
    elif need is Need.EMPTY and not is_empty(attribute):
        raise RuleBroken(f"The attribute with tag '{name}' must be empty.")
    elif need in {Need.VALUE, Need.VALUE_IF_PRESENT}:
        if is_empty(attribute):
            raise RuleBroken(f"The value for tag '{name}' is missing.")
        if is_blank(attribute):
            raise RuleBroken(f"The attribute with tag '{name}' must not be empty.")


def is_empty(attribute: Mapping[str, Any]) -> bool:
    if attribute["vr"] == "SQ" or "Value" not in attribute:
        return len(attribute) == 1
    return not any(map(text_of, attribute["Value"]))


def is_blank(attribute: Mapping[str, Any]) -> bool:
    return attribute["vr"] != "SQ" and "Value" in attribute and not text_of(attribute["Value"][0]).strip()


CODE = rules(Need.VALUE, "CodeMeaning")
DESIGNATOR: Rules = {}  # all of its attributes depend on each other
PARAMETERS = rules(Need.VALUE, "ValueType") | rules(Need.VALUE, "ConceptNameCodeSequence", CODE)
REFERENCE = rules(Need.VALUE, "ReferencedSOPClassUID ReferencedSOPInstanceUID")
INSTANCES = rules(Need.VALUE, "TypeOfInstances") | rules(Need.VALUE, "ReferencedSOPSequence", REFERENCE)
QUALIFIERS = rules(
    Need.PRESENT,
    "UniversalEntityID IdentifierTypeCode AssigningFacilitySequence AssigningJurisdictionCodeSequence"
    " AssigningAgencyOrDepartmentCodeSequence",
)
OTHER_ID = (
    rules(Need.VALUE, "PatientID")
    | rules(Need.PRESENT, "IssuerOfPatientID")
    | rules(Need.PRESENT, "IssuerOfPatientIDQualifiersSequence", QUALIFIERS)
)
REQUEST = (
    rules(Need.VALUE, "StudyInstanceUID")
    | rules(
        Need.PRESENT,
        "AccessionNumber IssuerOfAccessionNumberSequence OrderPlacerIdentifierSequence OrderFillerIdentifierSequence"
        " RequestedProcedureID RequestedProcedureDescription",
    )
    | rules(Need.PRESENT, "RequestedProcedureCodeSequence", CODE)
)
PERFORMER = rules(Need.VALUE, "HumanPerformerCodeSequence", CODE) | rules(
    Need.VALUE, "HumanPerformerName HumanPerformerOrganization"
)

# The attributes that describe progress and what was performed; a new work item has none of them.
COMMUNICATION = rules(Need.VALUE, "ContactURI") | rules(Need.VALUE_IF_PRESENT, "ContactDisplayName")
PROGRESS = (
    rules(
        Need.VALUE_IF_PRESENT,
        "ProcedureStepProgress ProcedureStepProgressDescription ProcedureStepCancellationDateTime"
        " ReasonForCancellation",
    )
    | rules(Need.VALUE_IF_PRESENT, "ProcedureStepProgressParametersSequence", PARAMETERS)
    | rules(Need.VALUE_IF_PRESENT, "ProcedureStepCommunicationsURISequence", COMMUNICATION)
    | rules(Need.VALUE_IF_PRESENT, "ProcedureStepDiscontinuationReasonCodeSequence", CODE)
)
PERFORMED = (
    rules(
        Need.VALUE_IF_PRESENT,
        "PerformedProcedureStepStartDateTime PerformedProcedureStepDescription CommentsOnThePerformedProcedureStep"
        " PerformedProcedureStepEndDateTime",
    )
    | rules(Need.VALUE_IF_PRESENT, "ActualHumanPerformersSequence")
    | rules(Need.VALUE_IF_PRESENT, "PerformedWorkitemCodeSequence", CODE)
    | rules(Need.VALUE_IF_PRESENT, "PerformedProcessingParametersSequence", PARAMETERS)
    | rules(
        Need.ANYTHING,
        "PerformedStationNameCodeSequence PerformedStationClassCodeSequence"
        " PerformedStationGeographicLocationCodeSequence",
        CODE,
    )
    | rules(Need.PRESENT, "OutputInformationSequence")
)
NOTHING_OF_PROGRESS = rules(Need.ABSENT, " ".join(PROGRESS))
NOTHING_PERFORMED = rules(Need.ABSENT, " ".join(PERFORMED))

# Type 3: may be left out, but not be empty.
OPTIONAL = rules(
    Need.VALUE_IF_PRESENT,
    "ScheduledProcedureStepExpirationDateTime ExpectedCompletionDateTime OutputDestinationSequence"
    " InstanceCreationDate InstanceCreationTime InstanceCoercionDateTime InstanceCreatorUID RelatedGeneralSOPClassUID"
    " OriginalSpecializedSOPClassUID CodingSchemeIdentificationSequence ContextGroupIdentificationSequence"
    " MappingResourceIdentificationSequence TimezoneOffsetFromUTC ContributingEquipmentSequence InstanceNumber"
    " SOPInstanceStatus SOPAuthorizationDateTime SOPAuthorizationComment AuthorizationEquipmentCertificationNumber"
    " MACParametersSequence DigitalSignaturesSequence EncryptedAttributesSequence OriginalAttributesSequence"
    " HL7StructuredDocumentReferenceSequence LongitudinalTemporalInformationModified QueryRetrieveView"
    " ConversionSourceAttributesSequence ContentQualification PrivateDataElementCharacteristicsSequence"
    " InstanceOriginStatus BarcodeValue ReferencedDefinedProtocolSequence ReferencedPerformedProtocolSequence"
    " ReferencedPatientPhotoSequence TypeOfPatientID PatientBirthDateInAlternativeCalendar"
    " PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar ReasonForVisit ReasonForVisitCodeSequence"
    " PatientAge Occupation ConfidentialityConstraintOnPatientDataDescription PatientBirthTime QualityControlSubject"
    " PatientInsurancePlanCodeSequence PatientPrimaryLanguageCodeSequence PatientSize PatientWeight"
    " PatientSizeCodeSequence PatientAddress MilitaryRank BranchOfService CountryOfResidence RegionOfResidence"
    " PatientTelephoneNumbers PatientTelecomInformation EthnicGroup PatientReligiousPreference PatientComments"
    " ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization PatientSpeciesDescription"
    " PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence BreedRegistrationSequence"
    " StrainDescription StrainNomenclature StrainCodeSequence StrainAdditionalInformation StrainStockSequence"
    " GeneticModificationsSequence Allergies SmokingStatus AdditionalPatientHistory LastMenstrualDate"
    " PatientSexNeutered PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension PatientState"
    " PertinentDocumentsSequence PertinentResourcesSequence PatientClinicalTrialParticipationSequence"
    " InstitutionName InstitutionAddress InstitutionCodeSequence InstitutionalDepartmentName"
    " InstitutionalDepartmentTypeCodeSequence ServiceEpisodeID IssuerOfServiceEpisodeIDSequence"
    " ServiceEpisodeDescription VisitStatusID CurrentPatientLocation PatientInstitutionResidence VisitComments"
    " ReferringPhysicianName ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers"
    " ReferringPhysicianIdentificationSequence ConsultingPhysicianName ConsultingPhysicianIdentificationSequence"
    " RouteOfAdmissions AdmittingDate AdmittingTime",
)

CREATE: Rules = (
    rules(Need.EMPTY, "TransactionUID")
    | rules(
        Need.VALUE,
        "SOPClassUID SOPInstanceUID ScheduledProcedureStepPriority ScheduledProcedureStepModificationDateTime"
        " ProcedureStepLabel WorklistLabel ScheduledProcedureStepStartDateTime InputReadinessState ProcedureStepState",
    )
    | rules(
        Need.PRESENT,
        "CommentsOnTheScheduledProcedureStep PatientName PatientBirthDate PatientSex AdmissionID"
        " AdmittingDiagnosesDescription IssuerOfPatientID IssuerOfAdmissionIDSequence",
    )
    | rules(
        Need.PRESENT,
        "ScheduledStationNameCodeSequence ScheduledStationClassCodeSequence"
        " ScheduledStationGeographicLocationCodeSequence ScheduledWorkitemCodeSequence AdmittingDiagnosesCodeSequence",
        CODE,
    )
    | rules(Need.PRESENT, "ScheduledProcessingParametersSequence", PARAMETERS)
    | rules(Need.PRESENT, "InputInformationSequence", INSTANCES)
    | rules(Need.PRESENT, "OtherPatientIDsSequence", OTHER_ID)
    | rules(Need.PRESENT, "IssuerOfPatientIDQualifiersSequence", QUALIFIERS)
    | rules(Need.PRESENT, "ReferencedRequestSequence", REQUEST)
    | rules(Need.PRESENT, "ProcedureStepProgressInformationSequence", NOTHING_OF_PROGRESS)
    | rules(Need.PRESENT, "UnifiedProcedureStepPerformedProcedureSequence", NOTHING_PERFORMED)
    | rules(Need.VALUE_IF_PRESENT, "PatientID StudyInstanceUID")
    | rules(Need.VALUE_IF_PRESENT, "ReplacedProcedureStepSequence", REFERENCE)
    | rules(Need.ANYTHING, "ScheduledHumanPerformersSequence", PERFORMER)
    | OPTIONAL
)

UPDATE: Rules = (
    rules(
        Need.ABSENT,
        "SOPClassUID SOPInstanceUID PatientName PatientID PatientBirthDate PatientSex AdmissionID"
        " IssuerOfAdmissionIDSequence AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence"
        " ReferencedRequestSequence IssuerOfPatientID IssuerOfPatientIDQualifiersSequence"
        " ReplacedProcedureStepSequence ProcedureStepState",
    )
    | rules(
        Need.VALUE_IF_PRESENT,
        "ScheduledProcedureStepPriority ProcedureStepLabel WorklistLabel ScheduledProcedureStepStartDateTime"
        " CommentsOnTheScheduledProcedureStep InputReadinessState",
    )
    | rules(Need.VALUE_IF_PRESENT, "ScheduledWorkitemCodeSequence", CODE)
    | rules(
        Need.ANYTHING,
        "ScheduledStationNameCodeSequence ScheduledStationClassCodeSequence"
        " ScheduledStationGeographicLocationCodeSequence",
        CODE,
    )
    | rules(Need.ANYTHING, "ScheduledProcessingParametersSequence", PARAMETERS)
    | rules(Need.ANYTHING, "ScheduledHumanPerformersSequence", PERFORMER)
    | rules(Need.ANYTHING, "InputInformationSequence", INSTANCES)
    | rules(Need.ANYTHING, "ProcedureStepProgressInformationSequence", PROGRESS)
    | rules(Need.ANYTHING, "UnifiedProcedureStepPerformedProcedureSequence", PERFORMED)
    | rules(Need.VALUE_IF_PRESENT, "OtherPatientIDsSequence", rules(Need.VALUE, "PatientID"))
    | OPTIONAL
)

CHANGE_STATE: Rules = rules(Need.VALUE, "TransactionUID ProcedureStepState")

# What a work item must have before it may end (PS3.4 §CC.2.5.1.1).
FINAL = rules(
    Need.VALUE,
    "SOPClassUID SOPInstanceUID ScheduledProcedureStepPriority ScheduledProcedureStepModificationDateTime"
    " ScheduledProcedureStepStartDateTime InputReadinessState ProcedureStepState",
)
COMPLETED: Rules = FINAL | rules(
    Need.VALUE,
    "UnifiedProcedureStepPerformedProcedureSequence",
    rules(
        Need.VALUE,
        "PerformedStationNameCodeSequence PerformedProcedureStepStartDateTime PerformedProcedureStepEndDateTime"
        " PerformedWorkitemCodeSequence OutputInformationSequence",
    ),
)
CANCELED: Rules = FINAL | rules(
    Need.VALUE,
    "ProcedureStepProgressInformationSequence",
    rules(Need.VALUE, "ProcedureStepCancellationDateTime ProcedureStepDiscontinuationReasonCodeSequence"),
)
