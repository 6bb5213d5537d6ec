# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done about findings: which guests may be placed again for them, and which findings are gone afterwards.

Findings and domains are plain data here, as numa_domain_info returns them.

Three kinds of guests. One that a policy has placed may be planned anew. One whose place a user gave by hand keeps it:
it is only given that place again where it has strayed. One that nobody has placed is left alone, unless the user names
a policy to adopt it by; but on Xen a CPU set that is ignored is what its definition asks for, and it can have that.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, one_line
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import HOST, LIVE, SEVERITIES

_SELF, _OTHERS, _ALL = ("domain",), ("others",), ("domain", "others")

# Code -> whose new place may clear it. Of the others only a user or the host can.
_WHO = {
    "cell_missing": _SELF,
    "cell_overcommitted": _OTHERS,
    "claimed_used": _SELF,
    "cpu_dedicated_twice": _ALL,
    "cpu_missing": _SELF,
    "cpuset_ignored": _SELF,
    "dedicated_on_reserved": _SELF,
    "dedicated_shared": _OTHERS,
    "guest_cell_remote": _SELF,
    "guest_threads_apart": _SELF,
    "helper_off_cells": _SELF,
    "intent_differs": _SELF,
    "isolated_shared": _SELF,
    "live_differs": _SELF,
    "memory_remote": _SELF,
    "realtime_shared": _SELF,
    "sibling_shared": _ALL,
    "spans_needlessly": _SELF,
    "threads_differ": _SELF,
    "unrestricted_beside_dedicated": _SELF,
}
# What is cleared where a guest gets again what was asked for.
_STRAYED = ("cpuset_ignored", "intent_differs", "live_differs", "memory_remote", "threads_differ")
# A guest that nobody has placed has these for its pins, which only this policy would give it again.
_TAKEN = ("cpu_dedicated_twice", "dedicated_on_reserved", "sibling_shared")
_BY_PINS = (*_TAKEN, "guest_threads_apart")
_DEDICATED = "dedicated"
# No policy that any guest fits would clear these.
_BY_ITS_OWN = ("guest_cell_remote", "realtime_shared")
# CPUs that others have too hurt more than memory that waits for a restart.
_AT_ONCE = (*_TAKEN, "dedicated_shared", "unrestricted_beside_dedicated")
_POLICIES = ("pack", "spread", "dedicated")


def remedies(
    findings: Sequence[Mapping[str, Any]],
    domains: Iterable[Mapping[str, Any]],
    least: str = "info",
    adopt: str | None = None,
) -> dict[str, Any]:
    """What may clear findings of the severity ``least`` or worse.

    ``place``: entries for numa_placement's ``domains``; ``apply``: ``{"name", "cpuset"}`` of guests that get again what
    was asked for, or the CPU set (else None) that their definition asks for; ``now``: names out of ``place`` that
    should not wait for a restart with leaving their CPUs; ``left``: the findings that none of this clears. ``adopt`` is
    the policy for guests that nobody has placed. Raises InputError for a word that is none.
    """
    wanted = _worse(least)
    if adopt and adopt not in _POLICIES:
        raise InputError("adopt", adopt, "is no policy that any guest fits", f"choose among {', '.join(_POLICIES)}")
    intents = {each["name"]: each.get("intent") for each in domains}
    place: dict[str, dict[str, Any]] = {}
    apply: dict[str, dict[str, Any]] = {}
    now = set()
    left = []
    for each in findings:
        chosen = list(_actors(each, intents, adopt)) if each["severity"] in wanted else []
        if not chosen:
            left.append(dict(each))
        for name, entry, placed in chosen:
            if placed:
                place[name] = entry
                if each["code"] in _AT_ONCE and each["fix"] == LIVE:
                    now.add(name)
            elif entry["cpuset"] is not None or name not in apply:
                apply[name] = entry
    return {
        "place": [place[name] for name in sorted(place)],
        "apply": [apply[name] for name in sorted(apply)],
        "now": sorted(now),
        "left": left,
    }


def cleared(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The findings that are gone: nothing of their code is left about the same guest, or the same cells of the host."""
    still = {_about(each) for each in after}
    return [dict(each) for each in before if _about(each) not in still]


def finding_lines(findings: Iterable[Mapping[str, Any]], host: str, least: str = "info") -> list[str]:
    """A line for each finding of the severity ``least`` or worse: host, severity, code, guest, message, remedy.

    Raises InputError for a word that is no severity.
    """
    wanted = _worse(least)
    return [
        one_line(f"{host}: {each['severity']}: {each['code']}: {_guest(each)}{each['message']}; {each['remedy']}")
        for each in findings
        if each["severity"] in wanted
    ]


def _worse(least: str) -> tuple[str, ...]:
    """This severity and the worse ones; nothing for "never"."""
    if least == "never":
        return ()
    if least not in SEVERITIES:
        raise InputError("least", least, "is no severity", f"choose among {', '.join(SEVERITIES)} and never")
    return SEVERITIES[: SEVERITIES.index(least) + 1]


def _guest(each: Mapping[str, Any]) -> str:
    return f"{each['domain']!r}: " if each["domain"] is not None else ""


def _about(each: Mapping[str, Any]) -> tuple[Any, ...]:
    return each["code"], each["domain"], tuple(each["cells"]) if each["domain"] is None else ()


def _actors(
    each: Mapping[str, Any], intents: Mapping[str, Any], adopt: str | None
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """(name, entry, whether it is for a plan) of the guests through which a finding may be cleared."""
    code = each["code"]
    if each["fix"] == HOST or code not in _WHO:
        return
    who, refused = _WHO[code], each.get("numbers", {}).get("refused")
    names = [each["domain"]] if "domain" in who else []
    names += each["others"] if "others" in who else []
    for name in names:
        if name not in intents:
            continue
        intent = intents[name]
        if intent is not None and intent.get("policy") is not None:
            yield name, {"name": name}, True
        elif intent is not None:
            # An intent that cannot be met has no differences to tell of.
            met = code != "intent_differs" or each["numbers"].get("differences")
            if code in _STRAYED and met and not refused:
                yield name, {"name": name, "cpuset": None}, False
        elif code == "cpuset_ignored" and not refused:
            yield name, {"name": name, "cpuset": each["cpus"]}, False
        elif adopt and code not in _BY_ITS_OWN and (adopt == _DEDICATED or code not in _BY_PINS):
            yield name, {"name": name, "policy": adopt}, True
