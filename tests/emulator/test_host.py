"""Which Host headers are answered, so that no page can pass this machine off as its own (DNS rebinding); and who is warned."""

import logging
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests

import dicom_emulator
from dicom_emulator.settings import Settings
from tests.emulator.conftest import Service
from tests.emulator.storing import own_emulator
from tests.emulator.test_command_line import refused, started

TOKEN = "/_emulator/identity/token?resource=https://dicom.healthcareapis.azure.com"
FOREIGN = [
    "evil.example", "localhost.evil.example", "evil.localhost.example", "127.0.0.1.nip.io", "2130706433", "0x7f.1",
    "127.0.0.1@evil.example", "evil.example@127.0.0.1", "evil.example#127.0.0.1", "[evil.example]", "[::1]evil.example",
    "127.0.0.1, evil.example", "127.0.0.1:80:80", "localhost evil.example", "", ".", "<script>alert(1)</script>", "é.example",
]  # fmt: skip


def status(service: Service, host: str, method: str = "GET", path: str = "/health/check", **headers: str) -> int:
    url = service.url + path
    return service.nobody.request(method, url, headers={"Host": host.encode()} | headers, timeout=10).status_code


class TestNames:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "localhost", "LocalHost", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "192.168.0.7", "8.8.8.8",
         socket.gethostname(), socket.gethostname().upper()],
    )  # fmt: skip
    @pytest.mark.parametrize("port", ["", ":8080", ":1", ":"])
    def test_this_machine_and_every_address_are_served(self, service: Service, host: str, port: str) -> None:
        """A page cannot choose an address as its name, and proxies keep the one that they were asked by."""
        assert status(service, host + port) == 200

    @pytest.mark.parametrize("host", FOREIGN)
    @pytest.mark.parametrize("port", ["", ":8080"])
    def test_any_other_name_is_421(self, service: Service, host: str, port: str) -> None:
        assert status(service, host + port) == 421

    def test_the_refusal_says_how_to_allow_the_name(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = f"{service.url}/v2/studies"
        response = service.nobody.get(url, headers={"Host": "dicom.lab.example:8080"}, timeout=10)
        sentence = (
            "'dicom.lab.example:8080' is no name of this emulator. If it shall be one, start it with "
            "--allowed-host dicom.lab.example"
        )
        assert (response.status_code, response.text.strip()) == (421, sentence)
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert [record.levelname for record in caplog.records if sentence in record.getMessage()] == ["WARNING"]

    def test_a_large_upload_gets_the_refusal_too(self, service: Service) -> None:
        """And no broken connection in its place."""
        assert status(service, "evil.example", "POST", "/v2/studies") == 421
        url, headers = f"{service.url}/v2/studies", {"Host": "evil.example"}
        assert service.owner.post(url, data=bytes(20_000_000), headers=headers, timeout=30).status_code == 421

    def test_http_1_0_needs_no_host(self, service: Service) -> None:
        with socket.create_connection(("127.0.0.1", urlsplit(service.url).port or 0), timeout=10) as connection:
            connection.sendall(b"GET /health/check HTTP/1.0\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")

    def test_two_of_them_are_refused(self, service: Service) -> None:
        connection = HTTPConnection("127.0.0.1", urlsplit(service.url).port, timeout=10)
        connection.putrequest("GET", "/health/check", skip_host=True)
        connection.putheader("Host", "localhost")
        connection.putheader("Host", "evil.example")
        connection.endheaders()
        assert connection.getresponse().status in {400, 421}
        connection.close()


class TestRebinding:
    """What a page sends whose own name leads to this machine by now: to its browser, all of it is one origin."""

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/"), ("GET", "/_emulator/"), ("GET", "/_emulator/requests"), ("GET", "/_emulator/summary"),
         ("GET", "/_emulator/snapshots"), ("POST", "/_emulator/reset"), ("POST", "/_emulator/seed"), ("GET", TOKEN),
         ("POST", "/_emulator/faults"), ("PUT", "/_emulator/operations"), ("GET", "/v2/studies"), ("GET", "/nothing")],
    )  # fmt: skip
    def test_nothing_is_answered(self, service: Service, method: str, path: str) -> None:
        page = {"Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin", "X-IDENTITY-HEADER": "owner"}
        assert status(service, "evil.example:8080", method, path, **page) == 421

    def test_nothing_is_changed(self, service: Service) -> None:
        service.owner.post(f"{service.url}/_emulator/faults", json={"nth": 1000})
        assert status(service, "evil.example", "DELETE", "/_emulator/faults", Origin="http://evil.example") == 421
        assert len(service.owner.get(f"{service.url}/_emulator/faults").json()) == 1

    def test_signing_in_is_not_needed_to_be_refused(self) -> None:
        with own_emulator(sign_in=False) as service:
            assert status(service, "evil.example", path="/v2/changefeed") == 421
            assert status(service, "localhost", path="/v2/changefeed") == 200


@pytest.fixture(scope="module")
def named() -> Iterator[Service]:
    with own_emulator(allowed_hosts=("dicom.lab.example", "Emulator_1")) as service:
        yield service


class TestAllowed:
    @pytest.mark.parametrize("host", ["dicom.lab.example", "DICOM.lab.example.:8080", "emulator_1:8080", "localhost"])
    def test_names_that_were_given_are_served(self, named: Service, host: str) -> None:
        assert status(named, host) == 200

    @pytest.mark.parametrize("host", ["lab.example", "x.dicom.lab.example", "dicom.lab.example.evil.example", "*"])
    def test_and_no_others(self, named: Service, host: str) -> None:
        assert status(named, host) == 421

    def test_the_page_of_such_a_name_has_control_and_urls_name_it(self, named: Service) -> None:
        origin = {"Origin": "https://dicom.lab.example"}  # a proxy in front speaks TLS
        assert status(named, "dicom.lab.example", "POST", "/_emulator/reset", **origin) == 204
        assert status(named, "dicom.lab.example", "POST", "/_emulator/reset", Origin="https://evil.example") == 403

    def test_an_asterisk_allows_any(self) -> None:
        with own_emulator(allowed_hosts=("*",)) as service:
            assert status(service, "anything.example:1") == 200

    def test_the_host_that_it_listens_on_is_served(self) -> None:
        with own_emulator(host="localhost") as service:
            assert status(service, urlsplit(service.url).netloc) == 200

    def test_on_the_command_line_and_in_the_environment(self) -> None:
        with started("--allowed-host", "one.example", "--allowed-host", "two.example") as emulator:
            answers = [ask(emulator.url, host) for host in ("one.example", "two.example", "three.example")]
        assert answers == [200, 200, 421]
        with started(DICOM_EMULATOR_ALLOWED_HOST="one.example,two.example") as emulator:
            assert [ask(emulator.url, host) for host in ("two.example", "three.example")] == [200, 421]

    @pytest.mark.parametrize("name", ["http://one.example", "one.example:8080", "*.example", "", "one example"])
    def test_what_is_no_name_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="must be a name alone, such as"):
            Settings(allowed_hosts=(name,))

    def test_it_is_refused_at_the_start(self) -> None:
        assert refused("--allowed-host", "http://a").startswith("dicom_emulator: --allowed-host http://a: must be a name")


def ask(url: str, host: str) -> int:
    return requests.get(f"{url}/health/check", headers={"Host": host}, timeout=10).status_code


class TestProxy:
    """What a proxy on this machine says of the client that it speaks for."""

    CLIENT = ("X-Forwarded-For", "192.0.2.7")

    @staticmethod
    def challenge(url: str, *headers: tuple[str, str]) -> str:
        """The answer to somebody who is not signed in names the service's address."""
        reply = requests.get(f"{url}/v2/studies", headers=dict(headers) | {"Host": "dicom.lab.example"}, timeout=10)
        return reply.headers["WWW-Authenticate"]

    @pytest.mark.parametrize(
        ("headers", "scheme"),
        [([("X-Forwarded-Proto", "https")], "https"), ([("x-forwarded-proto", "https"), CLIENT], "https"),
         ([("X-Forwarded-Proto", "gopher")], "http"), ([CLIENT], "http"), ([], "http")],
    )  # fmt: skip
    def test_addresses_are_those_that_the_client_knows(
        self, named: Service, headers: list[tuple[str, str]], scheme: str
    ) -> None:
        uri = f'authorization_uri="{scheme}://dicom.lab.example/_emulator/identity"'
        assert uri in self.challenge(named.url, *headers)

    def test_who_is_no_proxy_is_not_believed(self) -> None:
        with started("--allowed-host", "dicom.lab.example", FORWARDED_ALLOW_IPS="192.0.2.1") as emulator:
            assert 'authorization_uri="http://dicom.lab' in self.challenge(emulator.url, ("X-Forwarded-Proto", "https"))


class TestWarning:
    """Said at the start by an emulator that other machines can reach."""

    def warnings(self, caplog: pytest.LogCaptureFixture, **settings: object) -> list[str]:
        caplog.clear()
        with dicom_emulator.running(**settings):
            return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    def test_it_says_what_that_means_and_what_to_do(self, caplog: pytest.LogCaptureFixture) -> None:
        (said,) = self.warnings(caplog, host="0.0.0.0")
        assert said.startswith("--host 0.0.0.0 lets in every machine that reaches this one")
        assert "leave --host out" in said

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_there_is_none_on_this_machine_alone(self, caplog: pytest.LogCaptureFixture, host: str) -> None:
        assert self.warnings(caplog, host=host) == []

    def test_it_is_in_the_log_of_the_command(self) -> None:
        with started("--host", "0.0.0.0") as emulator:
            assert ask(emulator.url, "192.168.0.7") == 200 and ask(emulator.url, "evil.example") == 421
            emulator.process.terminate()
            first = emulator.process.communicate(timeout=15)[1].splitlines()[0]
        assert " WARNING --host 0.0.0.0 lets in every machine" in first
