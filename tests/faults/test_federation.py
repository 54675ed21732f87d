"""A federation with homes that lie, come late or do not answer, and servers that not everybody may join."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("flwr", reason="Flower is not installed")
from federation import home_model, trust
from tools import federate

from .. import test_federate
from ..conftest import ROOT
from ..runs import strict
from ..test_federate import HOMES, await_line, part, words
from . import hostile_homes

data = test_federate.data  # the fixture
LIARS = ROOT / "tests" / "faults" / "hostile_homes.py"
REASONS = {
    "nan": "its weights are not finite",
    "infinite": "its weights are not finite",
    "huge": "its change of weights is over 10 medians long",
    "shapes": "it sent weights of other shapes or types than asked for",
    "types": "it sent weights of other shapes or types than asked for",
    "bytes": "its weights cannot be read",
    "vast": "it sent weights of other shapes or types than asked for",
    "names": "it sent other weights than asked for",
    "nameless": "it sent other weights than asked for",
    "claims": "it claims 1000000000000 windows; it had 14 when it joined",
    "negative": "it claims -10 windows; it had 14 when it joined",
    "failed": "it failed",
    "other-message": "it sent other weights than asked for",
}


def federation(data: Path, place: Path, liars: list[str]) -> dict[str, Any]:
    """Two honest homes over two rounds, and liars: the server's report."""
    address = f"127.0.0.1:{federate._free_port()}"
    shared = ["--rounds", 2, "--modes", "fedper", "--place", place]
    joining = len(set(liars) - {*hostile_homes.ANSWERS, "no-answer"})
    count = ["--clients", 2 + joining, "--round-timeout", 6 if "silent" in liars else 60]
    with part("--serve", address, *count, *shared) as server:
        honest = [part("--home", home, "--join", address, *shared, "--", *words(data)) for home in HOMES[:2]]
        lying = part(address, place, *liars, "--", *words(data), script=LIARS)
        with honest[0] as one, honest[1] as two, lying as other:
            for process in (one, two, server, other):
                told = process.communicate(timeout=120)[1]
                assert process.returncode == 0 and "Traceback" not in told, told
    return strict(place / "server.json")


@pytest.mark.slow
@pytest.mark.fault(
    "a hostile home of a federation", "it is left out of the round and reported; the round is that of the other homes"
)
def test_homes_that_lie_change_nothing_for_the_others(data: Path, tmp_path: Path) -> None:
    """The average is to the bit what it is without them."""
    quiet, loud = tmp_path / "quiet", tmp_path / "loud"
    wanted, found = federation(data, quiet, []), federation(data, loud, hostile_homes.KINDS)
    assert found["history"] == wanted["history"] and len(found["history"]) == 2
    states = [home_model.SharedBase.load(place / "fedper.shared.pt").state for place in (quiet, loud)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())

    rounds = [line for line in found["left_out"] if line["round"] == 1 and "first weights" not in line["reason"]]
    why = {line["home"]: line["reason"] for line in reversed(rounds)}
    assert {kind: why[kind] for kind in REASONS} == REASONS
    refused = {
        "its answer is not JSON",
        "its answer is not a JSON object",
        "its name is none",
        "its answer is no text, or too long",
    }
    assert set(found["refused"].values()) == refused and len(found["refused"]) == 5
    assert list(found["lost"]) == ["silent"] and set(found["homes"]) == {*HOMES[:2], *REASONS}


@pytest.mark.slow
@pytest.mark.fault("a home of a federation that is late", "it takes part from the next round on")
def test_a_late_home_takes_part_from_the_next_round_on(data: Path, tmp_path: Path) -> None:
    address = f"127.0.0.1:{federate._free_port()}"
    shared = ["--rounds", 100_000, "--modes", "fedper", "--place", tmp_path]
    homes = [part("--home", home, "--join", address, *shared, "--", *words(data)) for home in HOMES]
    with part("--serve", address, "--clients", 2, *shared) as server, homes[0], homes[1]:
        await_line(server, ": 2 homes")
        with homes[2]:
            await_line(server, "cellar: joined")
            await_line(server, ": 3 homes")


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    """A certificate for this machine that is its own CA, and its key, as PEM files."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    made = made.not_valid_after(now + datetime.timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(here, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    kept = tmp_path / "server.pem", tmp_path / "server.key"
    kept[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    plain = serialization.NoEncryption()
    kept[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return dict(zip(("certificate", "key"), kept, strict=True))


@pytest.mark.slow
def test_only_who_has_the_token_takes_part_and_tls_hides_it_all(
    data: Path,
    tmp_path: Path,
    certificates: dict[str, Path],
) -> None:
    for name, text in (("right", "correct horse battery staple\n"), ("wrong", "0123456789abcdef")):
        (tmp_path / name).write_text(text)
    certificate, key = certificates["certificate"], certificates["key"]
    tls = ["--ssl-ca-certfile", certificate, "--ssl-certfile", certificate, "--ssl-keyfile", key]
    address = f"127.0.0.1:{federate._free_port()}"
    shared = ["--rounds", 1, "--modes", "fedper", "--place", tmp_path]

    def home(name: str, *more: object) -> Any:
        return part("--home", name, "--join", address, *shared, *more, "--", *words(data))

    def told(process: Any, code: int) -> str:
        text: str = process.communicate(timeout=120)[1]
        assert process.returncode == code and "Traceback" not in text, text
        return text

    right, root = ["--token-file", tmp_path / "right"], ["--root-certificates", certificate]
    with part("--serve", address, "--clients", 2, *shared, *right, *tls) as server:
        with home("attic", "--token-file", tmp_path / "wrong", *root) as wrong, home("attic", *root) as without:
            assert "the server does not have this token" in told(wrong, 2)
            assert "was refused: it does not have the server's token" in told(without, 4)
        with home("attic", *right) as plain:
            assert "the server is gone" in told(plain, 6)
        with home("attic", *right, *root) as one, home("barn", *right, *root) as two:
            for process in (one, two, server):
                told(process, 0)
    content = strict(tmp_path / "server.json")
    assert content["homes"] == ["attic", "barn"] and [line["homes"] for line in content["history"]] == [2]
    assert "it does not have the server's token: --token-file" in content["refused"].values()


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("--serve 0.0.0.0:9 --clients 2", 2, "a server for other machines needs a token"),
        ("--serve [::]:9 --clients 2", 2, "a server for other machines needs a token"),
        ("--serve gateway:9 --clients 2", 2, "a server for other machines needs a token"),
        ("--serve 0.0.0.0:9 --clients 2 --token-file short", 2, "a token has at least 16"),
        ("--serve 9 --clients 2 --token-file nowhere", 3, "cannot be read"),
        ("--serve x --clients 2", 2, "'x' is not HOST:PORT"),
        ("--serve *:9092 --clients 2", 2, "is not HOST:PORT"),
        ("--serve 1.2.3.4:99999 --clients 2", 2, "is not HOST:PORT"),
        ("--serve 9 --clients 2 --ssl-certfile short", 2, "is needed with the other two of TLS"),
        (
            "--serve 9 --clients 2 --ssl-certfile short --ssl-keyfile short --ssl-ca-certfile short",
            2,
            "not a certificate",
        ),
        ("--serve 9 --clients 2 --root-certificates short", 2, "needs --join"),
        ("--norm-factor 1 --serve 9 --clients 2", 2, "--norm-factor"),
    ],
)
def test_a_server_listens_to_this_machine_alone_or_to_who_has_a_token(
    line: str,
    code: int,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("12345")
    assert federate.main(line.split()) == code
    assert reason in capfd.readouterr().err


def test_a_proof_is_of_one_token_two_numbers_and_one_side() -> None:
    token, theirs, ours = b"correct horse battery", trust.nonce(), trust.nonce()
    right = trust.proof(token, "home attic", theirs, ours)
    assert trust.is_proof(right, right) and not trust.is_proof(None, right) and not trust.is_proof("\ud800", right)
    others = [(b"another token....", "home attic", theirs, ours), (token, "server", theirs, ours)]
    others += [(token, "home barn", theirs, ours), (token, "home attic", ours, theirs)]
    assert all(not trust.is_proof(trust.proof(*other), right) for other in others)
