# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of one host: its picture, beside it findings and guests, below it the same in tables.

Guests of the key can be chosen, by pointer or keyboard: the picture then dims all others. This is CSS alone.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._map import html, lanes, page_style, svg
from ansible_collections.numa.virt.plugins.module_utils._map.largest_fit import Fit, largest_guest
from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, el, joined, plain
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, MapFinding, MapGuest, load
from ansible_collections.numa.virt.plugins.module_utils._map.results import SEVERITIES, InfoCell, human
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import MARKS
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

#: What each kind of fix means to whoever reads it.
FIXES = {
    "live": "while it runs",
    "restart": "needs a restart",
    "redefine": "needs a new definition",
    "host": "on the host",
}


def host_page(host: HostMap, title: str, time: str | None = None) -> str:
    """A whole HTML document. ``title`` is the fleet's."""
    header = [
        el("nav", {"aria-label": "Fleet"}, el("a", {"href": html.INDEX}, "← ", plain(title))),
        el("h1", None, html.bidi(host.name, 120)),
        _facts(host),
    ]
    figure = el(
        "div",
        {"class": "scroll", "role": "region", "aria-label": "Map", "tabindex": "0"},
        el("figure", None, svg.draw(host), "\n"),
    )
    side = el(
        "div",
        {"class": "side"},
        html.section("findings", _title_of_findings(host), _findings(host)),
        html.section("guests", f"Guests ({len(host.guests)})", _keys(host)),
    )
    main = [
        el("div", {"class": "board few"}, html.section("map", "Map", figure, classes="picture"), side),
        "\n",
        html.folded("all-guests", "All guests as a table", _guests(host)),
        html.folded("cells", "Cells as a table", _cells(host)),
        _distances(host),
        _notes(host),
    ]
    rules = page_style.highlights(
        (guest.number for guest in host.guests), (finding.number for finding in host.findings)
    )
    return html.document(f"{host.name} – {title}", header, main, time, rules)


def severity_counts(host: HostMap, short: bool = False) -> Safe:
    """How many findings there are of each severity, or that there are none.

    ``short`` leaves the words to readers who do not see the signs.
    """
    found = [sign_of(severity, host.count(severity), short) for severity in SEVERITIES if host.count(severity)]
    return joined(part for each in found for part in (each, " ")) if found else el("span", {"class": "none"}, "none")


def sign_of(severity: str, count: int, short: bool = False) -> Safe:
    """A number of findings on the colour of their severity."""
    word = severity if severity == "info" or count == 1 else f"{severity}s"
    said = el("span", {"class": "unseen"}, f" {word}") if short else f" {word}"
    return el("span", {"class": f"sev {severity}"}, f"{MARKS[severity]} {count:,}", said)


def fit_in_words(fit: Fit | None) -> str:
    if fit is None or not fit.vcpus or not fit.kib:
        return "none"
    return f"{lanes.counted_vcpus(fit.vcpus)}, {human(fit.kib)} on cell {fit.cell}"


def _facts(host: HostMap) -> Safe:
    memory = sum(cell.total for cell in host.cells)
    free = [cell.free for cell in host.cells]
    unused = "" if None in free else f", {human(sum(kib or 0 for kib in free))} free"
    return html.facts(
        ("Cells", str(len(host.cells))),
        ("CPUs", f"{len(host.everything):,}"),
        ("Memory", human(memory) + unused),
        ("Guests", f"{len(host.guests):,}"),
        ("Largest guest that still fits", fit_in_words(largest_guest(host))),
        ("Findings", severity_counts(host)),
    )


def _title_of_findings(host: HostMap) -> str:
    return f"Findings ({len(host.findings)})"


def _findings(host: HostMap) -> Safe:
    if not host.findings:
        return el("p", {"class": "soft"}, "None were reported.")
    by_name = {guest.name: guest for guest in host.guests}
    items = []
    for each in host.findings:
        info = each.info
        about = [name for name in (info.domain, *info.others) if name is not None]
        items.append(
            el(
                "li",
                {"class": f"finding {info.severity}", "id": f"f{each.number}"},
                el(
                    "div",
                    {"class": "head"},
                    el("a", {"href": f"#f{each.number}", "class": "mark"}, _sign(each)),
                    el("strong", None, info.severity),
                    el("code", None, html.bidi(info.code, 60)),
                    *(el("span", None, _guest_link(by_name.get(name), name)) for name in about),
                    *([el("span", {"class": "fix"}, FIXES.get(info.fix, plain(info.fix)))] if info.fix else []),
                ),
                el("p", None, plain(info.message)),
                *(
                    [el("p", {"class": "small"}, el("strong", None, "Fix: "), plain(info.remedy))]
                    if info.remedy
                    else []
                ),
            )
        )
    return el("ol", {"class": "list"}, joined(part for item in items for part in ("\n", item)))


def _sign(finding: MapFinding) -> Safe:
    severity = finding.info.severity
    return el("span", {"class": f"sev {severity}"}, f"{MARKS[severity]}{finding.number}")


def _guest_link(guest: MapGuest | None, name: str) -> Safe:
    """A guest's sign and name, leading to it in the key; just the name of one that is not there."""
    if guest is None:
        return html.bidi(name, 40)
    return el("a", {"href": f"#g{guest.number}", "class": "named"}, tag(guest), " ", html.bidi(name, 40))


def tag(guest: MapGuest) -> Safe:
    return el("span", {"class": f"tag h{guest.hue} q{guest.pattern}"}, guest.tag)


def _keys(host: HostMap) -> Safe:
    if not host.guests:
        return el("p", {"class": "soft"}, "There are none.")
    items = []
    for guest in host.guests:
        note = human(guest.info.memory) if guest.info.state == "running" else guest.info.state
        said = el("span", {"class": "soft"}, f"{lanes.vcpus_of(guest)} · {note}")
        link = el(
            "a", {"href": f"#g{guest.number}", "class": "named"}, tag(guest), " ", html.bidi(guest.name), " ", said
        )
        items.append(joined(["\n", el("li", {"id": f"g{guest.number}"}, link)]))
    hint = el(
        "p",
        {"class": "soft small hint"},
        "Choose one to see it alone on the map; ",
        el("a", {"href": "#map"}, "show all"),
        ".",
    )
    return joined([hint, el("ul", {"class": "list keys"}, *items)])


def _guests(host: HostMap) -> Safe:
    rows = []
    for guest in host.guests:
        cells = CpuSet(cell.id for cell in host.cells if cell.cpus & guest.reach)
        signs = joined(
            part
            for each in host.findings_of(guest)
            for part in (el("a", {"href": f"#f{each.number}"}, _sign(each)), " ")
        )
        rows.append(
            [
                joined(
                    [el("a", {"href": f"#g{guest.number}", "class": "named"}, tag(guest), " ", html.bidi(guest.name))]
                ),
                guest.info.state,
                str(len(guest.info.vcpus)),
                "every CPU" if guest.roams else str(guest.reach) or "none",
                str(cells) or "none",
                lanes.memory_of(guest),
                _pins(guest),
                signs or "none",
            ]
        )
    heads = ["Guest", "State", "vCPUs", "CPUs it may use", "Cells", "Memory", "Pins", "Findings"]
    return html.table("guests", "Every guest, where it may run and where its memory is", heads, rows)


def _pins(guest: MapGuest) -> str:
    """vCPUs with CPUs of their own, where they are not all alike."""
    sets = {cpus for _vcpu, cpus in guest.info.vcpus}
    if len(sets) < 2:
        return "none"
    said = [f"{vcpu}→{cpus if cpus is not None else 'every CPU'}" for vcpu, cpus in guest.info.vcpus]
    return ", ".join(said if len(said) <= 16 else [*said[:16], f"{len(said) - 16} more"])


def _cells(host: HostMap) -> Safe:
    apart = any(host.apart.of(cell) for cell in host.cells)
    caches = ["Last-level caches"] if any(cell.caches for cell in host.cells) else []
    heads = [
        "Cell",
        "Sockets",
        "CPUs",
        "Cores",
        *caches,
        "vCPUs per CPU",
        "Memory",
        "Free",
        "Huge pages",
        "Guests",
        "Findings",
        *(["Set apart"] if apart else []),
    ]
    rows = [_cell(host, cell) + ([_apart(host, cell)] if apart else []) for cell in host.cells]
    return html.table("cells", "Every cell, what it has and who is there", heads, rows)


def _apart(host: HostMap, cell: InfoCell) -> str:
    """CPUs, or the cell, that are not for every guest."""
    return plain("; ".join(host.apart.of(cell))) or "none"


def _cell(host: HostMap, cell: InfoCell) -> list[str]:
    threads = max((len(core) for core in cell.cores), default=1)
    cores = f"{len(cell.cores)} of {threads} threads" if threads > 1 else str(len(cell.cores))
    pools = [
        f"{pool.total:,} of {human(pool.size)}" + ("" if pool.free is None else f", {pool.free:,} free")
        for pool in cell.pools
        if pool.total
    ]
    found = joined(
        part for each in host.findings_at(cell) for part in (el("a", {"href": f"#f{each.number}"}, _sign(each)), " ")
    )
    return [
        f"Cell {cell.id}",
        ", ".join(map(str, cell.sockets)) or "not known",
        str(cell.cpus) or "none",
        cores if cell.cpus else "none",
        *([cell.caches_in_words() or "one or not known"] if any(each.caches for each in host.cells) else []),
        f"{load(host, cell) / len(cell.cpus):.1f}" if cell.cpus else "none",
        human(cell.total) if cell.total else "none",
        "not known" if cell.free is None else human(cell.free),
        "; ".join(pools) or "none",
        ", ".join(guest.tag for guest in host.guests_of(cell)) or "none",
        found or "none",
    ]


def _distances(host: HostMap) -> Safe:
    if len(host.cells) < 2:
        return Safe()
    rows = [
        [f"Cell {one.id}", *(str(one.distances.get(other.id, "not known")) for other in host.cells)]
        for one in host.cells
    ]
    heads = ["From", *(f"to cell {cell.id}" for cell in host.cells)]
    return html.folded("distances", "Distances", html.table("distances", "10 is a cell itself", heads, rows))


def _notes(host: HostMap) -> Safe:
    if not host.notes:
        return Safe()
    items = [el("li", None, plain(note)) for note in host.notes]
    return html.folded("notes", "What was assumed", el("ul", None, *items))
