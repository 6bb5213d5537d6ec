# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is a secret: the one table for domain documents, files of xl, messages of others and options of users.

Nothing is masked that is not named here. Rather too much is taken for a secret than too little.

It stands below _values: errors mask what they repeat, and values raise errors.
This file must not import ansible, libvirt or lxml, nor anything else of this collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

MASK = "********"

# Words that stand beside secrets, in names as well as in text. "authors", "bypass" and "passthrough" are none of them.
_NAMES = (
    r"passw|passphrase|passcode|passkey|(?<!by)pass(?![a-z])|pwd|(?<![a-z])pw(?![a-z])|rootpw|userpw|secret|token"
    r"|credential|(?<![a-z])creds?(?![a-z])|bearer|cookie|signature|(?<![a-z])sig=|auth(?!ors?\b)|login|keytab"
    r"|(?:api|access|private|ssh|master|host|shared|encryption|product|licen[cs]e)[-_ ]?key"
    r"|(?<![a-z])(?:psk|otp|chap)(?![a-z])"
    # What hands secrets over to a guest.
    r"|no[-_]?cloud|cidata|cloud[-_]?(?:init|config)|ignition|user[-_]?data|(?<![a-z])seed"
)
_SUSPECT_NAME = re.compile(_NAMES, re.IGNORECASE)
_SUSPECT = re.compile(
    rf"{_NAMES}|key[\"']?\s*[=:]|(?<![a-z])data="
    # somebody in an address, the query of an address, and a pseudo file name of QEMU that is a whole block device
    r"|://\S*@|[^\s?]\?\S*=|(?<![a-z])json:",
    re.IGNORECASE,
)
# One of these is in all that _SUSPECT finds, and they are found much sooner than what it tells apart.
_SIGNS = (
    *("pass", "pw", "secret", "token", "cred", "bearer", "cookie", "sig", "auth", "login", "key", "psk", "otp", "chap"),
    *("cloud", "data", "ignition", "seed", "://", "?", "json:"),
)
_WORD = re.compile(r"[\w.@+-]+")

# --- domain documents

SECRET_ATTRIBUTES = frozenset({"passwd", "password", "passwdValidTo", "passphrase"})
# (element, attribute)
SECRET_PLACES = frozenset({("source", "query"), ("auth", "username"), ("identity", "username")})
SECRET_ELEMENTS = frozenset({"cookie", "oemStrings/entry", "fwcfg/entry"})
# All of it is for the guest's owner and the processor, but these.
LAUNCH = "launchSecurity"
LAUNCH_SHOWN = frozenset({"cbitpos", "reducedPhysBits", "policy"})
# Names of things, which are no secrets whatever they are called: one word is enough to know it by.
_NAMING = frozenset({"name", "type", "mode", "model", "bus", "dev", "format", "protocol", "alias", "id"})
# They say which secret of libvirt's own store it is.
_REFERENCES = frozenset({"secret", "usage", "uuid"})

# --- arguments of QEMU, in documents and in files of xl

# Options whose value says what the machine is made of. Of all others the value may be anything.
_HARMLESS = re.compile(
    "-{1,2}(?:accel|boot|cpu|device|display|global|k|m|M|machine|mem-path|msg|name|numa|overcommit|rtc|sandbox|set|smp|vga)"
)

# --- files of xl

_FOR_QEMU = re.compile("device_model_args(?:_pv|_hvm)?")
# What the guest's firmware hands over to it.
XL_SECRET_LISTS = frozenset({"smbios"})


# Documents of many guests say the same short words again and again. What is longer is not kept: it may be a secret.
_SHORT = 12


def suspect(text: str) -> bool:
    """Whether free text looks as if it held a password, a token or a key."""
    if is_short(text):
        return _suspect_word(text)
    return may_be_suspect(text) and _SUSPECT.search(text) is not None


def is_short(text: str) -> bool:
    """Whether it can be kept in memory beyond the document that it is from."""
    return len(text) <= _SHORT


def may_be_suspect(text: str) -> bool:
    """False where neither a text nor a part of it is suspect, told without looking closely."""
    # Some letters beyond ASCII count as others where case does not matter.
    lowered = text.lower()
    return not text.isascii() or any(sign in lowered for sign in _SIGNS)


@lru_cache(maxsize=1024)
def _suspect_word(text: str) -> bool:
    return _SUSPECT.search(text) is not None


@lru_cache(maxsize=1024)
def suspect_name(name: str) -> bool:
    """Whether what is called so is a secret."""
    return _SUSPECT_NAME.search(name) is not None


def suspect_attribute(name: str, value: str) -> bool:
    """Whether an attribute of an element of libvirt holds a secret, by its name or by what it is."""
    if name in SECRET_ATTRIBUTES:
        return True
    if name in _REFERENCES or (name in _NAMING and _WORD.fullmatch(value)):
        return False
    return suspect(value)


def secret_argument(before: str, argument: str, others: bool = True) -> bool:
    """Whether one of QEMU's arguments is a secret; ``before`` is the one that stands before it.

    ``others``: the value of an option that is not known to be harmless is one.
    """
    if suspect(argument):
        return True
    if not before.startswith("-") or "=" in before or argument.startswith("-"):
        return before.startswith("-") and "=" not in before and suspect(before)
    return suspect(before) or (others and not _HARMLESS.fullmatch(before))


def takes_arguments(name: str) -> bool:
    """Whether an option of xl is a list of arguments, of which a value may follow its option."""
    return is_for_qemu(name) or name == "bootloader_args"


def is_for_qemu(name: str) -> bool:
    """Whether an option of xl is a list of arguments of QEMU."""
    return _FOR_QEMU.fullmatch(name) is not None


# --- messages of others

_PAIR = re.compile(r"(?P<name>[\w.-]+)(?P<sign>[\"']?\s*[=:]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&\"'<>]+)")
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<who>[^\s/?#@'\"]*@)?(?P<rest>[^\s'\"?]*)(?P<query>\?[^\s'\"]*)?",
    re.IGNORECASE,
)
# What addresses of libvirt may ask for that is no secret.
_ASKED = re.compile(
    "authfile|auto_answer|command|keyfile|known_hosts|known_hosts_verify|mode|name|netcat|no_sanity|no_tty|no_verify"
    "|pkipath|proxy|socket|sshauth|tls_priority"
)


def masked_message(text: str, secrets: Iterable[str] = ()) -> str:
    """A message of libvirt, QEMU or xl: they quote what they do not like. In one line.

    ``secrets`` are those of the documents that it may be about. Beside them it is masked what looks like a secret.
    """
    known = {part for each in secrets for part in (each, *_parts(each)) if part.strip()}
    for each in sorted(known, key=lambda part: (-len(part), part)):
        # A short one is part of many words.
        found = re.escape(each) if len(each) > 5 else rf"(?<!\w){re.escape(each)}(?!\w)"
        text = re.sub(found, MASK, text)
    text = _ADDRESS.sub(_masked_address, text)
    text = _PAIR.sub(_masked_pair, text)
    return " ".join(text.split())


def masked_uri(text: str) -> str:
    """A URI without the password in it."""
    return _ADDRESS.sub(_masked_address, text)


def _masked_pair(match: re.Match[str]) -> str:
    # "Cannot recv data: Connection reset by peer" gives away nothing; data=… may be the whole secret.
    if not suspect(match["name"] + match["sign"].strip()) or match["value"].strip("\"'") == MASK:
        return match[0]
    return f"{match['name']}{match['sign']}{MASK}"


def _masked_address(match: re.Match[str]) -> str:
    who = match["who"] or ""
    if ":" in who or "%" in who:
        who = f"{re.split('[:%]', who)[0]}:{MASK}@"
    query = match["query"] or ""
    asked = []
    for each in query[1:].split("&"):
        name, sign, _value = each.partition("=")
        asked.append(f"{name}={MASK}" if sign and not _ASKED.fullmatch(name) else each)
    return f"{match['scheme']}{who}{match['rest']}{query[:1]}{'&'.join(asked)}"


def _parts(secret: str) -> Iterator[str]:
    """What of a longer secret is the heart of it, where only a part is quoted."""
    for each in _PAIR.finditer(secret):
        if suspect(f"{each['name']}="):
            yield each["value"].strip("\"'")
    for each in _ADDRESS.finditer(secret):
        yield from re.split("[:%]", (each["who"] or "")[:-1])[1:]


# --- what users give

DEEPEST = 20
_LONGEST = 200
_SET = re.compile(r"[\s0-9,^!-]*")
_TAG = re.compile(r"<[?!/]?\s*[A-Za-z!-][^<>]*>|</|/>|<!--|<\?xml|^\s*(?:[\[{]\s*)+[\"']")
_NAME_OR_PATH = re.compile(r"[\w.@+/-]+")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^\s<>\"{}|\\^`]*", re.IGNORECASE)
_NEVER = re.compile(r"[\n\r<>{}=\"\\]")


def is_document(text: str) -> bool:
    """Whether text is, or is a part of, a document, a file or a dump: no name, set or path is like that."""
    return "\n" in text.strip() or _TAG.search(text) is not None


def displayable(value: Any, depth: int = 0) -> Any:
    """A value of an option, with all that may be secret in it replaced by words. Numbers, None and names stay.

    ``depth`` counts what it is in: no option is nested deeper than DEEPEST.
    """
    if depth > DEEPEST:
        return hidden(value)
    if isinstance(value, str):
        return _displayable_text(value)
    if isinstance(value, Mapping):
        return {displayable(key, depth + 1): displayable(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(displayable(each, depth + 1) for each in value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return value if text == _displayable_text(text) else hidden(text)


def hidden(value: Any) -> str:
    """What stands for a value that is not shown."""
    if isinstance(value, str):
        return f"(not shown: {len(value)} characters)"
    if isinstance(value, (Mapping, list, tuple)):
        return f"(not shown: {len(value)} elements)"
    return "(not shown)"


def _displayable_text(text: str) -> str:
    if _URI.fullmatch(text):
        return masked_uri(text)
    if _NEVER.search(text) or is_document(text):
        return hidden(text)
    if len(text) > _LONGEST and not _SET.fullmatch(text):
        return hidden(text)
    # One word is a name, whatever it is called.
    return hidden(text) if suspect(text) and not _NAME_OR_PATH.fullmatch(text) else text
