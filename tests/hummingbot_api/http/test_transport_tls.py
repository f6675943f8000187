"""Servers and their certificates."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.problems.server import problem_of
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import (
    ServerUnreachable,
    TLSFailed,
)
from tests.hummingbot_api.http.test_transport import PASSWORD, VERSION, _no_waiting, error_of, stub
from tests.hummingbot_api.stub import Reply


@pytest.fixture
def tls_stub(stub, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "self-signed")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    stub.socket = context.wrap_socket(stub.socket, server_side=True)
    stub.scheme = "https"
    return stub


def test_a_self_signed_certificate_is_rejected_once_with_a_clear_message(tls_stub):
    error = error_of(HummingbotAPI(tls_stub.url, "admin", PASSWORD).system.version)

    assert isinstance(error, TLSFailed)
    assert "self-signed certificate" in error.message
    assert not error.may_have_acted
    assert tls_stub.seen == []


def test_a_self_signed_certificate_is_accepted_where_verification_is_off(tls_stub, recwarn):
    tls_stub.will(Reply(VERSION))

    assert HummingbotAPI(tls_stub.url, "admin", PASSWORD, verify_tls=False).system.version() == "1.0.1"
    assert not recwarn.list


def test_https_to_a_plain_http_port(stub):
    error = error_of(HummingbotAPI(stub.url.replace("http", "https"), "admin", PASSWORD).system.version)

    assert isinstance(error, ServerUnreachable)
    assert "plain HTTP" in error.message
    assert "scheme" in problem_of(error).remedy


def test_a_write_may_have_acted_when_its_tls_connection_breaks_before_the_answer(tls_stub):
    tls_stub.will(Reply(garbled=True))
    error = error_of(HummingbotAPI(tls_stub.url, "admin", PASSWORD, verify_tls=False).scripts.save, "pmm", "pass")

    assert [request.method for request in tls_stub.seen] == ["POST"]
    assert error.may_have_acted
    assert "it is unknown" in error.message
