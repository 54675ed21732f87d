"""errors.py: what a message says, what it suggests, and the passwords that it does not show."""

from __future__ import annotations

import pytest

from errors import DataError, Interrupted, UsageError, is_address, many, nearest, one_of, report, without_password


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "no such file"),
        ({"where": "a.csv:3:7"}, "a.csv:3:7: no such file"),
        ({"hint": "another"}, "no such file\n  hint: another"),
        ({"where": "--csv a", "hint": "another"}, "--csv a: no such file\n  hint: another"),
    ],
)
def test_a_message_says_what_where_and_what_to_do(given, text):
    error = DataError("no such file", **given)
    assert str(error) == text
    assert (error.what, error.where, error.hint) == ("no such file", given.get("where", ""), given.get("hint", ""))


def test_an_error_is_printed_on_stderr_and_returns_its_code(capsys):
    assert report(UsageError("wrong")) == 2 and report(Interrupted(15, "stopped")) == 143
    assert capsys.readouterr() == ("", "error: wrong\nerror: stopped\n")


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [("epocs", "did you mean epochs?"), ("roling", "did you mean rolling?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_known_word_is_suggested(word, suggestion):
    assert nearest(word, ["epochs", "rolling", "seed"]) == suggestion
    assert nearest(word, []) == ""


@pytest.mark.fault("a password in a URL", "left out of messages, logs and manifests")
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:geheim@db:5432/power", "postgresql://ann@db:5432/power"),
        ("postgres://:geheim@db/power", "postgres://@db/power"),
        (
            "postgresql://db/power?user=ann&password=geheim&sslmode=require",
            "postgresql://db/power?user=ann&sslmode=require",
        ),
        ("postgresql://db/power?sslpassword=geheim", "postgresql://db/power"),
        ("postgresql://ann:ge@heim@db/power", "postgresql://..."),  # where the password ends cannot be known
        ("postgresql://ann:ge:heim/x@db", "postgresql://..."),
        ("postgresql://db/power", "postgresql://db/power"),
        ("host=db dbname=power password=geheim user=ann", "host=db dbname=power user=ann"),
        ("password='ge he\\'im' host=db", "host=db"),
        ("service=plant sslpassword=geheim", "service=plant"),
        ("mysql://ann:geheim@db/power", "mysql://ann@db/power"),
        ("https://ann:ge@heim/x@host:8080/a?b=1", "https://ann@host:8080/a?b=1"),
        ("s3://key:geheim@bucket/x", "s3://key@bucket/x"),
        ("https://host:8080/x?token=geheim&b=1", "https://host:8080/x?token=...&b=1"),
        ("mqtt:/host/x?api_key=geheim", "mqtt:/host/x?api_key=..."),
        ("s3:/key:geheim@bucket/x", "s3:/key@bucket/x"),
        ("https://host/x?X-Amz-Signature=geheim", "https://host/x?X-Amz-Signature=..."),
    ],
)
def test_a_password_is_never_shown(address, shown):
    assert without_password(address) == shown
    assert without_password(f"--db {address}: no connection").startswith(f"--db {shown[:7]}")
    text = str(DataError(f"no connection to '{address}'", where=f"--db {address}", hint=f"is {address} right?"))
    assert "geheim" not in text and "ge@heim" not in text and "heim" not in text


@pytest.mark.parametrize(
    "text",
    [
        "--db takes postgresql://USER@HOST/NAME or embedded:DIR; in a password, @ is written %40",
        "from postgresql://ann@db/power to postgresql://bob@db/power by way of c@d.org",
        "no password=given in the middle",
        "see https://host:8080/a and mail ann@host",
        "tcp://*:5555 and tcp://sink:5556",
        "the password is that of the address",
    ],
)
def test_a_message_keeps_its_middle(text):
    assert without_password(text) == text.replace(" password=given", "")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("postgresql://ann:a%40b@db:5432/power", True),
        ("postgresql://[::1]:5432/power", True),
        ("postgresql://a,b/power", True),
        ("postgresql://ann:a@b@db/power", False),
        ("postgresql://ann:50%off@db/power", False),  # % is no escape here
        ("mysql://db/power", False),
        ("load.csv", False),
        ("host=127.0.0.1 dbname=plant user=ann", True),
        ("service=plant password=a=b@c options='-c search_path=x'", True),
        ("host=db,password=geheim", False),  # one pair, whose value would be shown
        ("user", False),
        ("epochs=3", False),
    ],
)
def test_an_address_is_one_when_it_can_be_read_in_one_way(text, good):
    assert is_address(text) is good


def test_one_is_not_called_many():
    assert one_of("1 rows have 1 steps, 21 rows have 2.1 steps") == "1 row has 1 step, 21 rows have 2.1 steps"
    assert one_of("1 of 1 rows are not scored; 2024-1 rows; 1 epochs of 1 steps") == (
        "1 of 1 row is not scored; 2024-1 rows; 1 epoch of 1 step"
    )
    assert many(1, "series") == "1 series" and many(2000, "step") == "2,000 steps" and many(1, "row") == "1 row"
    assert UsageError("1 windows are left").what == "1 window is left"
