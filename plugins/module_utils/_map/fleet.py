# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The overview of a fleet: a row for each host, with how full its cells are and what was found there.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.numa.virt.plugins.module_utils._map import html, page
from ansible_collections.numa.virt.plugins.module_utils._map.largest_fit import Fit, free_memory, largest_guest
from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, el, joined, plain
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, load
from ansible_collections.numa.virt.plugins.module_utils._map.results import SEVERITIES, InfoCell, human
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import MARKS

_BAR = 30
_WIDE = 9
_STEP = 26


def fleet_page(hosts: Sequence[HostMap], title: str, time: str | None = None) -> str:
    """A whole HTML document. Hosts by name."""
    ordered = sorted(hosts, key=lambda host: host.name)
    header = [el("h1", None, html.bidi(title)), _facts(ordered)]
    key = el(
        "p",
        {"class": "soft small"},
        "Two bars for each cell: ",
        el("span", {"class": "key-cpu"}),
        " vCPUs of running guests for each CPU (a full bar is one; a red cap, more), ",
        el("span", {"class": "key-mem"}),
        " memory in use.",
    )
    heads = [
        "Host",
        "Findings",
        "Cells",
        "CPUs",
        "Guests",
        "vCPUs per CPU",
        "Memory in use",
        "Largest guest that still fits",
    ]
    rows = [_row(host) for host in ordered]
    main = [
        html.section(
            "hosts", "Hosts", key, html.table("hosts", "Every host of the fleet", heads, rows), classes="hosts"
        )
    ]
    found = sorted((host for host in ordered if host.findings), key=lambda host: host.findings[0].info.rank()[0])
    worst = [_worst(host) for host in found]
    if worst:
        main.append(html.section("worst", "What to look at first", el("ul", {"class": "list"}, *worst)))
    return html.document(title, header, main, time)


def _facts(hosts: Sequence[HostMap]) -> Safe:
    counts = [(severity, sum(host.count(severity) for host in hosts)) for severity in SEVERITIES]
    found = joined(part for severity, count in counts if count for part in (page.sign_of(severity, count), " "))
    fits = [(host, fit) for host in hosts if (fit := largest_guest(host)) is not None and fit.vcpus and fit.kib]
    best = max(fits, key=lambda pair: (pair[1].vcpus, pair[1].kib), default=None)
    largest = "none" if best is None else joined([page.fit_in_words(best[1]), " of ", html.bidi(best[0].name, 40)])
    return html.facts(
        ("Hosts", f"{len(hosts):,}"),
        ("Cells", f"{sum(len(host.cells) for host in hosts):,}"),
        ("CPUs", f"{sum(len(host.everything) for host in hosts):,}"),
        ("Guests", f"{sum(len(host.guests) for host in hosts):,}"),
        ("Largest guest that still fits", largest),
        ("Findings", found or "none"),
    )


def _row(host: HostMap) -> list[str]:
    vcpus = sum(load(host, cell) for cell in host.cells)
    total = sum(cell.total for cell in host.cells)
    used = total - sum(_free(host, cell) for cell in host.cells)
    fit = largest_guest(host)
    return [
        el("a", {"href": html.file_name(host.name)}, html.bidi(host.name, 60)),
        el("span", {"class": "sevs"}, page.severity_counts(host, short=True)),
        _bars(host),
        f"{len(host.everything):,}",
        f"{len(host.guests):,}",
        f"{vcpus / len(host.everything):.1f}" if host.everything else "none",
        f"{human(used)} of {human(total)}",
        joined([page.fit_in_words(fit), el("br"), el("span", {"class": "soft small"}, _share(fit))]),
    ]


def _share(fit: Fit | None) -> str:
    return "it has no CPUs" if fit is None else f"{fit.share:.0%} of an empty cell"


def _free(host: HostMap, cell: InfoCell) -> int:
    return free_memory(host, cell) if cell.free is None else cell.free


def _bars(host: HostMap) -> Safe:
    """Two bars for each cell, and the same in words for who does not see them."""
    parts: list[Safe] = []
    said = []
    for rank, cell in enumerate(host.cells):
        x = 1 + rank * _STEP
        cpu = load(host, cell) / len(cell.cpus) if cell.cpus else 0.0
        memory = (cell.total - _free(host, cell)) / cell.total if cell.total else 0.0
        parts += [_bar(x, cpu, "cpu-bar"), _bar(x + _WIDE + 1, memory, "mem-bar")]
        parts.append(el("text", {"x": x + _WIDE + 0.5, "y": _BAR + 12, "class": "c s x10"}, str(cell.id)))
        said.append(f"cell {cell.id}: {cpu:.1f} vCPUs for each CPU, {memory:.0%} of its memory in use")
    return el(
        "svg",
        {
            "class": "map cells",
            "viewBox": f"0 0 {len(host.cells) * _STEP} {_BAR + 15}",
            "width": len(host.cells) * _STEP,
            "height": _BAR + 15,
            "role": "img",
            "aria-label": "; ".join(said),
        },
        *parts,
    )


def _bar(x: float, share: float, kind: str) -> Safe:
    high = min(1.0, share) * (_BAR - 2)
    cap = [el("rect", {"x": x - 0.5, "y": 0, "width": _WIDE + 1, "height": 5, "class": "over"})] if share > 1 else []
    return joined(
        [
            el("rect", {"x": x, "y": 0.5, "width": _WIDE, "height": _BAR - 1, "class": "soft-bar", "rx": 2}),
            el("rect", {"x": x + 0.5, "y": _BAR - 1 - high, "width": _WIDE - 1, "height": high, "class": kind}),
            *cap,
        ]
    )


def _worst(host: HostMap) -> Safe:
    """The gravest finding of a host."""
    first = host.findings[0]
    severity = first.info.severity
    more = len(host.findings) - 1
    return el(
        "li",
        {"class": f"finding {severity}"},
        el(
            "div",
            {"class": "head"},
            el("span", {"class": f"sev {severity}"}, f"{MARKS[severity]} {severity}"),
            el("a", {"href": html.file_name(host.name)}, html.bidi(host.name, 60)),
            el("code", None, plain(first.info.code)),
            *([el("span", {"class": "soft"}, f"and {more:,} more")] if more else []),
        ),
        el("p", None, plain(first.info.message)),
        *(
            [el("p", {"class": "small"}, el("strong", None, "Fix: "), plain(first.info.remedy))]
            if first.info.remedy
            else []
        ),
    )
