"""Secrets leave, everything else stays byte for byte.

Fakes are put together when the tests run, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.redaction import Redacted, redact
from tests.core.test_cost import assert_linear

LETTERS = string.ascii_letters + string.digits


def fake(prefix: str, count: int, chars: str = LETTERS) -> str:
    """*prefix* and *count* of *chars*, spread so that they look drawn."""
    return prefix + "".join(chars[(i * 37 + 11) % len(chars)] for i in range(count))


HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"sub":"42","n":"Ann"}', b"\x9a" * 32)
)
PEM = "-----BEGIN {0}PRIVATE " + "KEY-----\n" + fake("MII", 61) + "\n" + fake("", 40) + "==\n-----END {0}PRIVATE " + "KEY-----"
AWS_SECRET = fake("wJ/", 36) + "+"

TOKENS = [
    ("API key", fake("sk-", 48)),
    ("API key", fake("sk-" + "proj-", 120, LETTERS + "-_")),
    ("API key", fake("sk-" + "svcacct-", 60)),
    ("API key", fake("sk-" + "ant-api03-", 93, LETTERS + "-_")),
    ("API key", fake("sk-" + "or-v1-", 64, HEX)),
    ("API key", fake("sk-", 32, HEX)),
    ("API key", fake("gs" + "k_", 52)),
    ("API key", fake("xai" + "-", 80)),
    ("API key", fake("pplx" + "-", 48)),
    ("API key", fake("r8" + "_", 37)),
    ("API key", fake("nvapi" + "-", 64)),
    ("API key", fake("pcsk" + "_", 60)),
    ("GitHub token", fake("gh" + "p_", 36)),
    ("GitHub token", fake("gh" + "s_", 36)),
    ("GitHub token", fake("github" + "_pat_", 22) + fake("_", 59)),
    ("GitLab token", fake("gl" + "pat-", 20)),
    ("GitLab token", fake("gl" + "rt-", 24)),
    ("Slack token", "xox" + "b-123456789012-1234567890123-" + fake("", 24)),
    ("Slack token", "xa" + "pp-1-A0123456789-" + fake("", 40)),
    ("AWS key", fake("AK" + "IA", 16, UPPER)),
    ("AWS key", fake("AS" + "IA", 16, UPPER)),
    ("Google key", fake("AI" + "za", 35)),
    ("Google key", fake("GOC" + "SPX-", 28)),
    ("Stripe key", fake("sk" + "_live_", 24)),
    ("Stripe key", fake("rk" + "_test_", 24)),
    ("Stripe key", fake("wh" + "sec_", 32)),
    ("Hugging Face token", fake("h" + "f_", 34, string.ascii_letters)),
    ("npm token", fake("np" + "m_", 36)),
    ("PyPI token", fake("py" + "pi-AgEIcHlwaS5vcmc", 120)),
    ("Twilio key", fake("S" + "K", 32, HEX)),
    ("Twilio key", fake("A" + "C", 32, HEX)),
    ("SendGrid key", fake("S" + "G.", 22) + fake(".", 43)),
    ("JWT", JWT),
    ("JWT", JWT.rpartition(".")[0] + "."),
    ("token", fake("dap" + "i", 32, HEX)),
    ("token", fake("do" + "p_v1_", 64, HEX)),
    ("token", fake("shp" + "at_", 32, HEX)),
    ("token", fake("gl" + "sa_", 32) + fake("_", 8, HEX)),
    ("token", fake("key" + "-", 32, HEX)),
    ("token", fake("", 32, HEX) + "-us12"),
    ("token", fake("12345678:" + "AA", 33)),
    ("token", fake("hv" + "s.", 24)),
    ("private key", PEM.format("")),
    ("private key", PEM.format("RSA ")),
    ("private key", PEM.format("OPENSSH ")),
    ("private key", PEM.format("ENCRYPTED ")),
]


@pytest.mark.parametrize(("kind", "token"), TOKENS, ids=lambda each: each[:14])
@pytest.mark.parametrize(
    "around", ["{}", "Deploys with {}, since May.", "see ({}) twice", 'the "{}"', "`{}`", "https://x.example/?a={}&b=1"]
)
def test_tokens_are_known_by_their_form(kind: str, token: str, around: str) -> None:
    assert redact(around.format(token)) == Redacted(around.format(f"[redacted: {kind}]"), (kind,))


INTRODUCED = [
    # (text, the secret in it, its kind); ¦ is taken out
    ("my password is hunter2", "hunter2", "password"),
    ("My password is hunter2.", "hunter2", "password"),
    ("my password is swordfish.", "swordfish", "password"),
    ("My Password Is Swordfish99, as always", "Swordfish99", "password"),
    ("the wifi password: sunflower22", "sunflower22", "password"),
    ("the wifi password: sunflower", "sunflower", "password"),
    ("The password for the router is qwe!rty and the SSID is Home", "qwe!rty", "password"),
    ("password to the NAS = Tr0ub4dor&3", "Tr0ub4dor&3", "password"),
    ("changed my password to correct-h0rse today", "correct-h0rse", "password"),
    ("password is now 123456", "123456", "password"),
    ('password is "open sesame now"', "open sesame now", "password"),
    ("passphrase: 'correct horse battery staple'", "correct horse battery staple", "password"),
    ("Passcode for the gate: 4711#", "4711#", "password"),
    ("login: ann, pw: s3cr3t!", "s3cr3t!", "password"),
    ("my pw is hunter2", "hunter2", "password"),
    ("logs in with password hunter22 everywhere", "hunter22", "password"),
    (f"with the token {fake('', 32, HEX)} it works", fake("", 32, HEX), "token"),
    ("PASSWORD=letmein", "letmein", "password"),
    ("DB_PASSWORD=pa55word\nDB_HOST=x", "pa55word", "password"),
    ("host=db user=ann password=letmein dbname=app", "letmein", "password"),
    ("Server=db;User Id=ann;Password=Pa$$w0rd;Database=app", "Pa$$w0rd", "password"),
    ("Server=db;Uid=ann;Pwd=abc12345;", "abc12345", "password"),
    ('{"user": "ann", "pass¦word": "tulip"}', "tulip", "password"),
    ('{\\"password\\": \\"hunter2\\"}', "hunter2", "password"),
    ("password: str = 'hunter2'", "hunter2", "password"),
    ('os.environ["PASS¦WORD"] = "hunter2"', "hunter2", "password"),
    ("pass¦word => 'hunter2'", "hunter2", "password"),
    ("$password := `hunter2`", "hunter2", "password"),
    ("The token is " + fake("", 32, HEX), fake("", 32, HEX), "token"),
    ("api_k¦ey=abcd1234efgh5678", "abcd1234efgh5678", "token"),
    ("API k¦ey: 9f8e7d6c-1234-4abc-9def-0123456789ab", "9f8e7d6c-1234-4abc-9def-0123456789ab", "token"),
    ("x-api-k¦ey: abcdef0123456789", "abcdef0123456789", "token"),
    ("OPENAI_API_K¦EY='my0wnk3yvalue'", "my0wnk3yvalue", "token"),
    ("client_sec¦ret = 'Zm9vYmFy1234'", "Zm9vYmFy1234", "token"),
    ('"accessTok¦en": "q1w2e3r4t5y6"', "q1w2e3r4t5y6", "token"),
    ("https://x.example/cb?access_tok¦en=q1w2e3r4t5&state=1", "q1w2e3r4t5", "token"),
    ("AccountName=a;AccountKey=" + fake("", 86) + "==;EndpointSuffix=core", fake("", 86) + "==", "token"),
    ("https://a.blob.example/c?sv=2024&sig=" + fake("", 43) + "%3D&se=1", fake("", 43) + "%3D", "token"),
    ("aws_secret_access_key = " + AWS_SECRET, AWS_SECRET, "AWS key"),
    ("license k¦ey: ABCD1-EFGH2-IJKL3", "ABCD1-EFGH2-IJKL3", "token"),
    ("Authorization: Bearer " + fake("", 24), fake("", 24), "token"),
    ("curl -H 'Authorization: Basic " + "YW5uOnB3'", "YW5uOnB3", "token"),
    ("sends Bearer " + fake("", 30) + " along", fake("", 30), "token"),
    ("my PIN is 4821", "4821", "PIN"),
    ("The card's PIN code is 0042.", "0042", "PIN"),
    ("pin: 123456", "123456", "PIN"),
    ("CVV: 123", "123", "PIN"),
    ("ftp:/¦/ann:pa55@host/x", "pa55", "password"),
    ("postgres:/¦/ann:p@ss:w0rd@db.example:5432/app", "p@ss:w0rd", "password"),
    ("redis:/¦/:hunter2@localhost:6379/0", "hunter2", "password"),
    ("mongodb+srv:/¦/ann:a%40b@c0.example/?retryWrites=true", "a%40b", "password"),
    ("git clone https:/¦/ann:swordfish@git.example/x.git", "swordfish", "password"),
    ("amqp:/¦/ann:12345@mq/", "12345", "password"),
    ("hook is https://hooks.slack.com/services/" + "T0123/B0123/" + fake("", 24), "T0123/B0123/" + fake("", 24), "webhook"),
    ("https://discord.com/api/webhooks/" + "123456789012345678/" + fake("", 68), "123456789012345678/" + fake("", 68), "webhook"),
    ("card 4111 1111 1111 1111", "4111 1111 1111 1111", "card number"),
    ("card 4111-1111-1111-1111, 12/27, 123", "4111-1111-1111-1111", "card number"),
    ("4111111111111111", "4111111111111111", "card number"),
    ("4111 1111 1111 1111 123", "4111 1111 1111 1111", "card number"),
    ("order 2024 of 4111 1111 1111 1111 27", "4111 1111 1111 1111", "card number"),
    ("4222222222222", "4222222222222", "card number"),
    ("5555555555554444", "5555555555554444", "card number"),
    ("2223003122003222", "2223003122003222", "card number"),
    ("3782 822463 10005", "3782 822463 10005", "card number"),
    ("6011000990139424", "6011000990139424", "card number"),
    ("3056 930902 5904", "3056 930902 5904", "card number"),
    ("3530111333300000", "3530111333300000", "card number"),
    ("6799990100000000019", "6799990100000000019", "card number"),
    ("DE89 3704 0044 0532 0130 00 is the account", "DE89 3704 0044 0532 0130 00", "IBAN"),
    ("GB82WEST12345698765432", "GB82WEST12345698765432", "IBAN"),
    ("NO93 8601 1117 947", "NO93 8601 1117 947", "IBAN"),
    ("FR14 2004 1010 0505 0001 3M02 606.", "FR14 2004 1010 0505 0001 3M02 606", "IBAN"),
]


@pytest.mark.parametrize(("text", "secret", "kind"), INTRODUCED, ids=lambda each: str(each)[:30])
def test_secrets_are_known_by_their_words_or_check_digits(text: str, secret: str, kind: str) -> None:
    text = text.replace("¦", "")
    assert redact(text) == Redacted(text.replace(secret, f"[redacted: {kind}]"), (kind,))


OF_PASSWORDS = ("password", "passphrase", "passcode", "passwd", "pass", "pwd", "pw")
OF_TOKENS = (
    *("token", "secret", "credential", "apikey", "access key", "secret key", "private key", "account key", "encryption key"),
    *("signing key", "master key", "license key", "licence key", "service key", "client key", "subscription key"),
    *("api secret key", "url?sig", "url&signature"),
)


@pytest.mark.parametrize(("words", "kind"), [(OF_PASSWORDS, "password"), (OF_TOKENS, "token")])
def test_every_word_introduces_its_secret(words: tuple[str, ...], kind: str) -> None:
    assert [redact(f"{word}=Kx7#qLw92mZ0").text for word in words] == [f"{word}=[redacted: {kind}]" for word in words]


INNOCENT = [
    # Prose about passwords and keys
    "Forgot the password again and is annoyed",
    "The password is wrong",
    "The password is case-sensitive.",
    "My password is too short",
    "Password: required",
    "Password: at least 8 characters, one digit",
    "password is 12-16 characters long",
    "password was changed on 2024-01-02",
    "Needs a password to log in to Netflix.",
    "passwords are hashed with bcrypt",
    "password is SHA-256 hashed",
    "The password is stored in 1Password",
    "Uses a password manager: Bitwarden",
    "password reset link expires after 24h",
    "The key is to practise daily",
    "The secret is patience.",
    "Secret: never give up",
    "The token is expired",
    "max_tokens: 4096",
    "token limit is 128000",
    "primary key: user_id2",
    "Plays in the key of C# minor",
    "The bearer of bad news",
    "Basic authentication is enough",
    "pin code is 560001",
    "Pinned 1234 photos",
    "password sha256 hashes, password policy, password to my NAS2000 box",
    "a token ring, a token GPT4o counts, a secret santa2024 party",
    "Hiked a mountain pass at 2100m; the pass is 12km long",
    "pin: 13",
    "GPIO pin is 21",
    "Lives at 1234 Key West Avenue",
    "compass: north42",
    "Bypass: route 66a",
    "Monkey: see, monkey2: do",
    # Code
    "password = input('Password: ')",
    "password = getpass.getpass()",
    "password=password",
    "def login(user: str, password: str) -> None: ...",
    "login(user, password=user.password)",
    "token = get_token(user)",
    "token: str | None = None",
    "api_key=os.environ['API_KEY']",
    "api_key = settings.api_key",
    "const token = await fetchToken();",
    "password: hashedPassword,",
    "PASSWORD=$DB_PASSWORD",
    "PASSWORD=${DB_PASSWORD}",
    "password: {{ vault_password }}",
    "password=%s",
    "password=<your password>",
    "API_KEY=YOUR_API_KEY",
    "password: ********",
    "password: xxxx",
    "https://user:${PASSWORD}@host/",
    "https://user:{password}@host/",
    "https://user:***@host/",
    "token = tokens[0]",
    'if token == "identifier": pass',
    "secret: true",
    "for key, value in items: total += value",
    "private key: ~/.ssh/id_ed25519",
    "ssl_key: certs/server.key",
    "pass: 12, fail: 3",
    "import secrets; secrets.token_hex(16)",
    "<input type='password' name='pw'>",
    "sk-folding-cube sk-cube-grid-container-large",
    "sk-learn-contrib-imbalanced-ensembles",
    "hf_hub_download(repo_id='a/b')",
    "npm_config_registry_default_value",
    "List<int> and a < b",
    # Identifiers, hashes, numbers
    "550e8400-e29b-41d4-a716-446655440000",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "md5 d41d8cd98f00b204e9800998ecf8427e",
    "v1.2.3-rc.4+build.20240102",
    "ISBN 978-3-16-148410-0",
    "ISBN 9783161484100",
    "2024-01-02T03:04:05.678901Z",
    "order 4111 1111 1111 1112",
    "order 1234567890123456",
    "tracking 9400111899223100001234",
    "timestamp 1712345678901",
    "phone +4917612345678901",
    "IMEI 490154203237518",
    "snowflake 175928847299117063",
    "3.4111111111111111 or 0.4111111111111111",
    "192.168.100.200:8080",
    "http://localhost:8080/a@b",
    "http://host:80?mail=a@b.example",
    "git@github.com:owner/repo.git",
    "https://x.example/a:b/c@d",
    "DE89 3704 0044 0532 0130 01",
    "AB12 THE QUICK BROWN FOX JUMPS",
    "Pneumonoultramicroscopicsilicovolcanoconiosis is long",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "eyJ is how base64 of JSON begins",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "Prefers tea 😀, naïve façade, 東京",
    "",
    "\x00\n\r\t\u2028",
    "ann@example.org and +1 212 555 0142 stay without the settings",
]


@pytest.mark.parametrize("text", INNOCENT, ids=lambda text: text[:30])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == Redacted(text)


def test_a_key_and_its_secret_leave_together() -> None:
    key = fake("AK" + "IA", 16, UPPER)
    assert redact(f"AWS: {key} and {AWS_SECRET}") == Redacted(
        "AWS: [redacted: AWS key] and [redacted: AWS key]", ("AWS key",) * 2
    )


def test_kinds_are_named_in_order_one_for_each_place() -> None:
    text = f"pw: hunter2, card 4111 1111 1111 1111, again pw: hunter2, {fake('gh' + 'p_', 36)}"
    assert redact(text) == Redacted(
        "pw: [redacted: password], card [redacted: card number], again pw: [redacted: password], [redacted: GitHub token]",
        ("password", "card number", "password", "GitHub token"),
    )


def test_of_overlapping_secrets_nothing_is_left() -> None:
    assert redact("password: a4111-1111-1111-1111b, ok").text == "password: [redacted: password], ok"
    assert redact(f"postgres://ann:{fake('gh' + 'p_', 36)}@db/x").text == "postgres://ann:[redacted: GitHub token]@db/x"


def test_neighbours_are_seen_each_for_itself() -> None:
    assert redact("DE89370400440532013000 GB82WEST12345698765432").kinds == ("IBAN", "IBAN")
    assert redact("4111 1111 1111 1111 5555555555554444.").text == "[redacted: card number] [redacted: card number]."
    assert redact("+49 176 12345678+49 176 12345678", phones=True).kinds == ("phone number", "phone number")


def test_a_value_that_is_cut_off_is_redacted_too() -> None:
    assert redact('{"password": "tulip').text == '{"password": "[redacted: password]'
    assert redact("password=" + fake("a", 400) + " next").text == "password=[redacted: password] next"


def test_a_key_that_is_cut_off_leaves_to_its_end() -> None:
    assert redact("before\n" + PEM.format("")[:90]).text == "before\n[redacted: private key]"


def test_json_stays_json() -> None:
    value = {
        "memories": [
            {"content": f"password: hunter2, key {fake('gs' + 'k_', 52)}"},
            {"password": 'tul"ip7', "card": "4111111111111111"},
        ]
    }
    redacted = redact(json.dumps(value))
    assert len(redacted.kinds) == 4
    assert json.loads(redacted.text)["memories"][0] == {"content": "password: [redacted: password], key [redacted: API key]"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ann.b+c@mail.example.org.", "write to [redacted: e-mail address]."),
        ("Ann <ann@example.org>, mailto:bob@x.example", "Ann <[redacted: e-mail address]>, mailto:[redacted: e-mail address]"),
        ("jörg@büro.example and ann@localhost and @ann", "jörg@büro.example and ann@localhost and @ann"),
        ("git clone https:/" + "/ann:pa55@git.example/x", "git clone https://ann:[redacted: password]@git.example/x"),
        ("a@b and pip install x@1.2", "a@b and pip install x@1.2"),
    ],
)
def test_addresses_leave_by_setting(text: str, left: str) -> None:
    assert redact(text, emails=True, phones=True).text == left


@pytest.mark.parametrize(
    "number",
    [
        *["+49 176 12345678", "+4917612345678", "+1 (212) 555-0142", "0049 30 901820-0", "+44 20 7946 0958", "+33 6 12 34 56 78"],
        *[
            "(212) 555-0142",
            "212-555-0142",
            "212.555.0142",
            "1-800-555-0142",
            "030 901820-12",
            "020 7946 0958",
            "06 12 34 56 78",
            "(030) 9018201",
        ],
    ],
)
def test_phone_numbers_leave_by_setting(number: str) -> None:
    assert redact(f"call {number}, or ring", phones=True) == Redacted("call [redacted: phone number], or ring", ("phone number",))
    assert redact(f"call {number}, or ring") == Redacted(f"call {number}, or ring")


@pytest.mark.parametrize("text", INNOCENT, ids=lambda text: text[:30])
def test_other_numbers_and_signs_stay_with_the_settings_too(text: str) -> None:
    if not ("phone" in text or "555" in text or "@b.example" in text):
        assert redact(text, emails=True, phones=True) == Redacted(text)


@given(st.integers(0, 10**14 - 1), st.sampled_from([" ", "-", ""]))
def test_of_ten_numbers_one_is_a_card(number: int, separator: str) -> None:
    digits = [f"4{number:014}{check}" for check in range(10)]
    texts = [separator.join(each[i : i + 4] for i in range(0, 16, 4)) for each in digits]
    assert sum(redact(text).kinds == ("card number",) for text in texts) == 1


_PIECES = st.sampled_from(
    [
        "password",
        " is ",
        ": ",
        "=",
        "token",
        "api key",
        "PIN",
        '"',
        "'",
        "hunter2",
        "secret1234",
        "4821",
        " for ",
        "@",
        "://",
        "a",
        "/",
        ".",
        "-",
        "_",
        " ",
        "\n",
        ",",
        "]",
        "[redacted: ",
        "[redacted: token]",
        "4111 1111 1111 1111",
        "4111",
        "DE89370400440532013000",
        "Bearer ",
        "\\",
        "&",
        "İ",
        "+49 176 12345678",
        "ann@x.example",
        "-----",
        PEM.format(""),
        *(token for _, token in TOKENS[::4]),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(_PIECES | st.text(max_size=3), max_size=12).map("".join), st.booleans())
def test_what_is_redacted_stays_as_it_is(text: str, personal: bool) -> None:
    once = redact(text, emails=personal, phones=personal)
    assert redact(once.text, emails=personal, phones=personal) == Redacted(once.text)


@pytest.mark.parametrize(
    "piece",
    [
        "password ",
        "password is ",
        "password for a ",
        "token=",
        "sk-",
        "eyJ-",
        "eyJa.",
        "SG.a",
        "://a:",
        "a@",
        "4111 ",
        "4",
        "-----BEGIN PRIVATE " + "KEY-----",
        "-----",
        "bearer ",
        "DE89 ",
        "pass: ))))",
        "0 1",
        '"password": ',
        "İpassword ",
    ],
)
def test_the_cost_grows_as_the_text_does(piece: str) -> None:
    assert_linear(lambda size: lambda: redact(piece * (size // len(piece)), emails=True, phones=True), 5000)


@pytest.mark.parametrize("text", ["My PIN is horse.", "my pin: abcd", "The PIN is ١٢٣٤."])
def test_a_pin_is_made_of_digits(text: str) -> None:
    assert redact(text).text == text
