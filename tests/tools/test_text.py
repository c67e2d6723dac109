"""Untrusted text is shown as what it is, and held secrets are not shown at all (AUT-4, I8)."""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
import string
import textwrap
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.held import held, weakness
from pilothouse.redaction import Redactor
from pilothouse.render.text import safe
from pilothouse_tools import text

SECRET = 'hunter2/+"s&cret-värde'
RAW = SECRET.encode()
redact = text.Redactor([("TOKEN", SECRET), ("SHORT", "abc"), ("UNSET", "")])

FORMS = {
    "plain": SECRET,
    "reversed": SECRET[::-1],
    "upper case": "".join(mark.upper() if mark.isascii() else mark for mark in SECRET),
    "hex": RAW.hex(),
    "HEX": RAW.hex().upper(),
    "hex of mixed case": "".join(mark.upper() if place % 3 else mark for place, mark in enumerate(RAW.hex())),
    "hex with colons": RAW.hex(":"),
    "escaped bytes": "".join(f"\\x{byte:02x}" for byte in RAW),
    "URL": quote(SECRET, safe=""),
    "URL, a path": quote(SECRET),
    "URL, a form": quote_plus(SECRET),
    "URL, small letters": quote(SECRET, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%C3%A4", "%c3%a4"),
    "URL, every byte": "".join(f"%{byte:02X}" for byte in RAW),
    "URL, twice": quote(quote(SECRET, safe=""), safe=""),
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "JSON with slashes escaped": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "JSON in JSON": json.dumps(json.dumps(SECRET))[3:-3],
    "JSON, every character": "".join(f"\\u{ord(mark):04x}" for mark in SECRET),
    "HTML": SECRET.replace("&", "&amp;").replace('"', "&quot;"),
    "Markdown": text.markdown(SECRET),
    "repr": repr(SECRET)[1:-1],
    "base32": base64.b32encode(RAW).decode(),
    "JSON of Go": json.dumps(SECRET).replace("&", "\\u0026").replace("+", "\\u002b")[1:-1],
    "HTML, numbers": SECRET.replace("&", "&#38;").replace('"', "&#34;").replace("ä", "&#228;"),
    "quoted-printable": quopri.encodestring(RAW).decode(),
    "octal": "".join(f"\\{byte:03o}" for byte in RAW),
    "CSV": SECRET.replace('"', '""'),
    "numbers": json.dumps(list(RAW))[1:-1],
    "base64 of UTF-16": base64.b64encode(SECRET.encode("utf-16-le")).decode(),
    "base64, twice": base64.b64encode(base64.b64encode(RAW)).decode(),
    "base64, reversed": base64.b64encode(RAW).decode().rstrip("=")[::-1],
} | {
    f"{encode.__name__}, {len(before)} bytes before": encode(before + RAW + after).decode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode)
    for before, after in ((b"", b""), (b"u", b"!"), (b"us", b"\n"), (b"user:", b"::"))
}  # fmt: skip


def bare(value):
    """What anybody could put together again: no white space, no case, no escapes."""
    return "".join(value.replace("\\n", "").split()).lower()


def gone(form, said):
    """Whether not even a third of a form is left in what was said."""
    kept = bare(form)
    piece = max(6, len(kept) // 3)
    return all(kept[start : start + piece] not in bare(said) for start in range(len(kept) - piece + 1))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_held_secret_is_redacted_in_every_common_form(form):
    said = redact(f"before {form} after")
    assert "[redacted TOKEN]" in said
    assert gone(form, said), said
    assert said.startswith("before ")
    assert said.endswith(" after")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("seam", ["\n", "\r\n", " ", "\n    ", "\t\n", "\u200b", "\\n", "\\r\\n",
                                  "'\n '", '" +\n    "', "\\n'\n        '", "\n- ", "\n+ ", "\n│ ", "\n> ", "\\\n"])  # fmt: skip
def test_wrapping_it_at_any_column_hides_nothing(form, seam):
    for column in (1, 3, 4, 7, 10, 64, 76):
        wrapped = seam.join(form[start : start + column] for start in range(0, len(form), column))
        said = redact(f"before {wrapped} after")
        assert "[redacted TOKEN]" in said, column
        assert gone(form, said), (column, said)


@given(
    st.text(string.printable + "äß→\u202e", min_size=14, max_size=80).filter(lambda value: not weakness(value)),
    st.binary(max_size=7), st.binary(max_size=7), st.integers(0, 10), st.integers(1, 90),
)  # fmt: skip
def test_whatever_the_value_and_whatever_stands_around_it(value, before, after, way, column):
    ways = [
        lambda raw: raw.decode("utf-8", "replace"), lambda raw: base64.b64encode(raw).decode(),
        lambda raw: base64.urlsafe_b64encode(raw).decode(), lambda raw: raw.hex(), lambda raw: raw.hex().upper(),
        lambda raw: quote(raw, safe=""), quote, quote_plus,
        lambda raw: json.dumps(raw.decode("utf-8", "replace")), lambda raw: raw.decode("utf-8", "replace"),
        lambda raw: raw.decode("utf-8", "replace")[::-1],
    ]  # fmt: skip
    # White space at the ends belongs to nobody: a shell takes it off.
    shown = ways[way](before + value.strip().encode() + after)
    wrapped = "\n".join(shown[start : start + column] for start in range(0, len(shown), column))
    assert "[redacted X]" in Redactor([("X", value)])(wrapped)


def test_a_key_of_several_lines_is_redacted_whole_and_line_by_line():
    lines = textwrap.wrap(base64.b64encode(bytes(range(200))).decode(), 64)
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    clean = Redactor([("KEY", key)])
    for shown in (key, " ".join(key.split()), json.dumps(key), base64.b64encode(key.encode()).decode(), lines[2]):
        assert gone(lines[2], clean(shown))
    assert clean("a -----BEGIN PRIVATE KEY----- block") == "a -----BEGIN PRIVATE KEY----- block"


@pytest.mark.parametrize(
    ("value", "leak"),
    [
        ("postgres://app:s3cr3t-pa%2Fss@db.test/acme", "s3cr3t-pa/ss"),
        ("postgres://app:s3cr3t-pa%2Fss@db.test/acme", "s3cr3t-pa%2Fss"),
        ("https://hooks.test/services/T0001/B0002/abcdEFGH12345678", "abcdEFGH12345678"),
        ('{"client": "acme", "private_key": "-----BEGIN\\nMIIEvAIBADANBgkqhkiG\\n"}', "MIIEvAIBADANBgkqhkiG"),
        ('{"nested": [{"api_key": "k-0815-4711-xyz"}]}', "k-0815-4711-xyz"),
    ],
)
def test_what_is_secret_within_a_value_is_redacted_alone_too(value, leak):
    assert gone(leak, Redactor([("X", value)])(f"it said: {leak}."))
    assert gone(value, Redactor([("X", value)])(f"it said: {value}."))


@pytest.mark.parametrize(
    ("value", "weak"),
    [("", False), ("abc", True), ("1234567", True), ("production", True), ("20261121000", True), ("aaaaaaaaaaaa", True),
     ("Production1", False), ("correct horse battery", False), ("4f2a91c0", False)],
)  # fmt: skip
def test_a_value_that_cannot_be_told_from_words_is_named_and_not_redacted(value, weak):
    assert bool(weakness(value)) is weak
    said = f"before {value} after"
    assert (Redactor([("X", value)])(said) == said) is (weak or not value)


def test_short_values_do_not_eat_ordinary_words():
    assert redact("abcdef") == "abcdef"


@pytest.mark.parametrize(
    "way", [str, lambda value: base64.b64encode(value.encode()).decode(), lambda value: value.encode().hex()]
)
def test_a_part_that_a_tool_has_cut_out_is_redacted_too(way):
    value = "stg/9fK2+wq7Zr4Lx1Nv8Tb3Hy6Jm0Pc5Qd"
    shown = way(value)
    clean = Redactor([("X", value)])
    for start in range(1, len(shown) - 20):
        for part in (shown[: start + 16], shown[start:], shown[start : start + 17]):
            said = clean(f"'{part}[… chars]'")
            assert "[redacted X]" in said
            assert all(part[at : at + 4] not in said for at in range(len(part) - 3)), (part, said)


def test_of_an_address_or_a_path_only_the_whole_or_its_secret_is_redacted():
    clean = Redactor(
        [("HOOK", "https://hooks.example.test/services/s3cretpart0123456789"), ("DB", "/srv/acme/staging/app2.db")]
    )
    kept = "see https://hooks.example.test/services/ and /srv/acme/staging/app3.db"
    assert clean(kept) == kept
    assert clean("s3cretpart0123456789, /srv/acme/staging/app2.db") == "[redacted HOOK], /[redacted DB]"


def test_ordinary_text_stays_as_it_is_to_the_byte():
    said = 'Line  one,\n\tC:\\new\\table \\n 100%0A "q" &#10; =\nhunter2 and värde\u200b'
    assert redact(said) == said


def test_two_secrets_that_overlap_leave_nothing_of_either():
    said = Redactor([("A", "abcdefgh1234"), ("B", "1234ijklmnop")])("x abcdefgh1234ijklmnop y")
    assert said == "x [redacted A] y"


CONFIGURATION = """
products:
  acme:
    remote_token: GIT_LOGIN
    forge: {credentials: [FORGE_LOGIN], environment: [GH_HOST, "GH_CONFIG_DIR"]}
    suites: {smoke: {environment: TARGET_URL}}
    environments:
      production:
        credentials:
          - DB_LOGIN   # the primary
        deploy: {}
      environment:
        - HANDED_THROUGH
    notify: [{channel: ntfy, url_variable: CHAT_ADDRESS}]
"""


def test_held_is_what_the_configuration_names_and_what_a_name_tells(tmp_path):
    values = {name: f"value-of-{name}" for name in (
        "GIT_LOGIN", "FORGE_LOGIN", "DB_LOGIN", "CHAT_ADDRESS", "GH_HOST", "GH_CONFIG_DIR", "TARGET_URL",
        "HANDED_THROUGH", "OTHER", "PATH", "AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "KEYBOARD", "PGPASSWORD", "MY_PASSWORD",
    )}  # fmt: skip
    values["ANTHROPIC_API_KEY"], values["SOME_TOKEN"] = str(tmp_path), "true"
    names = {item.name for item in held(CONFIGURATION, values)}
    told = {"GIT_LOGIN", "FORGE_LOGIN", "DB_LOGIN", "CHAT_ADDRESS"}
    assert names == told | {"AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "PGPASSWORD", "MY_PASSWORD"}
    assert {item.name for item in held("version: [no yaml", values)} == names - told


def test_a_log_of_a_megabyte_takes_no_more_than_its_share():
    """Linear: four times the text takes about four times as long, and the number of values does not matter."""

    def took(size, values):
        clean = Redactor([(f"T{number}", f"value-{number:04d}-{number * 7919:08x}") for number in range(values)])
        line = "2026-11-21T09:00:00Z INFO request path=/api/items?id=4711 took 12 ms\\n ok\n"
        log = (line * (size // len(line) + 1))[:size]
        best = []
        for _ in range(3):
            start = time.process_time()
            assert clean(log) == log
            best.append(time.process_time() - start)
        return min(best)

    small, large, many = took(250_000, 10), took(1_000_000, 10), took(250_000, 200)
    assert large < 10 * small
    assert many < 3 * small


# What a conductor may well hold, among them values of few letters and digits.
VALUES = (
    "abc&def<ghi>12345",
    "p'ass\"w0rd12",
    "Xk9/pQ+z7==vT2",
    "s3cr3t-Val_ue!42",
    "correct horse&battery",
    "pässwörd-42x",
)
BURIED = {
    "JSON of Go": lambda s: re.sub("[&<>]", lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(s)),
    "JSON of Gson": lambda s: re.sub("[&<>=']", lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(s)),
    "JSON, every sign": lambda s: re.sub(r"[^\w\\]", lambda mark: f"\\u{ord(mark[0]):04X}", json.dumps(s)[1:-1]),
    "JSON of Go in JSON": lambda s: json.dumps(json.dumps(s).replace("&", "\\u0026").replace("<", "\\u003c")),
    "HTML of Go": lambda s: html.escape(s).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "HTML, every sign": lambda s: re.sub(r"\W", lambda mark: f"&#{ord(mark[0])};", s),
    "XML": lambda s: s.encode("ascii", "xmlcharrefreplace").decode().replace("'", "&apos;"),
    "quoted-printable": lambda s: quopri.encodestring(s.encode(), quotetabs=True).decode(),
    "quoted-printable, every sign": lambda s: re.sub(r"[\W]", lambda mark: f"={ord(mark[0]):02X}", s),
    "bytes of a shell": lambda s: "".join(f"\\{byte:03o}" for byte in s.encode()),
    "some bytes of a shell": lambda s: "".join(chr(b) if b < 128 and chr(b).isalnum() else f"\\{b:03o}" for b in s.encode()),
    "CSV": lambda s: '"' + s.replace('"', '""') + '"',
    "SQL": lambda s: "'" + s.replace("'", "''") + "'",
    "coloured": lambda s: f"{s[:5]}\x1b[31m{s[5:8]}\x1b[0;1;4m{s[8:]}",
    "coloured, in JSON": lambda s: json.dumps(f"{s[:5]}\x1b[31m{s[5:]}"),
    "coloured, as a card shows it": lambda s: safe(f"{s[:5]}\x1b[31m{s[5:]}"),
    "with what nobody sees, as a card shows it": lambda s: safe("\u200b".join(s)),
    "with a title of the window": lambda s: f"{s[:5]}\x1b]0;build\x07{s[5:]}",
    "grep": lambda s: f"file.txt:11: {s[:6]}\nfile.txt:12: {s[6:]}",
    "grep -C": lambda s: f"ci/x.sh-11-{s[:6]}\nci/x.sh-12-{s[6:]}",
    "grep, in JSON": lambda s: json.dumps(f"file.txt:11: {s[:6]}\nfile.txt:12: {s[6:]}"),
    "cat -n": lambda s: f"     1\t{s[:6]}\n     2\t{s[6:]}",
    "compose": lambda s: f"web-1  | {s[:6]}\nweb-1  | {s[6:]}",
    "a log": lambda s: f"2026-11-21T09:00:00Z INFO {s[:6]}\n2026-11-21T09:00:00Z INFO {s[6:]}",
    "grep of Go's JSON": lambda s: "\nx.go:7: ".join([(go := BURIED["JSON, every sign"](s))[:9], go[9:]]),
    "coloured quoted-printable": lambda s: BURIED["quoted-printable, every sign"](s).replace("=", "\x1b[1m=\x1b[0m"),
}  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("bury", BURIED.values(), ids=BURIED)
def test_a_held_secret_is_found_where_escapes_colours_or_prefixes_of_lines_are_within_it(bury, value):
    buried = bury(value)
    clean = Redactor([("TOKEN", value)])
    said = clean(f"before x={buried} after")
    assert "[redacted TOKEN]" in said, buried
    assert said.startswith("before x=")
    assert said.endswith(" after")
    kept = said.replace("[redacted TOKEN]", "")
    assert all(part not in kept for part in re.findall(r"\w{4,}", value)), said
    assert clean.found(buried) == "TOKEN"


def test_what_stands_around_a_buried_secret_stays_to_the_byte():
    before, after = '{"a": "x\\u003dy", "b": 3,\n "k": "', '", "c": "=41 &lt; %20"}'
    assert redact(f"{before}hunter2/+\\u0022s\\u0026cret-v\\u00e4rde{after}") == f"{before}[redacted TOKEN]{after}"


def test_escapes_colours_and_prefixes_that_hide_nothing_stay_as_they_are():
    said = (
        "x=3D &#38; &amp; \\u0026 \\u{1F600} \\ud83d \\ud83d\\ude00 \\U0001F600 \\U99999999 &#9999999; &nosuch; %C3 %C3%A4 \\303 \\xff"
        " \x1b[31mred\x1b[0m \x1b]0;t\x07\nfile.txt:12: hunter2\nweb-1  | värde\n  3\t\"\" '' <U+200B>\n"
    )
    assert redact(said) == said


@pytest.mark.parametrize("piece", [
    "\\", "\\u", "\\u0026", "\\x41", "%25", "=3D", "=\n", "&#38;", "&amp;", "&a", "\n", "\nx.go:7: y", "\n12 ", "\n[", "a:", "a-1-",
    "\x1b[", "\x1b[0;", "\x1b]", "<U+", "<U+001B>[", "\\ud83d", "\\303", '"', "'",
])  # fmt: skip
def test_reading_takes_no_longer_than_its_share_whatever_the_text(piece):
    clean = Redactor([("TOKEN", "s3cr3t-Val_ue!42"), ("OTHER", "Xk9/pQ+z7==vT2")])

    def took(size):
        hostile = (piece * size)[:size]
        best = []
        for _ in range(2):
            start = time.process_time()
            clean(hostile)
            best.append(time.process_time() - start)
        return min(best)

    assert took(160_000) < 12 * took(40_000) + 0.2


def test_controls_and_bidirectional_marks_are_spelt_out():
    assert text.visible("a\x1b[31mb\u202ec\x00") == "a<U+001B>[31mb<U+202E>c<U+0000>"
    assert text.visible("plain → ä\n\t") == "plain → ä\n\t"


def test_output_keeps_the_end_and_counts_what_it_leaves_out():
    shown = text.output(b"\x1b[32mgreen\x1b[0m\r\n" + b"x" * 100, 50)
    assert shown.startswith("[56 characters left out]\n")
    assert shown.endswith("x" * 50)


def test_markdown_shows_markup_as_text_and_mentions_nobody():
    shown = text.markdown("**bold** <img src=x> [a](b) `c` @team\nnext a@b.test")
    assert shown == "\\*\\*bold\\*\\* &lt;img src=x&gt; \\[a\\](b) \\`c\\` @<!-- -->team next a@b.test"


@given(st.text())
def test_one_line_is_one_visible_line(value):
    line = text.one_line(value, 50)
    assert "\n" not in line
    assert len(line) <= 50
    assert text.visible(line) == line
