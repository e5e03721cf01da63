"""The service's refusals: the status and the text that a client sees (conformance statement, status codes)."""

INTERNAL_ERROR = (
    "The server encountered an internal error. Please retry the request. If the issue persists, please contact support."
)
UNAVAILABLE = "The service is currently unable to process the request. Please retry the request later."


class ServiceError(Exception):
    """A refusal that reaches the client as `status` with the message as plain text, or with no body at all."""

    status = 500

    def __init__(self, message: str = "", headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.headers = headers or {}


class BadRequest(ServiceError):
    status = 400


class InvalidParameter(BadRequest):
    """A query parameter that cannot be read, worded as ASP.NET's model binding words it."""

    def __init__(self, name: str, detail: str):
        super().__init__(f"The query parameter '{name}' is invalid. {detail}")


class InvalidField(BadRequest):
    """A field of a JSON body that cannot be read, worded as ASP.NET's model binding words it."""

    def __init__(self, path: str, detail: str):
        super().__init__(f"The field '{path}' in request body is invalid: {detail}")


class NotSignedIn(ServiceError):
    status = 401


class Forbidden(ServiceError):
    status = 403

    def __init__(self) -> None:
        super().__init__("Authorization failed.")


class Missing(ServiceError):
    """What the path names is not there."""

    status = 404


class NotFound(Missing):
    """The study, series, instance or frame is not there."""

    def __init__(self, level: str):
        super().__init__(f"The specified {level} cannot be found.")


class NotAcceptable(ServiceError):
    status = 406


class Conflict(ServiceError):
    status = 409


class TooLarge(ServiceError):
    status = 413

    def __init__(self, limit: int):
        super().__init__(f"The request exceeded the allowed limit of {limit} bytes.")


class UnsupportedMediaType(ServiceError):
    status = 415

    @classmethod
    def of(cls, media_type: str) -> "UnsupportedMediaType":
        return cls(f"The specified content type '{media_type}' is not supported.")


class Unavailable(ServiceError):
    status = 503
