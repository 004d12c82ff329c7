"""Secrets in text → ``[redacted: <kind>]``, before anything is written anywhere. The rest stays as it is.

Own patterns, after a look at what there is (November 2026):

- detect-secrets 1.5 (Yelp; last release May 2024; needs requests) is made for files of code: its entropy plug-ins take "password"
  and "is" for secrets once a line has no quotes, it finds neither "my password is …" nor keys of Anthropic, Groq, Google or Hugging
  Face by their form, gives no positions, and takes 3.3 ms for 200 characters. This module takes about a hundredth.
- CredSweeper needs pandas, lxml and an ONNX model; Presidio needs spaCy; gitleaks, TruffleHog and Kingfisher are programs.
- phonenumbers needs 0.4 ms, 23 MB and to be told the country for numbers without one.

The forms of tokens are those that their issuers document and that secret scanners (gitleaks, detect-secrets, GitHub) look for;
card numbers follow ISO/IEC 7812 and the issuers' ranges, IBANs ISO 13616 and the registry's lengths.

A secret is known by its form, by its check digits, or by the word that introduces it ("password: …", "my PIN is …", ``API_KEY=…``).
In the last case its value must look the part: code (``password = input()``), types (``token: str``), placeholders and prose
("the password is wrong") are left. A passphrase of several words is seen only in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Redacted:
    """*kinds*: what was taken out, one for each place: private keys, other secrets in their order, then addresses, then numbers."""

    text: str
    kinds: tuple[str, ...] = ()


def redact(text: str, *, emails: bool = False, phones: bool = False) -> Redacted:
    """*text* without secrets and, if asked for, without e-mail addresses and phone numbers. What is redacted stays as it is."""
    kinds: tuple[str, ...] = ()
    for find in (_private_keys, _secrets, _emails if emails else None, _phones if phones else None):
        if find and (spans := sorted(find(text))):
            text, found = _without(text, spans)
            kinds += found
    return Redacted(text, kinds)


def _without(text: str, spans: list[_Span]) -> tuple[str, tuple[str, ...]]:
    """Spans that overlap become one, so that nothing of either is left."""
    pieces, kinds, at = [], [], 0
    for start, end, kind in spans:
        if start >= at:
            pieces += [text[at:start], f"[redacted: {kind}]"]
            kinds.append(kind)
        at = max(at, end)
    return "".join([*pieces, text[at:]]), tuple(kinds)


def _private_keys(text: str) -> Iterator[_Span]:
    return _matches(_PEM, text, "private key") if "PRIVATE KEY" in text else iter(())


def _secrets(text: str) -> Iterator[_Span]:
    # Hints first: most texts hold no secret, and a substring is found a hundred times faster than a pattern.
    if max(map(len, text.split()), default=0) >= _MIN_TOKEN_CHARS:
        yield from _tokens(text)
    if "://" in text:
        yield from _url_passwords(text)
    lowered = _lower(text)
    if "bearer" in lowered or "authorization" in lowered:
        yield from _matches(_BEARER, text, "token", 1)
        yield from _matches(_AUTHORIZATION, text, "token", 1)
    if any(hint in lowered for hint in _INTRODUCING):
        yield from _introduced(text, lowered)
    if _DIGITS.search(text):
        yield from _cards(text)
        yield from _ibans(text)


def _lower(text: str) -> str:
    """*text* in lower case, at the same places: U+0130 would become two characters."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(char.lower() if char.isascii() else char for char in text)


def _matches(pattern: re.Pattern[str], text: str, kind: str, group: int = 0) -> Iterator[_Span]:
    return ((*found.span(group), kind) for found in pattern.finditer(text))


# Known by their form.

_MIN_TOKEN_CHARS = 20
_TWO_DIGITS = r"(?=(?:[A-Za-z_-]{0,40}+[0-9]){2})"
_FORMS = {
    # OpenAI, Anthropic, OpenRouter, DeepSeek and many that follow them; CSS classes and package names begin with sk- too.
    "API_key": rf"sk-(?:(?:proj|ant|or|svcacct|admin|lf)-[\w-]{{16,}}|[A-Za-z0-9]{{32,}}|{_TWO_DIGITS}[\w-]{{20,}})"
    # Groq, xAI, Perplexity, Replicate, NVIDIA, Tavily, Pinecone, LangSmith, Cerebras, Jina
    r"|gsk_[A-Za-z0-9]{20,}|(?:xai|pplx|csk)-[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{30,}|(?:nvapi|tvly)-[\w-]{20,}|(?:pcsk|lsv2|jina)_\w{30,}",
    "GitHub_token": r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,}",
    "GitLab_token": r"gl(?:pat|dt|rt|ft|soat|cbt|imt|ptt|agent|oas|ffct)-[\w-]{20,}(?:\.[\w-]+)*|GR1348941[\w-]{20,}",
    "Slack_token": r"xox[abceoprs]-[\w-]{10,}|xapp-[\w-]{10,}|xwfp-[\w-]{10,}",
    "AWS_key": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    "Google_key": r"AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",
    "Stripe_key": r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,}",
    "Hugging_Face_token": r"(?:hf|api_org)_[A-Za-z0-9]{30,}",
    "npm_token": r"npm_[A-Za-z0-9]{30,}",
    "PyPI_token": r"pypi-AgE[\w-]{50,}",
    "Twilio_key": r"(?:SK|AC)[0-9a-f]{32}",
    "SendGrid_key": r"SG\.[\w-]{16,}+\.[\w-]{16,}",
    "JWT": r"eyJ(?<![\w-]eyJ)[\w-]{5,}+\.[\w-]{5,}+\.[\w-]*+(?:\.[\w-]++){0,2}",
    # Atlassian, Databricks, DigitalOcean, Docker, Figma, Fly, Grafana, Heroku, Linear, Mailchimp, Mailgun, Netlify, New Relic, Notion,
    # 1Password, PlanetScale, Postman, RubyGems, Sentry, Shopify, Square, Supabase, Telegram, Vault, age
    "token": r"ATATT3[\w=-]{30,}|dapi[0-9a-f]{32}|do[opr]_v1_[0-9a-f]{40,}|dckr_pat_[\w-]{20,}|fig[du]_[\w-]{30,}|fo1_[\w-]{30,}"
    r"|fm[12][ar]?_[A-Za-z0-9+/=]{50,}|gl(?:sa|c)_\w{30,}|HRKU-[\w-]{30,}|lin_api_\w{30,}|[0-9a-f]{32}-us[0-9]{1,2}"
    r"|key-[0-9a-f]{32}|nfp_\w{30,}|NRAK-[A-Z0-9]{20,}|ntn_\w{30,}|secret_[A-Za-z0-9]{43}|ops_eyJ[\w-]{50,}"
    r"|pscale_[a-z]+_[\w-]{20,}|PMAK-[0-9a-f-]{40,}|rubygems_[0-9a-f]{40,}|sntr[yu]s?_[\w+/=]{30,}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"
    r"|sq0[a-z]{3}-[\w-]{20,}|sb(?:p|_secret|_publishable)_\w{20,}|[0-9]{8,10}:AA[\w-]{33}|hv[sb]\.[\w-]{20,}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{50,}",
}
# The whole word goes: nothing may come to stand at a border that it did not stand at before.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:" + "|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items()) + r")[\w-]*+", re.ASCII
)
_AWS_SECRET = re.compile(
    r"(?<![A-Za-z0-9/+_-])(?![a-z0-9/+]{40}|[A-Z0-9/+]{40}|[A-Za-z/+]{40})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])"
)
_BEARER = re.compile(r"\bbearer\s{1,3}((?=[A-Za-z._~+/=-]{0,200}[0-9])[A-Za-z0-9._~+/=-]{12,})", re.IGNORECASE)
_AUTHORIZATION = re.compile(
    r"\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:basic|bearer|token)\s{1,3}([A-Za-z0-9._~+/=-]{4,})", re.IGNORECASE
)
_WEBHOOK = re.compile(
    r"hooks\.slack\.com/(?:services|workflows)/([\w/]{20,})|discord(?:app)?\.com/api/webhooks/([0-9]{10,}/[\w-]{30,})"
)
# A key whose end is missing goes on to the end of the text.
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,40}-----)?"
)


def _tokens(text: str) -> Iterator[_Span]:
    for found in _TOKEN.finditer(text):
        yield *found.span(), str(found.lastgroup).replace("_", " ")
    if "AKIA" in text or "ASIA" in text or "aws" in text.lower():
        yield from _matches(_AWS_SECRET, text, "AWS key")
    for found in _WEBHOOK.finditer(text):
        yield *found.span(found.lastindex or 0), "webhook"


# The name may be empty; the password ends with the last @ of the word. What begins like a port and a path is one.
_URL_PASSWORD = re.compile(r"(?<=://)[^\s:/?#\[\]@\"'<>]{0,200}:(?![0-9]{1,5}[/?#])([^\s/\"'<>]{1,200})@")
_TEMPLATE = re.compile(r"[*•xX.…_-]+|[$%{<\[].*|.*[}>]", re.DOTALL)


def _url_passwords(text: str) -> Iterator[_Span]:
    for found in _URL_PASSWORD.finditer(text):
        if not _TEMPLATE.fullmatch(found[1]):
            yield *found.span(1), "password"


# Known by their check digits.

_DIGITS = re.compile(r"[0-9]{2}")
_CARD = re.compile(r"(?<![\w.+-])[0-9]{3,19}(?:[ \u00a0-][0-9]{3,13}){0,5}(?![\w-])")
_GROUP_ENDS = re.compile(r"(?<=[0-9])(?![0-9])")
_ISSUED = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|2[2-7]|81|82)[0-9]{14}|3[47][0-9]{13}|3(?:0|6|8|9)[0-9]{12}(?:[0-9]{2,5})?"
    r"|35[0-9]{14,17}|(?:50|5[6-9]|6[0-9])[0-9]{14,17}"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2})[0-9]{2} ?[A-Z0-9]")
_IBAN_CHARS = {
    country: int(chars)
    for country, chars in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18"
        "GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15"
        "OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30",
    )
}


def _cards(text: str) -> Iterator[_Span]:
    """Numbers of 13 to 19 digits, whole or in groups; a date or a code may follow. A number is tried from each of its groups."""
    at = 0
    while found := _CARD.search(text, at):
        end = _card_end(text, *found.span())
        if end:
            yield found.start(), end, "card number"
        at = end or _group_end(text, found.start())


def _card_end(text: str, start: int, end: int) -> int:
    for mark in reversed([each.start() for each in _GROUP_ENDS.finditer(text, start, end)] + [end]):
        digits = re.sub("[^0-9]", "", text[start:mark])
        if _ISSUED.fullmatch(digits) and _luhn(digits) and text[mark : mark + 1] != "-":
            return mark
    return 0


def _group_end(text: str, at: int) -> int:
    found = _GROUP_ENDS.search(text, at)
    return found.start() if found else len(text)


def _luhn(digits: str) -> bool:
    total = sum(int(digit) if i % 2 == 0 else sum(divmod(2 * int(digit), 10)) for i, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def _ibans(text: str) -> Iterator[_Span]:
    for found in _IBAN.finditer(text):
        length = _IBAN_CHARS.get(found[1], 0)
        end = _end_of_chars(text, found.start(), length)
        if length and end and _mod_97(text[found.start() : end]):
            yield found.start(), end, "IBAN"


def _end_of_chars(text: str, start: int, count: int) -> int:
    """Where *count* characters, blanks aside, end with a word; or 0."""
    at = start
    while count and at < len(text):
        count -= text[at] != " "
        at += 1
    return 0 if count or text[at : at + 1].isalnum() else at


def _mod_97(iban: str) -> bool:
    compact = iban.replace(" ", "")
    return compact.isalnum() and int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


# Known by the word that introduces them.

_INTRODUCING = ("pass", "pw", "secret", "token", "key", "credential", "pin", "cvv", "cvc", "sig=", "signature=")
_MAX_VALUE_CHARS = 300
_INTRODUCED = re.compile(
    # How one of the words begins, before all of them are tried at each letter: that is a quarter of the time.
    r"(?=pa|pi|pr|pw|ac|ap|cl|cr|cv|en|li|ma|se|si|su|to)"
    r"(?P<word>(?P<password>pass(?:word|phrase|code|wd)s?|(?<![a-z])(?:pass(?=\s{0,2}[=:])|pwd?(?=\s{0,2}[=:]|\s(?:is|was|for)\s)))"
    r"|(?P<token>(?:api|access|secret|private|account|encryption|signing|master|licen[cs]e|service|client|subscription)[-_ ]?(?:secret[-_ ]?)?key"
    r"|token|secret|credential|(?<=[?&])sig(?:nature)?(?==))"
    r"|(?<![a-z])(?P<pin>pin(?: (?:code|number))?|cv[vc]2?))(?![a-z])"
    r"(?:(?: (?:for|of|on|at|in|to) [\w'’ .-]{1,40}?)?(?:(?P<assigned>(?:\\?[\"'`]\]?)?\s{0,3}(?::\s?\w{1,12}\s?)?(?:=>|:=|={1,3})\s{0,3})|(?P<labelled>(?:\\?[\"'`])?\s{0,3}:\s{0,3})"
    r"|\s{1,3}(?:(?P<stated>(?:is|was|are|will be)(?: now| still| currently| just| set to)?:?)|to|as|[-–—→>]{1,2})\s{1,3})|(?P<beside>\s))"
    r"(?:(?P<quote>\\?[\"'`]|“)(?P<quoted>(?:(?!(?P=quote)|”)(?:\\.|[^\\\n])){1,300})(?=(?P=quote)|”|\Z)|(?P<bare>[^\s\"'`<>\\]{1,300}))"
)
_REST = re.compile(r"[^\s\"'`<>\\&;,]*")
_DRAWN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w!@#$%^&*+=-]{6,}")
_CLAUSE_END = re.compile(r"[.,;!?)\]}]{0,5}(?:\s*\Z|\s*\n|[\"”&]|(?<=[.,;!?)\]}])\s|\s+\w+=)")

_STRONG = re.compile(r"(?=.*[0-9])(?=.*[^\W\d_])|.*[@#$%^&*!+=~|]|[0-9]{4,}\Z")
_INNER_CAPITAL = re.compile(r".*[a-z][A-Z]")
_TOKEN_LIKE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w./+=~:%!@#$^&*-]{8,}")
_CODE = re.compile(
    r"[!&*]*[A-Za-z_$][\w$]*(?:(?:\.|->|::)[A-Za-z_$][\w$]*)*(?:[(\[{].*|(?:(?:\.|->|::)[A-Za-z_$][\w$]*)+)|[({\[].*|.*[)({}].*"
)
_NAMED_SO = re.compile(r"[a-z_.-]*(?:pass|pwd|secret|token|key|credential|env|config|input|value)[a-z_.-]*", re.IGNORECASE)
_MEASURE = re.compile(
    r"[0-9]{1,3}(?:[-–](?:[0-9]{1,3}|[a-z]{1,12}))?|(?:[0-9]{1,4}[-/.]){2}[0-9]{1,4}(?:t.*)?|v?[0-9]+(?:\.[0-9]+)+|0x[0-9a-f]{1,4}"
    r"|(?:sha|md|aes|rsa|hs|rs|es|ed|base|utf|argon|pbkdf|oauth|http|tls|ipv|x)[-_]?[0-9]+[-_a-z0-9]{0,12}|[0-9](?:fa|password)"
    r"|[\w./-]+\.(?:pem|key|json|ya?ml|toml|txt|env|py|js|ts|crt)|(?:~|\.{1,2})/.*|/[a-z]+/.*|https?://.*",
    re.IGNORECASE,
)
_PHRASE = re.compile(r"[^\W\d_]{2,}(?:[ -][^\W\d_]{2,}){2,11}")
_WORDS_OF_IT = """
    above admin again always any anything array available basic bearer below blank boolean bytes case-sensitive char common complex correct
    critical default different down easy empty enough everything false fine from good hard here hers hidden important incorrect insecure integer
    invalid just known long mandatory mine missing necessary never none nothing null number object optional plain plaintext present private
    public random read-only ready really right safe same secret secure short simple something string strong temporary text that their there
    this true undefined unique unknown unsafe user username valid varchar very visible weak what when where which with wrong your yours
"""
_SAID_OF_IT = frozenset(_WORDS_OF_IT.split())
_DESCRIBES = re.compile(r".*(?:ed|ing|[ai]ble|ful|less|ly|ous)", re.IGNORECASE)


def _introduced(text: str, lowered: str) -> Iterator[_Span]:
    at = 0
    while found := _INTRODUCED.search(lowered, at):
        kind = "PIN" if found["pin"] else "password" if found["password"] else "token"
        start, end = _value(found)
        if _IS_SECRET[kind](text[start:end], found):
            if end - start == _MAX_VALUE_CHARS:
                end = _end(_REST, text, end)
            yield start, end, kind
            at = end
        else:
            at = found.end("word")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _value(found: re.Match[str]) -> tuple[int, int]:
    if found["quoted"]:
        return found.span("quoted")
    value = re.split("[&;,]", found["bare"], maxsplit=1)[0] if found["assigned"] == "=" else found["bare"]
    return found.start("bare"), found.start("bare") + len(value.rstrip(".,;:?)]}"))


def _is_password(value: str, found: re.Match[str]) -> bool:
    if len(value) < 4 or _is_something_else(value, found):
        return False
    if found["beside"]:
        return _DRAWN.fullmatch(value) is not None
    if " " in value:
        return _PHRASE.fullmatch(value) is not None and (found["stated"] is not None or "phrase" in found["password"])
    return _STRONG.match(value) is not None or _is_plain_password(value, found)


def _is_plain_password(value: str, found: re.Match[str]) -> bool:
    """A word without digit or sign says nothing about passwords and, bare, ends its clause: "my password is swordfish."."""
    if value.lower() in _SAID_OF_IT or _NAMED_SO.fullmatch(value):
        return False
    if found["quoted"] or (found["stated"] and _INNER_CAPITAL.match(value)):
        return True
    if _DESCRIBES.fullmatch(value) or not (found["stated"] or found["labelled"] or found["assigned"] == "="):
        return False
    return _CLAUSE_END.match(found.string, found.start("bare") + len(value)) is not None


def _is_token(value: str, found: re.Match[str]) -> bool:
    return (
        not _is_something_else(value, found)
        and _TOKEN_LIKE.fullmatch(value) is not None
        and not _NAMED_SO.fullmatch(value.rstrip("0123456789"))
        and (not found["beside"] or (len(value) >= _MIN_TOKEN_CHARS and value.isalnum()))
    )


def _is_pin(value: str, found: re.Match[str]) -> bool:
    """Three or four digits for a card's code, four to eight for a PIN; six digits as a "pin code" are an Indian address."""
    introduced = found["pin"]
    if found["beside"] or not (value.isascii() and value.isdigit()):
        return False
    if introduced.startswith("cv"):
        return len(value) in (3, 4)
    return 4 <= len(value) <= 8 and not (len(value) == 6 and introduced.endswith("code"))


def _is_something_else(value: str, found: re.Match[str]) -> bool:
    """A placeholder, code, a date, a size, a file, an algorithm, or what has been redacted."""
    if _TEMPLATE.fullmatch(value) or _MEASURE.fullmatch(value) or "[redacted" in value:
        return True
    return not found["quoted"] and not found["stated"] and _CODE.fullmatch(value) is not None


_IS_SECRET: dict[str, Callable[[str, re.Match[str]], bool]] = {"password": _is_password, "token": _is_token, "PIN": _is_pin}


# By setting.

_EMAIL = re.compile(
    r"(?<![\w.+%-])\w[\w.+%-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,63}(?![\w@-]|[.:]\w|:/)"
)
# With the country's code, as in North America, or with the zero of a national number.
_PHONE = re.compile(
    r"(?:(?<![A-Za-z_+])\+[1-9](?:[ .()/-]{0,2}[0-9]){6,14}|(?<![\w.+/#-])(?<![0-9] )(?:00[1-9](?:[ .()/-]{0,2}[0-9]){6,14}"
    r"|(?:1[ .-])?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}|\(?0[0-9]{1,4}\)?[ /-][0-9]{2,8}(?:[ -][0-9]{2,8}){0,4}))"
    r"(?!\w|[.-][0-9])"
)
_MIN_PHONE_DIGITS = 9


def _emails(text: str) -> Iterator[_Span]:
    return _matches(_EMAIL, text, "e-mail address") if "@" in text else iter(())


def _phones(text: str) -> Iterator[_Span]:
    spans = _matches(_PHONE, text, "phone number")
    return (span for span in spans if sum(map(str.isdigit, text[span[0] : span[1]])) >= _MIN_PHONE_DIGITS)
