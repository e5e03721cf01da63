"""What the OpenAPI document says of each path and method. A test holds it to the route table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dicom_emulator.api.paths import A_SERIES, INSTANCE, STUDY, TAG, WORKITEM
from dicom_emulator.versions import Version

Json = dict[str, Any]


def content(schema: Json, *media_types: str) -> Json:
    return {media_type: {"schema": schema} for media_type in media_types}


def of(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def many(schema: Json) -> Json:
    return {"type": "array", "items": schema}


DATA_SET = content(of("DataSet"), "application/dicom+json")
DATA_SETS = content(many(of("DataSet")), "application/dicom+json")
MESSAGE = content({"type": "string"}, "application/dicom+json", "text/plain")  # a JSON string, or a bare sentence
BYTES = {"type": "string", "format": "binary"}
IN_PARTS = "multipart/related"
REFERENCE = content(of("OperationReference"), "application/json")

SCHEMAS: dict[str, Json] = {
    "DataSet": {
        "type": "object",
        "description": "A DICOM data set (PS3.18 annex F): attributes by tag, eight upper-case hex digits.",
        "additionalProperties": of("Attribute"),
    },
    "Attribute": {
        "type": "object",
        "required": ["vr"],
        "properties": {"vr": {"type": "string"}, "Value": {"type": "array", "items": {}}},
    },
    "OperationReference": {
        "type": "object",
        "required": ["id", "href"],
        "properties": {"id": {"type": "string"}, "href": {"type": "string"}},
    },
    "Operation": {
        "type": "object",
        "required": ["operationId", "type", "createdTime", "lastUpdatedTime", "status"],
        "properties": {
            "operationId": {"type": "string"},
            "type": {"type": "string", "enum": ["reindex", "update", "export"]},
            "createdTime": {"type": "string"},
            "lastUpdatedTime": {"type": "string"},
            "status": {"type": "string"},
            "percentComplete": {"type": "integer", "minimum": 0, "maximum": 100},
            "resources": many({"type": "string"}),
            "results": {"type": "object"},
        },
    },
    "Event": {
        "type": "object",
        "required": ["sequence", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "action", "state"],
        "properties": {
            "sequence": {"type": "integer"},
            "studyInstanceUid": {"type": "string"},
            "seriesInstanceUid": {"type": "string"},
            "sopInstanceUid": {"type": "string"},
            "action": {"type": "string", "enum": ["Create", "Update", "Delete"]},
            "timestamp": {"type": "string"},
            "state": {"type": "string", "enum": ["Current", "Replaced", "Deleted"]},
            "partitionName": {"type": "string"},
            "metadata": of("DataSet"),
        },
    },
    "NewExtendedQueryTag": {
        "type": "object",
        "required": ["path", "level"],
        "properties": {
            "path": {"type": "string"},
            "vr": {"type": "string"},
            "privateCreator": {"type": "string"},
            "level": {"type": "string", "enum": ["Study", "Series", "Instance"]},
        },
    },
    "ExtendedQueryTag": {
        "type": "object",
        "required": ["path", "vr", "level", "status", "queryStatus"],
        "properties": {
            "path": {"type": "string"},
            "vr": {"type": "string"},
            "privateCreator": {"type": "string"},
            "level": {"type": "string", "enum": ["study", "series", "instance"]},
            "status": {"type": "string", "enum": ["adding", "ready", "deleting"]},
            "queryStatus": {"type": "string", "enum": ["enabled", "disabled"]},
            "errors": {"type": "object"},
            "operation": of("OperationReference"),
        },
    },
    "IndexingError": {
        "type": "object",
        "required": ["studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "createdTime", "errorMessage"],
        "properties": {"errorMessage": {"type": "string"}, "partitionName": {"type": "string"}},
    },
    "Partition": {
        "type": "object",
        "required": ["partitionKey", "partitionName", "createdDate"],
        "properties": {
            "partitionKey": {"type": "integer"},
            "partitionName": {"type": "string"},
            "createdDate": {"type": "string"},
        },
    },
    "BulkUpdate": {
        "type": "object",
        "required": ["studyInstanceUids", "changeDataset"],
        "properties": {
            "studyInstanceUids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 50},
            "changeDataset": of("DataSet"),
        },
    },
    "Export": {
        "type": "object",
        "required": ["destination"],
        "properties": {
            "source": {
                "type": "object",
                "required": ["type", "settings"],
                "properties": {
                    "type": {"type": "string", "enum": ["identifiers"]},
                    "settings": {"type": "object", "properties": {"values": many({"type": "string"})}},
                },
            },
            "destination": {
                "type": "object",
                "required": ["type", "settings"],
                "properties": {
                    "type": {"type": "string", "enum": ["azureblob"]},
                    "settings": {"type": "object", "properties": {"blobContainerUri": {"type": "string"}}},
                },
            },
        },
    },
    "QueryStatus": {
        "type": "object",
        "required": ["queryStatus"],
        "properties": {"queryStatus": {"type": "string", "enum": ["Enabled", "Disabled"]}},
    },
}

UID = {"type": "string", "pattern": "^[0-9.]{0,63}[0-9]$"}


def in_path(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}


PATH_PARAMETERS = {
    "partition": in_path("partition", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}, "The partition's name."),
    "study": in_path("study", UID, "StudyInstanceUID"),
    "series": in_path("series", UID, "SeriesInstanceUID"),
    "instance": in_path("instance", UID, "SOPInstanceUID"),
    "frames": in_path(
        "frames",
        {"type": "string", "pattern": "^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
        "Frame numbers from 1, with commas between; one number where a picture is asked for.",
    ),
    "tag": in_path("tag", {"type": "string"}, "A keyword or eight hex digits."),
    "operation": in_path("operation", {"type": "string"}, "32 hex digits."),
    "workitem": in_path("workitem", UID, "SOPInstanceUID of the work item"),
}


def in_query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def page(most: int, default: int) -> list[Json]:
    return [
        in_query("limit", {"type": "integer", "minimum": 1, "maximum": most, "default": default}, "Rows at the most."),
        in_query("offset", {"type": "integer", "minimum": 0, "default": 0}, "Rows to pass over."),
    ]


SEARCH = [
    *page(200, 100),
    in_query("fuzzymatching", {"type": "boolean", "default": False}, "Match names word by word, by their beginnings."),
    in_query("includefield", many({"type": "string"}), "More attributes to return, or all."),
    in_query("PatientName", {"type": "string"}, "One of the attributes that can be searched for."),
    in_query("PatientID", {"type": "string"}, "Another."),
    in_query("StudyDate", {"type": "string"}, "A day as yyyyMMdd, or a range."),
]
FEED = [in_query("includemetadata", {"type": "boolean", "default": True}, "Whether each event has the metadata.")]
ORIGINAL = {
    "name": "msdicom-request-original",
    "in": "header",
    "schema": {"type": "string", "enum": ["true"]},
    "description": "The version before the first bulk update.",
}
QUALITY = in_query("quality", {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}, "Of a JPEG.")


def feed_list(version: Version) -> list[Json]:
    by_time = [
        in_query(name, {"type": "string", "format": "date-time"}, "ISO 8601, with a time zone.")
        for name in ("startTime", "endTime")
    ]
    paging = page(version.feed_max_limit, version.feed_default_limit)
    return [*(by_time if version.feed_by_time else []), *paging, *FEED]


@dataclass(frozen=True)
class Description:
    """What one method of a path takes and answers.

    statuses: the content of each answer: media types, "text" for a bare sentence, None for no certain body.
    """

    name: str
    summary: str
    statuses: dict[int, Any]
    query: list[Json] | Callable[[Version], list[Json]] = field(default_factory=list)
    body: Json | None = None

    def parameters(self, version: Version) -> list[Json]:
        return self.query(version) if callable(self.query) else self.query


def store(name: str, summary: str) -> Description:
    return Description(
        name,
        summary,
        {200: DATA_SET, 202: DATA_SET, 204: None, 409: DATA_SET},
        body=content(BYTES, "application/dicom", IN_PARTS),
    )


def search(name: str, rows: str) -> Description:
    return Description(name, f"Search for {rows} (QIDO-RS).", {200: DATA_SETS, 204: None}, SEARCH)


def retrieve(name: str, what: str) -> Description:
    files = content(BYTES, IN_PARTS, "application/dicom")
    statuses = {200: files, 404: "text", 406: "text"}
    return Description(name, f"Retrieve {what} (WADO-RS).", statuses, [ORIGINAL])


def metadata(name: str, what: str) -> Description:
    statuses = {200: DATA_SETS, 304: None, 404: "text"}
    return Description(name, f"Retrieve the metadata of {what}.", statuses, [ORIGINAL])


def rendered(name: str, what: str) -> Description:
    statuses = {200: content(BYTES, "image/jpeg", "image/png"), 404: "text", 406: "text"}
    return Description(name, f"Retrieve a picture of {what}.", statuses, [QUALITY])


def delete(name: str, what: str) -> Description:
    return Description(name, f"Delete {what}.", {204: None, 404: "text"})


TAGS = content(many(of("ExtendedQueryTag")), "application/json")
A_TAG = content(of("ExtendedQueryTag"), "application/json")
ITEM_BODY = content(many(of("DataSet")), "application/dicom+json")

DESCRIPTIONS: dict[tuple[str, str], Description] = {
    ("POST", "/studies"): store("storeInstances", "Store instances (STOW-RS)."),
    ("PUT", "/studies"): store("storeOrReplaceInstances", "Store instances; those that are there are replaced."),
    ("GET", "/studies"): search("searchStudies", "studies"),
    ("GET", "/series"): search("searchSeries", "series"),
    ("GET", "/instances"): search("searchInstances", "instances"),
    ("POST", "/studies/$bulkUpdate"): Description(
        "bulkUpdate",
        "Give patient and study attributes of whole studies other values.",
        {202: REFERENCE, 400: {**DATA_SET, "text/plain": {"schema": {"type": "string"}}}, 409: "text"},
        body=content(of("BulkUpdate"), "application/json"),
    ),
    ("POST", STUDY): store("storeInstancesOfStudy", "Store instances of one study (STOW-RS)."),
    ("PUT", STUDY): store("storeOrReplaceInstancesOfStudy", "Store or replace instances of one study."),
    ("GET", STUDY): retrieve("retrieveStudy", "a study"),
    ("DELETE", STUDY): delete("deleteStudy", "a study"),
    ("GET", STUDY + "/metadata"): metadata("retrieveStudyMetadata", "a study"),
    ("GET", STUDY + "/series"): search("searchSeriesOfStudy", "the series of a study"),
    ("GET", STUDY + "/instances"): search("searchInstancesOfStudy", "the instances of a study"),
    ("GET", A_SERIES): retrieve("retrieveSeries", "a series"),
    ("DELETE", A_SERIES): delete("deleteSeries", "a series"),
    ("GET", A_SERIES + "/metadata"): metadata("retrieveSeriesMetadata", "a series"),
    ("GET", A_SERIES + "/instances"): search("searchInstancesOfSeries", "the instances of a series"),
    ("GET", INSTANCE): retrieve("retrieveInstance", "an instance"),
    ("DELETE", INSTANCE): delete("deleteInstance", "an instance"),
    ("GET", INSTANCE + "/metadata"): metadata("retrieveInstanceMetadata", "an instance"),
    ("GET", INSTANCE + "/rendered"): rendered("retrieveRenderedInstance", "the first frame of an instance"),
    ("GET", INSTANCE + "/frames/{frames}"): Description(
        "retrieveFrames",
        "Retrieve frames (WADO-RS).",
        {200: content(BYTES, IN_PARTS, "application/octet-stream"), 404: "text", 406: "text"},
    ),
    ("GET", INSTANCE + "/frames/{frames}/rendered"): rendered("retrieveRenderedFrame", "a frame"),
    ("GET", "/changefeed"): Description(
        "listChanges",
        "What happened, oldest first.",
        {200: content(many(of("Event")), "application/json")},
        feed_list,
    ),
    ("GET", "/changefeed/latest"): Description(
        "latestChange",
        "What happened last.",
        {200: content(of("Event"), "application/json"), 204: None},
        FEED,
    ),
    ("GET", "/extendedquerytags"): Description(
        "listExtendedQueryTags", "List the attributes added to the index.", {200: TAGS}, page(200, 100)
    ),
    ("POST", "/extendedquerytags"): Description(
        "addExtendedQueryTags",
        "Add attributes to the index.",
        {202: REFERENCE, 409: "text"},
        body=content({**many(of("NewExtendedQueryTag")), "minItems": 1}, "application/json"),
    ),
    ("GET", TAG): Description("retrieveExtendedQueryTag", "One of them.", {200: A_TAG, 404: "text"}),
    ("PATCH", TAG): Description(
        "changeExtendedQueryTag",
        "Enable or disable queries.",
        {200: A_TAG, 404: "text", 409: "text"},
        body=content(of("QueryStatus"), "application/json"),
    ),
    ("DELETE", TAG): Description(
        "deleteExtendedQueryTag",
        "Take an attribute out of the index.",
        {204: None, 404: "text", 409: "text"},
    ),
    ("GET", TAG + "/errors"): Description(
        "listExtendedQueryTagErrors",
        "Instances that could not be indexed.",
        {200: content(many(of("IndexingError")), "application/json"), 404: "text"},
        page(200, 100),
    ),
    ("GET", "/operations/{operation}"): Description(
        "retrieveOperation",
        "How far an operation is.",
        {
            200: content(of("Operation"), "application/json"),
            202: content(of("Operation"), "application/json"),
            404: None,
        },
    ),
    ("POST", "/export"): Description(
        "export",
        "Copy stored files to a container.",
        {202: REFERENCE},
        body=content(of("Export"), "application/json"),
    ),
    ("GET", "/partitions"): Description(
        "listPartitions",
        "List the partitions.",
        {200: content(many(of("Partition")), "application/json")},
    ),
    ("GET", "/workitems"): Description(
        "searchWorkitems",
        "Search for work items (UPS-RS).",
        {200: DATA_SETS, 204: None, 206: DATA_SETS},
        SEARCH,
    ),
    ("POST", "/workitems"): Description(
        "createWorkitem",
        "Create a work item (UPS-RS). Its UID may be the name of the first query parameter.",
        {201: None, 400: MESSAGE, 409: MESSAGE},
        body=ITEM_BODY,
    ),
    ("GET", WORKITEM): Description(
        "retrieveWorkitem", "Retrieve a work item.", {200: DATA_SET, 400: MESSAGE, 404: MESSAGE}
    ),
    ("POST", WORKITEM): Description(
        "updateWorkitem",
        "Change a work item. Its transaction UID, once it has one, is the name of the first query parameter.",
        {200: None, 400: MESSAGE, 409: MESSAGE},
        body=ITEM_BODY,
    ),
    ("PUT", WORKITEM + "/state"): Description(
        "changeWorkitemState",
        "Claim a work item, complete or cancel it.",
        {200: None, 400: MESSAGE, 404: MESSAGE},
        body=ITEM_BODY,
    ),
    ("POST", WORKITEM + "/cancelrequest"): Description(
        "requestWorkitemCancellation",
        "Ask for the cancellation of a work item.",
        {202: MESSAGE, 400: MESSAGE, 404: MESSAGE, 409: MESSAGE},
        body=ITEM_BODY,
    ),
    ("GET", "/api.json"): Description("describeAsJson", "This description.", {200: content({}, "application/json")}),
    ("GET", "/api.yaml"): Description("describeAsYaml", "This description.", {200: content({}, "application/yaml")}),
}
